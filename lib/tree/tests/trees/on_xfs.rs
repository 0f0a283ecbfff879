//! Wiping and unpacking on real XFS: the same trees as on ext4, and what only XFS has.

#[path = "hostile_payload.rs"]
mod hostile_payload;
#[path = "unpack.rs"]
mod unpacking;
#[path = "wipe.rs"]
mod wiping;

use std::fs;
use std::path::Path;

use crate::fixture::payloads::{pack_tree, unpack_tree};
use crate::fixture::{assert_same, keep, measure, quiet, run, snapshot};
use formats::keep::KeepPath;
use tree::{validate_keep, wipe};

type Disk = crate::fixture::Disk<crate::fixture::Xfs>;

/// What `xfs_io` says of a file.
fn ask(command: &str, path: &Path) -> String {
    run("xfs_io", &["-r", "-c", command, path.to_str().unwrap()])
}

fn tell(command: &str, path: &Path) {
    run("xfs_io", &["-c", command, path.to_str().unwrap()]);
}

#[test]
fn the_fixture_is_xfs() {
    let disk = Disk::new();
    let found = run("stat", &["-f", "-c", "%T", disk.path("").to_str().unwrap()]);
    assert_eq!(found.trim(), "xfs");
}

/// Blocks that a kept file shares with one that goes, projects with an inherited number, hints about
/// extents, space behind a file's end.
#[test]
fn what_only_xfs_has_is_kept_and_hinders_nothing() {
    let disk = Disk::new();
    let kept = disk.file("srv/shop/data", vec![7; 3 << 20]);
    let copy = |from: &Path, to: &Path| {
        run(
            "cp",
            &[
                "--reflink=always",
                from.to_str().unwrap(),
                to.to_str().unwrap(),
            ],
        );
    };
    disk.dir("old");
    copy(&kept, &disk.path("old/shares blocks"));
    copy(
        &disk.path("old/shares blocks"),
        &disk.path("srv/shop/shares blocks too"),
    );
    for (place, project) in [("srv/shop", 42), ("old", 43)] {
        let place = disk.path(place);
        tell(&format!("chproj -R {project}"), &place);
        tell("chattr -R +P", &place);
        fs::create_dir(place.join("inherits")).unwrap();
    }
    // The root itself: whatever is unpacked has its project.
    tell("chproj 44", &disk.path(""));
    tell("chattr +P", &disk.path(""));
    for place in ["srv/shop/hinted", "old/hinted"] {
        let place = disk.file(place, "");
        tell("extsize 1m", &place);
        tell("falloc -k 0 4m", &place);
        fs::write(&place, "a few bytes").unwrap();
    }
    run("chattr", &["+i", disk.path("old/hinted").to_str().unwrap()]);
    let keep = keep(&["/srv/shop"]);
    validate_keep(disk.fd(), &keep).unwrap();
    let before = snapshot(&disk.path("srv/shop"));
    let path = KeepPath::parse("/srv/shop").unwrap();
    let measured = measure(disk.fd(), &path).unwrap();

    wipe(disk.fd(), &keep, &quiet).unwrap();
    assert_eq!(fs::read_dir(disk.path("")).unwrap().count(), 1);
    assert_same(&before, &snapshot(&disk.path("srv/shop")));

    let tree = disk.outside("payload");
    fs::create_dir_all(tree.join("usr/bin")).unwrap();
    fs::write(tree.join("usr/bin/one"), "new").unwrap();
    fs::hard_link(tree.join("usr/bin/one"), tree.join("usr/bin/two")).unwrap();
    let (stored, payload) = pack_tree(&tree);
    unpack_tree(&disk.path(""), &stored, &payload, &keep);
    assert_eq!(fs::read(disk.path("usr/bin/two")).unwrap(), b"new");
    assert!(ask("lsproj", &disk.path("usr/bin/one")).contains("44"));

    assert_same(&before, &snapshot(&disk.path("srv/shop")));
    let after = measure(disk.fd(), &path).unwrap();
    assert!(measured.is_same_tree(&after), "{measured:?}, {after:?}");
    assert!(ask("lsproj", &kept).contains("42"));
    assert!(ask("extsize", &disk.path("srv/shop/hinted")).contains("1048576"));
}

/// FIEMAP's mark of blocks that were given and never written.
const UNWRITTEN: u32 = 0x800;

/// GRUB passes over the mark of blocks that were given and never written, which is what XFS makes of holes.
#[test]
fn what_a_boot_loader_reads_has_no_unwritten_blocks() {
    let disk = Disk::new();
    let tree = disk.outside("payload");
    fs::create_dir_all(tree.join("boot")).unwrap();
    let mut bytes = vec![1; 1 << 20];
    for _ in 0..3 {
        bytes.extend(vec![0; 64 << 10]);
        bytes.extend(vec![2; 256 << 10]);
    }
    fs::write(tree.join("boot/initrd.img"), &bytes).unwrap();
    let (stored, payload) = pack_tree(&tree);
    unpack_tree(&disk.path(""), &stored, &payload, &keep(&[]));
    let file = disk.path("boot/initrd.img");
    assert_eq!(fs::read(&file).unwrap(), bytes);
    let extents = ask("fiemap -v", &file);
    let flags: Vec<u32> = extents
        .lines()
        .filter_map(|line| line.split_whitespace().last()?.strip_prefix("0x"))
        .map(|flags| u32::from_str_radix(flags, 16).unwrap())
        .collect();
    assert!(!flags.is_empty(), "{extents}");
    assert!(
        flags.iter().all(|flags| flags & UNWRITTEN == 0),
        "{extents}"
    );
    assert!(!extents.contains("hole"), "{extents}");
}
