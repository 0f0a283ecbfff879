//! What a filesystem was made with: not every kernel and boot loader knows all of it.

use serde::{Deserialize, Serialize};

/// The three words of features in a superblock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ext4Features {
    /// A kernel that does not know one of these may mount the filesystem all the same.
    pub compat: u32,
    /// A kernel that does not know one of these must not mount it.
    pub incompat: u32,
    /// A kernel that does not know one of these may mount it for reading alone.
    pub ro_compat: u32,
}

/// The words of features in a superblock of XFS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct XfsFeatures {
    /// `sb_versionnum`: in the low four bits the version of the format, above them features of version 4.
    pub version: u16,
    /// A kernel that does not know one of these may mount the filesystem for reading alone.
    pub ro_compat: u32,
    /// A kernel that does not know one of these must not mount it.
    pub incompat: u32,
    /// A kernel that does not know one of these must not replay its log.
    pub log_incompat: u32,
    /// It has a section on another device, whose files have no place on this one.
    pub realtime: bool,
}

/// Features of a Btrfs, as in its superblock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BtrfsFeatures {
    /// A kernel that does not know one of these must not write to it.
    pub compat_ro: u64,
    /// A kernel that does not know one of these must not mount it.
    pub incompat: u64,
}
