//! What is read of real filesystems, and what is done to one. One program, which is linked once.

mod btrfs_room;
mod ext4_features;
mod freeze;
mod xfs_features;
