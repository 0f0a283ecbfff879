//! The filesystems that a root may be on.

use serde::{Deserialize, Serialize};

/// A filesystem that a run can replace the OS on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RootType {
    /// ext4. Documents that do not say are of releases that knew no other.
    #[default]
    Ext4,
    /// XFS.
    Xfs,
    /// Btrfs: the root is one of its subvolumes.
    Btrfs,
}

impl RootType {
    /// All of them.
    pub const ALL: [RootType; 3] = [RootType::Ext4, RootType::Xfs, RootType::Btrfs];

    /// What the kernel, mount(8) and fstab(5) call it; its module in Linux has the same name.
    pub fn name(self) -> &'static str {
        match self {
            RootType::Ext4 => "ext4",
            RootType::Xfs => "xfs",
            RootType::Btrfs => "btrfs",
        }
    }

    /// GRUB's module for it.
    pub fn grub_module(self) -> &'static str {
        match self {
            RootType::Ext4 => "ext2",
            RootType::Xfs => "xfs",
            RootType::Btrfs => "btrfs",
        }
    }

    /// The one that is mounted under this name.
    pub fn of(fstype: &str) -> Option<RootType> {
        RootType::ALL.into_iter().find(|t| t.name() == fstype)
    }
}
