//! Trees 3,000 directories deep, deeper than any path is long, with few descriptors: a program of its own, since the limit of
//! open files holds for the whole process.

#[path = "trees/fixture/mod.rs"]
mod fixture;

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use fixture::payloads::source_of;
use fixture::{keep, measure_by, quiet, LOOKUPS};
use formats::keep::{KeepPath, KeepSet};
use rustix::fs::{Mode, OFlags};
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};
use tree::{pack, unpack, wipe_by, Lookup, PackOptions, UnpackOptions};

type Disk = fixture::Disk<fixture::Ext4>;

const DEPTH: usize = 3_000;
/// Three threads may each hold a few dozen.
const FEW: u64 = 160;

/// Makes a chain of directories with a file in each three hundredth and in the last one.
fn chain(top: &Path) {
    std::fs::create_dir_all(top).unwrap();
    let mut here: OwnedFd = File::open(top).unwrap().into();
    for level in 0..DEPTH {
        rustix::fs::mkdirat(&here, "d", Mode::RWXU).unwrap();
        if level % 300 == 299 {
            let flags = OFlags::CREATE | OFlags::WRONLY;
            rustix::fs::openat(&here, "file", flags, Mode::RUSR).unwrap();
        }
        let flags = OFlags::DIRECTORY | OFlags::RDONLY;
        here = rustix::fs::openat(&here, "d", flags, Mode::empty()).unwrap();
    }
}

#[test]
fn three_thousand_directories_deep_takes_few_descriptors() {
    let disk = Disk::new();
    let old = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(FEW),
            ..old
        },
    )
    .unwrap();
    let path = KeepPath::parse("/srv/kept").unwrap();
    chain(&disk.path("srv/kept"));
    for lookup in LOOKUPS {
        chain(&disk.path("old/a/b/c/d"));
        chain(&disk.path("srv/gone"));
        let before = measure_by(lookup, disk.fd(), &path).unwrap();
        assert_eq!(before.entries, 1 + DEPTH as u64 + 10);

        let report = wipe_by(lookup, disk.fd(), &keep(&["/srv/kept"]), &quiet).unwrap();

        let chains = 2 * (DEPTH as u64 + 10) + 6;
        assert_eq!(report.removed, chains);
        assert_eq!(measure_by(lookup, disk.fd(), &path).unwrap(), before);
        if lookup == Lookup::Kernel {
            continue;
        }

        // The kept chain is packed, and unpacked beside itself.
        let mut stored = Vec::new();
        let kept = File::open(disk.path("srv/kept")).unwrap();
        let options = PackOptions {
            level: 1,
            threads: 2,
            ..PackOptions::default()
        };
        let payload = pack(kept.as_fd(), &mut stored, &options, &quiet).unwrap();
        assert_eq!(payload.entries, 1 + DEPTH as u64 + 10);
        let copy = File::open(disk.dir("copy")).unwrap();
        let source = source_of(&stored, 0);
        let options = UnpackOptions {
            lookup: Some(lookup),
            threads: 3,
            ..UnpackOptions::default()
        };
        let all = KeepSet::default();
        unpack(copy.as_fd(), &source, &payload, &all, &options, &quiet).unwrap();
        let copied = measure_by(lookup, disk.fd(), &KeepPath::parse("/copy").unwrap()).unwrap();
        assert_eq!(copied.entries, before.entries);
        wipe_by(lookup, copy.as_fd(), &KeepSet::default(), &quiet).unwrap();
        std::fs::remove_dir(disk.path("copy")).unwrap();
    }
    wipe_by(LOOKUPS[0], disk.fd(), &KeepSet::default(), &quiet).unwrap();
    assert_eq!(disk.paths(), [""; 0]);
}
