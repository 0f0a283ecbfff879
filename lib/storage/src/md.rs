//! The superblock that a member of an array of the kernel's own RAID has, versions 0.90 and 1.0 to 1.2: which
//! array it is of, and where the array's data begins on it.
//!
//! Offsets are those of `linux/raid/md_p.h`.

use std::io;

use crate::block::{BlockDevice, SECTOR};

/// At the beginning of every superblock.
const MAGIC: u32 = 0xa92b_4efc;
/// As much of one as is looked at, in bytes.
const LENGTH: usize = 512;

/// What it tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// The array's UUID, as `mdadm` prints it.
    pub uuid: String,
    /// Sectors (512 bytes) from the member's start to the array's first one.
    pub data_offset: u64,
}

/// The superblock of this version on a device; `None` where it has none.
pub fn read(device: &BlockDevice, version: &str) -> io::Result<Option<Superblock>> {
    let Some(at) = place(version, device.sectors) else {
        return Ok(None);
    };
    let bytes = device.read(at * SECTOR, LENGTH)?;
    Ok(parse(version, &bytes))
}

/// Major and minor number of a version, as the kernel takes them.
pub fn numbers(version: &str) -> Option<(i32, i32)> {
    match version {
        "0.90" => Some((0, 90)),
        "1.0" => Some((1, 0)),
        "1.1" => Some((1, 1)),
        "1.2" => Some((1, 2)),
        _ => None,
    }
}

/// The sector where a member of this many sectors has it.
fn place(version: &str, sectors: u64) -> Option<u64> {
    match version {
        // In the last whole 64 KiB.
        "0.90" => (sectors & !127).checked_sub(128),
        // At least 8 KiB before the end, at a multiple of 4 KiB.
        "1.0" => Some(sectors.checked_sub(16)? & !7),
        "1.1" => Some(0),
        "1.2" => Some(8),
        _ => None,
    }
}

fn parse(version: &str, bytes: &[u8]) -> Option<Superblock> {
    let word = |at: usize| -> Option<u32> {
        Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
    };
    let (major, minor) = numbers(version)?;
    if word(0)? != MAGIC || i64::from(word(4)?) != i64::from(major) {
        return None;
    }
    if major == 0 {
        let parts = [word(20)?, word(52)?, word(56)?, word(60)?];
        let told = i64::from(word(8)?) == i64::from(minor);
        return told.then(|| Superblock {
            uuid: parts.map(|part| format!("{part:08x}")).join(":"),
            data_offset: 0,
        });
    }
    let part = |at: usize| -> Option<String> {
        let bytes = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(format!("{:08x}", u32::from_be_bytes(bytes)))
    };
    let parts: Vec<String> = [16, 20, 24, 28]
        .into_iter()
        .map(part)
        .collect::<Option<_>>()?;
    Some(Superblock {
        uuid: parts.join(":"),
        data_offset: u64::from(word(128)?) | u64::from(word(132)?) << 32,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(parts: &[(usize, u32)]) -> Vec<u8> {
        let mut bytes = vec![0; LENGTH];
        for (at, word) in parts {
            bytes[*at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn a_superblock_tells_its_array_and_where_the_data_is() {
        let one = made(&[
            (0, MAGIC),
            (4, 1),
            (16, 0x7856_3412),
            (28, 0x0102_0304),
            (128, 2048),
        ]);
        let found = parse("1.2", &one).unwrap();
        assert_eq!(found.uuid, "12345678:00000000:00000000:04030201");
        assert_eq!(found.data_offset, 2048);
        let old = made(&[(0, MAGIC), (8, 90), (20, 0x1234_5678), (60, 9)]);
        let found = parse("0.90", &old).unwrap();
        assert_eq!(found.uuid, "12345678:00000000:00000000:00000009");
        assert_eq!(found.data_offset, 0);
        assert_eq!(parse("1.2", &old), None);
        assert_eq!(parse("0.90", &one), None);
        assert_eq!(parse("1.2", &one[..100]), None);
        assert_eq!(parse("1.2", &made(&[])), None);
    }

    #[test]
    fn each_version_has_its_place() {
        for (version, sectors, expected) in [
            ("0.90", 1_000_000, Some(999_808)),
            ("0.90", 100, None),
            ("1.0", 1_000_000, Some(999_984)),
            ("1.0", 1_000_007, Some(999_984)),
            ("1.0", 10, None),
            ("1.1", 1_000_000, Some(0)),
            ("1.2", 1_000_000, Some(8)),
            ("external:imsm", 1_000_000, None),
        ] {
            assert_eq!(place(version, sectors), expected, "{version} {sectors}");
        }
    }
}
