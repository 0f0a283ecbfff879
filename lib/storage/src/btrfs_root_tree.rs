//! The tree of all trees of a Btrfs: what it is searched for, and where its items have what.

use std::ops::Range;

/// `BTRFS_ROOT_TREE_OBJECTID`: the tree itself.
pub(crate) const ROOT_TREE: u64 = 1;
/// `BTRFS_FS_TREE_OBJECTID`: the subvolume that all others are in.
pub(crate) const TOP: u64 = 5;
/// `BTRFS_FIRST_FREE_OBJECTID` and `BTRFS_LAST_FREE_OBJECTID`: the numbers of the others.
pub(crate) const NUMBERS: (u64, u64) = (256, u64::MAX - 255);
/// `BTRFS_ROOT_ITEM_KEY`: a kind of items, one for each tree.
pub(crate) const ROOT_ITEM: u8 = 132;
/// In `struct btrfs_root_item`: the UUID of the subvolume that it is a copy of; older items are shorter.
pub(crate) const PARENT_AT: Range<usize> = 263..279;
