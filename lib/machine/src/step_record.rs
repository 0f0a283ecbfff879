//! The record of a run's steps on the machine: a document in memory, written whole after each
//! change. What cannot be written is told once and does not stop the run.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use formats::outcomes::Outcomes;
use formats::steps::Place;
use formats::told::What;
use formats::Document;
use storage::replace::{replace, Access};

use crate::moment::now;
use crate::outside;

/// A record and the file that it is kept in.
#[derive(Debug)]
pub struct StepRecord {
    path: PathBuf,
    outcomes: Outcomes,
    begun: Instant,
    told: bool,
}

impl StepRecord {
    /// Opens the record at `path`; an earlier attempt of the same run in the same boot is gone on
    /// with, so that its first failure stays the first.
    pub fn open(path: &Path, run: &str, place: Place) -> StepRecord {
        let boot = boot_id();
        let earlier = fs::read(path)
            .ok()
            .and_then(|bytes| Outcomes::from_json(&bytes).ok())
            .filter(|o| o.run == run && o.boot == boot);
        StepRecord {
            path: path.to_owned(),
            outcomes: earlier.unwrap_or_else(|| Outcomes::new(run, place, &boot)),
            begun: Instant::now(),
            told: false,
        }
    }

    /// What is recorded so far.
    pub fn outcomes(&self) -> &Outcomes {
        &self.outcomes
    }

    /// A step begins.
    pub fn begin(&mut self, name: &str) {
        self.begun = Instant::now();
        self.outcomes.begin(name, &now());
        self.write();
        self.tell(name, What::Begun, None);
    }

    /// The step that was begun last is done; gives its seconds.
    pub fn done(&mut self, name: &str) -> f64 {
        let seconds = self.begun.elapsed().as_secs_f64();
        self.outcomes.done(name, seconds);
        self.write();
        self.tell(name, What::Done, None);
        seconds
    }

    /// The step that was begun last has failed.
    pub fn failed(&mut self, name: &str, error: &str) {
        let seconds = self.begun.elapsed().as_secs_f64();
        self.outcomes.failed(name, seconds, error);
        self.write();
        self.tell(name, What::Failed, Some(error));
    }

    /// The step was undone.
    pub fn reverted(&mut self, name: &str) {
        self.outcomes.reverted(name);
        self.write();
        self.tell(name, What::Reverted, None);
    }

    /// The run fails in this step, for good.
    pub fn note_failure(&mut self, step: &str, error: &str) {
        self.outcomes.note_failure(step, error);
        self.write();
        self.tell(step, What::GivenUp, Some(error));
    }

    /// What is on the disk first, the outside second.
    fn tell(&self, step: &str, what: What, error: Option<&str>) {
        let (attempts, seconds) = self
            .outcomes
            .get(step)
            .map_or((1, None), |s| (s.attempts, s.seconds));
        let seconds = seconds.filter(|_| what != What::Begun);
        outside::tell(self.outcomes.place, step, what, attempts, seconds, error);
    }

    fn write(&mut self) {
        match replace(
            &self.path,
            self.outcomes.to_json().as_bytes(),
            Access::Mode(0o644),
        ) {
            Ok(()) => self.told = false,
            // The root is read-only for a while, which is what the run wants.
            Err(e) if e.kind() == io::ErrorKind::ReadOnlyFilesystem => {}
            Err(e) if !self.told => {
                self.told = true;
                log::warn!("write {}: {e}", self.path.display());
            }
            Err(_) => {}
        }
    }
}

/// The kernel's id of this boot.
pub fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|t| t.trim().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_goes_on_with_the_record_of_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("steps.json");
        let mut record = StepRecord::open(&path, "r", Place::Ram);
        record.begin("wipe");
        record.failed("wipe", "first");
        record.note_failure("wipe", "first");
        let mut record = StepRecord::open(&path, "r", Place::Ram);
        record.begin("unpack");
        record.note_failure("unpack", "second");
        let outcomes = StepRecord::open(&path, "r", Place::Ram).outcomes;
        assert_eq!(outcomes.first_failure.unwrap().error, "first");
        assert_eq!(outcomes.later_failures.len(), 1);
        let other = StepRecord::open(&path, "another", Place::Ram);
        assert!(other.outcomes().steps.is_empty());
    }
}
