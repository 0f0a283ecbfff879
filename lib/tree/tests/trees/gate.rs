//! The gate: what is kept is never written to, no link is followed, no mount is crossed.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{symlink, MetadataExt, PermissionsExt};

use super::Disk;
use crate::fixture::{assert_same, keep, run, snapshot, LOOKUPS};
use tree::{Access, Directory, Gate, Lookup, TreeError};

fn gate(disk: &Disk, lookup: Lookup, kept: &[&str]) -> Gate {
    let root: OwnedFd = File::open(disk.path("")).unwrap().into();
    Gate::new_by(lookup, root, keep(kept))
}

#[track_caller]
fn assert_kept<T: std::fmt::Debug>(result: &Result<T, TreeError>) {
    assert!(matches!(result, Err(TreeError::Kept { .. })), "{result:?}");
}

#[track_caller]
fn assert_obstacle<T: std::fmt::Debug>(result: &Result<T, TreeError>) {
    assert!(
        matches!(result, Err(TreeError::Obstacle { .. })),
        "{result:?}"
    );
}

#[test]
fn nothing_of_a_kept_path_is_touched_whatever_is_asked() {
    for lookup in LOOKUPS {
        let disk = Disk::new();
        disk.file("etc/netplan/50.yaml", "kept");
        disk.file("etc/ssh/key", "kept");
        disk.file("etc/other.yaml", "not kept");
        disk.dir("srv/shop");
        let before = snapshot(&disk.path(""));
        let gate = gate(
            &disk,
            lookup,
            &["/etc/netplan", "/etc/ssh/key", "/srv/shop"],
        );
        assert_kept(&gate.write("/etc/netplan/50.yaml", b"x", 0o644));
        assert_kept(&gate.write("/etc/netplan/new", b"x", 0o644));
        assert_kept(&gate.write("/etc/ssh/key", b"x", 0o644));
        assert_kept(&gate.write("/srv", b"x", 0o644));
        assert_kept(&gate.link("/etc/ssh/key", "/etc/other.yaml"));
        assert_kept(&gate.remove("/etc/netplan/50.yaml"));
        assert_kept(&gate.remove_tree("/etc/netplan"));
        assert_kept(&gate.remove_tree("/etc"));
        assert_kept(&gate.make_directories("/srv/shop/backup/daily"));
        assert_eq!(
            gate.remove_matching("/etc/netplan/*.yaml").unwrap(),
            ["/etc/netplan/50.yaml"]
        );
        assert_eq!(
            gate.remove_matching("/etc/ssh/key").unwrap(),
            ["/etc/ssh/key"]
        );
        assert_same(&before, &snapshot(&disk.path("")));
        // What is there is there, kept or not, and beside a kept path everything is free.
        assert_eq!(
            gate.make_directories("/srv/shop").unwrap(),
            Directory::There
        );
        assert_eq!(
            gate.make_directories("/srv/other/a").unwrap(),
            Directory::Made
        );
        assert!(gate.is_kept("/etc") && gate.is_kept("/srv/shop/x"));
        assert!(!gate.is_kept("/srv/shop2"));
        gate.write("/etc/ssh/key2", b"x", 0o644).unwrap();
        assert_eq!(gate.remove_matching("/etc/*.yaml").unwrap(), [""; 0]);
        assert!(!disk.path("etc/other.yaml").exists());
    }
}

#[test]
fn no_link_is_followed_and_no_mount_is_crossed() {
    for lookup in LOOKUPS {
        let disk = Disk::new();
        let outside = disk.outside("elsewhere");
        fs::create_dir_all(&outside).unwrap();
        fs::write(outside.join("a.yaml"), "theirs").unwrap();
        disk.dir("srv/customer");
        symlink(&outside, disk.path("srv/customer/out")).unwrap();
        symlink("/srv/customer", disk.path("etc")).unwrap();
        let mount = disk.dir("mnt");
        run("mount", &["-t", "tmpfs", "none", mount.to_str().unwrap()]);
        fs::write(mount.join("a.yaml"), "theirs").unwrap();
        let gate = gate(&disk, lookup, &[]);
        for way in ["/srv/customer/out", "/etc", "/mnt"] {
            let at = |name: &str| format!("{way}/{name}");
            assert_obstacle(&gate.write(&at("a.yaml"), b"x", 0o644));
            assert_obstacle(&gate.link(&at("l"), "x"));
            assert_obstacle(&gate.remove(&at("a.yaml")));
            assert_obstacle(&gate.remove_matching(&at("*.yaml")));
            assert_obstacle(&gate.make_directories(&at("new")));
            assert_obstacle(&gate.remove_tree(&at("x")));
            assert_obstacle(&gate.remove_tree(way));
        }
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
        assert_eq!(fs::read_to_string(mount.join("a.yaml")).unwrap(), "theirs");
        run("umount", &[mount.to_str().unwrap()]);
    }
}

#[test]
fn a_file_has_its_bytes_and_its_mode_and_nothing_stays_beside_it() {
    for lookup in LOOKUPS {
        let disk = Disk::new();
        // A directory that hands its group down, and what a power cut left.
        let etc = disk.dir("etc");
        fs::set_permissions(&etc, fs::Permissions::from_mode(0o2755)).unwrap();
        rustix::fs::chown(&etc, None, Some(rustix::fs::Gid::from_raw(42))).unwrap();
        disk.file("etc/report.json.reroot-new", "half");
        let gate = gate(&disk, lookup, &[]);
        for (bytes, mode) in [("one", 0o600), ("another", 0o755)] {
            gate.write("/etc/report.json", bytes.as_bytes(), mode)
                .unwrap();
            let path = disk.path("etc/report.json");
            assert_eq!(fs::read_to_string(&path).unwrap(), bytes);
            let found = path.metadata().unwrap();
            assert_eq!(found.permissions().mode() & 0o7777, mode);
            assert_eq!((found.uid(), found.gid()), (0, 0));
        }
        let shadow = Access {
            mode: 0o640,
            group: 7,
        };
        gate.write_unsynced("/etc/report.json", b"x", shadow)
            .unwrap();
        let found = disk.path("etc/report.json").metadata().unwrap();
        assert_eq!((found.gid(), found.mode() & 0o7777), (7, 0o640));
        assert_eq!(fs::read_dir(&etc).unwrap().count(), 1);
    }
}

#[test]
fn a_link_is_replaced_and_never_written_through() {
    for lookup in LOOKUPS {
        let disk = Disk::new();
        let outside = disk.file("outside", "before");
        let gate = gate(&disk, lookup, &[]);
        gate.link("/resolv.conf", "/outside").unwrap();
        let path = disk.path("resolv.conf");
        assert_eq!(fs::read_link(&path).unwrap().to_str(), Some("/outside"));
        gate.write("/resolv.conf", b"after", 0o644).unwrap();
        assert_eq!(fs::read_to_string(&outside).unwrap(), "before");
        assert!(path.symlink_metadata().unwrap().is_file());
        gate.link("/resolv.conf", "elsewhere").unwrap();
        assert_eq!(fs::read_link(&path).unwrap().to_str(), Some("elsewhere"));
    }
}

#[test]
fn what_is_gone_already_is_removed_and_what_is_no_plain_path_is_not() {
    for lookup in LOOKUPS {
        let disk = Disk::new();
        disk.file("a/b/c", "x");
        disk.file("a/d.yaml/x", "a directory of that ending");
        let gate = gate(&disk, lookup, &[]);
        gate.remove("/nowhere/x").unwrap();
        gate.remove_tree("/nowhere").unwrap();
        gate.remove("/a/b/c/below-a-file").unwrap();
        assert_eq!(gate.remove_matching("/nowhere/*.x").unwrap(), [""; 0]);
        assert_eq!(gate.remove_matching("/a/*.yaml").unwrap(), [""; 0]);
        assert!(disk.path("a/d.yaml/x").exists());
        assert!(gate.remove("/a").is_err(), "a directory");
        assert!(gate.write("/nowhere/x", b"", 0o644).is_err());
        assert!(gate.write("/a/../x", b"", 0o644).is_err());
        gate.remove_tree("/a").unwrap();
        assert_eq!(disk.paths(), [""; 0]);
    }
}
