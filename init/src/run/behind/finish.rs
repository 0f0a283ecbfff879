//! The end of a run: records into the new OS, the run's own traces away, everything on disk.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use formats::begun;
use formats::journal::Phase;
use formats::outcomes;
use formats::plan::{KeptPath, Plan};
use formats::report::{KeptReport, Report};
use formats::Document;
use machine::runs::directory::PROGRAM;
use rustix::mount::{mount_remount, MountFlags};
use storage::freeze;
use tree::Gate;

use crate::confirm::units;
use crate::ram::console;
use crate::root::place;
use crate::root::run_directory;
use crate::root::target::{self, TARGET};
use crate::run::behind::inspect::BootableRoot;
use crate::run::behind::new_loader::NewLoader;
use crate::run::boot_paths::{self, AllBeside};
use crate::run::data::{MountedRoot, Run};
use crate::run::{journal_file, recorder};

/// Where every run has its directory.
const RUNS: &str = "/.reroot";
/// Records that the launcher and the commit left in the run's directory; the wipe spares that.
const LEFT_RECORDS: [&str; 4] = [begun::NAME, "launch.log", "facts.json", outcomes::OLD_OS];

impl BootableRoot {
    /// Has the first boot confirmed, leaves the records, and puts everything into its place on the
    /// disk. Only then the master boot record is switched: behind a power cut before it the run
    /// is taken up, one behind it boots a new OS to which nothing is missing.
    ///
    /// Records that cannot be written, or traces that cannot be removed, are told but do not keep
    /// the machine from booting the new OS.
    pub fn finish(mut self) -> Result<()> {
        self.run.recorder.begin("switch");
        if let Err(e) = self.install_confirm() {
            log::warn!("the first boot will not be compared with the plan: {e:#}");
            log::warn!("remove /.reroot in the new OS by hand");
        }
        // Without records elsewhere the run's directory is all that tells of it, so it stays.
        match self.leave_records() {
            Ok(()) => target::gate(&self.run.plan)
                .and_then(|gate| remove_other_runs(Path::new(TARGET), &gate, &self.run.plan.run))
                .unwrap_or_else(|e| log::warn!("remove the traces of earlier runs: {e:#}")),
            Err(e) => log::warn!("leave the run's records: {e:#}"),
        }
        let mut recorder = std::mem::take(&mut self.run.recorder);
        recorder.retrying("switch", || self.switch())?;
        self.loader.tidy();
        recorder.begin("reboot");
        Ok(())
    }

    fn switch(&self) -> Result<()> {
        mount_remount(TARGET, MountFlags::NOATIME, "")
            .context("make the root filesystem writable")?;
        // What the record says has to be true of the disk: a start that finds it wipes nothing any more.
        target::sync()?;
        journal_file::record(&self.run.plan.run, Phase::Done)?;
        settle()?;
        self.loader.switch()
    }

    /// Has the new OS compare itself with the plan when it boots for the first time.
    fn install_confirm(&self) -> Result<()> {
        let run = &self.run;
        let kept = run.plan.keep.iter().zip(&self.after);
        let kept = kept.map(|(k, after)| KeptPath {
            path: k.path.clone(),
            measure: after.clone(),
        });
        let root = Path::new(TARGET);
        let left = units::Left {
            kept: kept.collect(),
            obstructed: self.obstructed.clone(),
            hooks: self.called.clone(),
        };
        let installed = units::install(root, &run.plan, left);
        if installed.is_err() {
            // Half of it would start something that is not there.
            units::uninstall(root, &run.plan)?;
        }
        installed
    }

    fn leave_records(&self) -> Result<()> {
        let report = self.report();
        let run = &self.run;
        write_record(run, "report.json", report.to_json().as_bytes())?;
        write_record(run, "plan.json", run.plan.to_json().as_bytes())?;
        let sectors = (0..run.root.disks.len()).map(run_directory::boot_sectors);
        for name in LEFT_RECORDS.map(str::to_owned).into_iter().chain(sectors) {
            if let Ok(bytes) = fs::read(run_directory::at(&run.plan, &name)) {
                write_record(run, &name, &bytes)?;
            }
        }
        if let Ok(bytes) = fs::read(recorder::path()) {
            write_record(run, outcomes::RAM, &bytes)?;
        }
        for phase in &report.phases {
            log::info!("phase {}: {:.1} s", phase.name, phase.seconds);
        }
        log::info!(
            "done: {} is in place, every kept path is as it was",
            run.plan.new_os.pretty_name
        );
        let log = fs::read(console::log_path()).context("read this run's log")?;
        write_record(run, "init.log", &log)?;
        self.leave_program();
        Ok(())
    }

    /// The image is gone in the new OS: this program tells of the run there. The records tell of it to
    /// people without.
    fn leave_program(&self) {
        let path = format!("{}/{PROGRAM}", self.run.plan.record_directory());
        let left = fs::read("/proc/self/exe")
            .context("read this program")
            .and_then(|bytes| {
                let gate = target::gate(&self.run.plan)?;
                Ok(gate.write(&path, &bytes, 0o700)?)
            });
        if let Err(e) = left {
            log::warn!("`status` will need an image in the new OS: leave {path}: {e:#}");
        }
    }

    fn report(&self) -> Report {
        let run = &self.run;
        let kept = run.plan.keep.iter().zip(&run.before).zip(&self.after);
        Report {
            run: run.plan.run.clone(),
            image: run.plan.image.clone(),
            old_os: run.plan.old_os.clone(),
            new_os: run.plan.new_os.clone(),
            phases: run.recorder.phases.clone(),
            kept: kept
                .map(|((k, before), after)| KeptReport {
                    path: k.path.clone(),
                    before: before.clone(),
                    after: after.clone(),
                })
                .collect(),
            removed: self.counts.removed,
            unpacked: self.counts.unpacked,
            skipped: self.counts.skipped,
            skipped_first: self.counts.skipped_first.clone(),
            retried: run.recorder.retried.clone(),
            confirm: None,
        }
    }
}

/// GRUB replays no journal. Making the root read-only empties it; where something keeps the kernel from
/// that, freezing does.
fn settle() -> Result<()> {
    if let Err(e) = mount_remount(TARGET, MountFlags::RDONLY, "") {
        log::warn!("make the root filesystem read-only: {e}; freezing it instead");
        freeze::settle(Path::new(TARGET)).context("freeze and thaw the root filesystem")?;
    }
    Ok(())
}

/// The last switch of a run that was broken off right before it, or between two paths: the loaders are in the
/// new root, and the paths that do not start them yet do so now.
pub fn switch_what_is_left(plan: &Plan, root: &MountedRoot) -> Result<()> {
    mount_remount(TARGET, MountFlags::NOATIME, "").context("make the root filesystem writable")?;
    settle()?;
    let mut left = Vec::new();
    for path in boot_paths::of(plan, root)? {
        if !path.starts(&NewLoader)? {
            left.push(path);
        }
    }
    let loader = AllBeside::put(left, &NewLoader)?;
    loader.inspect(&NewLoader)?;
    loader.switch()?;
    loader.tidy();
    Ok(())
}

/// Writes a file into the run's record directory, readable by root alone: it tells of keys and
/// accounts.
fn write_record(run: &Run, name: &str, bytes: &[u8]) -> Result<()> {
    let directory = run.plan.record_directory();
    let gate = target::gate(&run.plan)?;
    gate.make_directories(&directory)?;
    Ok(gate.write(&format!("{directory}/{name}"), bytes, 0o600)?)
}

/// Removes the directories of earlier runs, which did not come to their end.
fn remove_other_runs(root: &Path, gate: &Gate, run: &str) -> Result<()> {
    let base = place::at(root, RUNS);
    let what = || format!("read {}", base.display());
    for entry in fs::read_dir(&base).with_context(what)? {
        let entry = entry.with_context(what)?;
        let (name, kind) = (entry.file_name(), entry.file_type().with_context(what)?);
        if let Some(name) = name.to_str().filter(|n| *n != run && kind.is_dir()) {
            gate.remove_tree(&format!("{RUNS}/{name}"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_runs_go_and_this_one_and_the_journal_stay() {
        let dir = tempfile::tempdir().unwrap();
        let runs = dir.path().join(".reroot");
        for run in ["a", "b", "c"] {
            fs::create_dir_all(runs.join(run).join("below")).unwrap();
        }
        fs::write(runs.join("journal"), "").unwrap();
        let gate = Gate::open(dir.path(), []).unwrap();
        remove_other_runs(dir.path(), &gate, "b").unwrap();
        let mut names: Vec<_> = fs::read_dir(&runs)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["b", "journal"]);
        assert!(runs.join("b/below").is_dir());
    }
}
