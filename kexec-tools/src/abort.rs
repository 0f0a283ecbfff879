//! `abort`: breaks off a run that has not stopped services yet, and removes what earlier runs left
//! behind: a loaded kernel, staged copies. Reports stay.

use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};
use manifest::outcomes::{Outcomes, StepResult};
use manifest::status::{self, Evidence, State};
use rustix::process::{kill_process, Pid, Signal};

use crate::{enter, initrd, run_directory, status as read, Outcome};

/// How long a worker may take to undo what it did: it unloads a kernel and removes files.
const PATIENCE: Duration = Duration::from_mins(2);

/// Breaks off and cleans up.
pub fn abort() -> Result<Outcome> {
    let runs = read::evidence()?;
    if let Some(run) = runs.iter().find(|e| e.in_progress) {
        if status::begun_to_stop(run) {
            eprintln!(
                "refused: run {} is stopping services already; it enters the RAM environment, or boots \
                 the old OS again",
                run.run
            );
            eprintln!("intact: everything; follow the machine's console");
            return Ok(Outcome::Refused);
        }
        if let Some(outcome) = break_off(run)? {
            return Ok(outcome);
        }
    }
    Ok(clean_up(&read::evidence()?))
}

/// Tells the worker to undo everything, and waits until it has. Gives how it went if it did not.
fn break_off(run: &Evidence) -> Result<Option<Outcome>> {
    let pid = run_directory::owner().context("the run's worker has not said who it is")?;
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    if !command.split(|&b| b == 0).any(|word| word == b"worker") {
        bail!("process {pid} should be the run's worker, and is not; try again");
    }
    let pid = Pid::from_raw(pid).context("the worker's number")?;
    kill_process(pid, Signal::TERM).context("tell the worker to break off")?;
    let start = Instant::now();
    while run_directory::in_progress().is_some() {
        let now = read::evidence()?;
        let stopping = now
            .iter()
            .any(|e| e.in_progress && status::begun_to_stop(e));
        if stopping || start.elapsed() > PATIENCE {
            eprintln!(
                "run {} does not break off any more; follow the console",
                run.run
            );
            eprintln!("intact: everything; the commit point is not passed");
            return Ok(Some(Outcome::NeedsAPerson));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    println!(
        "run {} is broken off; the old OS goes on as it was",
        run.run
    );
    Ok(None)
}

/// Removes what is of no use any more. A run behind the commit point needs what it staged.
fn clean_up(runs: &[Evidence]) -> Outcome {
    let mut outcome = Outcome::Done;
    // Somebody else may have loaded a kernel, for reasons of their own.
    if read::kexec_loaded() && runs.iter().any(loaded_in_this_boot) {
        enter::unload();
        if read::kexec_loaded() {
            outcome = Outcome::NeedsAPerson;
        } else {
            println!("the loaded kernel is unloaded");
        }
    }
    for run in runs.iter().filter(|e| !e.leftovers.is_empty()) {
        let directory = std::path::Path::new(run_directory::BASE).join(&run.run);
        if status::judge(run).state == State::Committed {
            println!(
                "run {} is behind the commit point: what it staged stays",
                run.run
            );
            continue;
        }
        enter::unload();
        initrd::remove_copies(&directory);
        if initrd::copies(&directory).is_empty() {
            println!("what run {} left is removed", run.run);
        } else {
            eprintln!(
                "what run {} left in {} cannot all be removed",
                run.run,
                directory.display()
            );
            outcome = Outcome::NeedsAPerson;
        }
    }
    println!("nothing is in progress; `status` tells of earlier runs");
    outcome
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
