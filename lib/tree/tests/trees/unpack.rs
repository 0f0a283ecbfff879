//! Unpacking on real ext4, around what is kept and over what an earlier attempt left.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::Path;

use super::Disk;
use crate::fixture::payloads::{options, pack_tree, portable, source_of, unpack_tree};
use crate::fixture::{assert_same, hostile, keep, quiet, run, snapshot, LOOKUPS};
use formats::keep::KeepSet;
use tree::{pack, unpack, SkippedBecause, TreeError, UnpackOptions};

#[test]
fn kept_paths_are_not_touched_whatever_the_payload_has_there() {
    for lookup in LOOKUPS {
        let disk = Disk::new();
        let tree = disk.path("tree");
        let file = |path: &str, content: &str| {
            let path = tree.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        };
        file("srv/shop/index.html", "new");
        file("srv/shop/new/file", "new");
        file("srv/motd", "new");
        file("var/lib/mysql", "a file where a kept directory is");
        file("home", "a file where a directory leads to a kept path");
        file("etc/one", "new");
        symlink("/", tree.join("opt")).unwrap();
        fs::hard_link(tree.join("srv/shop/index.html"), tree.join("etc/shop.html")).unwrap();
        // Hard links go to the first name by path; this one goes to a name that is kept.
        file("a/first", "kept");
        fs::hard_link(tree.join("a/first"), tree.join("b second")).unwrap();
        fs::set_permissions(tree.join("srv"), fs::Permissions::from_mode(0o750)).unwrap();
        rustix::fs::chown(tree.join("srv"), Some(rustix::fs::Uid::from_raw(7)), None).unwrap();
        let (stored, payload) = pack_tree(&tree);

        let root = disk.path("root");
        for place in [
            "srv/shop",
            "var/lib/mysql",
            "home/ann",
            "opt/app",
            "a/first",
        ] {
            hostile::fill(&root.join(place), Path::new("/nowhere"));
            hostile::hinder(&root.join(place).join("hindered"));
        }
        // What the directories on the way hand down must not reach the new OS's files.
        let srv = root.join("srv");
        run(
            "setfacl",
            &["-d", "-m", "u:1234:rwx", srv.to_str().unwrap()],
        );
        fs::set_permissions(&srv, fs::Permissions::from_mode(0o2777)).unwrap();
        run("chgrp", &["99", srv.to_str().unwrap()]);
        run("chattr", &["+i", srv.to_str().unwrap()]);
        let kept = [
            "/srv/shop",
            "/var/lib/mysql",
            "/home/ann",
            "/opt/app",
            "/a/first",
        ];
        let before: Vec<_> = kept.map(|path| snapshot(&root.join(&path[1..]))).into();
        let fd = File::open(&root).unwrap();
        let report = unpack(
            fd.as_fd(),
            &source_of(&stored, 0),
            &payload,
            &keep(&kept),
            &UnpackOptions {
                lookup: Some(lookup),
                threads: 2,
                ..UnpackOptions::default()
            },
            &quiet,
        )
        .unwrap();

        for (path, before) in kept.iter().zip(&before) {
            assert_same(before, &snapshot(&root.join(&path[1..])));
        }
        let skipped: Vec<_> = report
            .skipped
            .iter()
            .map(|s| (s.path.as_str(), s.because))
            .collect();
        let expected = [
            ("/a/first", SkippedBecause::Kept),
            ("/b second", SkippedBecause::TargetKept),
            ("/home", SkippedBecause::LeadsToKept),
            ("/opt", SkippedBecause::LeadsToKept),
            ("/srv/shop", SkippedBecause::Kept),
            ("/srv/shop/index.html", SkippedBecause::Kept),
            ("/srv/shop/new", SkippedBecause::Kept),
            ("/srv/shop/new/file", SkippedBecause::Kept),
            ("/var/lib/mysql", SkippedBecause::Kept),
        ];
        assert_eq!(skipped, expected);
        assert_eq!(report.skipped_count, 9);
        let (ours, theirs) = (portable(&root), portable(&tree));
        for path in [
            "srv",
            "srv/motd",
            "etc",
            "etc/one",
            "etc/shop.html",
            "var",
            "var/lib",
        ] {
            assert_eq!(ours[Path::new(path)], theirs[Path::new(path)], "{path}");
        }
        assert!(!root.join("b second").exists());
    }
}

#[test]
fn an_interrupted_unpack_is_taken_up_again() {
    for lookup in LOOKUPS {
        let disk = Disk::new();
        let tree = disk.path("tree");
        let outside = disk.outside("outside");
        hostile::fill(&outside, Path::new("/nowhere"));
        hostile::fill(&tree, &outside);
        let (stored, payload) = pack_tree(&tree);
        let root = disk.dir("root");
        fs::create_dir_all(root.join("srv/shop")).unwrap();
        fs::write(root.join("srv/shop/orders"), "sacred").unwrap();
        let keep = keep(&["/srv/shop"]);
        let shop = snapshot(&root.join("srv/shop"));
        let fd = File::open(&root).unwrap();
        let again = || {
            let source = source_of(&stored, 0);
            let options = UnpackOptions {
                lookup: Some(lookup),
                threads: 2,
                ..UnpackOptions::default()
            };
            unpack(fd.as_fd(), &source, &payload, &keep, &options, &quiet).unwrap();
            let mut ours = portable(&root);
            ours.retain(|path, _| !path.starts_with("srv"));
            assert_same(&portable(&tree), &ours);
        };
        // Only some frames arrived.
        let mut part = payload.clone();
        part.frames.truncate(payload.frames.len() / 2);
        part.entries = part.frames.iter().map(|frame| frame.entries).sum();
        part.unpacked_bytes = part.frames.iter().map(|frame| frame.unpacked).sum();
        part.inodes = 0;
        unpack_tree(&root, &stored, &part, &keep);
        again();
        let out_there = snapshot(&outside);
        // Leftovers of every kind where something else belongs.
        fs::write(root.join("setuid"), "half a fi").unwrap();
        fs::remove_file(root.join("capable")).unwrap();
        symlink(outside.join("all"), root.join("capable")).unwrap();
        fs::remove_dir(root.join("empty")).unwrap();
        symlink(&outside, root.join("empty")).unwrap();
        fs::remove_dir_all(root.join("a directory")).unwrap();
        fs::write(root.join("a directory"), "a file").unwrap();
        fs::remove_file(root.join("second name")).unwrap();
        fs::write(root.join("second name"), "not a link").unwrap();
        fs::remove_file(root.join("fifo")).unwrap();
        fs::write(root.join("fifo"), "").unwrap();
        fs::set_permissions(&root, fs::Permissions::from_mode(0o2777)).unwrap();
        again();
        assert_same(&out_there, &snapshot(&outside));
        assert_same(&shop, &snapshot(&root.join("srv/shop")));
    }
}

#[test]
fn nothing_is_mounted_over_or_written_through_a_mount() {
    let disk = Disk::new();
    let tree = disk.dir("tree");
    fs::create_dir_all(tree.join("srv/data")).unwrap();
    fs::write(tree.join("srv/data/file"), "new").unwrap();
    let (stored, payload) = pack_tree(&tree);
    let root = disk.dir("root");
    fs::create_dir_all(root.join("srv/data")).unwrap();
    let other = disk.dir("other");
    fs::write(other.join("file"), "theirs").unwrap();
    let at = root.join("srv/data");
    run(
        "mount",
        &["--bind", other.to_str().unwrap(), at.to_str().unwrap()],
    );
    let before = snapshot(&other);
    let fd = File::open(&root).unwrap();
    for lookup in LOOKUPS {
        let source = source_of(&stored, 0);
        let options = UnpackOptions {
            lookup: Some(lookup),
            ..UnpackOptions::default()
        };
        let keep = KeepSet::default();
        let error = unpack(fd.as_fd(), &source, &payload, &keep, &options, &quiet);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("/srv/data is a mount point"), "{error}");
        assert_same(&before, &snapshot(&other));
    }
    let error = pack(fd.as_fd(), &mut Vec::new(), &options(1), &quiet)
        .unwrap_err()
        .to_string();
    assert!(error.contains("/srv/data is a mount point"), "{error}");
}

#[test]
fn a_full_disk_is_an_error_and_costs_no_kept_byte() {
    let disk = Disk::new();
    let tree = disk.dir("tree");
    let noise: Vec<u8> = (0..8_000_000u32)
        .flat_map(|i| (i.wrapping_mul(2_654_435_761)).to_le_bytes())
        .collect();
    fs::write(tree.join("large"), noise).unwrap();
    let (stored, payload) = pack_tree(&tree);
    // Another filesystem, in the same namespace.
    let small = disk.outside("small");
    fs::create_dir(&small).unwrap();
    run(
        "mount",
        &[
            "-t",
            "tmpfs",
            "-o",
            "size=8m",
            "tmpfs",
            small.to_str().unwrap(),
        ],
    );
    fs::create_dir_all(small.join("srv/shop")).unwrap();
    fs::write(small.join("srv/shop/orders"), "sacred").unwrap();
    let before = snapshot(&small.join("srv/shop"));
    let fd = File::open(&small).unwrap();
    let (source, options) = (source_of(&stored, 0), UnpackOptions::default());
    let error = unpack(
        fd.as_fd(),
        &source,
        &payload,
        &keep(&["/srv/shop"]),
        &options,
        &quiet,
    )
    .unwrap_err();
    let TreeError::Io { path, source, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(path, "/large");
    assert_eq!(source.raw_os_error(), Some(28));
    assert_same(&before, &snapshot(&small.join("srv/shop")));
}

#[test]
fn unpacking_begins_only_when_every_kept_path_is_there() {
    let disk = Disk::new();
    let tree = disk.dir("tree");
    fs::write(tree.join("file"), "x").unwrap();
    let (stored, payload) = pack_tree(&tree);
    let root = disk.dir("root");
    let fd = File::open(&root).unwrap();
    let (source, options) = (source_of(&stored, 0), UnpackOptions::default());
    let keep = keep(&["/srv/shop"]);
    let error = unpack(fd.as_fd(), &source, &payload, &keep, &options, &quiet).unwrap_err();
    assert!(matches!(error, TreeError::KeepMissing { .. }), "{error}");
    assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
}

#[test]
fn owners_become_those_of_the_new_os_but_for_what_is_kept() {
    for lookup in LOOKUPS {
        let disk = Disk::new();
        let tree = disk.path("tree");
        let own = |path: &Path, owner: u32, group: u32, mode: u32| {
            let owner = rustix::fs::Uid::from_raw(owner);
            let group = rustix::fs::Gid::from_raw(group);
            rustix::fs::chown(path, Some(owner), Some(group)).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        fs::create_dir_all(tree.join("var/lib/mysql")).unwrap();
        for (path, owner, group, mode) in [
            ("service", 101, 102, 0o640),
            ("setuid", 101, 0, 0o6755),
            ("number of the other kind", 102, 101, 0o600),
            ("other", 33, 33, 0o644),
            ("root's", 0, 0, 0o644),
            ("to root", 50, 50, 0o4711),
        ] {
            fs::write(tree.join(path), path).unwrap();
            own(&tree.join(path), owner, group, mode);
        }
        own(&tree.join("var"), 101, 102, 0o2770);
        own(&tree.join("var/lib"), 101, 102, 0o700);
        symlink("service", tree.join("link")).unwrap();
        let (owner, group) = (
            rustix::fs::Uid::from_raw(101),
            rustix::fs::Gid::from_raw(102),
        );
        let nofollow = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::chownat(
            rustix::fs::CWD,
            tree.join("link"),
            Some(owner),
            Some(group),
            nofollow,
        )
        .unwrap();
        fs::hard_link(tree.join("service"), tree.join("service again")).unwrap();
        let acl = "u:101:rw,u:33:r,g:102:r,g:101:x";
        run(
            "setfacl",
            &["-m", acl, tree.join("root's").to_str().unwrap()],
        );
        run(
            "setfacl",
            &["-d", "-m", acl, tree.join("var").to_str().unwrap()],
        );
        let (stored, payload) = pack_tree(&tree);

        let root = disk.path("root");
        fs::create_dir_all(root.join("var/lib/mysql")).unwrap();
        own(&root.join("var/lib/mysql"), 101, 102, 0o700);
        fs::write(root.join("var/lib/mysql/table"), "kept").unwrap();
        own(&root.join("var/lib/mysql/table"), 101, 102, 0o600);
        let before = snapshot(&root.join("var/lib/mysql"));
        let options = UnpackOptions {
            lookup: Some(lookup),
            threads: 2,
            owners: formats::accounts::NumberMap {
                users: vec![(50, 0), (101, 112)],
                groups: vec![(50, 0), (102, 115)],
            },
        };
        let fd = File::open(&root).unwrap();
        let (source, keep) = (source_of(&stored, 0), keep(&["/var/lib/mysql"]));
        unpack(fd.as_fd(), &source, &payload, &keep, &options, &quiet).unwrap();

        let ours = portable(&root);
        for (path, owner, mode) in [
            ("service", (112, 115), 0o640),
            ("service again", (112, 115), 0o640),
            ("setuid", (112, 0), 0o6755),
            ("number of the other kind", (102, 101), 0o600),
            ("other", (33, 33), 0o644),
            ("to root", (0, 0), 0o4711),
            ("link", (112, 115), 0o777),
            ("var", (112, 115), 0o2770),
            ("var/lib", (112, 115), 0o700),
        ] {
            let seen = &ours[Path::new(path)];
            assert_eq!((seen.owner, seen.mode & 0o7777), (owner, mode), "{path}");
        }
        assert_eq!(ours[Path::new("root's")].owner, (0, 0));
        for (path, only) in [("root's", "-a"), ("var", "-d")] {
            let path = root.join(path);
            let shown = run("getfacl", &["-n", "-p", "-c", only, path.to_str().unwrap()]);
            for line in [
                "user:112:rw-",
                "user:33:r--",
                "group:115:r--",
                "group:101:--x",
            ] {
                assert!(shown.contains(line), "{line} not in {shown}");
            }
            assert!(
                !shown.contains("user:101:") && !shown.contains("group:102:"),
                "{shown}"
            );
        }
        assert_same(&before, &snapshot(&root.join("var/lib/mysql")));
    }
}
