//! Wiping and unpacking on real Btrfs: the same trees as on ext4, and what only Btrfs has.

#[path = "hostile_payload.rs"]
mod hostile_payload;
#[path = "unpack.rs"]
mod unpacking;
#[path = "wipe.rs"]
mod wiping;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::fixture::payloads::{pack_tree, unpack_tree};
use crate::fixture::{assert_same, keep, measure_by, quiet, run, snapshot, Seen, LOOKUPS};
use formats::keep::KeepPath;
use tree::{validate_keep, wipe_by, Lookup};

type Disk = crate::fixture::Disk<crate::fixture::Btrfs>;

/// A snapshot of a tree, without the times of directories that the kernel makes up where there were subvolumes in
/// what is a copy now.
fn without_times(top: &Path) -> BTreeMap<PathBuf, Seen> {
    let mut seen = snapshot(top);
    for found in seen.values_mut().filter(|found| found.ino == 2) {
        found.mtime = (0, 0);
    }
    seen
}

fn subvolume(command: &[&str], path: &Path) {
    let mut arguments = vec!["-q", "subvolume"];
    arguments.extend(command);
    arguments.push(path.to_str().unwrap());
    run("btrfs", &arguments);
}

/// The root is a subvolume of the filesystem, with others beside it.
fn root(disk: &Disk) -> fs::File {
    subvolume(&["create"], &disk.path("root"));
    fs::File::open(disk.path("root")).unwrap()
}

#[test]
fn the_fixture_is_btrfs() {
    let disk = Disk::new();
    let found = run("stat", &["-f", "-c", "%T", disk.path("").to_str().unwrap()]);
    assert_eq!(found.trim(), "btrfs");
}

/// Subvolumes in the root go with what is in them, in them too; what is kept in its whole stays, a read-only
/// snapshot too, and what is beside the root nobody looks at. Blocks that are shared, compressed, or written in
/// their place hinder nothing.
#[test]
fn what_only_btrfs_has_is_kept_and_hinders_nothing() {
    for lookup in LOOKUPS {
        kept_and_gone(lookup);
    }
}

fn kept_and_gone(lookup: Lookup) {
    let disk = Disk::new();
    let top = root(&disk);
    let at = |path: &str| disk.path(format!("root/{path}"));
    fs::create_dir_all(at("var/lib")).unwrap();
    fs::create_dir_all(at("srv/shop")).unwrap();
    for path in ["var/lib/machines", "var/lib/machines/one", "srv/shop/data"] {
        subvolume(&["create"], &at(path));
        fs::create_dir_all(at(path).join("some/more")).unwrap();
        fs::write(at(path).join("some/file"), vec![7; 300_000]).unwrap();
        fs::write(at(path).join("small"), "in a tree").unwrap();
        fs::hard_link(at(path).join("small"), at(path).join("twice")).unwrap();
    }
    run(
        "chattr",
        &["+i", at("var/lib/machines/one/small").to_str().unwrap()],
    );
    run(
        "chattr",
        &["+i", at("var/lib/machines/one").to_str().unwrap()],
    );
    fs::create_dir(at("srv/shop/in place")).unwrap();
    run("chattr", &["+C", at("srv/shop/in place").to_str().unwrap()]);
    fs::write(at("srv/shop/in place/data"), vec![3; 100_000]).unwrap();
    fs::create_dir(at("old")).unwrap();
    run("chattr", &["+c", at("old").to_str().unwrap()]);
    fs::write(at("old/packed"), vec![0; 1 << 20]).unwrap();
    let arguments = |from: &str, to: &str| {
        let path = |name: &str| at(name).to_str().unwrap().to_owned();
        run("cp", &["--reflink=always", &path(from), &path(to)])
    };
    arguments("srv/shop/data/some/file", "old/shares blocks");
    arguments("srv/shop/data/some/file", "srv/shop/shares blocks too");
    // Of the kept data in the root, and of the root beside it.
    let copy = |from: &str, to: &Path| {
        let from = disk.path(from);
        subvolume(&["snapshot", "-r", from.to_str().unwrap()], to);
    };
    copy("root/srv/shop/data", &at("srv/shop/before"));
    copy("root", &disk.path("before"));
    subvolume(&["create"], &disk.path("home"));
    fs::write(disk.path("home/somebody"), "else").unwrap();

    let keep = keep(&["/srv/shop"]);
    let fd = std::os::fd::AsFd::as_fd(&top);
    validate_keep(fd, &keep).unwrap();
    let path = KeepPath::parse("/srv/shop").unwrap();
    let measured = measure_by(lookup, fd, &path).unwrap();
    let before = snapshot(&at("srv/shop"));
    let beside = [
        without_times(&disk.path("before")),
        snapshot(&disk.path("home")),
    ];

    let report = wipe_by(lookup, fd, &keep, &quiet).unwrap();
    assert_eq!(report.skipped_mounts, [""; 0]);
    let left: Vec<_> = fs::read_dir(at(""))
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left, ["srv"]);
    assert_same(&before, &snapshot(&at("srv/shop")));

    let tree = disk.outside("payload");
    fs::create_dir_all(tree.join("var/lib/machines")).unwrap();
    fs::write(tree.join("var/lib/machines/new"), "new").unwrap();
    let (stored, payload) = pack_tree(&tree);
    unpack_tree(&at(""), &stored, &payload, &keep);
    assert_eq!(fs::read(at("var/lib/machines/new")).unwrap(), b"new");

    assert_same(&before, &snapshot(&at("srv/shop")));
    let after = measure_by(lookup, fd, &path).unwrap();
    assert!(measured.is_same_tree(&after), "{measured:?}, {after:?}");
    assert_same(&beside[0], &without_times(&disk.path("before")));
    assert_same(&beside[1], &snapshot(&disk.path("home")));
    let listed = run(
        "btrfs",
        &["subvolume", "list", disk.path("").to_str().unwrap()],
    );
    let names = [
        "root",
        "before",
        "home",
        "root/srv/shop/data",
        "root/srv/shop/before",
    ];
    assert_eq!(listed.lines().count(), names.len(), "{listed}");
    for name in names {
        assert!(
            listed.contains(&format!(" path {name}\n")),
            "{name}: {listed}"
        );
    }
}

/// A copy of a root has places where subvolumes were, which look as new at every mount: kept they are the same, and
/// a root that is such a copy is emptied of them.
#[test]
fn places_where_subvolumes_were_are_kept_and_go() {
    for lookup in LOOKUPS {
        places_are_kept_and_go(lookup);
    }
}

fn places_are_kept_and_go(lookup: Lookup) {
    let mut disk = Disk::new();
    let first = root(&disk);
    fs::create_dir_all(disk.path("root/var/lib")).unwrap();
    fs::create_dir(disk.path("root/copies")).unwrap();
    subvolume(&["create"], &disk.path("root/var/lib/machines"));
    let from = disk.path("root");
    let from = from.to_str().unwrap();
    subvolume(&["snapshot", "-r", from], &disk.path("root/copies/1"));
    subvolume(&["snapshot", from], &disk.path("second"));
    let keep = keep(&["/copies"]);
    let path = KeepPath::parse("/copies").unwrap();
    let before = measure_by(lookup, std::os::fd::AsFd::as_fd(&first), &path).unwrap();
    let at = disk.path("root/copies/1/var/lib/machines");
    let time = || fs::metadata(&at).unwrap().modified().unwrap();
    let made_up = time();
    drop(first);
    disk.mount_again();
    assert_ne!(
        time(),
        made_up,
        "the kernel keeps its time: nothing is shown"
    );
    let first = fs::File::open(disk.path("root")).unwrap();
    let fd = std::os::fd::AsFd::as_fd(&first);
    let report = wipe_by(lookup, fd, &keep, &quiet).unwrap();
    assert_eq!(report.skipped_mounts, [""; 0], "{lookup:?}");
    let after = measure_by(lookup, fd, &path).unwrap();
    assert!(before.is_same_tree(&after), "{before:?}, {after:?}");

    let second = fs::File::open(disk.path("second")).unwrap();
    let fd = std::os::fd::AsFd::as_fd(&second);
    let report = wipe_by(lookup, fd, &crate::fixture::keep(&[]), &quiet).unwrap();
    assert_eq!(report.skipped_mounts, [""; 0], "{lookup:?}");
    assert_eq!(fs::read_dir(disk.path("second")).unwrap().count(), 0);
}

/// What is mounted on a subvolume in the root, be it another one of the same filesystem, is a mount all the same.
#[test]
fn a_subvolume_that_is_mounted_in_the_root_is_never_entered() {
    for lookup in LOOKUPS {
        let disk = Disk::new();
        let top = root(&disk);
        subvolume(&["create"], &disk.path("home"));
        fs::write(disk.path("home/somebody"), "else").unwrap();
        subvolume(&["create"], &disk.path("root/nested"));
        let (home, nested) = (disk.path("home"), disk.path("root/nested"));
        run(
            "mount",
            &["--bind", home.to_str().unwrap(), nested.to_str().unwrap()],
        );
        let fd = std::os::fd::AsFd::as_fd(&top);
        let report = wipe_by(lookup, fd, &keep(&[]), &quiet).unwrap();
        assert_eq!(report.skipped_mounts, ["/nested"], "{lookup:?}");
        assert_eq!(fs::read(disk.path("home/somebody")).unwrap(), b"else");
        run("umount", &[nested.to_str().unwrap()]);
    }
}
