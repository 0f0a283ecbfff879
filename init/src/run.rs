//! The worker: one run, from the parts that the launcher handed over to a root that boots.
//!
//! The destructive sequence is a chain of types. Each step consumes the proof that the one before
//! it made, so a wrong order does not compile:
//! `VerifiedImage → CommittedRun → WipedRoot → UnpackedRoot → BootableRoot`.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use machine::tree::Source;
use manifest::keep::KeepSet;
use manifest::measure::Measure;
use manifest::plan::Plan;
use manifest::steps::Mode;
use manifest::{Digest, Document, Manifest};

use crate::early::{PARTS, STATE};
use crate::recorder::Recorder;
use crate::resume::{self, Start};
use crate::verify::PayloadIn;
use crate::{back, commit, console, drivers, find, network, rehearse, verify};

/// The worker's exit status when the new OS is in place.
pub const DONE: i32 = 0;
/// The worker's exit status when the rehearsal has left its report.
pub const REHEARSED: i32 = 5;
const NOT_COMMITTED: u8 = 3;
const HOLD: u8 = 4;

/// What the launcher handed over, read and compared with each other.
pub struct Order {
    /// What to do.
    pub plan: Plan,
    /// With which image.
    pub manifest: Manifest,
}

/// Everything that the steps share.
pub struct Run {
    /// What to do.
    pub plan: Plan,
    /// With which image.
    pub manifest: Manifest,
    /// The root filesystem, mounted at /target, and its disk.
    pub root: find::MountedRoot,
    /// Whether it begins here or is taken up again.
    pub start: Start,
    /// The payload.
    pub payload: Source,
    /// Where that is.
    pub payload_in: PayloadIn,
    /// The plan's keep list, and what else the wipe spares.
    pub keep: KeepSet,
    /// Every kept path as it was before the wipe.
    pub before: Vec<Measure>,
    /// Times and retries.
    pub recorder: Recorder,
}

/// Does the run. The exit status tells the supervisor how it ended.
pub fn main() -> ExitCode {
    console::start();
    // Consoles have a shell each, and two runs at once would unpack into each other.
    let lock = match lock() {
        Ok(lock) => lock,
        Err(e) => {
            log::error!("another attempt is under way: {e:#}");
            return ExitCode::from(HOLD);
        }
    };
    let ended = attempt();
    drop(lock);
    ended
}

fn lock() -> Result<std::fs::File> {
    let file = fs::File::create(Path::new(STATE).join("lock")).context("open the lock")?;
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
            return ExitCode::from(DONE as u8);
        }
        Err(e) => {
            log::error!("failed: {e:#}");
            return if commit::is_passed() {
                ExitCode::from(HOLD)
            } else {
                log::error!("intact: everything; the old OS was not touched");
                log::error!(
                    "next: `status` in the old OS tells of it; mend the cause, run it again"
                );
                back::leave_log();
                ExitCode::from(NOT_COMMITTED)
            };
        }
    };
    if verified.plan().mode == Mode::Rehearse {
        return rehearsed(verified);
    }
    match after_verification(verified) {
        Ok(()) => ExitCode::from(DONE as u8),
        Err(e) => {
            log::error!("failed: {e:#}");
            back::leave_log();
            ExitCode::from(if commit::is_passed() {
                HOLD
            } else {
                NOT_COMMITTED
            })
        }
    }
}

/// Comes back, whatever is found.
fn rehearsed(verified: verify::VerifiedImage) -> ExitCode {
    let mut recorder = Recorder::new(verified.plan());
    match rehearse::finish(verified.into_run(), &mut recorder) {
        Ok(()) => ExitCode::from(REHEARSED as u8),
        Err(e) => {
            log::error!("failed: {e:#}");
            log::error!("intact: everything; the old OS was not touched");
            back::leave_log();
            ExitCode::from(NOT_COMMITTED)
        }
    }
}

/// Only reads: the root is mounted read-only until the commit. Nothing comes of it where the run has
/// come to its end before.
fn before_commit(recorder: &mut Recorder) -> Result<Option<verify::VerifiedImage>> {
    let order = read_order()?;
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
    let start = resume::look(&order.plan, &root)?;
    match start {
        Start::Fresh => {}
        Start::Resumed => commit::count_start(&order.plan.run)?,
        Start::Finished => {
            commit::mark()?;
            return Ok(None);
        }
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

/// Reads plan and manifest; the plan must be for this very manifest.
fn read_order() -> Result<Order> {
    let read = |name: &str| {
        let path = Path::new(PARTS).join(name);
        fs::read(&path).with_context(|| format!("read {}", path.display()))
    };
    let plan = Plan::from_json(&read("plan.json")?).context("read the plan")?;
    let bytes = read("manifest.json")?;
    let manifest = Manifest::from_json(&bytes).context("read the manifest")?;
    let found = Digest::of(&bytes);
    anyhow::ensure!(
        found == plan.manifest_digest,
        "the plan is for the image with manifest {}, this one has {found}",
        plan.manifest_digest
    );
    Ok(Order { plan, manifest })
}
