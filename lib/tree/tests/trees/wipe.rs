//! Wiping real ext4 filesystems: what is kept stays as it was, and nothing else does.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Disk;
use crate::fixture::{assert_same, hostile, keep, quiet, run, snapshot, LOOKUPS};
use formats::keep::{KeepPath, KeepSet};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tree::{
    restore_cleared, validate_keep, validate_keep_by, wipe, wipe_by, wipe_noting, TreeError,
};

/// Whether a refusal is the right one.
type Expected = fn(&TreeError) -> bool;

#[test]
fn a_hostile_tree_is_kept_as_it_was_and_its_copies_are_removed() {
    for lookup in LOOKUPS {
        let disk = Disk::new();
        let outside = disk.outside("outside");
        hostile::fill(&outside, Path::new("/nowhere"));
        for place in [
            "srv/shop",
            "srv/other",
            "old",
            "var/lib/mysql",
            "var/lib/other",
        ] {
            hostile::fill(&disk.path(place), &outside);
            hostile::hinder(&disk.path(place).join("hindered"));
            hostile::socket(&disk.path(place).join("socket"));
        }
        // One file with names on both sides, and an immutable one.
        fs::hard_link(disk.path("srv/shop/-rf"), disk.path("old/shared")).unwrap();
        let both = disk.file("srv/shop/immutable on both sides", "x");
        fs::hard_link(&both, disk.path("old/immutable shared")).unwrap();
        run("chattr", &["+i", both.to_str().unwrap()]);
        disk.file("etc/fstab", "old");
        disk.file("etc/ssl/private/key", "secret");
        let keep = keep(&["/srv/shop", "/var/lib/mysql", "/etc/ssl/private/key"]);
        let before = ["srv/shop", "var/lib/mysql"].map(|place| snapshot(&disk.path(place)));
        let key = snapshot(&disk.path("etc/ssl/private/key"));
        let out_there = snapshot(&outside);

        let told = AtomicU64::new(0);
        let tell = |n| {
            told.fetch_add(n, Ordering::Relaxed);
        };
        let report = wipe_by(lookup, disk.fd(), &keep, &tell).unwrap();

        let check = || {
            for (place, before) in ["srv/shop", "var/lib/mysql"].iter().zip(&before) {
                assert_same(before, &snapshot(&disk.path(place)));
            }
            assert_same(&key, &snapshot(&disk.path("etc/ssl/private/key")));
            assert_same(&out_there, &snapshot(&outside));
        };
        check();
        assert!(
            hostile::flags(&both).contains('i'),
            "the kept file is immutable still"
        );
        for (name, flag) in [("immutable", 'i'), ("append-only", 'a')] {
            let kept = disk.path("srv/shop/hindered").join(name);
            assert!(hostile::flags(&kept).contains(flag), "{name}");
        }
        let left: Vec<_> = disk
            .paths()
            .into_iter()
            .filter(|p| !p.starts_with("srv/shop/") && !p.starts_with("var/lib/mysql/"))
            .collect();
        let expected = [
            "etc",
            "etc/ssl",
            "etc/ssl/private",
            "etc/ssl/private/key",
            "srv",
            "srv/shop",
            "var",
            "var/lib",
            "var/lib/mysql",
        ];
        assert_eq!(left, expected, "{lookup:?}");
        assert_eq!(told.into_inner(), report.removed);
        assert_eq!(report.skipped_mounts, [""; 0]);

        let again = wipe_by(lookup, disk.fd(), &keep, &quiet).unwrap();
        assert_eq!(again.removed, 0, "wiping again finds nothing");
        check();
    }
}

#[test]
fn nothing_at_all_is_left_when_nothing_is_kept() {
    for lookup in LOOKUPS {
        let disk = Disk::new();
        hostile::fill(&disk.path("a/b/c/d/e"), &disk.outside("x"));
        hostile::fill(&disk.path(""), &disk.outside("x"));
        hostile::hinder(&disk.path("a/b/hindered"));
        wipe_by(lookup, disk.fd(), &KeepSet::default(), &quiet).unwrap();
        assert_eq!(disk.paths(), [""; 0]);
    }
}

#[test]
fn a_keep_list_that_cannot_be_honoured_changes_nothing() {
    let disk = Disk::new();
    let outside = disk.outside("outside");
    fs::create_dir_all(outside.join("below")).unwrap();
    disk.file("srv/shop/orders", "x");
    disk.file("srv/file", "x");
    disk.dir("srv/mounted/below");
    symlink("shop", disk.path("srv/link")).unwrap();
    symlink(&outside, disk.path("srv/out")).unwrap();
    symlink("/", disk.path("root")).unwrap();
    run(
        "mount",
        &[
            "-t",
            "tmpfs",
            "tmpfs",
            disk.path("srv/mounted").to_str().unwrap(),
        ],
    );
    disk.dir("srv/mounted/below");
    let bound = disk.file("srv/bound", "x");
    run(
        "mount",
        &[
            "--bind",
            disk.path("srv/file").to_str().unwrap(),
            bound.to_str().unwrap(),
        ],
    );
    let again = disk.dir("srv/again");
    let shop = disk.path("srv/shop");
    run(
        "mount",
        &["--bind", shop.to_str().unwrap(), again.to_str().unwrap()],
    );

    let missing: Expected = |e| matches!(e, TreeError::KeepMissing { .. });
    let link: Expected = |e| matches!(e, TreeError::KeepLink { .. });
    let mount: Expected = |e| matches!(e, TreeError::KeepMount { .. });
    let no_directory: Expected = |e| matches!(e, TreeError::KeepNotDirectory { .. });
    let cases: &[(&str, &str, Expected)] = &[
        ("/gone", "/gone", missing),
        ("/srv/gone", "/srv/gone", missing),
        ("/srv/gone/x", "/srv/gone", missing),
        ("/srv/link", "/srv/link", link),
        ("/srv/link/orders", "/srv/link", link),
        ("/srv/out/below", "/srv/out", link),
        ("/root/srv/shop", "/root", link),
        ("/srv/file/x", "/srv/file", no_directory),
        ("/srv/mounted", "/srv/mounted", mount),
        ("/srv/mounted/below", "/srv/mounted", mount),
        ("/srv/bound", "/srv/bound", mount),
        ("/srv/again", "/srv/again", mount),
        ("/srv/again/orders", "/srv/again", mount),
    ];
    let before = snapshot(&disk.path(""));
    for lookup in LOOKUPS {
        for (path, at, expected) in cases {
            // A sound path beside it must not be enough to begin.
            let keep = keep(&["/srv/shop", path]);
            let refused = wipe_by(lookup, disk.fd(), &keep, &quiet).unwrap_err();
            assert!(expected(&refused), "{lookup:?} {path}: {refused}");
            assert!(
                refused.to_string().contains(at),
                "{lookup:?} {path}: {refused}"
            );
            validate_keep_by(lookup, disk.fd(), &keep).unwrap_err();
        }
    }
    assert_same(&before, &snapshot(&disk.path("")));
    validate_keep(
        disk.fd(),
        &keep(&["/srv/shop", "/srv/file", "/srv/shop/orders"]),
    )
    .unwrap();
}

#[test]
fn mounts_are_left_alone_with_all_that_is_in_them() {
    for lookup in LOOKUPS {
        let disk = Disk::new();
        let outside = disk.outside("outside");
        hostile::fill(&outside, Path::new("/nowhere"));
        let mount = |arguments: &[&str], at: &str| {
            let at = disk.path(at);
            run("mount", &[arguments, &[at.to_str().unwrap()]].concat());
        };
        disk.dir("old/deep/inside/tmpfs");
        mount(&["-t", "tmpfs", "tmpfs"], "old/deep/inside/tmpfs");
        disk.file("old/deep/inside/tmpfs/in memory", "x");
        disk.dir("old/outside");
        mount(&["--bind", outside.to_str().unwrap()], "old/outside");
        // The same filesystem again: device numbers say nothing here.
        disk.file("srv/shop/orders", "sacred");
        disk.dir("same");
        mount(&["--bind", disk.path("srv").to_str().unwrap()], "same");
        disk.dir("old/whole");
        mount(&["--bind", disk.path("").to_str().unwrap()], "old/whole");
        disk.file("old/deep/file", "x");
        disk.file("some/file", "x");
        mount(
            &["--bind", outside.join("*").to_str().unwrap()],
            "some/file",
        );
        disk.file("old/deep/beside", "x");
        let out_there = snapshot(&outside);
        let orders = snapshot(&disk.path("srv/shop"));

        let report = wipe_by(lookup, disk.fd(), &keep(&["/srv/shop"]), &quiet).unwrap();

        let mounts = [
            "/old/deep/inside/tmpfs",
            "/old/outside",
            "/old/whole",
            "/same",
            "/some/file",
        ];
        assert_eq!(report.skipped_mounts, mounts, "{lookup:?}");
        assert_same(&out_there, &snapshot(&outside));
        assert_same(&orders, &snapshot(&disk.path("srv/shop")));
        assert!(disk.path("old/deep/inside/tmpfs/in memory").exists());
        assert!(!disk.path("old/deep/file").exists());
        assert!(!disk.path("old/deep/beside").exists());

        for at in mounts {
            run("umount", &[disk.path(at).to_str().unwrap()]);
        }
        let report = wipe_by(lookup, disk.fd(), &keep(&["/srv/shop"]), &quiet).unwrap();
        assert_eq!(report.skipped_mounts, [""; 0]);
        assert_eq!(disk.paths(), ["srv", "srv/shop", "srv/shop/orders"]);
        assert_same(&out_there, &snapshot(&outside));
    }
}

#[test]
fn a_mount_within_a_kept_path_is_no_ones_business() {
    for lookup in LOOKUPS {
        let disk = Disk::new();
        disk.file("srv/shop/orders", "x");
        disk.dir("srv/shop/cache");
        let cache = disk.path("srv/shop/cache");
        run("mount", &["-t", "tmpfs", "tmpfs", cache.to_str().unwrap()]);
        disk.file("srv/shop/cache/hot", "x");
        let report = wipe_by(lookup, disk.fd(), &keep(&["/srv/shop"]), &quiet).unwrap();
        assert_eq!((report.removed, report.skipped_mounts.len()), (0, 0));
        assert!(disk.path("srv/shop/cache/hot").exists());
    }
}

#[test]
fn a_large_directory_is_emptied_although_it_changes_while_it_is_read() {
    let disk = Disk::new();
    for i in 0..30_000 {
        fs::write(disk.path(format!("{i:06}-{}", "x".repeat(i % 200))), "").unwrap();
    }
    disk.file("big/kept", "x");
    for i in 0..10_000 {
        fs::write(disk.path(format!("big/{i}")), "").unwrap();
        fs::create_dir(disk.path(format!("big/dir {i}"))).unwrap();
    }
    let report = wipe(disk.fd(), &keep(&["/big/kept"]), &quiet).unwrap();
    assert_eq!(report.removed, 50_000);
    assert_eq!(disk.paths(), ["big", "big/kept"]);
}

#[test]
fn an_internal_path_is_kept_too() {
    let disk = Disk::new();
    disk.file(".reroot/journal", "x");
    disk.file("old", "x");
    let keep = KeepSet::default().with_internal("/.reroot").unwrap();
    wipe(disk.fd(), &keep, &quiet).unwrap();
    assert_eq!(disk.paths(), [".reroot", ".reroot/journal"]);
}

/// A tree over few names, as paths with whether each is a directory, and a choice of them.
fn trees() -> impl Strategy<Value = (Vec<Vec<u8>>, Vec<(usize, usize)>)> {
    let path = prop::collection::vec(0u8..4, 1..6);
    let paths = prop::collection::vec(path, 1..40);
    let kept = prop::collection::vec((any::<usize>(), any::<usize>()), 0..5);
    (paths, kept)
}

#[test]
fn what_is_left_is_what_a_model_says_for_any_tree_and_keep_list() {
    let disk = Disk::new();
    let run = |(paths, chosen): (Vec<Vec<u8>>, Vec<(usize, usize)>)| {
        for path in &paths {
            let names: Vec<_> = path.iter().map(|name| format!("n{name}")).collect();
            // A file is never a directory too: its name says which it is.
            disk.file(format!("{}/file", names.join("/")), "x");
        }
        let all = disk.paths();
        let kept: Vec<_> = chosen
            .iter()
            .map(|(i, _)| all[i % all.len()].clone())
            .collect();
        let keep: KeepSet = kept
            .iter()
            .map(|path| KeepPath::parse(&format!("/{path}")).unwrap())
            .collect();
        let below = |path: &str, above: &str| Path::new(path).starts_with(above);
        let expected: Vec<_> = all
            .iter()
            .filter(|path| {
                kept.iter()
                    .any(|kept| below(path, kept) || below(kept, path))
            })
            .cloned()
            .collect();
        let before = snapshot(&disk.path(""));
        let lookup = LOOKUPS[chosen.len() % LOOKUPS.len()];
        let report = wipe_by(lookup, disk.fd(), &keep, &quiet).unwrap();
        prop_assert_eq!(disk.paths(), &expected[..]);
        prop_assert_eq!(report.removed as usize, all.len() - expected.len());
        let after = snapshot(&disk.path(""));
        for (path, seen) in after {
            // Directories that lead to kept paths lost entries, and with them their old times.
            let is_kept = kept.iter().any(|kept| path.starts_with(kept));
            prop_assert!(!is_kept || before[&path] == seen);
        }
        wipe(disk.fd(), &KeepSet::default(), &quiet).unwrap();
        prop_assert!(disk.paths().is_empty());
        Ok(())
    };
    let config = Config {
        cases: 200,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config).run(&trees(), run).unwrap();
}

#[test]
fn a_directory_moved_into_a_kept_one_meanwhile_leads_the_walk_nowhere() {
    for lookup in LOOKUPS {
        let disk = Disk::new();
        disk.file("srv/shop/orders", "sacred");
        let moved = "old/".to_owned() + &"d/".repeat(15);
        let deep = moved.clone() + &"d/".repeat(30);
        for i in 0..1000 {
            disk.file(format!("{deep}/{i}"), "");
        }
        let orders = snapshot(&disk.path("srv/shop/orders"));
        let (from, to) = (disk.path(&moved), disk.path("srv/shop/moved"));
        // Far down, and far enough that the directories around the move are closed.
        let once = std::sync::Once::new();
        let move_it = |_| once.call_once(|| fs::rename(&from, &to).unwrap());
        let error = wipe_by(lookup, disk.fd(), &keep(&["/srv/shop"]), &move_it).unwrap_err();
        assert!(error.to_string().contains("was moved"), "{error}");
        assert_same(&orders, &snapshot(&disk.path("srv/shop/orders")));
        assert!(to.exists());
    }
}

#[test]
fn a_kept_immutable_file_is_noted_before_its_flag_is_cleared_for_a_moment() {
    for name in ["immutable", "append-only"] {
        let disk = Disk::new();
        let kept = disk.file("srv/shop/orders", "x");
        let other = disk.file("srv/shop/other", "x");
        fs::hard_link(&kept, disk.path("old")).unwrap();
        let flag = if name == "immutable" { 'i' } else { 'a' };
        run("chattr", &[&format!("+{flag}"), kept.to_str().unwrap()]);
        let noted = std::sync::Mutex::new(Vec::new());
        let note = |cleared| {
            assert!(hostile::flags(&kept).contains(flag), "noted before");
            noted.lock().unwrap().push(cleared);
            Ok(())
        };
        // A note that cannot be written keeps the flag, and the name.
        let full = |_| Err(std::io::Error::from_raw_os_error(28));
        wipe_noting(disk.fd(), &keep(&["/srv/shop"]), &quiet, &full).unwrap_err();
        assert!(hostile::flags(&kept).contains(flag) && disk.path("old").exists());

        wipe_noting(disk.fd(), &keep(&["/srv/shop"]), &quiet, &note).unwrap();
        assert!(hostile::flags(&kept).contains(flag) && !disk.path("old").exists());
        let noted = noted.into_inner().unwrap();
        assert_eq!(noted.len(), 1, "{noted:?}");

        // What a power cut in that moment leaves, and the run that is taken up mends.
        run("chattr", &[&format!("-{flag}"), kept.to_str().unwrap()]);
        let paths = [KeepPath::parse("/srv").unwrap()];
        assert_eq!(
            restore_cleared(disk.fd(), &paths, &noted, &quiet).unwrap(),
            1
        );
        assert!(hostile::flags(&kept).contains(flag));
        assert!(!hostile::flags(&other).contains(flag));
        let paths = [KeepPath::parse("/srv/shop/orders").unwrap()];
        assert_eq!(
            restore_cleared(disk.fd(), &paths, &noted, &quiet).unwrap(),
            1
        );
    }
}
