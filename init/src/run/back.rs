//! What a run leaves on the machine's root filesystem when it does not come to its end: its log and
//! the outcomes of its steps. Before the commit point it also takes away what was staged, for the
//! old OS has no use for it.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use bootpath::grub::one_shot;
use formats::outcomes;
use formats::plan::Plan;
use formats::rehearsal;
use formats::rehearsal::Rehearsal;
use formats::Document;
use rustix::mount::{mount_remount, MountFlags};

use crate::ram::{commit_point, console};
use crate::root::run_directory;
use crate::root::target::{self, TARGET};
use crate::run::{order, recorder, standing};

/// Leaves the log of a failed run in its directory, as far as that is possible. The failure itself
/// has been told; a log that cannot be left is told as well.
pub fn leave_log() {
    if let Err(e) = try_leave(None) {
        log::warn!("leave the log on the machine's root filesystem: {e:#}");
    }
}

/// Leaves log and outcomes of a worker that was ended from outside.
pub fn main(why: &str) -> ExitCode {
    console::start();
    match order::plan() {
        Ok(plan) => recorder::note_end(&plan, why),
        Err(e) => log::warn!("record how the run ended: {e:#}"),
    }
    leave_log();
    // The machine may hold now, and whoever looks at it wants to know what a reset would start.
    if commit_point::is_passed() {
        standing::leave();
    }
    ExitCode::SUCCESS
}

/// Leaves the report of a rehearsal.
pub fn leave_report(report: &Rehearsal) -> Result<()> {
    anyhow::ensure!(
        !commit_point::is_passed(),
        "a rehearsal must not pass the commit point"
    );
    try_leave(Some(report))
}

fn try_leave(report: Option<&Rehearsal>) -> Result<()> {
    let committed = commit_point::is_passed();
    let plan = order::plan()?;
    if !run_directory::of(&plan).is_dir() {
        // The root was not found, or not mounted.
        return Ok(());
    }
    if committed {
        return write(&plan, report);
    }
    mount_remount(TARGET, MountFlags::NOATIME, "").context("make the root filesystem writable")?;
    // The old OS boots next, and nothing of it shall differ.
    if let Err(e) = one_shot::remove(Path::new(TARGET)) {
        log::warn!("{:#}", anyhow::Error::new(e));
    }
    let left = write(&plan, report).and_then(|()| remove_staged(&plan));
    rustix::fs::sync();
    let closed = mount_remount(TARGET, MountFlags::RDONLY, "");
    if let Err(e) = closed {
        // Everything is on the disk, and PID 1 unmounts the root when this process is gone.
        log::warn!("make the root filesystem read-only again: {e}");
    }
    left
}

fn write(plan: &Plan, report: Option<&Rehearsal>) -> Result<()> {
    let mut files: Vec<(&str, Vec<u8>)> = Vec::new();
    // What is absent was not begun.
    if let Ok(steps) = fs::read(recorder::path()) {
        files.push((outcomes::RAM, steps));
    }
    if let Some(report) = report {
        files.push((rehearsal::NAME, report.to_json().into()));
    }
    let log = fs::read(console::log_path()).context("read this run's log")?;
    files.push(("init.log", log));
    let gate = target::gate(plan)?;
    for (name, bytes) in files {
        gate.write(&run_directory::path(plan, name), &bytes, 0o600)?;
    }
    target::sync()
}

fn remove_staged(plan: &Plan) -> Result<()> {
    if commit_point::is_staged_needed() {
        return Ok(());
    }
    run_directory::remove_copies(Path::new(TARGET), plan)?;
    target::sync()
}
