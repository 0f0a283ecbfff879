//! What a kept tree looked like, so that it can be compared with what it looks like later.

use serde::{Deserialize, Serialize};

use crate::accounts::Owners;
use crate::digest::Digest;

/// A tree of files, measured without reading a file's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measure {
    /// How many names the tree has, its root included.
    pub entries: u64,
    /// The sizes of its regular files, added up; a file with two names in the tree counts twice.
    pub bytes: u64,
    /// What the tree takes on its filesystem, as its blocks are counted there, in bytes.
    pub disk_bytes: u64,
    /// BLAKE3 over each entry's path, inode number, type, mode, owner, size, modification time,
    /// device number, link target and extended attributes, in a fixed order.
    pub digest: Digest,
    /// Whose the entries are, by number, access control lists included.
    pub owners: Owners,
}
