//! Subvolumes of Btrfs: trees of files that are mounted, copied and removed each by itself, and share the space.

use serde::{Deserialize, Serialize};

/// A subvolume that is a root, or is mounted beside it and wiped with it.
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

    /// Whether mount options name this very one: where they name none, another one may be meant tomorrow.
    pub fn is_named_by<'o>(&self, options: impl IntoIterator<Item = &'o str>) -> bool {
        let mut named = false;
        for option in options {
            let is_it = match option.split_once('=') {
                Some(("subvol", path)) => path.trim_matches('/') == self.path.trim_matches('/'),
                Some(("subvolid", id)) => id.parse() == Ok(self.id),
                _ => continue,
            };
            if !is_it {
                return false;
            }
            named = true;
        }
        named
    }
}

/// The room on a Btrfs on one device. It gives parts of the device to data and to its own trees (metadata), and what is
/// given to one the other cannot have. In bytes; what there is twice is counted once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BtrfsRoom {
    /// Of the device.
    pub device: u64,
    /// Given to neither yet, as on the device.
    pub unallocated: u64,
    /// Free in what is given to data.
    pub data_free: u64,
    /// Given to the trees.
    pub trees: u64,
    /// Of that, in use.
    pub trees_used: u64,
    /// Of that, in nobody's use, and for nobody: what the filesystem keeps for getting out of a narrow place.
    pub reserve: u64,
    /// How often everything in the trees is on the device.
    pub copies: u64,
    /// Data and trees share what is given to either.
    pub mixed: bool,
    /// The tree of each subvolume.
    pub subvolumes: Vec<SubvolumeTree>,
    /// What quotas allow.
    pub limits: Vec<QuotaLimit>,
}

/// A limit that a quota sets to what one subvolume takes, or several together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct QuotaLimit {
    /// Its group, as `btrfs qgroup show` has it: `0/256` is that of subvolume 256.
    pub group: String,
    /// The most bytes.
    pub most: u64,
    /// Bytes that are there now.
    pub used: u64,
    /// The subvolumes that count, each by its number, with what of that is its own group's.
    pub subvolumes: Vec<(u64, u64)>,
}

/// The tree that a subvolume is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SubvolumeTree {
    /// The subvolume's number.
    pub id: u64,
    /// What its tree takes, in bytes, once.
    pub bytes: u64,
    /// Parts of it may be another subvolume's too: to change one of those is to copy it.
    pub shared: bool,
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
    /// Every other one, by its path from the one that all are in.
    pub others: Vec<String>,
    /// The room that there is.
    pub room: BtrfsRoom,
}

/// A subvolume in the root or in one that is wiped with it, or in one that is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NestedSubvolume {
    /// Its number.
    pub id: u64,
    /// Where it is, as a path of the machine.
    pub path: String,
    /// Nothing in it may be changed.
    pub read_only: bool,
    /// It began as a copy of another one.
    pub snapshot: bool,
    /// It is mounted at these places, too.
    pub mounted: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_name_a_subvolume_by_path_or_number_and_by_nothing_else() {
        let subvolume = Subvolume {
            id: 258,
            path: "/@/var".to_owned(),
        };
        for (options, expected) in [
            ("subvol=@/var", true),
            ("rw,subvol=/@/var,noatime", true),
            ("subvolid=258", true),
            ("subvolid=258,subvol=/@/var", true),
            ("subvolid=259,subvol=/@/var", false),
            ("subvol=var", false),
            ("noatime", false),
            ("", false),
        ] {
            assert_eq!(
                subvolume.is_named_by(options.split(',')),
                expected,
                "{options}"
            );
        }
    }
}
