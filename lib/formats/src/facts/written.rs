//! What is written on the root filesystem beside what is kept, as it was found. Whether any of it
//! matters is not decided here.

use serde::{Deserialize, Serialize};

/// What is written on the root filesystem, and who writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Written {
    /// Directories in which running programs have files open for writing.
    pub open: Vec<OpenDirectory>,
    /// Places where people and services put their things, with what is in them outside of kept and
    /// carried paths.
    pub places: Vec<Place>,
    /// Homes of people.
    pub homes: Vec<Home>,
}

/// A directory with files that are open for writing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenDirectory {
    /// Its path on the root filesystem, whatever path the programs see it by.
    pub path: String,
    /// How many different files.
    pub files: u64,
    /// Who has them open: units of the service manager, else programs by name.
    pub writers: Vec<String>,
    /// At least one of them is no program of somebody's session.
    pub service: bool,
}

/// A place and what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its path.
    pub path: String,
    /// What is in it.
    pub found: Weight,
}

/// What a tree holds, as far as it was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weight {
    /// Everything that is no directory.
    pub files: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// When the latest of them was written, in seconds since 1970.
    pub newest: Option<u64>,
    /// All of it was looked at; else there is at least this much.
    pub whole: bool,
}

/// The home of somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Home {
    /// Whose.
    pub user: String,
    /// By /etc/passwd.
    pub home: String,
    /// Where links lead from there, if it is a directory of the root filesystem; `None` where it is on
    /// another one or is not there.
    pub leads_to: Option<String>,
}
