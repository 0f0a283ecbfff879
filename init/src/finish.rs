//! The end of a run: records into the new OS, the run's own traces away, everything on disk.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use manifest::journal::Phase;
use manifest::outcomes;
use manifest::plan::KeptPath;
use manifest::report::{KeptReport, Report};
use manifest::Document;

use crate::carry::replace;
use crate::confirm::{traces, units};
use crate::inspect::BootableRoot;
use crate::run::Run;
use crate::target::{self, TARGET};
use crate::{console, journal_file, recorder};

impl BootableRoot {
    /// Has the first boot confirmed, leaves the records, removes what is no longer needed, syncs. Then the machine may reboot.
    ///
    /// The new OS is whole. Records that cannot be written, or traces that cannot be removed, are
    /// told but do not keep the machine from booting it.
    pub fn finish(mut self) -> Result<()> {
        self.run.recorder.begin("reboot");
        journal_file::record(&self.run.plan.run, Phase::Done)?;
        let confirmed_later = match self.install_confirm() {
            Ok(()) => true,
            Err(e) => {
                log::warn!("the first boot will not be compared with the plan: {e:#}");
                false
            }
        };
        // Without records elsewhere the run's directory is all that tells of it, so it stays.
        match self.leave_records() {
            Ok(()) => remove_traces(&self.run, confirmed_later)
                .unwrap_or_else(|e| log::warn!("remove the run's traces: {e:#}")),
            Err(e) => log::warn!("leave the run's records: {e:#}"),
        }
        target::sync()
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
        let installed = units::install(root, &run.plan, kept.collect());
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
        for name in ["launch.log", "facts.json", outcomes::OLD_OS] {
            // What the launcher left in the run's directory; the wipe spares that.
            if let Ok(bytes) = fs::read(target::at(&run.plan.run_directory()).join(name)) {
                write_record(run, name, &bytes)?;
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
        write_record(run, "init.log", &log)
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

/// Where a record of the run is.
pub fn record_path(run: &Run, name: &str) -> PathBuf {
    target::at(&run.plan.record_directory()).join(name)
}

/// Writes a file into the run's record directory, readable by root alone: it tells of keys and
/// accounts.
pub fn write_record(run: &Run, name: &str, bytes: &[u8]) -> Result<()> {
    let directory = target::at(&run.plan.record_directory());
    fs::create_dir_all(&directory).with_context(|| format!("make {}", directory.display()))?;
    replace(&record_path(run, name), bytes, 0o600)
}

/// Removes what the run itself needed on the disk. What its records, or the first boot, need stays.
fn remove_traces(run: &Run, confirmed_later: bool) -> Result<()> {
    let directory = target::at(&run.plan.run_directory());
    let records_here = run.plan.record_directory() == run.plan.run_directory();
    match (confirmed_later, records_here) {
        (false, false) => traces::remove_tree(&target::at("/.reroot")),
        (false, true) => traces::remove_working(&directory, &traces::WORKING),
        (true, true) => traces::remove_working(&directory, &traces::NEEDED_BY_RUN),
        (true, false) => {
            traces::remove_working(&directory, &traces::NEEDED_BY_RUN)?;
            remove_other_runs(&target::at("/.reroot"), &run.plan.run)
        }
    }
}

/// Removes the directories of earlier runs, which did not come to their end.
fn remove_other_runs(base: &Path, run: &str) -> Result<()> {
    let what = || format!("read {}", base.display());
    for entry in fs::read_dir(base).with_context(what)? {
        let entry = entry.with_context(what)?;
        if entry.file_name() != run && entry.file_type().with_context(what)?.is_dir() {
            traces::remove_tree(&entry.path())?;
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
        for run in ["a", "b", "c"] {
            fs::create_dir_all(dir.path().join(run).join("below")).unwrap();
        }
        fs::write(dir.path().join("journal"), "").unwrap();
        remove_other_runs(dir.path(), "b").unwrap();
        let mut names: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["b", "journal"]);
        assert!(dir.path().join("b/below").is_dir());
    }
}
