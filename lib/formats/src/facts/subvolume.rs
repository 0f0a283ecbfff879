//! Subvolumes of Btrfs: trees of files that are mounted, copied and removed each by itself, and share the space.

use serde::{Deserialize, Serialize};

/// The subvolume that is a root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subvolume {
    /// Its number, which no other one ever has: 5 is the one that all others are in.
    pub id: u64,
    /// Where it is from that one on, as a path from `/`; GRUB and the kernel find it by this.
    pub path: String,
}

impl Subvolume {
    /// Which one it is, for people.
    pub fn words(&self) -> String {
        format!("subvolume {} (number {})", self.path, self.id)
    }

    /// What GRUB has before the paths of its files.
    pub fn prefix(&self) -> &str {
        self.path.trim_end_matches('/')
    }
}

/// What is known of a Btrfs that a root is on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BtrfsFacts {
    /// A kernel that does not know one of these must not write to it.
    pub compat_ro: u64,
    /// A kernel that does not know one of these must not mount it.
    pub incompat: u64,
    /// On how many devices it is.
    pub devices: u64,
    /// What there is about it that this release does not take, such as data on other devices; in words.
    pub strange: Vec<String>,
    /// The subvolume that is mounted where none is named.
    pub default: u64,
    /// Subvolumes in the root.
    pub nested: Vec<NestedSubvolume>,
    /// Every other one, by its path.
    pub others: Vec<String>,
}

/// A subvolume in the root, or in one that is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NestedSubvolume {
    /// Its number.
    pub id: u64,
    /// Where it is, as a path of the root.
    pub path: String,
    /// Nothing in it may be changed.
    pub read_only: bool,
    /// It began as a copy of another one.
    pub snapshot: bool,
    /// It is mounted at these places, too.
    pub mounted: Vec<String>,
}
