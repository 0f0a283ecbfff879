//! Packing trees on real ext4: what comes out is what went in, with the same bytes each time.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::{symlink, MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Disk;
use crate::fixture::payloads::{options, pack_tree, portable, source_of, unpack_tree};
use crate::fixture::{assert_same, hostile, quiet, run, snapshot, LOOKUPS};
use formats::keep::KeepSet;
use tree::{pack, unpack, PackOptions, Source, TreeError, UnpackOptions};

#[test]
fn a_hostile_tree_comes_out_as_it_went_in() {
    let disk = Disk::new();
    let tree = disk.path("tree");
    hostile::fill(&tree, Path::new("/nowhere"));
    fs::set_permissions(&tree, fs::Permissions::from_mode(0o1711)).unwrap();
    let (stored, payload) = pack_tree(&tree);
    assert!(payload.frames.len() > 5);
    for lookup in LOOKUPS {
        for threads in [1, 4] {
            let copy = disk.dir(format!("copy {lookup:?} {threads}"));
            let root = File::open(&copy).unwrap();
            let told = AtomicU64::new(0);
            let report = unpack(
                root.as_fd(),
                &source_of(&[vec![1; 777], stored.clone()].concat(), 777),
                &payload,
                &KeepSet::default(),
                &UnpackOptions {
                    lookup: Some(lookup),
                    threads,
                    ..UnpackOptions::default()
                },
                &|n| {
                    told.fetch_add(n, Ordering::Relaxed);
                },
            )
            .unwrap();
            assert_same(&portable(&tree), &portable(&copy));
            assert_eq!((report.entries, report.skipped_count), (payload.entries, 0));
            assert_eq!(told.into_inner(), payload.unpacked_bytes);
            let ino = |name: &str| fs::symlink_metadata(copy.join(name)).unwrap().ino();
            assert_eq!(ino("first name"), ino("second name"));
            assert_eq!(ino("first name"), ino("a directory/third name"));
            assert_eq!(ino("dangling"), ino("linked link"));
            let blocks = |name: &str| fs::metadata(copy.join(name)).unwrap().blocks();
            assert!(
                blocks("sparse") <= 2 * 128 + 16,
                "{} blocks",
                blocks("sparse")
            );
            assert_eq!(blocks("only a hole"), 0);
            let count = |top: &Path| snapshot(top).len() as u64;
            assert_eq!(payload.entries, count(&copy));
            assert_eq!(payload.inodes, count(&copy) - 3);
        }
    }
}

#[test]
fn the_same_tree_gives_the_same_bytes_with_any_number_of_threads() {
    let disk = Disk::new();
    let tree = disk.path("tree");
    hostile::fill(&tree, Path::new("/nowhere"));
    let root = File::open(&tree).unwrap();
    let packed = |threads| {
        let mut stored = Vec::new();
        let payload = pack(root.as_fd(), &mut stored, &options(threads), &quiet).unwrap();
        (stored, payload)
    };
    let first = packed(1);
    for threads in [1, 2, 3, 16] {
        assert!(packed(threads) == first, "{threads} threads");
    }
    // A copy lists its directories in another order, and packs to the same bytes.
    let copy = disk.dir("copy");
    unpack_tree(&copy, &first.0, &first.1, &KeepSet::default());
    let (stored, payload) = pack_tree(&copy);
    assert!(stored == first.0 && payload == first.1);
}

#[test]
fn plain_tools_read_the_payload() {
    let disk = Disk::new();
    let tree = disk.path("tree");
    hostile::fill(&tree, Path::new("/nowhere"));
    let (stored, payload) = pack_tree(&tree);
    let file = disk.outside("payload.tar.zst");
    fs::write(&file, &stored).unwrap();
    let copy = disk.dir("copy");
    let pipe = format!(
        "set -e; zstd -dc {} | tar x --numeric-owner --xattrs --xattrs-include='*' -p --delay-directory-restore -C '{}'",
        file.display(),
        copy.display()
    );
    run("bash", &["-o", "pipefail", "-c", &pipe]);
    let mut theirs = portable(&copy);
    let mut ours = portable(&tree);
    for tree in [&mut theirs, &mut ours] {
        // GNU tar sets no attributes on links and FIFOs, and no time before 1970 exactly.
        for name in ["fifo", "here", "-rf"] {
            let seen = tree.get_mut(Path::new(name)).unwrap();
            seen.attributes.clear();
            seen.mtime = (0, 0);
        }
    }
    assert_same(&ours, &theirs);
    let plain = run(
        "sh",
        &["-c", &format!("zstd -dc {} | wc -c", file.display())],
    );
    assert_eq!(plain.trim(), payload.unpacked_bytes.to_string());
}

#[test]
fn packing_notices_a_file_that_changes_and_leaves_out_what_it_is_told_to() {
    let disk = Disk::new();
    let tree = disk.dir("tree");
    fs::create_dir_all(tree.join("var/cache/deep")).unwrap();
    for name in ["a", "log", "var/cache/deep/x", "var/cachet"] {
        fs::write(tree.join(name), "x".repeat(200_000)).unwrap();
    }
    hostile::socket(&tree.join("socket"));
    let fd = File::open(&tree).unwrap();
    let mut some = options(1);
    some.exclude = vec![b"var/cache".to_vec(), b"a".to_vec()];
    let mut stored = Vec::new();
    let payload = pack(fd.as_fd(), &mut stored, &some, &quiet).unwrap();
    let copy = disk.dir("copy");
    unpack_tree(&copy, &stored, &payload, &KeepSet::default());
    let names: Vec<_> = snapshot(&copy)
        .into_keys()
        .map(|p| p.display().to_string())
        .collect();
    assert_eq!(names, ["", "log", "var", "var/cachet"]);

    // Progress is told after each entry, so the change comes after the listing.
    let log = tree.join("log");
    let grows = |_| hostile::append(&log, "x");
    let error = pack(fd.as_fd(), &mut Vec::new(), &options(1), &grows).unwrap_err();
    assert!(
        matches!(&error, TreeError::Changed { path } if path == "/log"),
        "{error}"
    );
    let error = pack(fd.as_fd(), &mut Vec::new(), &options(1), &|_| {
        let _ = fs::remove_file(&log);
    });
    error.unwrap_err();
}

#[test]
fn links_to_directories_are_listed_in_the_payload() {
    let disk = Disk::new();
    let tree = disk.dir("tree");
    fs::create_dir_all(tree.join("usr/bin")).unwrap();
    fs::create_dir_all(tree.join("run")).unwrap();
    fs::create_dir_all(tree.join("var")).unwrap();
    symlink("usr/bin", tree.join("bin")).unwrap();
    symlink("/run", tree.join("var/run")).unwrap();
    symlink("nowhere", tree.join("gone")).unwrap();
    let (_, payload) = pack_tree(&tree);
    let links: Vec<_> = payload
        .directory_links
        .iter()
        .map(|l| (l.path.as_str(), l.target.as_str()))
        .collect();
    assert_eq!(links, [("/bin", "/usr/bin"), ("/var/run", "/run")]);
}

#[test]
fn a_payload_says_how_much_room_it_needs() {
    let disk = Disk::new();
    let tree = disk.dir("tree");
    fs::create_dir_all(tree.join("d")).unwrap();
    fs::write(tree.join("one"), "x").unwrap();
    fs::write(tree.join("two"), "x".repeat(4097)).unwrap();
    fs::hard_link(tree.join("two"), tree.join("two again")).unwrap();
    symlink("x", tree.join("link")).unwrap();
    let (_, payload) = pack_tree(&tree);
    assert_eq!((payload.entries, payload.inodes), (6, 5));
    assert_eq!(payload.disk_bytes, (2 + 1 + 2) * 4096);
}

#[test]
fn a_large_file_is_streamed_through_one_frame() {
    let disk = Disk::sized(600);
    let tree = disk.dir("tree");
    let noise: Vec<u8> = (0..10_000_000u32)
        .flat_map(|i| (i.wrapping_mul(2_654_435_761)).to_le_bytes())
        .collect();
    fs::write(
        tree.join("large"),
        [noise.clone(), vec![0; 1 << 20], noise].concat(),
    )
    .unwrap();
    let root = File::open(&tree).unwrap();
    let mut stored = Vec::new();
    // The highest level has a window of 128 MiB of its own; unpacking holds 8 MiB at most.
    let fast = PackOptions {
        level: 1,
        ..options(2)
    };
    let payload = pack(root.as_fd(), &mut stored, &fast, &quiet).unwrap();
    assert_eq!(payload.frames.len(), 2);
    let copy = disk.dir("copy");
    unpack_tree(&copy, &stored, &payload, &KeepSet::default());
    assert_same(&portable(&tree), &portable(&copy));
    let file = Source::new(File::open("/dev/null").unwrap(), 0);
    let fd = File::open(&copy).unwrap();
    let options = UnpackOptions::default();
    unpack(
        fd.as_fd(),
        &file,
        &payload,
        &KeepSet::default(),
        &options,
        &quiet,
    )
    .unwrap_err();
}
