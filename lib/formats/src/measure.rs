//! What a kept tree looked like, so that it can be compared with what it looks like later, and what
//! it takes on its filesystem.

use serde::{Deserialize, Serialize};

use crate::accounts::Owners;
use crate::digest::Digest;
use crate::keep::KeepPath;

/// A tree of files, measured without reading a file's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measure {
    /// How many names the tree has, its root included.
    pub entries: u64,
    /// How many inodes are behind them; one that a tree measured before has a name of is not
    /// counted again.
    #[serde(default)]
    pub inodes: u64,
    /// The sizes of its regular files, added up; a file with two names in the tree counts twice.
    pub bytes: u64,
    /// What these inodes take on their filesystem, as blocks are counted there, in bytes.
    pub disk_bytes: u64,
    /// BLAKE3 over each entry's path, inode number, type, mode, owner, size where it is no directory,
    /// modification time, device number, link target and extended attributes, in a fixed order.
    pub digest: Digest,
    /// BLAKE3 over which of them are immutable or append-only; `None` where the kernel does not
    /// tell (Linux before 4.11).
    #[serde(default)]
    pub flags: Option<Digest>,
    /// Whose the entries are, by number, access control lists included.
    pub owners: Owners,
}

impl Measure {
    /// Of what is hidden by a mount while the old OS runs. A tree has one entry at the least.
    pub fn not_taken() -> Self {
        Self {
            entries: 0,
            inodes: 0,
            bytes: 0,
            disk_bytes: 0,
            digest: Digest::of(b""),
            flags: None,
            owners: Owners::default(),
        }
    }

    /// Whether it was taken at all.
    pub fn is_taken(&self) -> bool {
        self.entries > 0
    }

    /// Whether a tree is as it was. What a kernel did not tell is not compared: a run may begin on
    /// an old one and be confirmed on a new one.
    pub fn is_same_tree(&self, other: &Self) -> bool {
        let flags = match (self.flags, other.flags) {
            (Some(a), Some(b)) => a == b,
            _ => true,
        };
        flags
            && self.entries == other.entries
            && self.bytes == other.bytes
            && self.digest == other.digest
    }
}

/// Blocks and inodes that are taken on a filesystem.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occupied {
    /// Bytes, as blocks are counted.
    pub bytes: u64,
    /// Inodes.
    pub inodes: u64,
}

impl Occupied {
    /// What all kept paths take together. One below another is counted with that.
    pub fn by_kept<'a>(kept: impl IntoIterator<Item = (&'a KeepPath, &'a Measure)>) -> Self {
        let kept: Vec<_> = kept.into_iter().collect();
        let is_within_another = |path: &KeepPath| {
            kept.iter()
                .any(|(other, _)| *other != path && path.is_below(other))
        };
        kept.iter()
            .filter(|(path, _)| !is_within_another(path))
            .map(|(_, measure)| Self {
                bytes: measure.disk_bytes,
                inodes: measure.inodes,
            })
            .sum()
    }
}

impl std::ops::Add for Occupied {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            bytes: self.bytes + other.bytes,
            inodes: self.inodes + other.inodes,
        }
    }
}

impl std::iter::Sum for Occupied {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), std::ops::Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(inodes: u64, flags: Option<Digest>) -> Measure {
        Measure {
            entries: 9,
            inodes,
            bytes: 0,
            disk_bytes: inodes * 4096,
            digest: Digest::of(b""),
            flags,
            owners: Owners::default(),
        }
    }

    #[test]
    fn a_path_below_another_is_counted_once() {
        let path = |text| KeepPath::parse(text).unwrap();
        let kept = [path("/srv"), path("/srv/shop"), path("/srvother")];
        let measures = [10, 4, 3].map(|inodes| measure(inodes, None));
        let found = Occupied::by_kept(kept.iter().zip(&measures));
        assert_eq!((found.inodes, found.bytes), (13, 13 * 4096));
    }

    #[test]
    fn flags_are_compared_where_both_kernels_told_them() {
        let (one, other) = (Some(Digest::of(b"1")), Some(Digest::of(b"2")));
        for (a, b, same) in [
            (one, one, true),
            (one, other, false),
            (one, None, true),
            (None, other, true),
        ] {
            assert_eq!(measure(1, a).is_same_tree(&measure(2, b)), same);
        }
    }
}
