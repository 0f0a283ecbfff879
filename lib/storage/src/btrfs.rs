//! Btrfs, as in `linux/btrfs_tree.h`: its superblock, and where on its device the bytes are that its files have
//! by its own addresses. Its numbers have the lowest byte first.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use rustix::fs::IFlags;

use crate::devices;

/// Where the superblock begins, in bytes from the start of the device.
pub const SUPERBLOCK_AT: u64 = 0x1_0000;
/// Bytes of the superblock that are read.
pub const SUPERBLOCK_SIZE: usize = 4096;

const MAGIC: &[u8] = b"_BHRfS_M";
/// `BTRFS_SUPER_FLAG_SEEDING`: others begin with what is on it, and nobody writes to it.
const SEEDING: u64 = 1 << 32;
/// `BTRFS_CHUNK_TREE_OBJECTID`.
const CHUNK_TREE: u64 = 3;
/// `BTRFS_FIRST_CHUNK_TREE_OBJECTID`: the object of every chunk.
const CHUNKS: u64 = 256;
/// `BTRFS_CHUNK_ITEM_KEY`.
const CHUNK_ITEM: u8 = 228;
/// Bytes of a chunk's item before its stripes, and of a stripe.
const CHUNK_HEAD: usize = 48;
const STRIPE: usize = 32;
/// `BTRFS_BLOCK_GROUP_DUP`: everything twice on the one device; each of both is whole.
pub(crate) const DUP: u64 = 1 << 5;

/// Ways to spread chunks over devices, `BTRFS_BLOCK_GROUP_…`.
#[rustfmt::skip]
const SPREAD: [(u64, &str); 7] = [
    (1 << 3, "RAID 0"), (1 << 4, "RAID 1"), (1 << 6, "RAID 10"), (1 << 7, "RAID 5"), (1 << 8, "RAID 6"),
    (1 << 9, "RAID 1 with three copies"), (1 << 10, "RAID 1 with four copies"),
];

/// What is read from a superblock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// The filesystem's UUID in the usual text form, lower case.
    pub uuid: String,
    /// A kernel that does not know one of these must not write to it.
    pub compat_ro: u64,
    /// A kernel that does not know one of these must not mount it.
    pub incompat: u64,
    /// On how many devices it is.
    pub devices: u64,
    /// The number that this device has in it.
    pub device: u64,
    /// Nobody writes to it.
    pub seed: bool,
    /// The kind of its checksums; 0 is CRC-32C.
    pub checksums: u16,
}

/// Reads a superblock; `None` where there is none.
pub fn parse(bytes: &[u8]) -> Option<Superblock> {
    let bytes = bytes.get(..SUPERBLOCK_SIZE)?;
    (bytes.get(0x40..0x48)? == MAGIC).then_some(())?;
    Some(Superblock {
        uuid: devices::uuid(bytes.get(0x20..0x30))?,
        compat_ro: u64_at(bytes, 0xb4)?,
        incompat: u64_at(bytes, 0xbc)?,
        devices: u64_at(bytes, 0x88)?,
        device: u64_at(bytes, 0xc9)?,
        seed: u64_at(bytes, 0x38)? & SEEDING != 0,
        checksums: u16_at(bytes, 0xc4)?,
    })
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Bytes that lie together, by the filesystem's addresses as on the devices.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Chunk {
    start: u64,
    length: u64,
    /// How they are spread.
    profile: u64,
    /// Where they begin: the number of a device, and the offset on it.
    stripes: Vec<(u64, u64)>,
}

/// Where everything of a filesystem is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunks(Vec<Chunk>);

impl Chunks {
    /// Asks the kernel; `file` is any of the filesystem.
    pub fn read(file: impl AsFd) -> io::Result<Chunks> {
        let items =
            syscalls::btrfs::search(file.as_fd(), CHUNK_TREE, (CHUNKS, CHUNKS), CHUNK_ITEM)?;
        let chunk = |(start, bytes): (u64, &[u8])| {
            let stripes = usize::from(u16_at(bytes, 44)?);
            let places = (0..stripes).map(|n| {
                let at = CHUNK_HEAD + n * STRIPE;
                Some((u64_at(bytes, at)?, u64_at(bytes, at + 8)?))
            });
            Some(Chunk {
                start,
                length: u64_at(bytes, 0)?,
                profile: u64_at(bytes, 24)?,
                stripes: places.collect::<Option<_>>()?,
            })
        };
        let items = items.iter().map(|item| (item.offset, &item.bytes[..]));
        let chunks: Option<Vec<_>> = items.map(chunk).collect();
        chunks
            .filter(|chunks| !chunks.is_empty())
            .map(Chunks)
            .ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the filesystem's chunks are not as this release knows them",
                )
            })
    }

    /// What of it is not on the device of this number alone, in words.
    pub fn spread(&self, device: u64) -> Vec<String> {
        let mut found = Vec::new();
        for chunk in &self.0 {
            let profile = SPREAD.iter().find(|(bit, _)| chunk.profile & bit != 0);
            found.extend(profile.map(|(_, name)| format!("it has data as {name}")));
            let elsewhere = chunk.stripes.iter().find(|(number, _)| *number != device);
            found
                .extend(elsewhere.map(|(number, _)| format!("it has data on its device {number}")));
        }
        found.sort();
        found.dedup();
        found
    }

    /// Where bytes at an address are on the one device that they are on, piece by piece: the offset on the device
    /// and how many. `None` where that cannot be said.
    pub fn place(&self, address: u64, length: u64) -> Option<Vec<(u64, u64)>> {
        let mut pieces = Vec::new();
        let (mut at, end) = (address, address.checked_add(length)?);
        while at < end {
            let chunk = self
                .0
                .iter()
                .find(|c| c.start <= at && at - c.start < c.length)?;
            let spread = SPREAD.iter().any(|(bit, _)| chunk.profile & bit != 0);
            let one = chunk.stripes.len() == 1 || chunk.profile & DUP != 0;
            if spread || !one {
                return None;
            }
            let within = at - chunk.start;
            let here = (end - at).min(chunk.length - within);
            pieces.push((chunk.stripes.first()?.1 + within, here));
            at += here;
        }
        Some(pieces)
    }
}

/// `FS_NOCOMP_FL`.
const NOT_PACKED: IFlags = IFlags::from_bits_retain(0x400);

/// Whether a file or directory is on Btrfs.
pub fn is_on(file: impl AsFd) -> io::Result<bool> {
    /// `BTRFS_SUPER_MAGIC`.
    const TYPE: i64 = 0x9123_683e;
    Ok(rustix::fs::fstatfs(file)?.f_type == TYPE)
}

/// Has a file that is empty yet written in its place, as it comes: not packed, whatever its mount says, or the
/// directory that it is in. On other filesystems nothing is done.
pub fn write_in_place(file: &File) -> io::Result<()> {
    if is_on(file)? {
        // No file may have both kinds of flags, nor go from one to the other at once.
        let packed = IFlags::COMPRESSED | NOT_PACKED;
        let flags = rustix::fs::ioctl_getflags(file)?;
        if flags.intersects(packed) {
            rustix::fs::ioctl_setflags(file, flags - packed)?;
        }
        rustix::fs::ioctl_setflags(file, (flags - packed) | IFlags::NOCOW)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> Vec<u8> {
        let mut bytes = vec![0; SUPERBLOCK_SIZE];
        bytes[0x40..0x48].copy_from_slice(MAGIC);
        for (i, byte) in bytes[0x20..0x30].iter_mut().enumerate() {
            *byte = i as u8;
        }
        bytes[0x88] = 1;
        bytes[0xb4] = 3;
        bytes[0xbc..0xbe].copy_from_slice(&0x341u16.to_le_bytes());
        bytes[0xc9] = 1;
        bytes
    }

    #[test]
    fn what_is_in_a_superblock_is_read() {
        let found = parse(&made()).unwrap();
        assert_eq!(found.uuid, "00010203-0405-0607-0809-0a0b0c0d0e0f");
        assert_eq!((found.compat_ro, found.incompat), (3, 0x341));
        assert_eq!((found.devices, found.device, found.seed), (1, 1, false));
        let mut seed = made();
        seed[0x3c] = 1;
        assert!(parse(&seed).unwrap().seed);
        assert_eq!(parse(&made()[..4095]), None);
        assert_eq!(parse(&[0; SUPERBLOCK_SIZE]), None);
    }

    fn chunk(start: u64, length: u64, profile: u64, stripes: &[(u64, u64)]) -> Chunk {
        Chunk {
            start,
            length,
            profile,
            stripes: stripes.to_vec(),
        }
    }

    #[test]
    fn addresses_are_followed_to_the_device_over_the_end_of_a_chunk() {
        let chunks = Chunks(vec![
            chunk(1000, 100, 1, &[(1, 5000)]),
            chunk(1100, 100, 1 | DUP, &[(1, 5100), (1, 9000)]),
            chunk(1200, 100, 1, &[(1, 7000)]),
            chunk(1300, 100, 1 | 1 << 4, &[(1, 7100), (2, 7100)]),
        ]);
        assert_eq!(chunks.place(1050, 100), Some(vec![(5050, 50), (5100, 50)]));
        assert_eq!(chunks.place(1190, 20), Some(vec![(5190, 10), (7000, 10)]));
        assert_eq!(chunks.place(1299, 2), None);
        assert_eq!(chunks.place(900, 10), None);
        assert_eq!(
            chunks.spread(1),
            ["it has data as RAID 1", "it has data on its device 2"]
        );
        assert_eq!(Chunks(chunks.0[..3].to_vec()).spread(1), [""; 0]);
    }
}
