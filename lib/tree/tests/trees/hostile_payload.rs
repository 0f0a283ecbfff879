//! Payloads that are damaged or made to do harm: refused, and nothing kept or outside is reached.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::{symlink, FileExt};

use super::Disk;
use crate::fixture::payloads::{entry, pack_tree, payload_of, source_of};
use crate::fixture::{assert_same, keep, quiet, snapshot, LOOKUPS};
use formats::keep::KeepSet;
use formats::payload::Payload;
use tree::{unpack, Source, UnpackOptions};

/// How a sound payload is spoilt.
type Damage = fn(&mut Vec<u8>, &mut Payload);

#[test]
fn a_malicious_archive_reaches_nothing_outside_and_nothing_kept() {
    use tar::EntryType as T;
    let file = |name: &str| entry(name, T::Regular, "", b"evil");
    let dir = |name: &str| entry(name, T::Directory, "", b"");
    let link = |name: &str, to: &str| entry(name, T::Symlink, to, b"");
    let hard = |name: &str, to: &str| entry(name, T::Link, to, b"");
    let disk = Disk::new();
    let outside = disk.outside("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("victim"), "whole").unwrap();
    let out = outside.to_str().unwrap();
    let victim = format!("{out}/victim");
    let cases: &[(&str, Vec<Vec<u8>>)] = &[
        ("a name that goes up", vec![file("../outside/victim")]),
        (
            "a name that goes up later",
            vec![dir("d"), file("d/../../outside/victim")],
        ),
        ("an absolute name", vec![file("/outside/victim")]),
        (
            "a file through a link",
            vec![link("l", out), file("l/victim")],
        ),
        (
            "a file through a relative link",
            vec![link("l", "../outside"), file("l/victim")],
        ),
        (
            "a file through a link to here",
            vec![dir("d"), link("l", "d"), file("l/x")],
        ),
        ("a file through a file", vec![file("f"), file("f/x")]),
        (
            "a directory through a link",
            vec![link("l", out), dir("l/x")],
        ),
        (
            "a link through a link",
            vec![link("l", out), link("l/x", "/")],
        ),
        (
            "a device through a link",
            vec![link("l", out), entry("l/x", T::Fifo, "", b"")],
        ),
        ("a hard link out of the tree", vec![hard("h", &victim)]),
        ("a hard link up", vec![hard("h", "../outside/victim")]),
        (
            "a hard link through a link",
            vec![link("l", out), hard("h", "l/victim")],
        ),
        (
            "a hard link into a link",
            vec![file("f"), link("l", out), hard("l/h", "f")],
        ),
        ("a hard link to a directory", vec![dir("d"), hard("h", "d")]),
        ("a hard link to nothing", vec![hard("h", "nothing")]),
        (
            "a file in a kept path by a link",
            vec![link("l", "srv/shop"), file("l/orders")],
        ),
        (
            "a file without its directory",
            vec![file("no/such/directory")],
        ),
        ("a file where a directory is", vec![dir("d"), file("d")]),
        ("a directory after a file", vec![file("f"), dir("d")]),
        ("an unknown type", vec![entry("x", T::new(b'Z'), "", b"")]),
        ("a sparse file", vec![entry("x", T::GNUSparse, "", b"")]),
        ("a link to nowhere", vec![link("l", "")]),
        ("a root that is a file", vec![file("./")]),
    ];
    let out_there = snapshot(&outside);
    for lookup in LOOKUPS {
        for (name, entries) in cases {
            for frames in [1, entries.len()] {
                let root = disk.dir("root");
                fs::create_dir_all(root.join("srv/shop")).unwrap();
                fs::write(root.join("srv/shop/orders"), "sacred").unwrap();
                let shop = snapshot(&root.join("srv/shop"));
                let mut tars: Vec<(Vec<u8>, u64)> = if frames == 1 {
                    vec![(entries.concat(), entries.len() as u64)]
                } else {
                    entries.iter().map(|entry| (entry.clone(), 1)).collect()
                };
                tars.last_mut().unwrap().0.extend([0; 1024]);
                let tars: Vec<_> = tars.iter().map(|(tar, n)| (tar.as_slice(), *n)).collect();
                let (source, payload) = payload_of(&tars);
                let fd = File::open(&root).unwrap();
                let options = UnpackOptions {
                    lookup: Some(lookup),
                    threads: 1,
                    ..UnpackOptions::default()
                };
                let keep = keep(&["/srv/shop"]);
                let result = unpack(fd.as_fd(), &source, &payload, &keep, &options, &quiet);
                result.expect_err(name);
                assert_same(&out_there, &snapshot(&outside));
                assert_same(&shop, &snapshot(&root.join("srv/shop")));
                fs::remove_dir_all(&root).unwrap();
            }
        }
    }
}

#[test]
fn a_link_planted_where_a_directory_was_is_not_followed() {
    let disk = Disk::new();
    let outside = disk.outside("outside");
    fs::create_dir(&outside).unwrap();
    let root = disk.dir("root");
    fs::create_dir_all(root.join("usr")).unwrap();
    symlink(&outside, root.join("usr/lib")).unwrap();
    // The payload relies on a directory that it does not bring.
    let mut tar = entry("usr/lib/evil", tar::EntryType::Regular, "", b"x");
    tar.extend([0; 1024]);
    let (source, payload) = payload_of(&[(&tar, 1)]);
    let fd = File::open(&root).unwrap();
    for lookup in LOOKUPS {
        let options = UnpackOptions {
            lookup: Some(lookup),
            threads: 1,
            ..UnpackOptions::default()
        };
        let keep = KeepSet::default();
        let error = unpack(fd.as_fd(), &source, &payload, &keep, &options, &quiet);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("/usr/lib is a symbolic link"), "{error}");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    }
}

#[test]
fn damage_is_found_before_the_damaged_frame_is_used() {
    let disk = Disk::new();
    let tree = disk.path("tree");
    for i in 0..40 {
        let path = tree.join(format!("file {i:02}"));
        fs::create_dir_all(&tree).unwrap();
        fs::write(path, format!("{i}").repeat(9_000)).unwrap();
    }
    let (stored, payload) = pack_tree(&tree);
    let last = payload.frames.len() - 1;
    assert!(last > 2);
    let cases: &[(&str, Damage, &str)] = &[
        (
            "a flipped bit in the first frame",
            |s, _| s[5] ^= 1,
            "frame 0 of the payload is damaged",
        ),
        (
            "a flipped bit at the end",
            |s, _| *s.last_mut().unwrap() ^= 0x80,
            "is damaged",
        ),
        (
            "a file cut short",
            |s, _| s.truncate(s.len() - 1),
            "cannot read frame",
        ),
        ("a file cut off", |s, _| s.clear(), "cannot read frame 0"),
        (
            "too few entries",
            |_, p| {
                p.frames[1].entries -= 1;
                p.entries -= 1;
                p.inodes = 0;
            },
            "entries, not",
        ),
        (
            "too many entries",
            |_, p| {
                p.frames[1].entries += 1;
                p.entries += 1;
            },
            "entries, not",
        ),
        (
            "too many bytes",
            |_, p| {
                p.frames[1].unpacked += 512;
                p.unpacked_bytes += 512;
            },
            "bytes, not",
        ),
        ("a sum that is wrong", |_, p| p.entries += 1, "unsound"),
        ("a gap", |_, p| p.frames[1].offset += 1, "unsound"),
        (
            "frames in another order",
            |_, p| {
                let (a, b) = (p.frames[1].digest, p.frames[2].digest);
                p.frames[1].digest = b;
                p.frames[2].digest = a;
            },
            "is damaged",
        ),
    ];
    for (name, damage, expected) in cases {
        let (mut stored, mut payload) = (stored.clone(), payload.clone());
        damage(&mut stored, &mut payload);
        let root = disk.dir("root");
        let fd = File::open(&root).unwrap();
        let source = source_of(&stored, 0);
        let options = UnpackOptions {
            threads: 1,
            ..UnpackOptions::default()
        };
        let keep = KeepSet::default();
        let error = unpack(fd.as_fd(), &source, &payload, &keep, &options, &quiet).expect_err(name);
        assert!(error.to_string().contains(expected), "{name}: {error}");
        fs::remove_dir_all(&root).unwrap();
    }
    // Of a damaged frame nothing is used: no file of it exists.
    let mut damaged = stored.clone();
    damaged[payload.frames[1].offset as usize + 30] ^= 4;
    let root = disk.dir("root");
    let fd = File::open(&root).unwrap();
    let (source, options) = (
        source_of(&damaged, 0),
        UnpackOptions {
            threads: 1,
            ..UnpackOptions::default()
        },
    );
    unpack(
        fd.as_fd(),
        &source,
        &payload,
        &KeepSet::default(),
        &options,
        &quiet,
    )
    .unwrap_err();
    assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
}

/// The frame is sound when its digest is asked for, and another one when it is unpacked: a device
/// that goes on writing to memory does that, and so does a disk.
#[test]
fn a_frame_that_changes_between_its_digest_and_its_use_is_refused() {
    use tar::EntryType as T;
    let disk = Disk::new();
    // Nothing that compression finds anything in: the bytes stand in the frame as they are, and the
    // frame has no checksum of its own.
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(4 << 20)
    .collect();
    let (_, payload) = payload_of(&[(&entry("etc/noise", T::Regular, "", &noise), 1)]);
    let (stored, base) = (disk.path("stored"), 0);
    let tar = entry("etc/noise", T::Regular, "", &noise);
    fs::write(&stored, zstd::bulk::compress(&tar, 3).unwrap()).unwrap();
    let source = || Source::new(File::open(&stored).unwrap(), base);
    let last = payload.frames[0].length - 100_000;
    let once = std::sync::Once::new();
    let spoil = |_: u64| {
        once.call_once(|| {
            let file = fs::OpenOptions::new().write(true).open(&stored).unwrap();
            file.write_all_at(b"avail_event", last).unwrap();
        });
    };
    let options = UnpackOptions {
        threads: 1,
        ..UnpackOptions::default()
    };
    let (sound, spoilt) = (disk.dir("sound"), disk.dir("spoilt"));
    for root in [&sound, &spoilt] {
        fs::create_dir(root.join("etc")).unwrap();
    }
    let keep = KeepSet::default();
    let fd = File::open(&sound).unwrap();
    unpack(fd.as_fd(), &source(), &payload, &keep, &options, &quiet).unwrap();
    let fd = File::open(&spoilt).unwrap();
    let error = unpack(fd.as_fd(), &source(), &payload, &keep, &options, &spoil).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("frame 0 of the payload is damaged"),
        "{error}"
    );
    assert!(once.is_completed());
}

#[test]
fn an_archive_that_lies_about_its_end_is_refused() {
    use tar::EntryType as T;
    let disk = Disk::new();
    let file = |name: &str| entry(name, T::Regular, "", b"x");
    let cases: &[(&str, Vec<u8>, u64)] = &[
        (
            "entries behind the end",
            [file("a"), vec![0; 1024], file("b")].concat(),
            1,
        ),
        (
            "entries behind the end, counted",
            [file("a"), vec![0; 1024], file("b")].concat(),
            2,
        ),
        (
            "a body cut short",
            {
                let mut t = file("a");
                t.truncate(512);
                t.extend([0; 512]);
                t[124..135].copy_from_slice(b"00000004000");
                t
            },
            1,
        ),
        ("half a header", [file("a"), vec![b'x'; 512]].concat(), 1),
        ("only zeros", vec![0; 2048], 1),
    ];
    for (name, tar, entries) in cases {
        let (source, payload) = payload_of(&[(tar, *entries)]);
        let root = disk.dir("root");
        let fd = File::open(&root).unwrap();
        let options = UnpackOptions {
            threads: 1,
            ..UnpackOptions::default()
        };
        unpack(
            fd.as_fd(),
            &source,
            &payload,
            &KeepSet::default(),
            &options,
            &quiet,
        )
        .expect_err(name);
        fs::remove_dir_all(&root).unwrap();
    }
}
