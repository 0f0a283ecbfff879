//! What `plan --json` prints: the plan, and what a program needs to know of it before it says `go`.

use formats::plan::Plan;
use formats::Document;
use serde::{Deserialize, Serialize};

use crate::consent::Consent;
use crate::deadlines::{deadlines, Deadlines};

/// A plan with its consent and its deadlines; whoever reads plans reads it as one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanDocument {
    /// The digest of what is consented to by going on with it.
    pub consent: String,
    /// The sums of its deadlines.
    pub deadlines: Deadlines,
    /// The plan.
    #[serde(flatten)]
    pub plan: Plan,
}

impl Document for PlanDocument {
    const KIND: &'static str = Plan::KIND;
    const VERSION: u32 = Plan::VERSION;
}

impl PlanDocument {
    /// The document for a plan.
    pub fn new(plan: &Plan, consent: &Consent) -> PlanDocument {
        let mut shown = plan.clone();
        // A plan is printed, kept and sent around; the run that it becomes has a key of its own, or a file's.
        if let Some(to) = &mut shown.report_to {
            to.key.clear();
        }
        PlanDocument {
            consent: consent.to_string(),
            deadlines: deadlines(plan),
            plan: shown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use formats::Digest;

    #[test]
    fn a_reader_of_plans_reads_it() {
        let plan = fixtures::plan::plan();
        let consent = Consent::of(&plan, Digest([0; 32]), &[]);
        let text = PlanDocument::new(&plan, &consent).to_json();
        assert_eq!(Plan::from_json(text.as_bytes()).unwrap(), plan);
        let back = PlanDocument::from_json(text.as_bytes()).unwrap();
        assert_eq!(back.consent, consent.to_string());
        assert_eq!(back.plan, plan);
    }
}
