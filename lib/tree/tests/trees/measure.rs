//! A measure of a kept tree changes with the tree, and with nothing else.

use std::fs::{self, File};
use std::os::unix::fs::{symlink, MetadataExt, PermissionsExt};
use std::path::Path;

use super::Disk;
use crate::fixture::{bytes, hostile, keep, measure, measure_by, quiet, run, snapshot, LOOKUPS};
use formats::keep::KeepPath;
use rustix::fs::{FileType, Mode, CWD};
use tree::{wipe, wipe_by, TreeError};

fn path(text: &str) -> KeepPath {
    KeepPath::parse(text).unwrap()
}

/// As e2fsck does, who puts the names of a directory that has no index into one when it looks through a
/// filesystem: the same names take other blocks.
#[test]
fn what_a_directory_takes_for_its_names_is_not_measured() {
    let disk = Disk::new();
    let srv = disk.dir("srv");
    disk.file("srv/one", "1");
    let before = measure(disk.fd(), &path("/srv")).unwrap();
    let (size, modified) = {
        let seen = fs::metadata(&srv).unwrap();
        (seen.size(), seen.modified().unwrap())
    };
    let names: Vec<_> = (0..200).map(|n| srv.join(format!("{n:0>200}"))).collect();
    for name in &names {
        File::create(name).unwrap();
    }
    for name in &names {
        fs::remove_file(name).unwrap();
    }
    let directory = File::open(&srv).unwrap();
    directory.set_modified(modified).unwrap();
    assert!(fs::metadata(&srv).unwrap().size() > size);
    let after = measure(disk.fd(), &path("/srv")).unwrap();
    assert!(before.is_same_tree(&after), "{before:?} {after:?}");
}

/// What is done to a tree.
type Change = fn(&Path);

#[test]
fn every_change_in_a_kept_tree_changes_its_measure() {
    let disk = Disk::new();
    let srv = disk.dir("srv");
    hostile::fill(&srv, Path::new("/nowhere"));
    let touch = |path: &Path, nanoseconds| {
        let time = rustix::fs::Timespec {
            tv_sec: 5,
            tv_nsec: nanoseconds,
        };
        let times = rustix::fs::Timestamps {
            last_access: time,
            last_modification: time,
        };
        let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::utimensat(CWD, path, &times, flags).unwrap();
    };
    let changes: &[(&str, Change)] = &[
        ("a byte appended", |t| hostile::append(&t.join("all"), "x")),
        ("a mode", |t| {
            fs::set_permissions(t.join("all"), PermissionsExt::from_mode(0o777)).unwrap();
        }),
        ("an owner", |t| {
            rustix::fs::chown(t.join("*"), Some(rustix::fs::Uid::from_raw(9)), None).unwrap();
        }),
        ("a group", |t| {
            rustix::fs::chown(t.join("*"), None, Some(rustix::fs::Gid::from_raw(9))).unwrap();
        }),
        ("an attribute added", |t| {
            run(
                "setfattr",
                &["-n", "user.x", "-v", "1", t.join("*").to_str().unwrap()],
            );
        }),
        ("an attribute changed", |t| {
            run(
                "setfattr",
                &["-n", "user.x", "-v", "2", t.join("*").to_str().unwrap()],
            );
        }),
        ("an attribute removed", |t| {
            run("setfattr", &["-x", "user.x", t.join("*").to_str().unwrap()]);
        }),
        ("an ACL", |t| {
            run(
                "setfacl",
                &["-m", "u:7:r", t.join("sticky").to_str().unwrap()],
            );
        }),
        ("a capability gone", |t| {
            run("setcap", &["-r", t.join("capable").to_str().unwrap()]);
        }),
        ("a file added", |t| {
            fs::write(t.join("locked/new"), "").unwrap();
        }),
        ("a file renamed", |t| {
            fs::rename(t.join("locked/new"), t.join("locked/old")).unwrap();
        }),
        ("a file removed", |t| {
            fs::remove_file(t.join("locked/old")).unwrap();
        }),
        ("a file replaced by its like", |t| {
            // The new one is made first, so that it cannot get the same inode again.
            run(
                "cp",
                &[
                    "-a",
                    t.join("setgid").to_str().unwrap(),
                    t.join("tmp").to_str().unwrap(),
                ],
            );
            fs::rename(t.join("tmp"), t.join("setgid")).unwrap();
            run("touch", &["-d", "@7", t.to_str().unwrap()]);
        }),
        ("a link retargeted", |t| {
            fs::remove_file(t.join("here")).unwrap();
            symlink("..", t.join("here")).unwrap();
        }),
        ("a device renumbered", |t| {
            fs::remove_file(t.join("null")).unwrap();
            let number = rustix::fs::makedev(1, 5);
            let mode = Mode::from_raw_mode(0o640);
            rustix::fs::mknodat(CWD, t.join("null"), FileType::CharacterDevice, mode, number)
                .unwrap();
        }),
        ("an empty directory removed", |t| {
            fs::remove_dir(t.join("empty")).unwrap();
        }),
        ("a deep file", |t| {
            let deep = t.join("d".repeat(255)).join(bytes(b"\xff\n"));
            hostile::append(&deep.join("a/b/c/file"), "x");
        }),
    ];
    let mut last = measure(disk.fd(), &path("/srv")).unwrap();
    assert_eq!(last.entries, snapshot(&srv).len() as u64);
    for (name, change) in changes {
        change(&srv);
        let now = measure(disk.fd(), &path("/srv")).unwrap();
        assert_ne!(now.digest, last.digest, "{name}");
        for lookup in LOOKUPS {
            assert_eq!(
                measure_by(lookup, disk.fd(), &path("/srv")).unwrap(),
                now,
                "{name}"
            );
        }
        last = now;
    }
    for nanoseconds in [1, 2] {
        touch(&srv.join("sparse"), nanoseconds);
        let now = measure(disk.fd(), &path("/srv")).unwrap();
        assert_ne!(now.digest, last.digest, "a nanosecond");
        last = now;
    }
    assert!(
        last.bytes > 9 << 20 && last.disk_bytes < last.bytes,
        "{last:?}"
    );
}

#[test]
fn a_name_outside_that_goes_away_does_not_change_the_measure() {
    let disk = Disk::new();
    let file = disk.file("srv/shop/orders", "x");
    fs::hard_link(&file, disk.path("old")).unwrap();
    let before = measure(disk.fd(), &path("/srv/shop")).unwrap();
    wipe(disk.fd(), &keep(&["/srv/shop"]), &quiet).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().nlink(), 1);
    assert_eq!(measure(disk.fd(), &path("/srv/shop")).unwrap(), before);
}

#[test]
fn one_file_and_one_device_can_be_measured() {
    let disk = Disk::new();
    disk.file("srv/orders", "four");
    let measured = measure(disk.fd(), &path("/srv/orders")).unwrap();
    assert_eq!((measured.entries, measured.bytes), (1, 4));
}

#[test]
fn what_is_mounted_in_a_kept_tree_is_no_part_of_it() {
    let disk = Disk::new();
    disk.file("srv/shop/orders", "x");
    let cache = disk.dir("srv/shop/cache");
    run("mount", &["-t", "tmpfs", "tmpfs", cache.to_str().unwrap()]);
    for lookup in LOOKUPS {
        let before = measure_by(lookup, disk.fd(), &path("/srv/shop")).unwrap();
        assert_eq!(before.entries, 3);
        File::create(cache.join("hot"))
            .unwrap()
            .set_len(1 << 30)
            .unwrap();
        let after = measure_by(lookup, disk.fd(), &path("/srv/shop")).unwrap();
        assert_eq!((after.entries, after.bytes), (3, 1));
    }
}

#[test]
fn a_path_that_is_missing_or_reached_through_a_link_is_not_measured() {
    let disk = Disk::new();
    disk.file("srv/shop/orders", "x");
    symlink("srv", disk.path("link")).unwrap();
    for lookup in LOOKUPS {
        let error = measure_by(lookup, disk.fd(), &path("/srv/gone")).unwrap_err();
        assert!(matches!(error, TreeError::KeepMissing { .. }), "{error}");
        let error = measure_by(lookup, disk.fd(), &path("/gone/x")).unwrap_err();
        assert!(matches!(error, TreeError::KeepMissing { .. }), "{error}");
        measure_by(lookup, disk.fd(), &path("/link/shop")).unwrap_err();
    }
}

#[test]
fn walking_leaves_no_access_times() {
    let disk = Disk::new();
    hostile::fill(&disk.path("srv/shop"), Path::new("/nowhere"));
    disk.file("old/file", "x");
    let names: Vec<_> = snapshot(&disk.path("srv/shop")).into_keys().collect();
    run(
        "mount",
        &["-o", "remount,strictatime", disk.path("").to_str().unwrap()],
    );
    let times = || -> Vec<_> {
        let metadata = |name| fs::symlink_metadata(disk.path("srv/shop").join(name)).unwrap();
        let all = names.iter().map(|name| (name, metadata(name)));
        // Only the target of a link cannot be read without a trace.
        let traced = all.filter(|(_, metadata)| !metadata.is_symlink());
        traced
            .map(|(name, metadata)| (name, metadata.atime(), metadata.atime_nsec()))
            .collect()
    };
    let before = times();
    for lookup in LOOKUPS {
        measure_by(lookup, disk.fd(), &path("/srv/shop")).unwrap();
        wipe_by(lookup, disk.fd(), &keep(&["/srv/shop"]), &quiet).unwrap();
    }
    assert_eq!(times(), before);
}

#[test]
fn owners_are_counted_with_groups_and_access_control_lists() {
    let disk = Disk::new();
    let file = disk.file("srv/shop/orders", "x");
    symlink("orders", disk.path("srv/shop/link")).unwrap();
    let chown = |path: &Path, user: u32, group: u32| {
        let user = rustix::fs::Uid::from_raw(user);
        let group = rustix::fs::Gid::from_raw(group);
        let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::chownat(CWD, path, Some(user), Some(group), flags).unwrap();
    };
    chown(&file, 112, 115);
    chown(&disk.path("srv/shop/link"), 3_000_000_000, 7);
    run("setfacl", &["-m", "u:33:r,g:44:r", file.to_str().unwrap()]);
    let shop = disk.path("srv/shop");
    run(
        "setfacl",
        &["-d", "-m", "u:55:r,g:66:r", shop.to_str().unwrap()],
    );
    // Not below the kept path.
    chown(&disk.file("srv/other", "x"), 9, 9);
    for lookup in LOOKUPS {
        let owners = measure_by(lookup, disk.fd(), &path("/srv/shop"))
            .unwrap()
            .owners;
        assert_eq!(owners.users, [0, 33, 55, 112, 3_000_000_000].into());
        assert_eq!(owners.groups, [0, 7, 44, 66, 115].into());
    }
    let owners = measure(disk.fd(), &path("/srv/shop/link")).unwrap().owners;
    assert_eq!(owners.users, [3_000_000_000].into());
}
