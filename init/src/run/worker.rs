//! The order of the steps: one run, from the parts that the launcher handed over to a root that boots.
//!
//! The destructive sequence is a chain of types. Each step consumes the proof that the one before
//! it made, so a wrong order does not compile:
//! `VerifiedImage → CommittedRun → WipedRoot → UnpackedRoot → BootableRoot`.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result};
use formats::steps::Mode;

use crate::ram::{commit_point, console, exit_status, state};
use crate::run::before::take_up::{self, Next};
use crate::run::before::{drivers, find, network, rehearse, verify};
use crate::run::data::Start;
use crate::run::order::Order;
use crate::run::recorder::Recorder;
use crate::run::{back, commit};

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
                exit_status::code(exit_status::HOLD)
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
    match after_verification(verified) {
        Ok(()) => exit_status::code(exit_status::DONE),
        Err(e) => {
            log::error!("failed: {e:#}");
            back::leave_log();
            exit_status::code(if commit_point::is_passed() {
                exit_status::HOLD
            } else {
                exit_status::NOT_COMMITTED
            })
        }
    }
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

/// Only reads: the root is mounted read-only until the commit. Nothing comes of it where the run has
/// come to its end before.
fn before_commit(recorder: &mut Recorder) -> Result<Option<verify::VerifiedImage>> {
    let order = Order::read()?;
    log::info!(
        "run {}: {} becomes {} on {}",
        order.plan.run,
        order.plan.old_os.pretty_name,
        order.plan.new_os.pretty_name,
        order.plan.hostname
    );
    *recorder = Recorder::new(&order.plan);
    let drivers = recorder.once("drivers", || drivers::Drivers::load(&order.manifest))?;
    let root = recorder.once("find", || find::find(&order.plan.root, &drivers))?;
    let Next::Begin(start) = take_up::look(&order.plan, &root)? else {
        commit_point::mark()?;
        return Ok(None);
    };
    if start == Start::TakenUp {
        commit::count_start(&order.plan.run)?;
    }
    let verified = recorder.once("verify", || verify::verify(order, root, start))?;
    // What was proved before the commit point is no reason to stop behind it.
    if start == Start::Fresh {
        recorder.once("network", || network::prove(verified.plan(), &drivers))?;
    }
    Ok(Some(verified.with_recorder(std::mem::take(recorder))))
}

fn after_verification(verified: verify::VerifiedImage) -> Result<()> {
    verified
        .commit()?
        .wipe()?
        .unpack()?
        .carry_and_install_loader()?
        .finish()
}
