//! The new OS's first boot, compared with the plan: is the machine the one that it was?
//!
//! [`compare`] is pure: what was read on the machine comes in as [`Live`], findings go out. It
//! only reports; what becomes of the run's directory is decided by who calls it.

mod identity;
mod live;
mod login;
mod network;
mod ports;
mod summary;
#[cfg(test)]
mod tests;

pub use live::{Live, Probed, SshPort};
pub use login::{compare as compare_logins, Asked};
pub use network::link_now;
pub use summary::summary;

use formats::confirm::{Baseline, Finding};
use formats::plan::Plan;

/// Compares the machine with the plan and with what the run left. One finding a question, those of
/// the network first; what the plan does not speak of is not asked.
pub fn compare(plan: &Plan, baseline: &Baseline, live: &Live) -> Vec<Finding> {
    let mut findings = network::compare(&plan.network, live);
    identity::compare(plan, baseline, live, &mut findings);
    findings.extend(ports::compare(plan, live));
    findings
}
