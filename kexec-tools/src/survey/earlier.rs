//! What earlier runs left on this machine.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{bail, Context, Result};
use formats::journal;
use formats::journal::Phase;
use formats::outcomes;
use formats::outcomes::Outcomes;
use formats::plan::Plan;
use formats::rehearsal;
use formats::rehearsal::Rehearsal;
use formats::Document;
use machine::step_record::boot_id;
use plan::status::{Evidence, Finished, Leftover};

use crate::run_directory;

/// Where the records of finished runs are.
pub const RECORDS: &str = "/var/log/reroot";

/// What every run left, the oldest first.
pub fn evidence() -> Result<Vec<Evidence>> {
    if !rustix::process::geteuid().is_root() {
        bail!("this needs root: what runs leave is readable by root alone; run it with sudo");
    }
    // One run may have left something in both places.
    let mut runs: BTreeMap<String, Evidence> = BTreeMap::new();
    let journal = journal();
    let in_progress = run_directory::in_progress();
    for base in [run_directory::BASE, RECORDS] {
        for directory in directories(base)? {
            let run = directory.file_name().unwrap_or_default();
            let run = run.to_string_lossy().into_owned();
            let e = runs.entry(run.clone()).or_insert_with(|| Evidence {
                run: run.clone(),
                boot: boot_id(),
                journal: journal.iter().find(|j| j.0 == run).map(|j| j.1),
                in_progress: in_progress.as_ref() == Some(&run),
                ..Evidence::default()
            });
            e.directory = directory.display().to_string();
            read_into(e, &directory);
        }
    }
    Ok(runs.into_values().collect())
}

/// The directories of runs: their names begin with a date.
fn directories(base: &str) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(base) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e).with_context(|| format!("read {base}")),
    };
    let is_run = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(|c: char| c.is_ascii_digit()) && path.is_dir()
    };
    Ok(entries.flatten().map(|e| e.path()).filter(is_run).collect())
}

/// A document that is absent, or of another release, tells nothing.
fn read_into(e: &mut Evidence, directory: &Path) {
    fn read<T: Document>(directory: &Path, name: &str) -> Option<T> {
        T::from_json(&fs::read(directory.join(name)).ok()?).ok()
    }
    e.plan = read::<Plan>(directory, run_directory::PLAN).or(e.plan.take());
    e.old_os = read::<Outcomes>(directory, outcomes::OLD_OS).or(e.old_os.take());
    e.ram = read::<Outcomes>(directory, outcomes::RAM).or(e.ram.take());
    e.report = read::<Finished>(directory, "report.json").or(e.report.take());
    e.rehearsal = read::<Rehearsal>(directory, rehearsal::NAME).or(e.rehearsal.take());
    for path in run_directory::copies(directory) {
        if let Ok(metadata) = fs::symlink_metadata(&path) {
            e.leftovers.push(Leftover {
                path: path.display().to_string(),
                bytes: metadata.size(),
            });
        }
    }
}

/// The run and the phase that the journal tells of.
fn journal() -> Option<(String, Phase)> {
    let bytes = fs::read(Path::new(run_directory::BASE).join("journal")).ok()?;
    journal::latest(&bytes).map(|r| (r.run, r.phase))
}

/// Whether the next reboot may enter a kernel that somebody loaded.
pub fn kexec_loaded() -> bool {
    fs::read_to_string("/sys/kernel/kexec_loaded").is_ok_and(|t| t.trim() == "1")
}
