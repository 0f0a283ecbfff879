//! `begun.json`, the first file of a run's directory: as which run it was begun, and on what consent.

use serde::{Deserialize, Serialize};

/// In a run's directory, and among its records in the new OS.
pub const NAME: &str = "begun.json";

/// The beginning of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// The run's id.
    pub run: String,
    /// One more than the highest number of a run that was on the machine: the order of runs, whatever
    /// their names and the machine's clock say.
    pub number: u64,
    /// The run that was the newest until then.
    pub after: Option<String>,
    /// When, by the machine's clock, `YYYYMMDDTHHMMSSZ`.
    pub at: String,
    /// The kernel's id of the boot in which it was begun.
    pub boot_id: String,
    /// The digest of what was consented to.
    pub consent: String,
    /// Codes of checks that were forced.
    pub forced: Vec<String>,
}
