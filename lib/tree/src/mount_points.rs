//! Where something is mounted below a root, as the kernel's list says it.
//!
//! In a running OS this is known before a name is looked at: what is mounted may be a server that
//! does not answer, and to ask it is to wait for it. A name that is on this list is never asked.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Mount points as a tree of names.
#[derive(Debug, Clone, Default)]
pub struct MountPoints {
    /// Something is mounted at this very place.
    here: bool,
    below: BTreeMap<Vec<u8>, MountPoints>,
}

impl MountPoints {
    /// Those of `targets` that are below `root`; the mount at `root` itself is none of them.
    pub fn below<T: AsRef<Path>>(root: &Path, targets: impl IntoIterator<Item = T>) -> Self {
        let mut points = Self::default();
        for target in targets {
            if let Ok(path) = target.as_ref().strip_prefix(root) {
                let mut node = &mut points;
                for name in names(path.as_os_str().as_bytes()) {
                    node = node.below.entry(name.to_vec()).or_default();
                }
                node.here = true;
            }
        }
        points.here = false;
        points
    }

    /// What is known of a name in this directory.
    pub(super) fn child(&self, name: &[u8]) -> Option<&Self> {
        self.below.get(name)
    }

    /// Whether something is mounted here.
    pub(super) fn is_mount(&self) -> bool {
        self.here
    }

    /// The directory at `path`, if something is mounted at it or below it.
    pub(super) fn at(&self, path: &[u8]) -> Option<&Self> {
        names(path).try_fold(self, |node, name| node.child(name))
    }

    /// The first mount point that a path leads through or ends at, as long as its part of the path.
    pub fn crossed_by<'p>(&self, path: &'p [u8]) -> Option<&'p [u8]> {
        let mut node = self;
        let mut end = 0;
        for name in names(path) {
            let start = end + path[end..].iter().take_while(|&&b| b == b'/').count();
            end = start + name.len();
            node = node.child(name)?;
            if node.here {
                return Some(&path[..end]);
            }
        }
        None
    }
}

/// The names of a path.
fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/')
        .filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_cross_the_first_mount_on_their_way() {
        let points = MountPoints::below(
            Path::new("/target"),
            [
                "/target",
                "/target/srv/archive",
                "/target/srv/archive/in/it",
                "/targets/x",
                "/proc",
            ],
        );
        for (path, crossed) in [
            ("/srv", None),
            ("/srv/archives", None),
            ("/srv/archive", Some("/srv/archive")),
            ("srv//archive/in/it/deep", Some("srv//archive")),
            ("/proc", None),
            ("/x", None),
            ("/", None),
        ] {
            let found = points.crossed_by(path.as_bytes());
            assert_eq!(found, crossed.map(str::as_bytes), "{path}");
        }
        assert!(points.at(b"/srv").is_some_and(|node| !node.is_mount()));
        assert!(points.at(b"/home").is_none());
    }
}
