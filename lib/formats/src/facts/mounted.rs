//! Filesystems beside the root that a block device is mounted from: what has to be known of one before
//! it can be wiped together with the root, or left alone.

use serde::{Deserialize, Serialize};

use super::features::{Ext4Features, XfsFeatures};
use super::root_identity::RootIdentity;

/// A filesystem of ext4 or XFS, mounted from a block device somewhere below the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountedFilesystem {
    /// Where it is mounted.
    pub target: String,
    /// Its device node in the old OS, for people.
    pub device: String,
    /// The device node of its disk in the old OS; empty where there is not one alone.
    pub disk: String,
    /// Its type, as mounted.
    pub fstype: String,
    /// How it is found again in the RAM environment, or why it would not be.
    pub identity: Result<RootIdentity, String>,
    /// Bytes of the filesystem.
    pub bytes: u64,
    /// Bytes free, root's reserve included.
    pub bytes_free: u64,
    /// Inodes of the filesystem.
    pub inodes: u64,
    /// Inodes free.
    pub inodes_free: u64,
    /// What the superblock says against relying on this filesystem, if anything.
    pub errors: Option<String>,
    /// Other block devices that look the same.
    pub doubles: Vec<String>,
    /// Its features, where it is ext4.
    pub ext4: Option<Ext4Features>,
    /// Its features, where it is XFS.
    pub xfs: Option<XfsFeatures>,
    /// Its journal is on another device.
    pub journal_elsewhere: bool,
    /// Nothing can be written to it.
    pub read_only: bool,
    /// Other places where it, or a part of it, is mounted too.
    pub shown_again: Vec<String>,
}

/// What the operator wishes to become of mounted filesystems, by where they are mounted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MountWishes {
    /// They are the system's: wiped together with the root.
    pub wipe: Vec<String>,
    /// They are data: left alone, and mounted again.
    pub keep: Vec<String>,
}
