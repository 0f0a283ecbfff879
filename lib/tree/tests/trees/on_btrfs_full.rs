//! How full a Btrfs may be for a run to come through: what the check says, and what the kernel does.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use crate::fixture::payloads::{pack_tree, source_of};
use crate::fixture::{keep, quiet, run};
use formats::facts::BtrfsRoom;
use formats::measure::Occupied;
use formats::payload::Payload;
use plan::btrfs_room::{lack, Taken};
use rustix::fs::FallocateFlags;
use storage::btrfs_room;
use tree::{unpack, wipe, UnpackOptions};

type Disk = crate::fixture::Disk<crate::fixture::Btrfs>;

const MIB: u64 = 1 << 20;
const MEBI: i64 = 1 << 20;
/// By how much the trees are filled at once.
const STEP: i64 = 4 * MEBI;
/// Directories with 40 files each that the old OS and the new one have.
const OLD: usize = 300;
const NEW: usize = 100;

/// A tree as an OS is one: half of its files so small that they lie in the trees.
fn fill(top: &Path, directories: usize) -> io::Result<()> {
    let at = |directory: usize| top.join(format!("usr/share/a package {directory}"));
    for directory in 0..directories {
        fs::create_dir_all(at(directory))?;
    }
    // As in one that was updated for years no directory's files lie together.
    for file in 0..40 {
        for directory in 0..directories {
            let bytes = if file % 2 == 0 { 900 } else { 9000 };
            fs::write(
                at(directory).join(format!("a file of it {file}")),
                vec![7; bytes],
            )?;
        }
    }
    Ok(())
}

fn subvolume(command: &[&str], path: &Path) {
    let mut arguments = vec!["-q", "subvolume"];
    arguments.extend(command);
    arguments.push(path.to_str().unwrap());
    run("btrfs", &arguments);
}

/// A filesystem with an old OS in a subvolume, and its new one.
struct Machine {
    disk: Disk,
    root: u64,
    stored: Vec<u8>,
    payload: Payload,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Copied {
    Not,
    Once,
}

impl Machine {
    fn new(copied: Copied) -> Machine {
        let disk = Disk::sized(1536);
        subvolume(&["create"], &disk.path("root"));
        subvolume(&["create"], &disk.path("others"));
        fill(&disk.path("root"), OLD).unwrap();
        if copied == Copied::Once {
            let root = disk.path("root");
            let command = ["snapshot", "-r", root.to_str().unwrap()];
            subvolume(&command, &disk.path("before"));
        }
        let tree = disk.outside("new");
        fill(&tree, NEW).unwrap();
        let (stored, payload) = pack_tree(&tree);
        let root = File::open(disk.path("root")).unwrap();
        let root = syscalls::btrfs::subvolume_of(root.as_fd()).unwrap();
        let machine = Machine {
            disk,
            root,
            stored,
            payload,
        };
        machine.sync();
        machine
    }

    fn sync(&self) {
        rustix::fs::syncfs(self.disk.fd()).unwrap();
    }

    fn room(&self) -> BtrfsRoom {
        self.sync();
        btrfs_room::read(self.disk.fd(), 1).unwrap()
    }

    /// Leaves nothing of the device that is given to neither data nor the trees, but half of what data has is free.
    fn give_all(&self) {
        let piece = |n: usize| self.disk.path(format!("others/piece {n}"));
        let mut pieces = 0;
        loop {
            let file = File::create(piece(pieces)).unwrap();
            if rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, 2 * MIB).is_err() {
                break;
            }
            pieces += 1;
        }
        for n in (0..=pieces).step_by(2) {
            fs::remove_file(piece(n)).unwrap();
        }
        self.sync();
    }

    /// What is free in the trees beside the reserve.
    fn free(&self) -> i64 {
        let room = self.room();
        let bytes = |bytes| i64::try_from(bytes).unwrap();
        bytes(room.trees) - bytes(room.trees_used) - bytes(room.reserve)
    }

    /// Fills the trees until no more than this is free in them; what it fills them with is in a directory of this name.
    fn leave(&self, bytes: i64, directory: &str) {
        let at = self.disk.path(format!("others/{directory}"));
        fs::create_dir(&at).unwrap();
        let mut names = 0..;
        loop {
            let free = self.free();
            if free <= bytes {
                return;
            }
            let files = usize::try_from((free - bytes) / 4096).unwrap();
            for name in names.by_ref().take(files.clamp(16, 4000)) {
                let name: usize = name;
                if fs::write(at.join(name.to_string()), [7; 2000]).is_err() {
                    return;
                }
            }
        }
    }

    /// Fills the trees as far as the check takes it.
    fn fill_to_the_check(&self) {
        for step in 0.. {
            let directory = format!("step {step}");
            self.leave(self.free() - STEP, &directory);
            if self.lack().is_some() {
                fs::remove_dir_all(self.disk.path(format!("others/{directory}"))).unwrap();
                break;
            }
        }
        assert_eq!(self.lack(), None);
    }

    fn lack(&self) -> Option<String> {
        let taken = Taken {
            wiped: &[self.root],
            part: Occupied {
                bytes: self.payload.disk_bytes,
                inodes: self.payload.inodes,
            },
            beside: 0,
            kept: Occupied::default(),
        };
        lack(&self.room(), taken)
    }

    fn run(&self) -> Result<(), String> {
        let top = File::open(self.disk.path("root")).unwrap();
        let keep = keep(&[]);
        wipe(top.as_fd(), &keep, &quiet).map_err(|e| format!("wipe: {e:?}"))?;
        rustix::fs::syncfs(&top).map_err(|e| format!("wipe: {e}"))?;
        let options = UnpackOptions {
            threads: 4,
            ..UnpackOptions::default()
        };
        let source = source_of(&self.stored, 0);
        unpack(top.as_fd(), &source, &self.payload, &keep, &options, &quiet)
            .map_err(|e| format!("unpack: {e:?}"))?;
        rustix::fs::syncfs(&top).map_err(|e| format!("unpack: {e}"))
    }
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn what_the_check_takes_comes_through() {
    for copied in [Copied::Not, Copied::Once] {
        let machine = Machine::new(copied);
        machine.give_all();
        machine.fill_to_the_check();
        assert_eq!(machine.run(), Ok(()), "{copied:?}, {:?}", machine.room());
    }
}

/// Data has hundreds of MiB, and `statvfs` tells nothing of it. What is changed of a shared tree is copied, and nothing
/// comes back by it, before the snapshot goes.
#[test]
#[ignore = "minutes more than make test has: make prove"]
fn where_a_snapshot_shares_full_trees_the_check_refuses_what_comes_to_a_stop() {
    let machine = Machine::new(Copied::Once);
    machine.give_all();
    machine.leave(2 * MEBI, "small");
    let space = rustix::fs::fstatvfs(machine.disk.fd()).unwrap();
    assert!(space.f_bavail * space.f_frsize > 300 * MIB);
    let why = machine.lack().expect("a reason");
    assert!(why.contains("trees (metadata)"), "{why}");
    let ended = machine.run().expect_err("more room than the check knows");
    assert!(ended.contains("StorageFull"), "{ended}");

    let top = machine.disk.path("");
    subvolume(&["delete", "-c"], &machine.disk.path("before"));
    subvolume(&["sync"], &top);
    assert_eq!(machine.run(), Ok(()));
}

/// Nothing is free beside the reserve, and what is removed comes back only once it is written out.
#[test]
#[ignore = "minutes more than make test has: make prove"]
fn the_wipe_makes_room_where_there_is_none() {
    let machine = Machine::new(Copied::Not);
    machine.give_all();
    machine.leave(-MEBI, "small");
    assert!(machine.lack().is_some());
    assert_eq!(machine.run(), Ok(()));
}
