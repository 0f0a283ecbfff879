//! One tree on three real filesystems, ext4 and XFS: each is wiped by its own handle, and what is unpacked and
//! written goes to the right one. What else is mounted is as foreign as ever.

use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{symlink, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Disk;
use crate::fixture::payloads::{entry, pack_tree, payload_of, source_of};
use crate::fixture::{assert_same, keep, quiet, run, snapshot, LOOKUPS};
use formats::keep::KeepPath;
use tree::{
    children, unpack, unpack_tar, validate_keep, validate_keep_by, weigh, wipe, wipe_by, Gate,
    LeftOut, Limit, Measuring, Roots, SkippedBecause, Stillness, TreeError, UnpackOptions,
};

/// Where, how it is made, how large in MiB.
const APART: [(&str, &[&str], u64); 2] = [
    ("/var", &["mkfs.xfs", "-q"], 320),
    ("/var/log", &["mkfs.ext4", "-q", "-F"], 16),
];

/// An ext4 root with an XFS at /var and another ext4 in that.
struct Tree {
    disk: Disk,
}

impl Tree {
    fn new() -> Tree {
        let tree = Tree { disk: Disk::new() };
        for (target, mkfs, mebibytes) in APART {
            let image = tree.image(target);
            File::create(&image)
                .unwrap()
                .set_len(mebibytes << 20)
                .unwrap();
            let arguments = [&mkfs[1..], &[image.to_str().unwrap()]].concat();
            run(mkfs[0], &arguments);
            tree.mount(target);
        }
        tree
    }

    fn image(&self, target: &str) -> PathBuf {
        self.disk
            .outside(&format!("image{}", target.replace('/', "-")))
    }

    fn mount(&self, target: &str) {
        let place = self.disk.path(target);
        fs::create_dir_all(&place).unwrap();
        let image = self.image(target);
        run(
            "mount",
            &[
                "-o",
                "loop",
                image.to_str().unwrap(),
                place.to_str().unwrap(),
            ],
        );
        let _ = fs::remove_dir(place.join("lost+found"));
    }

    fn unmount(&self, target: &str) {
        run("umount", &[self.disk.path(target).to_str().unwrap()]);
    }

    fn top(&self, target: &str) -> OwnedFd {
        File::open(self.disk.path(target)).unwrap().into()
    }

    fn device(&self, path: &str) -> u64 {
        fs::symlink_metadata(self.disk.path(path)).unwrap().dev()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        for (target, ..) in APART.iter().rev() {
            let place = self.disk.path(target);
            let _ = rustix::mount::unmount(&place, rustix::mount::UnmountFlags::DETACH);
        }
    }
}

#[test]
fn each_is_wiped_by_its_own_handle_and_the_new_tree_goes_to_all_of_them() {
    let tree = Tree::new();
    let disk = &tree.disk;
    for path in [
        "etc/old",
        "var/lib/old/x",
        "var/log/old",
        "var/lib/mysql/a",
        "var/log/shop/a",
        "srv/shop/a",
    ] {
        disk.file(path, "of the old OS");
    }
    let kept = keep(&["/srv/shop", "/var/lib/mysql", "/var/log/shop"]);
    let (root, var, log) = (tree.top(""), tree.top("/var"), tree.top("/var/log"));
    let roots = Roots::from(root.as_fd())
        .with("/var", var.as_fd())
        .with("/var/log", log.as_fd());
    for lookup in LOOKUPS {
        validate_keep_by(lookup, roots.clone(), &kept).unwrap();
        // Without their handles they are foreign.
        let alone = validate_keep_by(lookup, root.as_fd(), &kept);
        assert!(
            matches!(alone, Err(TreeError::KeepMount { .. })),
            "{alone:?}"
        );
    }
    let measure = |target: &str, top: &OwnedFd, path: &str| {
        let path = KeepPath::parse(path).unwrap();
        let mut on = Measuring::new(top.as_fd(), Stillness::Still).on(target);
        on.measure(&path).unwrap()
    };
    let measure_all = || {
        [
            measure("/", &root, "/srv/shop"),
            measure("/var", &var, "/var/lib/mysql"),
            measure("/var/log", &log, "/var/log/shop"),
        ]
    };
    let before = (
        measure_all(),
        snapshot(&disk.path("var/lib/mysql")),
        snapshot(&disk.path("var/log/shop")),
    );

    // The wipe of one goes into no other, in whichever way names are looked up.
    for lookup in LOOKUPS {
        let report = wipe_by(lookup, root.as_fd(), &keep(&["/srv/shop"]), &quiet).unwrap();
        assert_eq!(report.skipped_mounts, ["/var"], "{lookup:?}");
    }
    assert!(!disk.path("etc").exists() && disk.path("var/lib/old/x").exists());
    let report = wipe(var.as_fd(), &keep(&["/lib/mysql"]), &quiet).unwrap();
    assert_eq!(report.skipped_mounts, ["/log"]);
    assert!(!disk.path("var/lib/old").exists() && disk.path("var/log/old").exists());
    wipe(log.as_fd(), &keep(&["/shop"]), &quiet).unwrap();
    assert!(!disk.path("var/log/old").exists());

    let new = disk.outside("payload");
    for folder in ["usr/bin", "var/lib/dpkg", "var/log/apt", "opt"] {
        fs::create_dir_all(new.join(folder)).unwrap();
    }
    fs::set_permissions(new.join("var/log"), fs::Permissions::from_mode(0o2775)).unwrap();
    fs::write(new.join("usr/bin/one"), vec![7; 100_000]).unwrap();
    fs::set_permissions(new.join("usr/bin/one"), fs::Permissions::from_mode(0o4755)).unwrap();
    // Names of one file on one filesystem and on another one, in both directions, and of a link.
    fs::hard_link(new.join("usr/bin/one"), new.join("usr/bin/two")).unwrap();
    fs::hard_link(new.join("usr/bin/one"), new.join("var/lib/three")).unwrap();
    fs::hard_link(new.join("usr/bin/one"), new.join("var/log/four")).unwrap();
    symlink("usr/bin", new.join("link")).unwrap();
    fs::hard_link(new.join("link"), new.join("var/link")).unwrap();
    let (stored, payload) = pack_tree(&new);
    let size = |path: &str| payload.directories.iter().find(|d| d.path == path).unwrap();
    assert_eq!(
        (size("/var/log/apt").bytes, size("/var/log/apt").inodes),
        (4096, 1)
    );
    // Two directories, and the name of the file that is elsewhere too.
    assert_eq!((size("/var/log").bytes, size("/var/log").inodes), (8192, 2));
    assert_eq!(
        (
            size("/var/log").shared_bytes,
            size("/var/log").shared_inodes
        ),
        (102_400, 1)
    );
    assert_eq!(size("/var").shared_inodes, 3);
    assert_eq!(size("/usr").shared_inodes, 2);

    for lookup in LOOKUPS {
        let options = UnpackOptions {
            threads: 3,
            lookup: Some(lookup),
            ..UnpackOptions::default()
        };
        let source = source_of(&stored, 0);
        // Twice: an attempt that was cut off has left its files.
        for _ in 0..2 {
            unpack(roots.clone(), &source, &payload, &kept, &options, &quiet).unwrap();
        }
    }
    for (path, like) in [
        ("usr/bin/one", ""),
        ("var/lib/three", "var"),
        ("var/log/four", "var/log"),
    ] {
        assert_eq!(tree.device(path), tree.device(like), "{path}");
        let found = fs::metadata(disk.path(path)).unwrap();
        assert_eq!(
            (found.mode() & 0o7777, found.len()),
            (0o4755, 100_000),
            "{path}"
        );
        assert_eq!(fs::read(disk.path(path)).unwrap(), vec![7; 100_000]);
    }
    let inode = |path: &str| fs::metadata(disk.path(path)).unwrap().ino();
    assert_eq!(inode("usr/bin/one"), inode("usr/bin/two"));
    assert_eq!(
        fs::read_link(disk.path("var/link")).unwrap(),
        Path::new("usr/bin")
    );
    assert_eq!(
        fs::metadata(disk.path("var/log")).unwrap().mode() & 0o7777,
        0o2775
    );

    let after = (
        measure_all(),
        snapshot(&disk.path("var/lib/mysql")),
        snapshot(&disk.path("var/log/shop")),
    );
    for (before, after) in before.0.iter().zip(&after.0) {
        assert!(before.is_same_tree(after), "{before:?} {after:?}");
    }
    assert_same(&before.1, &after.1);
    assert_same(&before.2, &after.2);
}

/// What lies below a mount point is hidden as long as something is mounted there, and goes once nothing is.
#[test]
fn what_a_mount_has_hidden_goes_too() {
    let tree = Tree::new();
    tree.unmount("/var/log");
    tree.disk.file("var/log/hidden", "of the old OS");
    tree.unmount("/var");
    tree.disk.file("var/hidden", "of the old OS");
    wipe(tree.disk.fd(), &keep(&[]), &quiet).unwrap();
    assert_eq!(tree.disk.paths(), [""; 0]);
    tree.mount("/var");
    let var = tree.top("/var");
    wipe(var.as_fd(), &keep(&[]), &quiet).unwrap();
    assert_eq!(fs::read_dir(tree.disk.path("var")).unwrap().count(), 0);
    drop(var);
    tree.mount("/var/log");
}

#[test]
fn what_is_mounted_beside_them_is_never_entered() {
    let tree = Tree::new();
    let disk = &tree.disk;
    disk.file("srv/shop/a", "kept");
    disk.dir("var/lib/shown");
    let (from, to) = (disk.path("srv/shop"), disk.path("var/lib/shown"));
    run(
        "mount",
        &["--bind", from.to_str().unwrap(), to.to_str().unwrap()],
    );
    let (root, var) = (tree.top(""), tree.top("/var"));
    let roots = Roots::from(root.as_fd()).with("/var", var.as_fd());
    for lookup in LOOKUPS {
        let found = validate_keep_by(lookup, roots.clone(), &keep(&["/var/lib/shown/a"]));
        assert!(
            matches!(found, Err(TreeError::KeepMount { .. })),
            "{found:?}"
        );
        let report = wipe_by(lookup, var.as_fd(), &keep(&[]), &quiet).unwrap();
        assert_eq!(report.skipped_mounts, ["/lib/shown", "/log"], "{lookup:?}");
    }
    assert_eq!(fs::read(disk.path("srv/shop/a")).unwrap(), b"kept");
    // The payload would write there.
    let directory = entry("var/lib/shown", tar::EntryType::Directory, "", b"");
    let (source, payload) = payload_of(&[(&closed(&[&directory]), 1)]);
    let options = UnpackOptions::default();
    let error = unpack(roots, &source, &payload, &keep(&[]), &options, &quiet).unwrap_err();
    assert!(error.to_string().contains("var/lib/shown"), "{error}");
    run("umount", &[to.to_str().unwrap()]);
}

/// An archive of these entries.
fn closed(entries: &[&[u8]]) -> Vec<u8> {
    let mut archive = entries.concat();
    archive.extend([0; 1024]);
    archive
}

/// In the place of a mount point, and on the way to one, only a directory can be. What else a payload has there
/// is left out, and said.
#[test]
fn a_payload_with_a_link_where_something_is_mounted_is_unpacked_around_it() {
    let tree = Tree::new();
    let outside = tree.disk.outside("elsewhere");
    fs::create_dir(&outside).unwrap();
    let (root, log) = (tree.top(""), tree.top("/var/log"));
    // As if only that one were the system's.
    let roots = Roots::from(root.as_fd()).with("/var/log", log.as_fd());
    let target = outside.to_str().unwrap();
    let link = entry("var/log", tar::EntryType::Symlink, target, b"");
    let above = entry("var", tar::EntryType::Regular, "", b"a file");
    let named = entry("etc", tar::EntryType::Regular, "", b"more");
    let (source, payload) = payload_of(&[(&closed(&[&link, &above, &named]), 3)]);
    let options = UnpackOptions::default();
    let report = unpack(
        roots.clone(),
        &source,
        &payload,
        &keep(&[]),
        &options,
        &quiet,
    )
    .unwrap();
    let skipped: Vec<_> = report
        .skipped
        .iter()
        .map(|s| (&*s.path, s.because))
        .collect();
    assert_eq!(
        skipped,
        [
            ("/var", SkippedBecause::MountPoint),
            ("/var/log", SkippedBecause::MountPoint)
        ]
    );
    assert!(tree
        .disk
        .path("var/log")
        .symlink_metadata()
        .unwrap()
        .is_dir());
    // Carried files go to the right filesystem too.
    let file = entry("var/log/carried", tar::EntryType::Regular, "", b"carried");
    unpack_tar(roots, &closed(&[&file, &link]), &keep(&[])).unwrap();
    assert_eq!(tree.device("var/log/carried"), tree.device("var/log"));
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn the_gate_leads_to_each_of_them() {
    let tree = Tree::new();
    for lookup in LOOKUPS {
        let gate = Gate::new_by(lookup, tree.top(""), keep(&["/var/lib/mysql"]));
        let closed = gate.write("/var/x", b"x", 0o600);
        assert!(
            matches!(closed, Err(TreeError::Obstacle { .. })),
            "{closed:?}"
        );
        let gate = gate
            .with("/var", tree.top("/var"))
            .with("/var/log", tree.top("/var/log"));
        gate.make_directories("/var/log/reroot/run").unwrap();
        gate.write("/var/log/reroot/run/report", b"x", 0o600)
            .unwrap();
        gate.write("/var/x", b"x", 0o600).unwrap();
        gate.link("/var/link", "x").unwrap();
        assert_eq!(
            tree.device("var/log/reroot/run/report"),
            tree.device("var/log")
        );
        assert_eq!(tree.device("var/x"), tree.device("var"));
        assert!(matches!(
            gate.write("/var/lib/mysql/x", b"x", 0o600),
            Err(TreeError::Kept { .. })
        ));
        // A filesystem itself is not a tree to be removed, nor a name to be written.
        assert!(gate.remove_tree("/var/log").is_err());
        assert!(gate.write("/var/log", b"x", 0o600).is_err());
        gate.remove_tree("/var/log/reroot").unwrap();
        assert_eq!(gate.remove_matching("/var/*x").unwrap(), [""; 0]);
        assert!(!tree.disk.path("var/x").exists());
    }
}

#[test]
fn a_live_tree_is_weighed_on_all_of_them() {
    let tree = Tree::new();
    tree.disk.file("var/lib/shop/a", vec![1; 9000]);
    tree.disk.file("var/log/shop", vec![1; 9000]);
    let (root, var, log) = (tree.top(""), tree.top("/var"), tree.top("/var/log"));
    let roots = Roots::from(root.as_fd())
        .with("/var", var.as_fd())
        .with("/var/log", log.as_fd());
    let limit = || Limit {
        entries: 100,
        until: Instant::now() + Duration::from_mins(1),
    };
    let nothing = LeftOut::default();
    for (path, files) in [("/var/lib/shop", 1), ("/var/log", 1), ("/var/log/shop", 1)] {
        let found = weigh(roots.clone(), Path::new(path), &nothing, limit()).unwrap();
        assert_eq!((found.files, found.whole), (files, true), "{path}");
    }
    assert!(weigh(root.as_fd(), Path::new("/var/log"), &nothing, limit()).is_none());
    let (directories, files) = children(roots.clone(), Path::new("/var/log"), &nothing, 10);
    assert_eq!(
        (directories.len(), files),
        (0, vec![PathBuf::from("/var/log/shop")])
    );
    let left: LeftOut = ["/var/log"].into_iter().collect();
    assert!(weigh(roots.clone(), Path::new("/var/log/shop"), &left, limit()).is_none());
    validate_keep(roots, &keep(&["/var/lib/shop"])).unwrap();
}
