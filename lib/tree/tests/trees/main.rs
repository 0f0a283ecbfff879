//! Trees of files on real filesystems: ext4, and what touches most once more on XFS and on Btrfs.
//!
//! One program for all of them: what it is linked from is the same for each, and takes longer to link than they
//! take to compile.

#![allow(
    clippy::duplicate_mod,
    reason = "what is run again on another filesystem takes its disk from the module above it"
)]

mod archive;
mod fixture;
mod gate;
mod hostile_payload;
mod live;
mod measure;
mod on_btrfs;
mod on_btrfs_full;
mod on_xfs;
mod overlay;
mod pack;
mod roots;
mod unpack;
mod weigh;
mod wipe;

/// What all that is not in a module of another filesystem's is on.
type Disk = fixture::Disk<fixture::Ext4>;
