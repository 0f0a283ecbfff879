//! What the check of a Btrfs's room says of machines as they are, by what the kernel tells of real ones.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::Path;

use fixtures::filesystem::Filesystem;
use fixtures::program::run;
use formats::facts::{BtrfsRoom, QuotaLimit};
use formats::measure::Occupied;
use plan::btrfs_room::{lack, Taken};
use rustix::fs::FallocateFlags;
use storage::btrfs_room;

const MIB: u64 = 1 << 20;

/// A machine: how its filesystem is made and how large, what is in its root, and what comes.
struct Ordinary {
    name: &'static str,
    mkfs: &'static [&'static str],
    mib: u64,
    old_mib: u64,
    old_files: usize,
    snapshot: bool,
    new: Occupied,
    beside: u64,
}

/// What is usual for a disk in a cloud.
const CLOUD: Ordinary = Ordinary {
    name: "a cloud disk of 1 GiB with a snapshot",
    mkfs: &["mkfs.btrfs", "-q"],
    mib: 950,
    old_mib: 120,
    old_files: 3000,
    snapshot: true,
    new: Occupied {
        bytes: 200 * MIB,
        inodes: 6000,
    },
    beside: 90 * MIB,
};

const MACHINES: [Ordinary; 6] = [
    CLOUD,
    Ordinary {
        name: "the same, data and trees mixed",
        mkfs: &["mkfs.btrfs", "-q", "--mixed"],
        ..CLOUD
    },
    Ordinary {
        name: "the same, everything once, as on flash of long ago",
        mkfs: &["mkfs.btrfs", "-q", "-m", "single"],
        ..CLOUD
    },
    Ordinary {
        name: "Fedora's cloud image",
        mkfs: &["mkfs.btrfs", "-q"],
        mib: 4 << 10,
        old_mib: 900,
        old_files: 20_000,
        snapshot: false,
        new: Occupied {
            bytes: 1300 * MIB,
            inodes: 40_000,
        },
        beside: 500 * MIB,
    },
    Ordinary {
        name: "openSUSE on 40 GiB, half full, with a snapshot",
        mkfs: &["mkfs.btrfs", "-q"],
        mib: 40 << 10,
        old_mib: 20 << 10,
        old_files: 20_000,
        snapshot: true,
        new: Occupied {
            bytes: 4 << 30,
            inodes: 150_000,
        },
        beside: 1 << 30,
    },
    Ordinary {
        name: "a disk of 500 GiB, nine tenths full",
        mkfs: &["mkfs.btrfs", "-q"],
        mib: 500 << 10,
        old_mib: 450 << 10,
        old_files: 20_000,
        snapshot: true,
        new: Occupied {
            bytes: 4 << 30,
            inodes: 150_000,
        },
        beside: 1 << 30,
    },
];

fn room(filesystem: &Filesystem) -> BtrfsRoom {
    let top = File::open(filesystem.root()).unwrap();
    rustix::fs::syncfs(&top).unwrap();
    btrfs_room::read(&top, 1).unwrap()
}

fn btrfs(arguments: &[&str], path: &Path) {
    let mut all = vec!["-q"];
    all.extend(arguments);
    all.push(path.to_str().unwrap());
    run("btrfs", &all);
}

fn number(path: &Path) -> u64 {
    let top = File::open(path).unwrap();
    syscalls::btrfs::subvolume_of(top.as_fd()).unwrap()
}

#[test]
fn ordinary_machines_have_room() {
    for machine in &MACHINES {
        let filesystem = Filesystem::mount(machine.mkfs, machine.mib);
        let root = filesystem.root().join("root");
        btrfs(&["subvolume", "create"], &root);
        let data = File::create(root.join("data")).unwrap();
        let bytes = machine.old_mib * MIB;
        rustix::fs::fallocate(&data, FallocateFlags::empty(), 0, bytes).unwrap();
        for file in 0..machine.old_files {
            let directory = root.join(format!("{}", file / 100));
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join(format!("a file of it {file}")), [7; 900]).unwrap();
        }
        if machine.snapshot {
            let copy = ["subvolume", "snapshot", "-r", root.to_str().unwrap()];
            btrfs(&copy, &filesystem.root().join("before"));
        }
        let room = room(&filesystem);
        let taken = Taken {
            wiped: &[number(&root)],
            part: machine.new,
            beside: machine.beside,
            kept: Occupied::default(),
        };
        println!("{}: {room:?}", machine.name);
        assert_eq!(lack(&room, taken), None, "{}: {room:?}", machine.name);
    }
}

#[test]
fn quotas_that_are_set_are_read() {
    let filesystem = Filesystem::mount(&["mkfs.btrfs", "-q"], 512);
    let at = |name: &str| filesystem.root().join(name);
    let top = filesystem.root();
    for name in ["root", "other"] {
        btrfs(&["subvolume", "create"], &at(name));
        fs::write(at(name).join("data"), vec![7; 3 << 20]).unwrap();
    }
    assert_eq!(room(&filesystem).limits, []);
    btrfs(&["quota", "enable"], &top);
    btrfs(&["quota", "rescan", "-w"], &top);
    assert_eq!(room(&filesystem).limits, []);
    let (root, other) = (number(&at("root")), number(&at("other")));
    btrfs(&["qgroup", "create", "1/7"], &top);
    for id in [root, other] {
        btrfs(
            &["qgroup", "assign", "--no-rescan", &format!("0/{id}"), "1/7"],
            &top,
        );
    }
    btrfs(&["quota", "rescan", "-w"], &top);
    btrfs(&["qgroup", "limit", "100M", &format!("0/{root}")], &top);
    btrfs(&["qgroup", "limit", "-e", "50M", "1/7"], &top);
    let limits = room(&filesystem).limits;
    let told: Vec<_> = limits.iter().map(|l| (&*l.group, l.most / MIB)).collect();
    assert_eq!(told, [(&*format!("0/{root}"), 100), ("1/7", 50)]);
    let members = |limit: &QuotaLimit| -> Vec<u64> {
        let mut all: Vec<u64> = limit.subvolumes.iter().map(|(id, _)| *id).collect();
        all.sort_unstable();
        all
    };
    assert_eq!(members(&limits[0]), [root]);
    assert_eq!(members(&limits[1]), [root, other]);
    assert_eq!(limits[0].used / MIB, 3, "{limits:?}");
    // Quotas that are off limit nothing.
    btrfs(&["quota", "disable"], &top);
    assert_eq!(room(&filesystem).limits, []);
}

#[test]
fn the_room_that_the_kernel_tells_is_read() {
    let filesystem = Filesystem::mount(&["mkfs.btrfs", "-q"], 512);
    let at = |name: &str| filesystem.root().join(name);
    for name in ["root", "other"] {
        btrfs(&["subvolume", "create"], &at(name));
        for n in 0..1000 {
            fs::write(at(name).join(n.to_string()), [7; 1000]).unwrap();
        }
    }
    let (root, other) = (number(&at("root")), number(&at("other")));
    let before = room(&filesystem);
    let shared = |room: &BtrfsRoom| -> Vec<u64> {
        let trees = room.subvolumes.iter();
        trees
            .filter(|tree| tree.shared)
            .map(|tree| tree.id)
            .collect()
    };
    assert_eq!(shared(&before), [0; 0]);
    let copy = ["subvolume", "snapshot", at("root").to_str().unwrap()].map(str::to_owned);
    let copy: Vec<&str> = copy.iter().map(String::as_str).collect();
    btrfs(&copy, &at("copy"));
    let found = room(&filesystem);
    assert_eq!(shared(&found), [root, number(&at("copy"))]);
    let tree = |id| found.subvolumes.iter().find(|tree| tree.id == id).unwrap();
    assert!(tree(root).bytes > MIB && tree(root).bytes < 4 * MIB);
    assert!(tree(other).bytes > MIB);
    assert!(tree(root).bytes + tree(other).bytes < found.trees_used);
    assert_eq!(
        (found.device, found.copies, found.mixed),
        (512 * MIB, 2, false)
    );
    assert!(found.reserve > MIB && found.reserve < found.trees);
    assert!(found.trees < found.unallocated && found.unallocated < found.device);
    assert!(found.data_free > 0 && found.data_free < found.device / 2);
    // The kernel says the same of data in one word.
    let space = rustix::fs::statvfs(filesystem.root()).unwrap();
    let free = space.f_bavail * space.f_frsize;
    assert!(
        free.abs_diff(found.data_free + found.unallocated) < 4 * MIB,
        "{free}: {found:?}"
    );
    btrfs(&["subvolume", "delete", "-c"], &at("copy"));
    btrfs(&["subvolume", "sync"], &filesystem.root());
    assert_eq!(shared(&room(&filesystem)), [0; 0]);
}
