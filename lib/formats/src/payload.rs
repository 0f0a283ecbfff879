//! The payload: the new OS's root filesystem as a tar archive in independent zstd frames.
//!
//! The archive is POSIX tar with GNU long names and PAX records for what they are needed for. It
//! lists directories first, parents before what is in them; then files, links and devices; then
//! hard links. Each frame holds whole entries, so that frames can be unpacked side by side; the
//! last one closes the archive. Decompressing the whole part gives one plain archive.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::digest::Digest;

/// How many bytes the two zero blocks at the end of a tar archive take.
const TAR_END: u64 = 1024;
/// The smallest unit of a tar archive.
const TAR_BLOCK: u64 = 512;

/// What the manifest says of the payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// How many entries the archive has.
    pub entries: u64,
    /// How many inodes the unpacked tree takes: entries without hard links.
    pub inodes: u64,
    /// The size of the archive when it is decompressed.
    pub unpacked_bytes: u64,
    /// What the unpacked tree takes on a filesystem with blocks of 4 KiB: each regular file
    /// rounded up, and one block for each directory.
    pub disk_bytes: u64,
    /// Symbolic links in the tree that lead to a directory in the tree. A kept path must not go
    /// through one, for the directory that the old OS has there has to stay.
    pub directory_links: Vec<DirectoryLink>,
    /// What is in each directory of the first levels, for machines that have it on a filesystem of its own;
    /// none in images of releases that did not count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub directories: Vec<DirectorySize>,
    /// The frames, in order, without gaps.
    pub frames: Vec<Frame>,
}

/// How many levels of directories [`Payload::directories`] has, those in the root being the first.
pub const LEVELS_COUNTED: usize = 3;

/// What a directory of the tree takes, with everything below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectorySize {
    /// The directory, as an absolute path within the tree.
    pub path: String,
    /// Bytes on a filesystem with blocks of 4 KiB, its own block included; a file with several names counts
    /// where its first name is.
    pub bytes: u64,
    /// Inodes, in the same way.
    pub inodes: u64,
    /// Bytes of files that have a name in here and one elsewhere, each such name: on two filesystems they are
    /// two files.
    #[serde(default)]
    pub shared_bytes: u64,
    /// How many such names there are.
    #[serde(default)]
    pub shared_inodes: u64,
}

/// A symbolic link to a directory of the same tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryLink {
    /// The link, as an absolute path within the tree.
    pub path: String,
    /// The directory that it leads to, as an absolute path within the tree, all links resolved.
    pub target: String,
}

/// One zstd frame of the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Where the frame begins, in bytes from the beginning of the payload.
    pub offset: u64,
    /// How long it is, compressed.
    pub length: u64,
    /// How long it is, decompressed.
    pub unpacked: u64,
    /// How many entries of the archive it holds.
    pub entries: u64,
    /// BLAKE3 of the compressed bytes.
    pub digest: Digest,
}

/// Why a description of a payload contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PayloadError {
    /// A payload without frames holds no OS.
    #[error("the payload has no frames")]
    NoFrames,
    /// A frame does not begin where the one before it ends.
    #[error("frame {index} of the payload begins at byte {found}, not at {expected}")]
    Gap {
        /// Which frame, counted from zero.
        index: usize,
        /// Where it has to begin.
        expected: u64,
        /// Where it is said to begin.
        found: u64,
    },
    /// A frame without content.
    #[error("frame {index} of the payload is empty")]
    EmptyFrame {
        /// Which frame, counted from zero.
        index: usize,
    },
    /// A frame's decompressed size cannot hold its entries, or is no whole number of blocks.
    #[error("frame {index} of the payload says {unpacked} bytes for {entries} entries")]
    OddSize {
        /// Which frame, counted from zero.
        index: usize,
        /// Its size, decompressed.
        unpacked: u64,
        /// Its number of entries.
        entries: u64,
    },
    /// The frames do not add up to what the payload says.
    #[error("the frames of the payload add up to {found} {what}, not to {expected}")]
    Sum {
        /// What was added.
        what: &'static str,
        /// What the payload says.
        expected: u64,
        /// What the frames say.
        found: u128,
    },
    /// There are more inodes than entries.
    #[error("the payload says {inodes} inodes for {entries} entries")]
    Inodes {
        /// The number of inodes.
        inodes: u64,
        /// The number of entries.
        entries: u64,
    },
}

impl Payload {
    /// The length of the payload as it is stored.
    pub fn length(&self) -> u64 {
        self.frames.iter().map(|frame| frame.length).sum()
    }

    /// Refuses a description that contradicts itself: gaps, overlaps, empty frames, wrong sums.
    pub fn validate(&self) -> Result<(), PayloadError> {
        if self.frames.is_empty() {
            return Err(PayloadError::NoFrames);
        }
        let mut expected = 0u64;
        let (mut entries, mut unpacked) = (0u128, 0u128);
        for (index, frame) in self.frames.iter().enumerate() {
            if frame.offset != expected {
                return Err(PayloadError::Gap {
                    index,
                    expected,
                    found: frame.offset,
                });
            }
            if frame.length == 0 || frame.unpacked == 0 || frame.entries == 0 {
                return Err(PayloadError::EmptyFrame { index });
            }
            let closing = if index + 1 == self.frames.len() {
                TAR_END
            } else {
                0
            };
            let least = u128::from(frame.entries) * u128::from(TAR_BLOCK) + u128::from(closing);
            if u128::from(frame.unpacked) < least || frame.unpacked % TAR_BLOCK != 0 {
                return Err(PayloadError::OddSize {
                    index,
                    unpacked: frame.unpacked,
                    entries: frame.entries,
                });
            }
            expected = frame
                .offset
                .checked_add(frame.length)
                .ok_or(PayloadError::Sum {
                    what: "bytes stored",
                    expected: u64::MAX,
                    found: u128::from(frame.offset) + u128::from(frame.length),
                })?;
            entries += u128::from(frame.entries);
            unpacked += u128::from(frame.unpacked);
        }
        for (what, expected, found) in [
            ("entries", self.entries, entries),
            ("bytes unpacked", self.unpacked_bytes, unpacked),
        ] {
            if u128::from(expected) != found {
                return Err(PayloadError::Sum {
                    what,
                    expected,
                    found,
                });
            }
        }
        if self.inodes > self.entries {
            return Err(PayloadError::Inodes {
                inodes: self.inodes,
                entries: self.entries,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload() -> Payload {
        let frame = |offset, length, unpacked, entries| Frame {
            offset,
            length,
            unpacked,
            entries,
            digest: Digest::of(b""),
        };
        Payload {
            entries: 5,
            inodes: 4,
            unpacked_bytes: 8192,
            disk_bytes: 4096,
            directory_links: Vec::new(),
            directories: Vec::new(),
            frames: vec![frame(0, 100, 4096, 3), frame(100, 50, 4096, 2)],
        }
    }

    #[test]
    fn a_description_that_adds_up_is_accepted() {
        payload().validate().unwrap();
        assert_eq!(payload().length(), 150);
    }

    #[test]
    fn a_description_that_contradicts_itself_is_refused() {
        type Change = fn(&mut Payload);
        let cases: &[(&str, Change, &str)] = &[
            ("no frames", |p| p.frames.clear(), "no frames"),
            (
                "gap",
                |p| p.frames[1].offset = 101,
                "begins at byte 101, not at 100",
            ),
            (
                "overlap",
                |p| p.frames[1].offset = 99,
                "begins at byte 99, not at 100",
            ),
            (
                "late start",
                |p| p.frames[0].offset = 1,
                "begins at byte 1, not at 0",
            ),
            (
                "no length",
                |p| p.frames[0].length = 0,
                "frame 0 of the payload is empty",
            ),
            (
                "nothing in it",
                |p| p.frames[1].unpacked = 0,
                "frame 1 of the payload is empty",
            ),
            (
                "no entries",
                |p| p.frames[1].entries = 0,
                "frame 1 of the payload is empty",
            ),
            (
                "half a block",
                |p| p.frames[0].unpacked = 4095,
                "4095 bytes for 3 entries",
            ),
            (
                "too small",
                |p| p.frames[1].unpacked = 1536,
                "1536 bytes for 2 entries",
            ),
            (
                "entries",
                |p| p.entries = 6,
                "add up to 5 entries, not to 6",
            ),
            (
                "bytes",
                |p| p.unpacked_bytes = 1,
                "add up to 8192 bytes unpacked, not to 1",
            ),
            ("inodes", |p| p.inodes = 6, "6 inodes for 5 entries"),
            (
                "overflow",
                |p| p.frames[0].length = u64::MAX,
                "begins at byte 100",
            ),
        ];
        for (name, change, reason) in cases {
            let mut payload = payload();
            change(&mut payload);
            let error = payload.validate().unwrap_err().to_string();
            assert!(error.contains(reason), "{name}: {error}");
        }
        let mut payload = payload();
        payload.frames[0].length = u64::MAX;
        payload.frames[1].offset = u64::MAX;
        payload.validate().unwrap_err();
    }
}
