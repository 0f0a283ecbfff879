//! The room on a Btrfs that is mounted, as the kernel counts it. `statvfs` says how much data fits; whether its own
//! trees have room for the names, the small files and the sums of that it does not say before they have none.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use formats::facts::{BtrfsRoom, QuotaLimit, SubvolumeTree};
use rustix::io::Errno;
use syscalls::btrfs::Space;

use crate::btrfs::{self, DUP};
use crate::btrfs_root_tree::{NUMBERS, PARENT_AT, ROOT_ITEM, ROOT_TREE, TOP};

/// `BTRFS_BLOCK_GROUP_DATA`, `BTRFS_BLOCK_GROUP_METADATA`, and the kernel's word for its reserve,
/// `BTRFS_SPACE_INFO_GLOBAL_RSV`.
const DATA: u64 = 1;
const TREES: u64 = 1 << 2;
const RESERVE: u64 = 1 << 49;
/// The reserve is never larger.
const RESERVE_MOST: u64 = 512 << 20;
/// The beginning of a device, which is given to nothing.
const HEAD: u64 = 1 << 20;
/// In `struct btrfs_root_item`: bytes of the tree, and the transaction in which it was copied, or was a copy, last.
const BYTES_AT: usize = 192;
const COPIED_AT: usize = 200;

/// `BTRFS_QUOTA_TREE_OBJECTID`, and the kinds of its items.
const QUOTA_TREE: u64 = 8;
const QGROUP_INFO: u8 = 242;
const QGROUP_LIMIT: u8 = 244;
const QGROUP_RELATION: u8 = 246;

/// Asks the kernel; `file` is any of the filesystem, `device` the number of the one device that it is on.
pub fn read(file: impl AsFd, device: u64) -> io::Result<BtrfsRoom> {
    let file = file.as_fd();
    let spaces = syscalls::btrfs::spaces(file)?;
    let (bytes, given) = syscalls::btrfs::device(file, device)?;
    let mut room = of_spaces(&spaces);
    room.device = bytes;
    room.unallocated = bytes.saturating_sub(given).saturating_sub(HEAD);
    room.subvolumes = trees(file)?;
    room.limits = limits(file)?;
    Ok(room)
}

fn of_spaces(spaces: &[Space]) -> BtrfsRoom {
    let of = |wanted: u64| {
        spaces
            .iter()
            .filter(move |space| space.flags & (DATA | TREES | RESERVE) == wanted)
    };
    let mixed = of(DATA | TREES).next().is_some();
    let trees = || of(TREES).chain(of(DATA | TREES));
    let trees_used = trees().map(|space| space.used).sum();
    let told = spaces.iter().find(|space| space.flags & RESERVE != 0);
    BtrfsRoom {
        data_free: of(DATA)
            .map(|space| space.total.saturating_sub(space.used))
            .sum(),
        trees: trees().map(|space| space.total).sum(),
        trees_used,
        // It is made of what some of the trees take, none of which is larger than all of them.
        reserve: told.map_or(RESERVE_MOST.min(trees_used), |reserve| reserve.total),
        copies: 1 + u64::from(trees().any(|space| space.flags & DUP != 0)),
        mixed,
        ..BtrfsRoom::default()
    }
}

/// The trees of all subvolumes, those included that are being removed: what they share is shared still.
fn trees(file: BorrowedFd) -> io::Result<Vec<SubvolumeTree>> {
    let mut items = syscalls::btrfs::search(file, ROOT_TREE, (TOP, TOP), ROOT_ITEM)?;
    items.extend(syscalls::btrfs::search(
        file, ROOT_TREE, NUMBERS, ROOT_ITEM,
    )?);
    let items = items.iter().map(|item| (item.object, &item.bytes[..]));
    Ok(of_items(&items.collect::<Vec<_>>()))
}

fn of_items(items: &[(u64, &[u8])]) -> Vec<SubvolumeTree> {
    let copied = |bytes: &[u8]| btrfs::u64_at(bytes, COPIED_AT).unwrap_or(0) != 0;
    // Linux before 3.6 does not say of what a subvolume is a copy.
    let is_copy = |bytes: &[u8]| {
        bytes
            .get(PARENT_AT)
            .is_none_or(|uuid| uuid.iter().any(|&byte| byte != 0))
    };
    // Both the copy and what it is of have the mark. A balance leaves it too: then there need be no copy.
    let copies = items.iter().any(|(_, bytes)| is_copy(bytes));
    let marked = items.iter().filter(|(_, bytes)| copied(bytes)).count();
    let trees = items.iter().map(|(id, bytes)| SubvolumeTree {
        id: *id,
        bytes: btrfs::u64_at(bytes, BYTES_AT).unwrap_or(0),
        shared: copied(bytes) && copies && marked > 1,
    });
    trees.collect()
}

/// What quotas allow; nothing where there are none.
fn limits(file: BorrowedFd) -> io::Result<Vec<QuotaLimit>> {
    let of_kind = |kind| match syscalls::btrfs::search(file, QUOTA_TREE, (0, u64::MAX), kind) {
        // The filesystem has no such tree.
        Err(e) if Errno::from_io_error(&e) == Some(Errno::NOENT) => Ok(Vec::new()),
        items => items,
    };
    let used = of_kind(QGROUP_INFO)?;
    let used = used
        .iter()
        .filter_map(|item| Some((item.offset, btrfs::u64_at(&item.bytes, 8)?)));
    let limits = of_kind(QGROUP_LIMIT)?;
    let limits = limits.iter().map(|item| (item.offset, &item.bytes[..]));
    let relations = of_kind(QGROUP_RELATION)?;
    let relations = relations.iter().map(|item| (item.object, item.offset));
    Ok(of_quotas(
        &used.collect::<Vec<_>>(),
        &limits.collect::<Vec<_>>(),
        &relations.collect::<Vec<_>>(),
    ))
}

/// Groups with what each has in use, those with limits, and which are together in which, told from both sides.
fn of_quotas(
    used: &[(u64, u64)],
    limits: &[(u64, &[u8])],
    relations: &[(u64, u64)],
) -> Vec<QuotaLimit> {
    let level = |group: u64| group >> 48;
    let used_by = |group| {
        let found = used.iter().find(|(id, _)| *id == group);
        found.map_or(0, |(_, used)| *used)
    };
    let members = |group: u64| {
        let (mut all, mut at) = (vec![group], 0);
        while let Some(above) = all.get(at).copied() {
            at += 1;
            for &(one, other) in relations {
                let below = (other == above && level(one) < level(above)).then_some(one);
                let below = below.filter(|below| !all.contains(below));
                all.extend(below);
            }
        }
        all.retain(|group| level(*group) == 0);
        all.into_iter()
            .map(|id| (id, used_by(id)))
            .collect::<Vec<_>>()
    };
    let mut found = Vec::new();
    for &(group, bytes) in limits {
        let word = |at| btrfs::u64_at(bytes, at).unwrap_or(0);
        // The second is of what no other group has: that may be nothing now, and all of it once it is written anew.
        for (flag, at, used) in [(1, 8, used_by(group)), (2, 16, 0)] {
            if word(0) & flag != 0 {
                found.push(QuotaLimit {
                    group: format!("{}/{}", level(group), group & ((1 << 48) - 1)),
                    most: word(at),
                    used,
                    subvolumes: members(group),
                });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn space(flags: u64, total: u64, used: u64) -> Space {
        Space {
            flags,
            total: total * MIB,
            used: used * MIB,
        }
    }

    #[test]
    fn what_is_given_to_data_and_to_the_trees_is_told_apart() {
        let mut spaces = vec![
            space(DATA, 1000, 700),
            space(2 | DUP, 8, 0),
            space(TREES | DUP, 256, 100),
            space(RESERVE | TREES, 16, 0),
        ];
        let room = of_spaces(&spaces);
        assert_eq!((room.data_free, room.trees), (300 * MIB, 256 * MIB));
        assert_eq!((room.trees_used, room.reserve), (100 * MIB, 16 * MIB));
        assert_eq!((room.copies, room.mixed), (2, false));
        // Linux before 3.15.
        spaces.pop();
        assert_eq!(of_spaces(&spaces).reserve, 100 * MIB);
        let together = of_spaces(&[space(DATA | TREES, 500, 200), space(2, 4, 0)]);
        assert!(together.mixed);
        assert_eq!((together.data_free, together.trees), (0, 500 * MIB));
        assert_eq!((together.copies, together.trees_used), (1, 200 * MIB));
    }

    #[test]
    fn limits_are_of_subvolumes_and_of_groups_of_them() {
        let limit = |flags: u64, most: u64, alone: u64| {
            let words = [flags, most, alone, 0, 0];
            words.map(u64::to_le_bytes).concat()
        };
        let together = (1 << 48) + 100;
        let (own, both, none) = (limit(1, 900, 0), limit(3, 700, 500), limit(0, 1, 1));
        let found = of_quotas(
            &[(256, 300), (257, 50), (together, 340)],
            &[(256, &own), (257, &none), (together, &both)],
            &[
                (256, together),
                (257, together),
                (together, 256),
                (together, 257),
            ],
        );
        let told: Vec<_> = found
            .iter()
            .map(|l| (&*l.group, l.most, l.used, &l.subvolumes[..]))
            .collect();
        let all = [(256, 300), (257, 50)];
        assert_eq!(
            told,
            [
                ("0/256", 900, 300, &all[..1]),
                ("1/100", 700, 340, &all),
                ("1/100", 500, 0, &all),
            ]
        );
    }

    #[test]
    fn a_tree_is_shared_where_there_is_a_copy_and_it_was_copied() {
        let item = |bytes: u64, copied: u64, parent: u8| {
            let mut item = vec![0; 439];
            item[BYTES_AT..BYTES_AT + 8].copy_from_slice(&bytes.to_le_bytes());
            item[COPIED_AT..COPIED_AT + 8].copy_from_slice(&copied.to_le_bytes());
            item[PARENT_AT].fill(parent);
            item
        };
        let shared = |items: &[Vec<u8>]| -> Vec<bool> {
            let items: Vec<_> = (256..).zip(items.iter().map(|item| &item[..])).collect();
            of_items(&items).iter().map(|tree| tree.shared).collect()
        };
        let (plain, root) = (item(1, 0, 0), item(2, 70, 0));
        let (copy, old) = (item(2, 70, 7), item(3, 0, 0)[..239].to_vec());
        assert_eq!(
            shared(&[plain.clone(), root.clone(), copy.clone()]),
            [false, true, true]
        );
        // Balanced, or its copy is gone.
        assert_eq!(shared(&[root.clone(), root.clone()]), [false, false]);
        assert_eq!(shared(&[root.clone(), plain.clone()]), [false, false]);
        // The root is a copy itself, of what is no more.
        assert_eq!(shared(&[plain, copy.clone()]), [false, false]);
        assert_eq!(shared(&[copy.clone(), copy]), [true, true]);
        assert_eq!(shared(&[root.clone(), root, old]), [true, true, false]);
        assert_eq!(of_items(&[(5, &item(9, 0, 0))])[0].bytes, 9);
        assert_eq!(of_items(&[(5, &[])])[0].bytes, 0);
    }
}
