//! Removing the old OS, all but the kept paths.

use std::os::fd::AsFd;

use anyhow::{ensure, Context, Result};
use formats::counted::counted;
use formats::journal::Phase;
use rustix::fs::{Mode, OFlags};

use crate::root::target;
use crate::run::behind::flags_cleared::FlagsCleared;
use crate::run::commit::CommittedRun;
use crate::run::data::Run;
use crate::run::progress::Progress;
use crate::run::{journal_file, kept, systems};

/// Proof that nothing but the kept paths is left.
pub struct WipedRoot(pub(in crate::run) Run, pub(in crate::run) u64);

impl CommittedRun {
    /// Wipes; repeated after a failure, since what is gone stays gone.
    pub fn wipe(self) -> Result<WipedRoot> {
        let CommittedRun(mut run) = self;
        let mut recorder = std::mem::take(&mut run.recorder);
        let mut removed = 0;
        recorder.retrying("wipe", || {
            journal_file::record_if_there_is_room(&run.plan, Phase::Wipe)?;
            let gone = once(&run)?;
            removed += gone;
            log::info!("wipe: removed {}", counted(gone, "entry", "entries"));
            Ok(())
        })?;
        run.recorder = recorder;
        Ok(WipedRoot(run, removed))
    }
}

/// Wipes once, one filesystem after the other, each while nothing is mounted in it: a mount would hide part of the
/// old OS. Behind it all of them are mounted where the machine has them, and writable.
pub fn once(run: &Run) -> Result<u64> {
    let progress = Progress::new("wipe", run.plan.wiped.entries);
    systems::take_apart().context("have each filesystem by itself")?;
    let mut removed = wipe_one(run, 0, "/", &progress)?;
    for (number, system) in run.systems.iter().enumerate() {
        systems::put_writable(&run.plan, system)?;
        removed += wipe_one(run, number + 1, &system.target, &progress)?;
    }
    systems::ensure_mounted(&run.root, &run.systems)?;
    Ok(removed)
}

fn wipe_one(run: &Run, number: usize, target: &str, progress: &Progress) -> Result<u64> {
    let place = target::at(target);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let top = rustix::fs::open(&place, flags, Mode::empty())
        .with_context(|| format!("open directory {}", place.display()))?;
    let keep = kept::keep_set_on(&run.plan, target, &place)?;
    let cleared = FlagsCleared::begin(run, number, target, top.as_fd())?;
    let report = tree::wipe_noting(top.as_fd(), &keep, &|n| progress.add(n), &|file| {
        cleared.note(file)
    })
    .with_context(|| format!("wipe the filesystem of {target}"))?;
    cleared.end(top.as_fd())?;
    ensure!(
        report.skipped_mounts.is_empty(),
        "something is mounted on the filesystem of {target}: {:?}",
        report.skipped_mounts
    );
    Ok(report.removed)
}
