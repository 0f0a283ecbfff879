//! How long a run may take by its plan's own deadlines, for whoever waits for it from outside: pure.
//!
//! Each step counts once. A step that is repeated, and a run that is taken up after a reset, take
//! longer; whoever waits is then told late, not wrongly: the machine had failed at something.

use formats::entry::Entry;
use formats::plan::Plan;
use formats::steps::{Place, Step};
use serde::{Deserialize, Serialize};

use crate::steps::STOP;

/// Seconds for what lies between two steps and no step counts: a firmware's start, and an OS's own
/// boot or shutdown. Servers with much memory take five minutes before their boot loader.
pub const BOOT_S: u64 = 600;

/// Sums of a plan's deadlines, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadlines {
    /// From the beginning until services stop: the machine serves and answers.
    pub serving_s: u64,
    /// From then on until an OS answers again, its boots included: the machine is silent.
    pub silent_s: u64,
    /// From then on until the first boot is compared with the plan; 0 in a rehearsal.
    pub confirm_s: u64,
    /// All of it.
    pub all_s: u64,
}

/// The sums for this plan.
pub fn deadlines(plan: &Plan) -> Deadlines {
    let mut sums = Deadlines::default();
    let mut stopped = false;
    for step in &plan.steps {
        stopped |= step.name == STOP;
        *sum_of(&mut sums, step, stopped) += step.deadline_s;
    }
    if stopped {
        sums.silent_s += boots(plan.entry.entry) * BOOT_S;
    }
    sums.all_s = sums.serving_s + sums.silent_s + sums.confirm_s;
    sums
}

fn sum_of<'a>(sums: &'a mut Deadlines, step: &Step, stopped: bool) -> &'a mut u64 {
    match step.place {
        Place::NewOs => &mut sums.confirm_s,
        _ if stopped => &mut sums.silent_s,
        _ => &mut sums.serving_s,
    }
}

/// How often a firmware starts the machine until an OS answers.
fn boots(entry: Entry) -> u64 {
    match entry {
        Entry::Kexec | Entry::Takeover => 1,
        Entry::Boot => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::{steps, Circumstances, HookCounts};
    use formats::plan::Amount;
    use formats::steps::Mode;

    fn plan(mode: Mode, entry: Entry) -> Plan {
        let nothing = Amount {
            entries: 0,
            bytes: 0,
        };
        let mut plan = fixtures::plan::plan();
        plan.mode = mode;
        plan.entry.entry = entry;
        plan.steps = steps(Circumstances {
            mode,
            entry,
            load_before_stop: true,
            kept: nothing,
            wiped: nothing,
            unpacked: nothing,
            hooks: HookCounts::default(),
        });
        plan
    }

    #[test]
    fn every_step_is_in_one_sum() {
        for mode in [Mode::Reinstall, Mode::Rehearse] {
            let plan = plan(mode, Entry::Kexec);
            let sums = deadlines(&plan);
            let steps: u64 = plan.steps.iter().map(|s| s.deadline_s).sum();
            assert_eq!(sums.all_s, steps + BOOT_S);
            assert_eq!(sums.serving_s, 900, "prepare, load, ask");
            assert_eq!(sums.confirm_s > 0, mode == Mode::Reinstall);
        }
    }

    #[test]
    fn the_boot_loader_is_one_more_boot() {
        let silent = |entry| deadlines(&plan(Mode::Reinstall, entry)).silent_s;
        assert_eq!(silent(Entry::Boot), silent(Entry::Kexec) + BOOT_S);
    }
}
