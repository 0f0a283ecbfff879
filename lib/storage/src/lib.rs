//! What data is on: block devices, partition tables, superblocks, mounts, extents, and the root
//! filesystem found again by what identifies it.
//!
//! Reads only, but for [`freeze`], which puts a filesystem's own journal into place, [`replace`],
//! the one way to write a file whole, and [`logical`] and [`mod@array`], which have the kernel put a volume and a
//! mirror together. It refuses to know of boot loaders, or of what is in a tree of files. Parsers take bytes and are pure; thin readers feed them. It may import formats and syscalls.

pub mod apart;
pub mod array;
pub mod block;
pub mod btrfs;
pub mod btrfs_room;
mod btrfs_root_tree;
pub mod devices;
pub mod direct;
pub mod disk_health;
pub mod edd;
pub mod ext4;
pub mod extents;
pub mod fat;
pub mod freeze;
pub mod gpt;
pub mod layers;
pub mod logical;
pub mod lvm;
pub mod mapper;
pub mod mbr;
pub mod md;
pub mod mounts;
pub mod replace;
pub mod root;
pub mod root_error;
pub mod subvolumes;
pub mod superblock;
pub mod swaps;
mod table;
pub mod xfs;
