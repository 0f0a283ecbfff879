//! The list, of a tree whose database dpkg itself has made.

use std::ffi::OsStr;
use std::os::unix::fs::symlink;
use std::process::Command;

use super::*;

fn run(program: &str, arguments: &[&str]) {
    let done = Command::new(program).args(arguments).output().unwrap();
    assert!(
        done.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}

struct Old {
    dir: tempfile::TempDir,
}

impl Old {
    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    fn write(&self, path: impl AsRef<Path>, text: &str) {
        let at = self.root().join(path.as_ref());
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(at, text).unwrap();
    }

    /// An OS in which dpkg has installed a package with two conffiles, a unit and a program.
    fn new() -> Old {
        let old = Old {
            dir: tempfile::tempdir().unwrap(),
        };
        let package = old.dir.path().join("package");
        for (path, text) in [
            ("DEBIAN/control", "Package: shop\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b>\nDescription: x\n"),
            ("DEBIAN/conffiles", "/etc/shop/changed\n/etc/shop/as it was\n"),
            ("etc/shop/changed", "a"),
            ("etc/shop/as it was", "b"),
            ("etc/cron.d/shop", "packaged"),
            ("lib/systemd/system/shop.service", "[Unit]\n"),
            ("usr/local/share/made/by-package", "x"),
        ] {
            let at = package.join(path);
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            fs::write(at, text).unwrap();
        }
        // What debhelper does for every package.
        let sums = Command::new("sh")
            .args([
                "-ec",
                "find etc/cron.d lib usr -type f | xargs md5sum >DEBIAN/md5sums",
            ])
            .current_dir(&package)
            .status();
        assert!(sums.unwrap().success());
        let deb = old.dir.path().join("shop.deb");
        run(
            "dpkg-deb",
            &["-b", package.to_str().unwrap(), deb.to_str().unwrap()],
        );
        for folder in ["var/lib/dpkg/info", "var/lib/dpkg/updates"] {
            fs::create_dir_all(old.root().join(folder)).unwrap();
        }
        old.write("var/lib/dpkg/status", "");
        let root = format!("--root={}", old.root().display());
        run(
            "dpkg",
            &[
                &root,
                "--force-not-root",
                "--log=/dev/null",
                "-i",
                deb.to_str().unwrap(),
            ],
        );
        old
    }

    fn list(&self, stays: &[&str]) -> String {
        let stays: Vec<String> = stays.iter().map(|&path| path.into()).collect();
        list(&self.root(), &stays)
    }
}

/// Paths of a list, as `--carry-from` reads them.
fn paths(list: &str) -> Vec<String> {
    let lines = list.lines().filter(|line| line.starts_with('/'));
    lines
        .map(|line| line.split('\t').next().unwrap().to_owned())
        .collect()
}

#[test]
fn as_packages_left_it_nothing_is_listed() {
    let old = Old::new();
    assert_eq!(paths(&old.list(&[])), [""; 0]);
}

#[test]
fn what_was_changed_and_what_no_package_has_is_listed_by_its_kind() {
    let old = Old::new();
    old.write("etc/shop/changed", "by hand");
    old.write("lib/systemd/system/shop.service", "[Unit]\n# by hand\n");
    old.write("etc/cron.d/own", "* * * * * root true\n");
    old.write("etc/systemd/system/own.timer", "x");
    old.write("usr/local/bin/own", "x");
    old.write("opt/app/bin/a", "12345");
    old.write("opt/app/b", "12345");
    old.write("etc/fstab", "");
    old.write("etc/ssh/ssh_host_rsa_key", "");
    old.write("etc/kept/x", "");
    symlink(
        "/dev/null",
        old.root().join("etc/systemd/system/bad.service"),
    )
    .unwrap();
    let wants = old
        .root()
        .join("etc/systemd/system/multi-user.target.wants");
    fs::create_dir_all(&wants).unwrap();
    symlink(
        "/lib/systemd/system/shop.service",
        wants.join("shop.service"),
    )
    .unwrap();
    let list = old.list(&["/etc/kept"]);
    for line in [
        "# crontabs and at jobs\n/etc/cron.d/own\t# 20 B, of no package",
        "/etc/shop/changed\t# 7 B, changed",
        "/lib/systemd/system/shop.service\t# 17 B, changed",
        "/opt/app\t# 2 files, 10 B, of no package",
        "/etc/systemd/system/bad.service\t# a link of no package",
        "# /etc/fstab\tits mounts come along by themselves",
        "# /etc/ssh/ssh_host_*\tcomes along by itself",
    ] {
        assert!(list.contains(line), "{line:?} is missing in\n{list}");
    }
    let mut found = paths(&list);
    found.sort();
    assert_eq!(
        found,
        [
            "/etc/cron.d/own",
            "/etc/shop/changed",
            "/etc/systemd/system/bad.service",
            "/etc/systemd/system/own.timer",
            "/lib/systemd/system/shop.service",
            "/opt/app",
            "/usr/local/bin/own",
        ]
    );
}

#[test]
fn no_name_can_forge_a_line() {
    let old = Old::new();
    old.write("etc/cron.d/a\n/etc/shadow", "x");
    old.write("etc/cron.d/b\tc", "x");
    old.write("etc/cron.d/\u{1b}[2Jd", "x");
    old.write(OsStr::from_bytes(b"etc/cron.d/\xffe"), "x");
    old.write("etc/cron.d/#f ", "x");
    let list = old.list(&[]);
    assert_eq!(paths(&list), ["/etc/cron.d/#f "]);
    assert!(
        !list.contains('\u{1b}') && !list.contains("\n/etc/shadow"),
        "{list}"
    );
    for name in ["a\\n", "b\\tc", "\\xffe"] {
        let note = format!("# not listed, for its name does not fit a line: /etc/cron.d/{name}");
        assert!(list.contains(&note), "{note:?} is missing in\n{list}");
    }
}

#[test]
fn a_merged_usr_and_an_old_database_speak_of_one_file() {
    let old = Old::new();
    // As usrmerge leaves it: the database still says /lib.
    let root = old.root();
    fs::create_dir_all(root.join("usr")).unwrap();
    fs::rename(root.join("lib"), root.join("usr/lib")).unwrap();
    symlink("usr/lib", root.join("lib")).unwrap();
    assert_eq!(paths(&old.list(&[])), [""; 0]);
    old.write("usr/lib/systemd/system/shop.service", "changed");
    assert_eq!(
        paths(&old.list(&[])),
        ["/usr/lib/systemd/system/shop.service"]
    );
}
