//! The superblock of XFS, as in `fs/xfs/libxfs/xfs_format.h` of Linux (`struct xfs_dsb`). Its numbers have
//! the highest byte first.

use formats::facts::XfsFeatures;

use crate::devices;

/// Bytes of the superblock that are read, from the start of the filesystem.
pub const SUPERBLOCK_SIZE: usize = 512;

const MAGIC: &[u8] = b"XFSB";
/// `XFS_SB_VERSION_NUMBITS`.
const VERSION: u16 = 0xf;
/// `XFS_SB_VERSION_5`: with checksums, and with words of features.
const FIVE: u16 = 5;
/// `XFS_SB_FEAT_INCOMPAT_NEEDSREPAIR`.
const NEEDS_REPAIR: u32 = 0x10;
/// `XFS_SB_FEAT_RO_COMPAT_RMAPBT`.
const REVERSE_MAP: u32 = 0x2;

/// What is read from a superblock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// The filesystem's UUID in the usual text form, lower case.
    pub uuid: String,
    /// Its features.
    pub features: XfsFeatures,
    /// Its log is on another device.
    pub journal_elsewhere: bool,
    /// Bytes of the filesystem, log included.
    pub bytes: u64,
    /// As many inodes as it may come to have; it makes them as they are needed.
    pub most_inodes: u64,
}

/// Reads a superblock; `None` where there is none.
pub fn parse(bytes: &[u8]) -> Option<Superblock> {
    let bytes = bytes.get(..SUPERBLOCK_SIZE)?;
    bytes.starts_with(MAGIC).then_some(())?;
    let u16_at = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let u32_at = |at: usize| u32::from(u16_at(at)) << 16 | u32::from(u16_at(at + 2));
    let u64_at = |at: usize| u64::from(u32_at(at)) << 32 | u64::from(u32_at(at + 4));
    let version = u16_at(100);
    // Version 4 has other things there, or nothing.
    let word = |at: usize| {
        if version & VERSION == FIVE {
            u32_at(at)
        } else {
            0
        }
    };
    let size = u64_at(8).saturating_mul(u64::from(u32_at(4)));
    // Percent of the space that inodes may take; 0 is all of it.
    let share = match u64::from(bytes[127]) {
        0 => 100,
        percent => percent,
    };
    Some(Superblock {
        uuid: devices::uuid(bytes.get(32..48))?,
        features: XfsFeatures {
            version,
            ro_compat: word(212),
            incompat: word(216),
            log_incompat: word(220),
            realtime: u64_at(16) != 0,
        },
        journal_elsewhere: u64_at(48) == 0,
        bytes: size,
        most_inodes: size / 100 * share / u64::from(u16_at(104).max(1)),
    })
}

impl Superblock {
    /// Whether a program found damage that only `xfs_repair` mends; the kernel does not mount it then.
    pub fn needs_repair(&self) -> bool {
        self.features.incompat & NEEDS_REPAIR != 0
    }

    /// Bytes that the filesystem keeps to itself, for its trees to grow in: an empty one of 320 MiB to 100 GiB
    /// had no more than this in use.
    pub fn reserved(&self) -> u64 {
        let reverse_map = if self.features.ro_compat & REVERSE_MAP == 0 {
            0
        } else {
            self.bytes / 64
        };
        self.bytes / 128 + reverse_map + (32 << 20)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(version: u8) -> Vec<u8> {
        let mut bytes = vec![0; SUPERBLOCK_SIZE];
        bytes[..4].copy_from_slice(MAGIC);
        bytes[4..8].copy_from_slice(&4096u32.to_be_bytes());
        bytes[8..16].copy_from_slice(&262_144u64.to_be_bytes());
        for (i, byte) in bytes[32..48].iter_mut().enumerate() {
            *byte = i as u8;
        }
        bytes[48..56].copy_from_slice(&131_078u64.to_be_bytes());
        bytes[100..102].copy_from_slice(&[0xb4, 0xa0 | version]);
        bytes[104..106].copy_from_slice(&512u16.to_be_bytes());
        bytes[127] = 25;
        bytes[212..216].copy_from_slice(&5u32.to_be_bytes());
        bytes[216..220].copy_from_slice(&0x1bu32.to_be_bytes());
        bytes
    }

    #[test]
    fn what_is_in_a_superblock_is_read() {
        let found = parse(&made(5)).unwrap();
        assert_eq!(found.uuid, "00010203-0405-0607-0809-0a0b0c0d0e0f");
        assert_eq!(found.features.ro_compat, 5);
        assert_eq!(found.features.incompat, 0x1b);
        assert!(found.needs_repair());
        assert!(!found.journal_elsewhere && !found.features.realtime);
        assert_eq!(found.bytes, 1 << 30);
        assert_eq!(found.most_inodes, (1 << 30) / 100 * 25 / 512);
        let mut elsewhere = made(5);
        elsewhere[48..56].fill(0);
        elsewhere[23] = 1;
        let found = parse(&elsewhere).unwrap();
        assert!(found.journal_elsewhere && found.features.realtime);
    }

    #[test]
    fn version_4_has_no_words_of_features() {
        let found = parse(&made(4)).unwrap();
        assert_eq!(found.features.version & VERSION, 4);
        assert_eq!((found.features.incompat, found.features.ro_compat), (0, 0));
    }

    #[test]
    fn what_is_no_superblock_is_none() {
        let whole = made(5);
        for length in [0, 4, 100, SUPERBLOCK_SIZE - 1] {
            assert_eq!(parse(&whole[..length]), None, "{length}");
        }
        assert_eq!(parse(&[0; SUPERBLOCK_SIZE]), None);
    }
}
