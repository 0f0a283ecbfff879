//! An overlay: files of the operator's for one machine, which are put into its new OS.

use serde::{Deserialize, Serialize};

use crate::Digest;

/// An overlay, as the launcher read it. What is in the files waits elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlay {
    /// The directory or archive in the old OS, an absolute path.
    pub source: String,
    /// Digest over names, kinds, owners, permissions and contents. Times do not count: a copy is the same.
    pub digest: Digest,
    /// Bytes that it takes in memory, and about as many on the disk.
    pub bytes: u64,
    /// Where its files and links are put, absolute, sorted.
    pub files: Vec<String>,
    /// Its directories, absolute, sorted. Those that the new OS has stay as they are.
    pub directories: Vec<String>,
    /// Users that own something in it, by name.
    pub users: Vec<String>,
    /// Groups that something in it belongs to, by name.
    pub groups: Vec<String>,
}
