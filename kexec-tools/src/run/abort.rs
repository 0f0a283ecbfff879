//! Breaking off a run that has not stopped services yet, and removing what earlier runs left behind:
//! a loaded kernel, staged copies. Reports stay.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};
use formats::journal::Phase;
use formats::outcomes::{Outcomes, StepResult};
use machine::runs::directory::Places;
use machine::runs::lock;
use plan::status;
use plan::status::{Evidence, State};
use rustix::process::{kill_process, Pid, Signal};

use crate::run::enter;
use crate::run::stage::initrd;
use crate::run_directory;
use crate::survey::earlier;

/// How long a worker may take to undo what it did: it unloads a kernel and removes files.
const PATIENCE: Duration = Duration::from_mins(2);

/// How breaking off went.
pub enum BrokenOff {
    /// Everything is undone.
    Undone,
    /// The run goes on, for it is too late, or takes too long.
    GoesOn,
}

/// Tells the worker of the run in progress to undo everything, and waits until it has.
pub fn break_off() -> Result<BrokenOff> {
    let holder = lock::holder(&Places::here());
    let pid = holder.map(|h| h.pid).filter(|&pid| pid > 1);
    let pid = pid.context("the run's worker has not said who it is")?;
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    if !command.split(|&b| b == 0).any(|word| word == b"worker") {
        bail!("process {pid} should be the run's worker, and is not; try again");
    }
    let pid = Pid::from_raw(pid).context("the worker's number")?;
    kill_process(pid, Signal::TERM).context("tell the worker to break off")?;
    let start = Instant::now();
    while run_directory::in_progress().is_some() {
        let now = earlier::evidence()?;
        let stopping = now
            .iter()
            .any(|e| e.in_progress && status::begun_to_stop(e));
        if stopping || start.elapsed() > PATIENCE {
            return Ok(BrokenOff::GoesOn);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(BrokenOff::Undone)
}

/// What became of something that was left.
pub enum Left {
    /// It is gone.
    Gone,
    /// It could not all be removed.
    Stays,
    /// It may be of use: its run is behind the commit point, or was cut right before it, and a disk may start it.
    Needed,
}

/// Unloads the kernel that a run of this boot has loaded, if there is one.
pub fn unload(runs: &[Evidence]) -> Option<Left> {
    // Somebody else may have loaded a kernel, for reasons of their own.
    if !(earlier::kexec_loaded() && runs.iter().any(loaded_in_this_boot)) {
        return None;
    }
    enter::unload();
    Some(if earlier::kexec_loaded() {
        Left::Stays
    } else {
        Left::Gone
    })
}

/// Removes what a run staged, if it is of no use any more. A run behind the commit point needs it, and so may one that is
/// done, or that was cut right before that point: a boot path may start it still. The next run takes it away, once it has
/// looked (`boot-staged`).
pub fn remove(run: &Evidence, directory: &Path) -> Left {
    let by_a_path = matches!(run.journal, Some(Phase::Done | Phase::Commit))
        && !run_directory::copies(directory).is_empty();
    if by_a_path || status::judge(run).state == State::Committed {
        return Left::Needed;
    }
    enter::unload();
    initrd::remove_copies(directory);
    if run_directory::copies(directory).is_empty() {
        Left::Gone
    } else {
        Left::Stays
    }
}

/// Whether a run of this boot had begun to load.
fn loaded_in_this_boot(e: &Evidence) -> bool {
    let load = |o: &Outcomes| {
        o.boot == e.boot
            && o.get("load")
                .is_some_and(|s| s.result != StepResult::Reverted)
    };
    e.old_os.as_ref().is_some_and(load)
}
