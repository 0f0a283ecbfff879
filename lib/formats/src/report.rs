//! What a run did and how long it took, for people and programs, written when the new OS is in
//! place.

use serde::{Deserialize, Serialize};

use crate::confirm::Confirm;
use crate::facts::OsRelease;
use crate::keep::KeepPath;
use crate::measure::Measure;

/// The report of a finished run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The run's id.
    pub run: String,
    /// The image's name.
    pub image: String,
    /// The old OS.
    pub old_os: OsRelease,
    /// The new OS.
    pub new_os: OsRelease,
    /// Seconds that each phase in the RAM environment took, in order.
    pub phases: Vec<PhaseTime>,
    /// Every kept path, measured before the wipe and after the unpack.
    pub kept: Vec<KeptReport>,
    /// Entries of the old OS that were removed.
    pub removed: u64,
    /// Entries of the new OS that were written.
    pub unpacked: u64,
    /// Entries of the payload that were not written because a kept path is in their place.
    pub skipped: u64,
    /// The first of them, by path.
    pub skipped_first: Vec<String>,
    /// Steps that failed and succeeded when tried again, with the failure.
    pub retried: Vec<String>,
    /// What the new OS's first boot found; absent until it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Confirm>,
}

/// How long a phase took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseTime {
    /// The phase's name.
    pub name: String,
    /// Seconds on the monotonic clock.
    pub seconds: f64,
}

/// A kept path before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptReport {
    /// The path.
    pub path: KeepPath,
    /// Before the wipe.
    pub before: Measure,
    /// After the unpack; equal, or the run would have held.
    pub after: Measure,
}
