//! What the builder itself changes in a new root filesystem, after the hooks.
//!
//! It writes how GRUB boots, and it takes out what must not be the same on two machines or is of
//! no use on one. `docs/images.md` lists it for the authors of folders. What it writes bears the
//! time of the OS's own os-release, and directories keep theirs, so that building twice from one
//! tree gives the same bytes.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, Result};
use bootpath::grub::terminal;

use crate::recipe::{Boot, Source};
use crate::root_tree::{set_modified, RootTree};

/// Files that go: directory, and the beginning and the end of the names in it. Without an end it
/// is a whole name, without both every file.
const REMOVED: &[(&str, &str, &str)] = &[
    // Two machines must not have the same keys; a machine's own come from its old OS.
    ("etc/ssh", "ssh_host_", "_key"),
    ("etc/ssh", "ssh_host_", "_key.pub"),
    ("var/lib/dbus", "machine-id", ""),
    ("var/lib/systemd", "random-seed", ""),
    ("var/lib/systemd", "credential.secret", ""),
    ("var/lib/urandom", "random-seed", ""),
    // apt makes these again.
    ("var/cache/apt", "pkgcache", ".bin"),
    ("var/cache/apt", "srcpkgcache", ".bin"),
    ("var/cache/apt/archives", "", ".deb"),
    ("var/lib/apt/lists", "", ""),
];

/// Files that go from a suite, where the tools that made it left them.
const REMOVED_FROM_SUITES: &[(&str, &str, &str)] = &[
    // Copies of the building machine's.
    ("etc", "hostname", ""),
    // The build is not the machine's history.
    ("var/log", "bootstrap.log", ""),
    ("var/log", "dpkg.log", ""),
    ("var/log", "alternatives.log", ""),
    ("var/log/apt", "", ".log"),
    ("var/log/apt", "", ".log.xz"),
    ("var/cache/debconf", "", "-old"),
    ("var/lib/dpkg", "", "-old"),
];

/// Changes the tree.
pub fn settle(tree: &RootTree, source: &Source, boot: &Boot) -> Result<()> {
    let time = tree
        .file("etc/os-release")
        .and_then(|file| file.metadata()?.modified())
        .context("look at etc/os-release in the new root")?;
    for &(folder, begin, end) in REMOVED {
        remove(tree, folder, begin, end).with_context(|| format!("clear {folder}"))?;
    }
    if matches!(source, Source::Suite(_)) {
        for &(folder, begin, end) in REMOVED_FROM_SUITES {
            remove(tree, folder, begin, end).with_context(|| format!("clear {folder}"))?;
        }
        remove_copied_resolver(tree).context("remove the building machine's resolv.conf")?;
    }
    // Empty and not absent: the system manager then takes the id that it is given.
    write(tree, "etc", "machine-id", "", time).context("empty etc/machine-id")?;
    make_folder(tree, "etc/default", "grub.d", time).context("make etc/default/grub.d")?;
    write(tree, "etc/default/grub.d", "reroot.cfg", &grub(boot), time)
        .context("write etc/default/grub.d/reroot.cfg")
}

fn remove(tree: &RootTree, folder: &str, begin: &str, end: &str) -> io::Result<()> {
    let names = tree.names(folder)?;
    let whole = end.is_empty() && !begin.is_empty();
    let mut names = names
        .iter()
        .filter(|name| {
            if whole {
                *name == begin
            } else {
                name.starts_with(begin) && name.ends_with(end)
            }
        })
        .peekable();
    if names.peek().is_none() {
        return Ok(());
    }
    tree.folder(folder)?.change(|path| {
        names.try_for_each(|name| {
            let path = path.join(name);
            // var/lib/dbus/machine-id is a link to /etc/machine-id in newer releases, and stays.
            if fs::symlink_metadata(&path)?.is_file() {
                fs::remove_file(&path)?;
            }
            Ok(())
        })
    })
}

/// A link is the new OS's own arrangement; a plain file was copied in for the build.
fn remove_copied_resolver(tree: &RootTree) -> io::Result<()> {
    remove(tree, "etc", "resolv.conf", "")
}

fn make_folder(tree: &RootTree, folder: &str, name: &str, time: SystemTime) -> io::Result<()> {
    if tree.has(&format!("{folder}/{name}")) {
        return Ok(());
    }
    tree.folder(folder)?.change(|path| {
        let path = path.join(name);
        fs::create_dir(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o755))?;
        set_modified(&path, time)
    })
}

fn write(
    tree: &RootTree,
    folder: &str,
    name: &str,
    text: &str,
    time: SystemTime,
) -> io::Result<()> {
    tree.folder(folder)?.change(|path| {
        let path = path.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => write_new(&path, text, time)?,
        }
        Ok(())
    })
}

fn write_new(path: &Path, text: &str, time: SystemTime) -> io::Result<()> {
    fs::write(path, text)?;
    fs::set_permissions(path, Permissions::from_mode(0o644))?;
    set_modified(path, time)
}

/// Settings for `update-grub`. The console named last is where the kernel speaks and where the
/// operator looks, so GRUB's menu is to be seen there too.
fn grub(boot: &Boot) -> String {
    let consoles: Vec<String> = boot
        .consoles
        .iter()
        .map(|c| format!("console={c}"))
        .collect();
    let mut text = format!(
        "# From the image's image.toml; written when the image was built. Change it and run\n\
         # update-grub.\n\
         GRUB_TIMEOUT=2\n\
         GRUB_RECORDFAIL_TIMEOUT=2\n\
         GRUB_DISABLE_OS_PROBER=true\n\
         GRUB_CMDLINE_LINUX_DEFAULT=\"{}\"\n\
         GRUB_CMDLINE_LINUX=\"{}\"\n",
        boot.cmdline,
        consoles.join(" ")
    );
    text.push_str(&terminal::settings(&boot.consoles));
    text
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use formats::manifest::Loader;

    use super::*;

    fn boot(cmdline: &str, consoles: &[&str]) -> Boot {
        Boot {
            loader: Loader::GrubPc,
            cmdline: cmdline.into(),
            consoles: consoles.iter().map(|&c| c.to_owned()).collect(),
        }
    }

    #[test]
    fn grub_and_kernel_are_told_of_the_consoles() {
        let text = grub(&boot("a=b", &["tty0", "ttyS0"]));
        for line in [
            "GRUB_CMDLINE_LINUX_DEFAULT=\"a=b\"",
            "GRUB_CMDLINE_LINUX=\"console=tty0 console=ttyS0\"",
            "GRUB_SERIAL_COMMAND=\"serial --unit=0 --speed=9600\"",
        ] {
            assert!(text.lines().any(|l| l == line), "{text}");
        }
    }

    #[test]
    fn identity_goes_and_everything_else_stays() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for path in [
            "etc/ssh/ssh_host_rsa_key",
            "etc/ssh/ssh_host_rsa_key.pub",
            "etc/ssh/sshd_config",
            "etc/hostname",
            "etc/machine-id",
            "etc/os-release",
            "var/lib/dbus/machine-id",
            "var/cache/apt/pkgcache.bin",
            "var/cache/apt/archives/a.deb",
            "etc/default/grub",
            "var/cache/apt/archives/lock",
            "var/lib/apt/lists/x_InRelease",
            "var/lib/apt/lists/x_main_i18n_Translation-en",
            "var/log/dpkg.log",
        ] {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), "x").unwrap();
        }
        symlink("../run/resolv.conf", root.join("etc/resolv.conf")).unwrap();
        let there = |path: &str| fs::symlink_metadata(root.join(path)).is_ok();
        let tree = RootTree::open(root).unwrap();
        let directory = Source::Directory(PathBuf::from("x"));
        settle(&tree, &directory, &boot("", &["tty0"])).unwrap();
        for path in [
            "etc/ssh/sshd_config",
            "etc/hostname",
            "etc/resolv.conf",
            "var/log/dpkg.log",
            "var/cache/apt/archives/lock",
            "etc/default/grub",
            "etc/default/grub.d/reroot.cfg",
        ] {
            assert!(there(path), "{path}");
        }
        for path in [
            "etc/ssh/ssh_host_rsa_key",
            "etc/ssh/ssh_host_rsa_key.pub",
            "var/lib/dbus/machine-id",
            "var/cache/apt/pkgcache.bin",
            "var/cache/apt/archives/a.deb",
            "var/lib/apt/lists/x_InRelease",
            "var/lib/apt/lists/x_main_i18n_Translation-en",
        ] {
            assert!(!there(path), "{path}");
        }
        assert_eq!(fs::read(root.join("etc/machine-id")).unwrap(), b"");
        let time = |path: &str| fs::metadata(root.join(path)).unwrap().modified().unwrap();
        assert_eq!(
            time("etc/default/grub.d/reroot.cfg"),
            time("etc/os-release")
        );
    }
}
