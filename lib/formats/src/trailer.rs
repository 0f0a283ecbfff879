//! The last 512 bytes of an image: where its parts are, and their digests.
//!
//! ```text
//! offset  size  field (little endian)
//!      0     8  magic 89 72 65 72 6f 6f 74 0a ("\x89reroot\n")
//!      8     4  version, 1
//!     12     4  required features, a bit each; none is defined
//!     16     4  number of parts, 5
//!     20     4  zero
//!     24  5×56  parts: kind u32, zero u32, offset u64, length u64, BLAKE3 of the bytes
//!    304   176  zero
//!    480    32  BLAKE3 of bytes 0..480
//! ```
//!
//! The parts stand in the order of [`PartKind::ALL`]; the launcher begins at offset 0, every
//! other part at a multiple of 4096, and nothing but zeros lies between them.

use crate::Digest;

/// Length of the trailer in bytes.
pub const TRAILER_SIZE: usize = 512;
/// Parts begin at multiples of this many bytes.
pub const PART_ALIGNMENT: u64 = 4096;
/// The version that this program writes and reads.
pub const TRAILER_VERSION: u32 = 1;

const MAGIC: &[u8; 8] = b"\x89reroot\n";
const PARTS_AT: usize = 24;
const PART_SIZE: usize = 56;
const DIGEST_AT: usize = 480;

/// What a part of an image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartKind {
    /// The static ELF program at the head of the file.
    Launcher,
    /// The kernel of the RAM environment, a bzImage.
    Kernel,
    /// The base of the initramfs, a gzip-compressed newc cpio archive.
    Initramfs,
    /// The new OS's root filesystem: tar in independent zstd frames.
    Payload,
    /// The manifest, JSON.
    Manifest,
}

impl PartKind {
    /// Every part, in file order.
    pub const ALL: [PartKind; 5] = [
        PartKind::Launcher,
        PartKind::Kernel,
        PartKind::Initramfs,
        PartKind::Payload,
        PartKind::Manifest,
    ];

    /// The part's name for people and for file names.
    pub fn name(self) -> &'static str {
        match self {
            PartKind::Launcher => "launcher",
            PartKind::Kernel => "kernel",
            PartKind::Initramfs => "initramfs",
            PartKind::Payload => "payload",
            PartKind::Manifest => "manifest",
        }
    }

    fn number(self) -> u32 {
        self as u32 + 1
    }
}

/// Where a part lies in the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// First byte, counted from the start of the file.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
    /// BLAKE3 of those bytes.
    pub digest: Digest,
}

/// The table of parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// One part for each of [`PartKind::ALL`].
    pub parts: [Part; 5],
}

/// Why the last 512 bytes are not a trailer that this program can use.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TrailerError {
    /// No magic: not an image, or cut short.
    #[error(
        "this is not a reroot image, or it was cut short: the last 512 bytes hold no trailer; \
         copy it again and compare the sizes"
    )]
    NotAnImage,
    /// Written by another release.
    #[error("the image has format version {found}, this program reads version {TRAILER_VERSION}")]
    Version {
        /// The version found.
        found: u32,
    },
    /// Needs something that this program does not know.
    #[error("the image requires features {0:#x}, which this program does not know")]
    Features(u32),
    /// The trailer's own digest does not match.
    #[error("the trailer is damaged: its digest does not match; copy the image again")]
    Damaged,
    /// A part lies outside the file or on top of another.
    #[error("the trailer is wrong about the {part}: {why}")]
    Layout {
        /// The part's name.
        part: &'static str,
        /// What is wrong.
        why: &'static str,
    },
}

impl Trailer {
    /// The part of the given kind.
    pub fn part(&self, kind: PartKind) -> Part {
        self.parts[kind as usize]
    }

    /// The 512 bytes that end an image.
    pub fn encode(&self) -> [u8; TRAILER_SIZE] {
        let mut bytes = [0; TRAILER_SIZE];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&TRAILER_VERSION.to_le_bytes());
        bytes[16..20].copy_from_slice(&(self.parts.len() as u32).to_le_bytes());
        for (kind, part) in PartKind::ALL.into_iter().zip(&self.parts) {
            let at = PARTS_AT + kind as usize * PART_SIZE;
            bytes[at..at + 4].copy_from_slice(&kind.number().to_le_bytes());
            bytes[at + 8..at + 16].copy_from_slice(&part.offset.to_le_bytes());
            bytes[at + 16..at + 24].copy_from_slice(&part.length.to_le_bytes());
            bytes[at + 24..at + 56].copy_from_slice(&part.digest.0);
        }
        let digest = Digest::of(&bytes[..DIGEST_AT]);
        bytes[DIGEST_AT..].copy_from_slice(&digest.0);
        bytes
    }

    /// Reads the last 512 bytes of a file that is `file_length` bytes long.
    pub fn decode(bytes: &[u8; TRAILER_SIZE], file_length: u64) -> Result<Trailer, TrailerError> {
        if &bytes[..8] != MAGIC {
            return Err(TrailerError::NotAnImage);
        }
        let version = u32_at(bytes, 8);
        if version != TRAILER_VERSION {
            return Err(TrailerError::Version { found: version });
        }
        if u32_at(bytes, 12) != 0 {
            return Err(TrailerError::Features(u32_at(bytes, 12)));
        }
        if Digest::of(&bytes[..DIGEST_AT]).0 != bytes[DIGEST_AT..] {
            return Err(TrailerError::Damaged);
        }
        let parts = PartKind::ALL.map(|kind| {
            let at = PARTS_AT + kind as usize * PART_SIZE;
            let mut digest = [0; 32];
            digest.copy_from_slice(&bytes[at + 24..at + 56]);
            Part {
                offset: u64_at(bytes, at + 8),
                length: u64_at(bytes, at + 16),
                digest: Digest(digest),
            }
        });
        let trailer = Trailer { parts };
        let end = file_length.saturating_sub(TRAILER_SIZE as u64);
        trailer.check_layout(bytes, end)?;
        Ok(trailer)
    }

    fn check_layout(&self, bytes: &[u8; TRAILER_SIZE], end: u64) -> Result<(), TrailerError> {
        let mut free_from = 0;
        for (kind, part) in PartKind::ALL.into_iter().zip(&self.parts) {
            let wrong = |why| TrailerError::Layout {
                part: kind.name(),
                why,
            };
            let number = u32_at(bytes, PARTS_AT + kind as usize * PART_SIZE);
            if number != kind.number() {
                return Err(wrong("another part stands in its place"));
            }
            if part.length == 0 {
                return Err(wrong("it is empty"));
            }
            if part.offset % PART_ALIGNMENT != 0 || (part.offset == 0) != (kind as usize == 0) {
                return Err(wrong("it begins at a wrong offset"));
            }
            if part.offset < free_from {
                return Err(wrong("it overlaps the part before it"));
            }
            free_from = part
                .offset
                .checked_add(part.length)
                .filter(|&e| e <= end)
                .ok_or_else(|| {
                    wrong("it ends behind the end of the file: the file was cut short")
                })?;
        }
        Ok(())
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Trailer {
        let part = |offset, length| Part {
            offset,
            length,
            digest: Digest::of(b"part"),
        };
        Trailer {
            parts: [
                part(0, 5000),
                part(8192, 4096),
                part(12288, 1),
                part(16384, 100_000),
                part(118_784, 77),
            ],
        }
    }

    const LENGTH: u64 = 118_784 + 77 + 512;

    #[test]
    fn trailer_survives_the_round_trip() {
        let bytes = example().encode();
        assert_eq!(Trailer::decode(&bytes, LENGTH).unwrap(), example());
    }

    #[test]
    fn every_flipped_byte_is_noticed() {
        let good = example().encode();
        for at in 0..TRAILER_SIZE {
            let mut bad = good;
            bad[at] ^= 1;
            assert!(Trailer::decode(&bad, LENGTH).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_short_file_is_noticed() {
        let bytes = example().encode();
        let error = Trailer::decode(&bytes, LENGTH - 1).unwrap_err();
        assert!(error.to_string().contains("cut short"), "{error}");
        assert!(Trailer::decode(&bytes, 3).is_err());
    }

    #[test]
    fn overlapping_parts_are_refused() {
        let mut trailer = example();
        trailer.parts[3].offset = 12288;
        let error = Trailer::decode(&trailer.encode(), LENGTH).unwrap_err();
        assert!(error.to_string().contains("overlaps"), "{error}");
    }

    #[test]
    fn lengths_that_overflow_are_refused() {
        let mut trailer = example();
        trailer.parts[4].length = u64::MAX;
        assert!(Trailer::decode(&trailer.encode(), LENGTH).is_err());
    }
}
