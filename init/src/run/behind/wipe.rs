//! Removing the old OS, all but the kept paths.

use std::os::fd::AsFd;

use anyhow::{ensure, Context, Result};
use formats::counted::counted;
use formats::journal::Phase;
use tree::WipeReport;

use crate::root::target;
use crate::run::behind::flags_cleared::FlagsCleared;
use crate::run::commit::CommittedRun;
use crate::run::data::Run;
use crate::run::journal_file;
use crate::run::progress::Progress;

/// Proof that nothing but the kept paths is left.
pub struct WipedRoot(pub(in crate::run) Run, pub(in crate::run) u64);

impl CommittedRun {
    /// Wipes; repeated after a failure, since what is gone stays gone.
    pub fn wipe(self) -> Result<WipedRoot> {
        let CommittedRun(mut run) = self;
        let mut recorder = std::mem::take(&mut run.recorder);
        let mut removed = 0;
        recorder.retrying("wipe", || {
            journal_file::record(&run.plan.run, Phase::Wipe)?;
            let report = once(&run)?;
            removed += report.removed;
            log::info!(
                "wipe: removed {}",
                counted(report.removed, "entry", "entries")
            );
            Ok(())
        })?;
        run.recorder = recorder;
        Ok(WipedRoot(run, removed))
    }
}

/// Wipes once. Nothing is mounted below the root here; a mount would hide part of the old OS.
pub fn once(run: &Run) -> Result<WipeReport> {
    let progress = Progress::new("wipe", run.plan.wiped.entries);
    let root = target::directory()?;
    let cleared = FlagsCleared::begin(run)?;
    let report = tree::wipe_noting(root.as_fd(), &run.keep, &|n| progress.add(n), &|file| {
        cleared.note(file)
    })
    .context("wipe the root filesystem")?;
    cleared.end()?;
    ensure!(
        report.skipped_mounts.is_empty(),
        "something is mounted on the root filesystem: {:?}",
        report.skipped_mounts
    );
    Ok(report)
}
