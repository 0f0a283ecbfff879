//! Where runs are: `/.reroot/RUN` while they go on, `/var/log/reroot/RUN` in the new OS.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use formats::staged;

/// Holds every run's directory, the lock and the journal.
pub const BASE: &str = "/.reroot";
/// Where the records of finished runs are.
pub const RECORDS: &str = "/var/log/reroot";

/// In a run's directory: the plan.
pub const PLAN: &str = "plan.json";
/// In a run's directory: the session that started the run has nothing more to wait for.
pub const HANDED_OVER: &str = "handed-over";
/// In a run's directory, and among its records in the new OS: the program that answers `status` and `wait`
/// where no image is.
pub const PROGRAM: &str = "reroot";

/// The places of a machine; those of a test are elsewhere.
#[derive(Clone, Debug)]
pub struct Places {
    /// See [`BASE`].
    pub base: PathBuf,
    /// See [`RECORDS`].
    pub records: PathBuf,
    /// Units of an administrator's.
    pub units: PathBuf,
}

/// Something could not be done with what runs have left.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct RunsError {
    what: String,
    source: io::Error,
}

impl RunsError {
    /// Puts what was attempted before an error.
    pub fn at(what: impl Into<String>) -> impl FnOnce(io::Error) -> RunsError {
        let what = what.into();
        move |source| RunsError { what, source }
    }
}

impl Places {
    /// This machine's.
    pub fn here() -> Places {
        Places {
            base: BASE.into(),
            records: RECORDS.into(),
            units: "/etc/systemd/system".into(),
        }
    }

    /// A run's directory, or where its records are.
    pub fn find(&self, run: &str) -> Option<PathBuf> {
        let places = [&self.base, &self.records].map(|place| place.join(run));
        places.into_iter().find(|path| path.is_dir())
    }
}

/// The directories of runs in a place: their names begin with a date.
pub(super) fn directories(place: &Path) -> Result<Vec<PathBuf>, RunsError> {
    let entries = match fs::read_dir(place) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(RunsError::at(format!("read {}", place.display()))(e)),
    };
    let is_run = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(|c: char| c.is_ascii_digit()) && path.is_dir()
    };
    Ok(entries.flatten().map(|e| e.path()).filter(is_run).collect())
}

/// The copies that are in a run's directory, attempts that were broken off with them.
pub fn copies(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_str().is_some_and(staged::is_copy))
        .map(|entry| entry.path())
        .collect()
}
