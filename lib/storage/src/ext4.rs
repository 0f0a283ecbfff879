//! The superblock of ext2, ext3 and ext4, as in the kernel's `Documentation/filesystems/ext4`.

use std::fmt::Write;

use formats::facts::Ext4Features;

/// Where the superblock begins, in bytes from the start of the filesystem.
pub const SUPERBLOCK_AT: u64 = 1024;
/// Bytes of the superblock.
pub const SUPERBLOCK_SIZE: usize = 1024;

const MAGIC: u16 = 0xef53;
const STATE_ERRORS: u16 = 2;
/// `INCOMPAT_JOURNAL_DEV`: an external journal carries the same magic but is no filesystem.
pub(crate) const INCOMPAT_JOURNAL_DEV: u32 = 0x8;

/// `COMPAT_HAS_JOURNAL`: it has one, here or on another device.
const COMPAT_HAS_JOURNAL: u32 = 0x4;
/// `INCOMPAT_RECOVER`: the journal has to be replayed.
const INCOMPAT_RECOVER: u32 = 0x4;

/// What is read from a superblock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// The filesystem's UUID in the usual text form, lower case.
    pub uuid: String,
    /// The kernel or e2fsck recorded errors that have not been repaired.
    pub has_errors: bool,
    /// The journal holds what was not written to its place yet.
    pub needs_recovery: bool,
    /// Its journal is on another device: nothing is said here of what is in it.
    pub journal_elsewhere: bool,
    /// Errors counted since the last e2fsck.
    pub error_count: u32,
    /// Its features.
    pub features: Ext4Features,
}

/// The features of a superblock, be it an external journal's; `None` where there is none.
pub(crate) fn features(bytes: &[u8]) -> Option<Ext4Features> {
    let u32_at = |at: usize| {
        let word = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_le_bytes(word))
    };
    (bytes.get(0x38..0x3a)? == MAGIC.to_le_bytes()).then_some(())?;
    Some(Ext4Features {
        compat: u32_at(0x5c)?,
        incompat: u32_at(0x60)?,
        ro_compat: u32_at(0x64)?,
    })
}

/// Reads a superblock; `None` where there is none.
pub fn parse(bytes: &[u8]) -> Option<Superblock> {
    let bytes = bytes.get(..SUPERBLOCK_SIZE)?;
    let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let u32_at = |at: usize| u32::from(u16_at(at)) | u32::from(u16_at(at + 2)) << 16;
    let features = features(bytes)?;
    if features.incompat & INCOMPAT_JOURNAL_DEV != 0 {
        return None;
    }
    Some(Superblock {
        uuid: uuid_text(&bytes[0x68..0x78]),
        has_errors: u16_at(0x3a) & STATE_ERRORS != 0,
        needs_recovery: u32_at(0x60) & INCOMPAT_RECOVER != 0,
        // s_journal_inum: the inode of a journal in the filesystem itself.
        journal_elsewhere: features.compat & COMPAT_HAS_JOURNAL != 0 && u32_at(0xe0) == 0,
        error_count: u32_at(0x194),
        features,
    })
}

fn uuid_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (i, byte) in bytes.iter().enumerate() {
        if [4, 6, 8, 10].contains(&i) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_uuid_and_errors() {
        let mut bytes = vec![0; SUPERBLOCK_SIZE];
        assert_eq!(parse(&bytes), None);
        bytes[0x38..0x3a].copy_from_slice(&MAGIC.to_le_bytes());
        for (i, byte) in bytes[0x68..0x78].iter_mut().enumerate() {
            *byte = i as u8;
        }
        bytes[0x3a] = 3;
        bytes[0x194] = 7;
        let found = parse(&bytes).unwrap();
        assert_eq!(found.uuid, "00010203-0405-0607-0809-0a0b0c0d0e0f");
        assert!(found.has_errors);
        assert_eq!(found.error_count, 7);
        bytes[0x60] = 8;
        assert_eq!(parse(&bytes), None, "an external journal is no filesystem");
        assert_eq!(parse(&bytes[..100]), None);
    }
}
