//! How much there is at a place: bounded, without links, without other filesystems.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tree::{children, weigh, LeftOut, Limit};

fn limit(entries: u64) -> Limit {
    Limit {
        entries,
        until: Instant::now() + Duration::from_mins(1),
    }
}

fn open(path: &Path) -> fs::File {
    fs::File::open(path).unwrap()
}

/// Files of 8 KiB: `data/a`, `data/deep/er/b`, `data/kept/c`, `data/nas/d`; links out of it.
fn tree() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path();
    for below in [
        "data/deep/er",
        "data/kept",
        "data/nas",
        "data/kept-not",
        "outside",
    ] {
        fs::create_dir_all(top.join(below)).unwrap();
    }
    for file in [
        "data/a",
        "data/deep/er/b",
        "data/kept/c",
        "data/nas/d",
        "outside/e",
    ] {
        fs::write(top.join(file), [7; 8192]).unwrap();
    }
    symlink("../outside", top.join("data/link")).unwrap();
    symlink("data", top.join("home2")).unwrap();
    dir
}

#[test]
fn counts_files_and_leaves_out_what_it_was_told_to() {
    let dir = tree();
    let root = open(dir.path());
    let left_out: LeftOut = ["/data/kept", "/data/nas", "/elsewhere/er"]
        .into_iter()
        .collect();
    let found = weigh(root.as_fd(), Path::new("/data"), &left_out, limit(1000)).unwrap();
    assert_eq!((found.files, found.whole), (3, true), "a, b and the link");
    let all = LeftOut::default();
    let found_all = weigh(root.as_fd(), Path::new("/data"), &all, limit(1000)).unwrap();
    assert_eq!(found_all.files, 5);
    assert!(found_all.bytes > found.bytes);
    let now = std::time::SystemTime::now();
    let now = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(now - found.newest.unwrap() < 3600);
    // A file is weighed too; what is left out, is not there, or is behind a link has no weight.
    let file = weigh(root.as_fd(), Path::new("/data/a"), &left_out, limit(9)).unwrap();
    assert_eq!((file.files, file.whole), (1, true));
    for path in [
        "/data/kept",
        "/data/kept/c",
        "/none",
        "/home2/deep",
        "/data/a/x",
    ] {
        let found = weigh(root.as_fd(), Path::new(path), &left_out, limit(9));
        assert_eq!(found, None, "{path}");
    }
}

#[test]
fn it_stops_at_its_limits_and_says_so() {
    let dir = tree();
    let root = open(dir.path());
    let all = LeftOut::default();
    let few = weigh(root.as_fd(), Path::new("/data"), &all, limit(2)).unwrap();
    assert!(!few.whole && few.files <= 2, "{few:?}");
    let late = Limit {
        entries: 1000,
        until: Instant::now(),
    };
    let none = weigh(root.as_fd(), Path::new("/data"), &all, late).unwrap();
    assert!(!none.whole);
}

#[test]
fn names_of_a_directory_are_listed_without_links() {
    let dir = tree();
    let root = open(dir.path());
    let left_out: LeftOut = ["/data/nas"].into_iter().collect();
    let (directories, files) = children(root.as_fd(), Path::new("/data"), &left_out, 100);
    let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
    assert_eq!(
        directories,
        paths(&["/data/deep", "/data/kept", "/data/kept-not"])
    );
    assert_eq!(files, paths(&["/data/a"]));
    let (directories, _) = children(root.as_fd(), Path::new("/"), &left_out, 100);
    assert_eq!(directories, paths(&["/data", "/outside"]));
    let (directories, files) = children(root.as_fd(), Path::new("/data"), &left_out, 2);
    assert!(directories.len() + files.len() <= 2);
}

#[test]
fn a_tree_that_changes_meanwhile_does_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path().to_owned();
    fs::create_dir_all(top.join("busy")).unwrap();
    let root = open(&top);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0.. {
                if stop.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
                let deep = top.join(format!("busy/{}/x/y", n % 7));
                let _ = fs::create_dir_all(&deep);
                let _ = fs::write(deep.join("file"), "x");
                let _ = fs::rename(
                    top.join(format!("busy/{}/x", n % 7)),
                    top.join("busy/moved"),
                );
                let _ = fs::remove_dir_all(top.join("busy/moved"));
                let _ = fs::remove_dir_all(top.join(format!("busy/{}", (n + 3) % 7)));
            }
        });
        for _ in 0..300 {
            let found = weigh(
                root.as_fd(),
                Path::new("/busy"),
                &LeftOut::default(),
                limit(10_000),
            );
            assert!(found.is_some());
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

/// Deeper than the descriptors and the patience of a walker.
#[test]
fn a_tree_of_great_depth_ends_as_not_whole() {
    let dir = tempfile::tempdir().unwrap();
    let mut path = dir.path().join("deep");
    for _ in 0..300 {
        path.push("d");
    }
    fs::create_dir_all(&path).unwrap();
    let root = open(dir.path());
    let found = weigh(
        root.as_fd(),
        Path::new("/deep"),
        &LeftOut::default(),
        limit(10_000),
    )
    .unwrap();
    assert!(!found.whole);
}
