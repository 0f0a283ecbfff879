//! Where a path leads within a root directory, links included, as for a program that has that
//! directory for its root. `openat2` does it in the kernel, but not in kernels before 5.6.
//!
//! For reading an OS that nobody changes meanwhile; it is no defence against one who does.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// How many links are followed, as the kernel does.
const MOST_LINKS: usize = 40;

/// Whether there is something at every name of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    There,
    Any,
}

/// The path below `root`, without links, that `path` leads to. It need not exist.
pub fn resolve(root: &Path, path: &Path) -> io::Result<PathBuf> {
    follow(root, path, Names::Any, &|_| false)
}

/// The same for what exists: a name on the way that does not is an error.
pub fn find(root: &Path, path: &Path) -> io::Result<PathBuf> {
    follow(root, path, Names::There, &|_| false)
}

/// The same where nothing is asked of what is mounted below `root`: a path that leads there is an error.
pub fn find_unmounted(
    root: &Path,
    path: &Path,
    is_mounted: &dyn Fn(&Path) -> bool,
) -> io::Result<PathBuf> {
    follow(root, path, Names::There, is_mounted)
}

fn follow(
    root: &Path,
    path: &Path,
    names: Names,
    is_mounted: &dyn Fn(&Path) -> bool,
) -> io::Result<PathBuf> {
    let mut at: Vec<OsString> = Vec::new();
    let mut todo: VecDeque<OsString> = path.components().filter_map(name).collect();
    let mut followed = 0;
    while let Some(component) = todo.pop_front() {
        if component == ".." {
            at.pop();
            continue;
        }
        let here = at
            .iter()
            .fold(root.to_owned(), |path, name| path.join(name));
        let next = here.join(&component);
        if is_mounted(&next) {
            return Err(io::Error::other(format!(
                "{} leads to another filesystem, at {}",
                path.display(),
                next.display()
            )));
        }
        if let Ok(target) = fs::read_link(&next) {
            followed += 1;
            if followed > MOST_LINKS {
                return Err(io::Error::other(format!(
                    "{} leads through too many links",
                    path.display()
                )));
            }
            if target.is_absolute() {
                at.clear();
            }
            let names: Vec<OsString> = target.components().filter_map(name).collect();
            for name in names.into_iter().rev() {
                todo.push_front(name);
            }
            continue;
        }
        // EINVAL: it is there and no link. ENOENT: the rest cannot be a link either.
        if names == Names::There {
            fs::symlink_metadata(&next).map_err(|e| {
                io::Error::new(e.kind(), format!("look at {}: {e}", next.display()))
            })?;
        }
        at.push(component);
    }
    Ok(at
        .iter()
        .fold(root.to_owned(), |path, name| path.join(name)))
}

/// A component as a name, `..` included.
fn name(component: Component<'_>) -> Option<OsString> {
    match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_never_lead_out() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        std::fs::create_dir_all(root.join("etc/ssh")).unwrap();
        symlink("/etc", root.join("absolute")).unwrap();
        symlink("../../../../etc", root.join("etc/out")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        symlink("../usr/share/zoneinfo/UTC", root.join("etc/localtime")).unwrap();
        for (path, expected) in [
            ("/etc/ssh", Some("etc/ssh")),
            ("/absolute/ssh/key", Some("etc/ssh/key")),
            ("/etc/out/ssh/../x", Some("etc/x")),
            ("/../..", Some("")),
            ("/etc/localtime", Some("usr/share/zoneinfo/UTC")),
            ("/nowhere/x", Some("nowhere/x")),
            ("/loop/x", None),
        ] {
            let found = resolve(root, Path::new(path)).ok();
            assert_eq!(found, expected.map(|e| root.join(e)), "{path}");
        }
    }

    #[test]
    fn what_is_there_is_found_from_the_machines_root() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("usr/sbin")).unwrap();
        fs::create_dir_all(root.join("usr/lib/systemd")).unwrap();
        fs::write(root.join("usr/lib/systemd/systemd"), "x").unwrap();
        symlink("usr/sbin", root.join("sbin")).unwrap();
        symlink(
            "../../../../usr/lib/systemd/systemd",
            root.join("usr/sbin/init"),
        )
        .unwrap();
        symlink("/usr/lib", root.join("lib")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let found = |path: &str| find(root, Path::new(path));
        let systemd = root.join("usr/lib/systemd/systemd");
        assert_eq!(found("/sbin/init").unwrap(), systemd);
        assert_eq!(found("/lib/systemd/systemd").unwrap(), systemd);
        for missing in ["/loop", "/absent", "/absent/../sbin"] {
            assert!(found(missing).is_err(), "{missing}");
        }
    }
}
