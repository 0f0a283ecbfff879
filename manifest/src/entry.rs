//! How the RAM environment is entered, and why so: decided from facts, and from what the operator
//! asks for.

use serde::{Deserialize, Serialize};

use crate::facts::Facts;
pub use crate::kexec_call::{call, CallPlan, KexecCall};

/// A way into the RAM environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Entry {
    /// The running kernel is replaced by the image's, by kexec.
    Kexec,
    /// PID 1 is replaced by the init; the running kernel goes on.
    Takeover,
    /// The boot loader starts the image's kernel, after a reboot.
    Boot,
}

impl Entry {
    /// The entry's name on the command line and in the plan.
    pub fn name(self) -> &'static str {
        match self {
            Entry::Kexec => "kexec",
            Entry::Takeover => "takeover",
            Entry::Boot => "boot",
        }
    }
}

/// The entry of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryPlan {
    /// The way in.
    pub entry: Entry,
    /// How the kernel is loaded; for [`Entry::Kexec`] only.
    pub call: Option<CallPlan>,
    /// Why this one.
    pub reason: String,
}

/// Chooses the entry; `asked` is what the operator named, if anything.
pub fn choose(facts: &Facts, asked: Option<Entry>) -> EntryPlan {
    let (entry, reason) = match asked {
        Some(entry) => (entry, "asked for on the command line".to_owned()),
        None => (Entry::Kexec, "the running kernel can".to_owned()),
    };
    EntryPlan {
        entry,
        call: (entry == Entry::Kexec).then(|| call(&facts.kexec)),
        reason,
    }
}
