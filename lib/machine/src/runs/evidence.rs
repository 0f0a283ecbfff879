//! What runs left on this machine, read; and the whole of it, judged.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use formats::begun::{self, Begun};
use formats::journal::{self, Record};
use formats::outcomes::{self, Outcomes};
use formats::plan::Plan;
use formats::rehearsal::{self, Rehearsal};
use formats::{confirm, Document};
use plan::status::{judge, Comparison, Evidence, Finished, Leftover, Status};

use super::directory::{copies, directories, Places, RunsError, PLAN};
use super::lock;
use crate::step_record::boot_id;
use crate::{moment, os_release};

/// What every run left, in the order in which they were begun.
///
/// # Errors
/// A place of runs is there and cannot be read.
pub fn evidence(places: &Places) -> Result<Vec<Evidence>, RunsError> {
    // First: a run that ends meanwhile is told as one that goes on, never the other way round.
    let holder = lock::holder(places);
    let journal = journal(places);
    let of_run = |run: &str| journal.as_ref().filter(|record| record.run == run);
    // One run may have left something in both places.
    let mut runs: BTreeMap<String, Evidence> = BTreeMap::new();
    for place in [&places.base, &places.records] {
        for directory in directories(place)? {
            let run = directory.file_name().unwrap_or_default();
            let run = run.to_string_lossy().into_owned();
            let e = runs.entry(run.clone()).or_insert_with(|| Evidence {
                run: run.clone(),
                boot: boot_id(),
                journal: of_run(&run).map(|record| record.phase),
                taken_back: of_run(&run).is_some_and(|record| record.taken_back),
                in_progress: holder.as_ref().is_some_and(|h| h.run == run),
                comparison: comparison(places, &run),
                ..Evidence::default()
            });
            e.directory = directory.display().to_string();
            read_into(e, &directory);
        }
    }
    let mut runs: Vec<Evidence> = runs.into_values().collect();
    // Those that were not counted come first, by name.
    runs.sort_by_key(number);
    Ok(runs)
}

/// The run's place in the order of runs.
pub fn number(e: &Evidence) -> u64 {
    e.begun.as_ref().map_or(0, |begun| begun.number)
}

/// Every run judged, and the machine as it is.
pub fn status(places: &Places, evidence: &[Evidence]) -> Status {
    let os = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let in_progress = evidence.iter().find(|e| e.in_progress);
    let in_progress = in_progress.map(|e| e.run.clone());
    Status {
        hostname: rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
        os: os_release::parse(&os),
        boot_id: boot_id(),
        now: moment::now(),
        newest: evidence.last().map(|e| e.run.clone()),
        in_progress: in_progress.or_else(|| lock::holder(places).map(|holder| holder.run)),
        kexec_loaded: kexec_loaded(),
        runs: evidence.iter().map(judge).collect(),
    }
}

/// Whether the next reboot may enter a kernel that somebody loaded.
pub fn kexec_loaded() -> bool {
    fs::read_to_string("/sys/kernel/kexec_loaded").is_ok_and(|t| t.trim() == "1")
}

/// A document that is absent, or of another release, tells nothing.
fn read_into(e: &mut Evidence, directory: &Path) {
    fn read<T: Document>(directory: &Path, name: &str) -> Option<T> {
        T::from_json(&fs::read(directory.join(name)).ok()?).ok()
    }
    e.begun = read::<Begun>(directory, begun::NAME).or(e.begun.take());
    e.plan = read::<Plan>(directory, PLAN).or(e.plan.take());
    e.old_os = read::<Outcomes>(directory, outcomes::OLD_OS).or(e.old_os.take());
    e.ram = read::<Outcomes>(directory, outcomes::RAM).or(e.ram.take());
    // Behind the comparison's units: these go when it has been added to the report.
    e.report = read::<Finished>(directory, "report.json").or(e.report.take());
    e.rehearsal = read::<Rehearsal>(directory, rehearsal::NAME).or(e.rehearsal.take());
    for path in copies(directory) {
        if let Ok(metadata) = fs::symlink_metadata(&path) {
            e.leftovers.push(Leftover {
                path: path.display().to_string(),
                bytes: metadata.size(),
            });
        }
    }
}

/// The journal's last record.
fn journal(places: &Places) -> Option<Record> {
    journal::latest(&fs::read(places.base.join("journal")).ok()?)
}

/// Whether the new OS will compare itself with the plan of this run.
fn comparison(places: &Places, run: &str) -> Comparison {
    let there = |path: &Path| path.symlink_metadata().is_ok();
    let program = places.base.join(run).join(confirm::PROGRAM);
    if !there(&program) || !there(&places.units.join(confirm::UNIT)) {
        return Comparison::Absent;
    }
    // Where systemd does not answer, it is still to come, as far as anybody knows.
    let failed = Command::new("systemctl")
        .args(["is-failed", "--quiet", confirm::UNIT])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if failed.is_ok_and(|status| status.success()) {
        Comparison::Failed
    } else {
        Comparison::ToCome
    }
}
