//! The order of the steps: one run, from the parts that the launcher handed over to a root that boots.
//!
//! The destructive sequence is a chain of types. Each step consumes the proof that the one before
//! it made, so a wrong order does not compile:
//! `VerifiedImage → CommittedRun → WipedRoot → UnpackedRoot → BootableRoot`.

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{bail, Context, Result};
use formats::steps::{Mode, Retry};
use machine::outside;

use crate::ram::reachable::{self, Network};
use crate::ram::{self, commit_point, console, exit_status, old_records, state};
use crate::run::before::take_up::{self, Next};
use crate::run::before::{drivers, find, network, rehearse, verify};
use crate::run::behind::finish;
use crate::run::data::Start;
use crate::run::order::Order;
use crate::run::recorder::{Recorder, AGAIN, ONCE};
use crate::run::{back, commit, standing, systems};

/// How often the root's disk is looked for in a run that is taken up, each time for a minute: an
/// array may take that long to put itself together, and a hold helps nobody meanwhile.
const FIND_LONG: Retry = Retry {
    attempts: 10,
    pause_s: 5,
};

/// How long the end of the worker waits for what is yet to be told.
const TOLD: Duration = Duration::from_secs(5);

/// Does the run. The exit status tells the supervisor how it ended.
pub fn main() -> ExitCode {
    console::start();
    // Consoles have a shell each, and two runs at once would unpack into each other.
    let lock = match lock() {
        Ok(lock) => lock,
        Err(e) => {
            log::error!("another attempt is under way: {e:#}");
            return exit_status::code(exit_status::HOLD);
        }
    };
    let ended = attempt();
    outside::flush(TOLD);
    drop(lock);
    ended
}

fn lock() -> Result<std::fs::File> {
    let file = fs::File::create(state::at("lock")).context("open the lock")?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)
        .context("take the lock")?;
    Ok(file)
}

fn attempt() -> ExitCode {
    ram::standing::forget();
    let mut recorder = Recorder::default();
    let verified = match before_commit(&mut recorder) {
        Ok(Some(verified)) => verified,
        Ok(None) => {
            log::info!("the new OS and its boot loader are in place; nothing is left to be done");
            return exit_status::code(exit_status::DONE);
        }
        Err(e) => {
            log::error!("failed: {e:#}");
            return if commit_point::is_passed() {
                failed_behind()
            } else {
                log::error!("intact: everything; the old OS was not touched");
                log::error!(
                    "next: `status` in the old OS tells of it; mend the cause, run it again"
                );
                back::leave_log();
                exit_status::code(exit_status::NOT_COMMITTED)
            };
        }
    };
    if verified.plan().mode == Mode::Rehearse {
        return rehearsed(verified);
    }
    let committed = match verified.commit() {
        Ok(committed) => committed,
        Err(e) => {
            log::error!("failed: {e:#}");
            back::leave_log();
            return if commit_point::is_passed() {
                failed_behind()
            } else {
                exit_status::code(exit_status::NOT_COMMITTED)
            };
        }
    };
    match after_commit(committed) {
        Ok(()) => exit_status::code(exit_status::DONE),
        Err(e) => {
            log::error!("failed: {e:#}");
            back::leave_log();
            standing::leave();
            exit_status::code(exit_status::HOLD)
        }
    }
}

/// A step that has to be done before the wipe failed in a start behind the commit point, after every
/// attempt. A reset may mend what hinders it, and can be afforded where the start was counted.
fn failed_behind() -> ExitCode {
    standing::leave();
    exit_status::code(if commit_point::is_counted() {
        exit_status::TAKE_UP
    } else {
        exit_status::HOLD
    })
}

/// Comes back, whatever is found.
fn rehearsed(verified: verify::VerifiedImage) -> ExitCode {
    let mut recorder = Recorder::new(verified.plan());
    match rehearse::finish(verified.into_run(), &mut recorder) {
        Ok(()) => exit_status::code(exit_status::REHEARSED),
        Err(e) => {
            log::error!("failed: {e:#}");
            log::error!("intact: everything; the old OS was not touched");
            back::leave_log();
            exit_status::code(exit_status::NOT_COMMITTED)
        }
    }
}

/// How often what comes before the commit is tried, and how often the disk is looked for. Behind the commit point
/// no old OS waits for this to fail quickly.
fn patience(behind: bool) -> (Retry, Retry) {
    if behind {
        (AGAIN, FIND_LONG)
    } else {
        (ONCE, ONCE)
    }
}

/// Only reads: the root is mounted read-only until the commit. Nothing comes of it where the run has
/// come to its end before.
fn before_commit(recorder: &mut Recorder) -> Result<Option<verify::VerifiedImage>> {
    let order = Order::read()?;
    outside::begin(&order.plan);
    log::info!(
        "run {}: {} becomes {} on {}",
        order.plan.run,
        order.plan.old_os.pretty_name,
        order.plan.new_os.pretty_name,
        order.plan.hostname
    );
    *recorder = Recorder::new(&order.plan);
    let (once, long) = patience(commit_point::is_passed());
    let drivers = recorder.repeating("drivers", once, || {
        drivers::Drivers::load(&order.manifest, &order.plan.root)
    })?;
    let root = recorder.repeating("find", long, || find::find(&order.plan.root, &drivers))?;
    if commit_point::is_passed() {
        recorder.repeating("repair", AGAIN, || {
            find::repair_taken_up(&root, order.plan.root.filesystem)
        })?;
    }
    recorder.repeating("find", once, || find::mount_root(&root, &order.plan.root))?;
    let next = recorder.repeating("find", once, || take_up::look(&order.plan, &root))?;
    old_records::copy(&order.plan);
    let start = match next {
        Next::Begin(start) => start,
        Next::Switch => {
            recorder.repeating("switch", AGAIN, || commit::count_start(&order.plan.run))?;
            recorder.repeating("switch", AGAIN, || {
                finish::switch_what_is_left(&order.plan, &root)
            })?;
            return Ok(None);
        }
        Next::Back => {
            recorder.repeating("switch", AGAIN, || commit::go_back(&order.plan, &root))?;
            commit_point::unmark()?;
            bail!(
                "the power was cut between the switch of two boot paths, before the commit point; the old OS is \
                 what every path that is there starts again"
            );
        }
        Next::Nothing => {
            commit_point::mark()?;
            return Ok(None);
        }
    };
    if start == Start::TakenUp {
        recorder.repeating("find", AGAIN, || commit::count_start(&order.plan.run))?;
    }
    let systems = recorder.repeating("find", long, || {
        find::find_systems(&order.plan, &root, &drivers)
    })?;
    let attempts = if start == Start::TakenUp { AGAIN } else { ONCE };
    if commit_point::is_passed() {
        recorder.repeating("repair", AGAIN, || {
            systems.iter().try_for_each(find::repair_system)
        })?;
    }
    recorder.repeating("find", attempts, || {
        systems::assemble(&order.plan, &systems)
    })?;
    let verified = recorder.repeating("verify", attempts, || {
        verify::verify(order.clone(), root.clone(), systems.clone(), start)
    })?;
    // What was proved before the commit point is no reason to stop behind it.
    if start == Start::Fresh {
        recorder.once("network", || network::prove(verified.plan(), &drivers))?;
    }
    let plan = verified.plan();
    if plan.ram_ssh.server.is_some() {
        let up = start == Start::Fresh && plan.network.proved;
        reachable::want(if up { Network::Up } else { Network::Down });
    }
    Ok(Some(verified.with_recorder(std::mem::take(recorder))))
}

fn after_commit(committed: commit::CommittedRun) -> Result<()> {
    committed
        .wipe()?
        .unpack()?
        .carry_and_install_loader()?
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that does not answer once, or appears after a minute, is no reason to hold a machine that has
    /// nothing else.
    #[test]
    fn what_has_no_old_os_to_go_back_to_is_tried_again() {
        let (once, long) = patience(true);
        assert!(once.attempts > 1 && long.attempts > once.attempts);
        let (once, long) = patience(false);
        assert_eq!((once.attempts, long.attempts), (1, 1));
    }
}
