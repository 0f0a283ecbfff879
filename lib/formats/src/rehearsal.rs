//! What a rehearsal found.

use serde::{Deserialize, Serialize};

use crate::measure::Measure;

/// The report in the run's directory.
pub const NAME: &str = "rehearsal.json";

/// The report of a rehearsal that came to its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rehearsal {
    /// The run's id.
    pub run: String,
    /// Nothing differs that would make a reinstallation another one than was planned.
    pub passed: bool,
    /// What the plan made anew has otherwise.
    pub differences: Vec<Difference>,
    /// Every kept path as it was measured in the RAM environment, in the plan's order.
    pub kept: Vec<Measure>,
    /// Bytes of memory in the RAM environment.
    pub memory_total: u64,
    /// Bytes of it that were available when everything had been verified.
    pub memory_available: u64,
    /// What was left to be known in other places, or was not tried.
    pub notes: Vec<String>,
}

/// Something that differs between two plans.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Where in the plan: `keep[0].measure.entries`.
    pub at: String,
    /// As it was planned.
    pub planned: String,
    /// As it is now.
    pub now: String,
    /// It is of the kind that a machine has by living: logs, databases that wrote when they were
    /// stopped. Anything else was not expected.
    pub expected: bool,
}
