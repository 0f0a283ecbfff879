//! The superblock of a filesystem that may be a root: of whichever type, one way to ask it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use formats::counted::counted;
use formats::facts::RootType;

use crate::{btrfs, ext4, xfs};

/// Bytes from the start of a filesystem that hold the superblock of each type: that of Btrfs is last.
const HEAD: u64 = btrfs::SUPERBLOCK_AT + btrfs::SUPERBLOCK_SIZE as u64;

/// A superblock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Superblock {
    /// Of ext2, ext3 or ext4.
    Ext(ext4::Superblock),
    /// Of XFS.
    Xfs(xfs::Superblock),
    /// Of Btrfs.
    Btrfs(btrfs::Superblock),
}

/// Reads the superblock of the filesystem in a device or file; `Ok(None)` where there is none that is known.
pub fn read(node: &Path) -> io::Result<Option<Superblock>> {
    let mut head = Vec::new();
    File::open(node)?.take(HEAD).read_to_end(&mut head)?;
    Ok(parse(&head))
}

/// The superblock in the first bytes of a filesystem. What mkfs of one type leaves of another one it has wiped.
fn parse(head: &[u8]) -> Option<Superblock> {
    let ext = || ext4::parse(head.get(ext4::SUPERBLOCK_AT as usize..)?);
    // mkfs.btrfs clears the head of the device; others leave what Btrfs has so far behind it.
    let btrfs = || btrfs::parse(head.get(btrfs::SUPERBLOCK_AT as usize..)?);
    xfs::parse(head)
        .map(Superblock::Xfs)
        .or_else(|| ext().map(Superblock::Ext))
        .or_else(|| btrfs().map(Superblock::Btrfs))
}

impl Superblock {
    /// Which type it is of, as far as a root is concerned.
    pub fn filesystem(&self) -> RootType {
        match self {
            Superblock::Ext(_) => RootType::Ext4,
            Superblock::Xfs(_) => RootType::Xfs,
            Superblock::Btrfs(_) => RootType::Btrfs,
        }
    }

    /// The filesystem's UUID.
    pub fn uuid(&self) -> &str {
        match self {
            Superblock::Ext(found) => &found.uuid,
            Superblock::Xfs(found) => &found.uuid,
            Superblock::Btrfs(found) => &found.uuid,
        }
    }

    /// What it says against relying on the filesystem.
    pub fn errors(&self) -> Option<String> {
        match self {
            Superblock::Ext(found) => found.has_errors.then(|| {
                format!(
                    "the superblock records {}",
                    counted(found.error_count, "error", "errors")
                )
            }),
            Superblock::Xfs(found) => found
                .needs_repair()
                .then(|| "the superblock says that it has to be repaired".to_owned()),
            // It counts what its device did wrong, and that says nothing of the filesystem.
            Superblock::Btrfs(_) => None,
        }
    }

    /// Whether its journal is on another device.
    pub fn journal_elsewhere(&self) -> bool {
        match self {
            Superblock::Ext(found) => found.journal_elsewhere,
            Superblock::Xfs(found) => found.journal_elsewhere,
            Superblock::Btrfs(_) => false,
        }
    }

    /// Bytes for files, of as many as statvfs(2) tells.
    pub fn bytes_for_files(&self, told: u64) -> u64 {
        match self {
            Superblock::Ext(_) | Superblock::Btrfs(_) => told,
            Superblock::Xfs(found) => told.saturating_sub(found.reserved()),
        }
    }

    /// Inodes that there may be, where statvfs(2) tells of so many: what it tells of XFS hangs on the space
    /// that is free at the moment.
    pub fn inodes(&self, told: u64) -> u64 {
        match self {
            Superblock::Ext(_) => told,
            Superblock::Xfs(found) => found.most_inodes.max(told),
            // It tells none, and makes as many as there is room for.
            Superblock::Btrfs(_) => u64::from(u32::MAX),
        }
    }
}
