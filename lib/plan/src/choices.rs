//! What the operator wishes of the plan, and the entry that it gets.

use crate::entry;
use formats::entry::{CallPlan, Entry, EntryPlan, KexecCall};
use formats::facts::Facts;
use formats::plan::PayloadAt;
use formats::steps::Mode;
use formats::told::ReportTo;

/// What the operator wishes of the plan.
#[derive(Clone, Debug, Default)]
pub struct Choices {
    /// Where the payload shall wait; decided by memory when absent.
    pub payload_at: Option<PayloadAt>,
    /// How the RAM environment shall be entered; decided by evidence when absent.
    pub entry: Option<Entry>,
    /// How a kernel shall be loaded; decided by evidence when absent.
    pub kexec_call: Option<KexecCall>,
    /// Who shall be told of each step.
    pub report_to: Option<ReportTo>,
    /// What the run is for.
    pub mode: Mode,
}

/// The entry, and for kexec the call, by evidence or as wished.
pub fn entry_plan(facts: &Facts, choices: &Choices) -> EntryPlan {
    let mut plan = entry::choose(facts, choices.entry);
    if let (Some(call), Some(wished)) = (&mut plan.call, choices.kexec_call) {
        *call = CallPlan::wished(wished);
    }
    plan
}
