//! The step that runs, and until when it may: the worker tells it in a file, for PID 1 keeps the
//! deadlines. A step that hangs cannot keep its own.

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use rustix::time::{clock_gettime, ClockId};

use crate::ram::state;

/// The step that runs, and until when it may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    /// The step.
    pub name: String,
    /// By the clock of [`seconds_since_boot`].
    pub until_s: u64,
}

/// The file that says which step runs.
const FILE: &str = "step";

fn path() -> PathBuf {
    state::at(FILE)
}

/// The step that this process does, and how long it may go without progress.
static RUNS: Mutex<Option<Runs>> = Mutex::new(None);

struct Runs {
    name: String,
    patience_s: u64,
    told_s: u64,
}

impl Runs {
    /// Its new end, unless that was told in this second already.
    fn until(&mut self, now: u64) -> Option<u64> {
        (self.told_s != now).then(|| {
            self.told_s = now;
            now + self.patience_s
        })
    }
}

/// Says which step runs, and for how long it may without progress.
pub fn tell(name: &str, deadline_s: u64) {
    let now = seconds_since_boot();
    let mut runs = RUNS.lock().unwrap_or_else(PoisonError::into_inner);
    *runs = Some(Runs {
        name: name.to_owned(),
        patience_s: deadline_s,
        told_s: now,
    });
    write(name, now + deadline_s);
}

/// The step that runs has come a little further: it may take its whole deadline again from now on. To
/// be called as often as it does; the supervisor is told once a second.
pub fn progressed() {
    let mut runs = RUNS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runs) = runs.as_mut() {
        if let Some(until_s) = runs.until(seconds_since_boot()) {
            write(&runs.name, until_s);
        }
    }
}

/// A file that cannot be written leaves the earlier deadline in force: too early rather than never.
fn write(name: &str, until_s: u64) {
    let text = format!("{until_s} {name}\n");
    if let Err(e) = state::write(FILE, text.as_bytes(), 0o644) {
        log::warn!("tell the supervisor that {name} begins: {e}");
    }
}

/// The step that runs, if one has begun.
pub fn read() -> Option<Current> {
    parse(&fs::read_to_string(path()).ok()?)
}

/// No step runs: those of an attempt that is over have no deadline any more.
pub fn forget() {
    // Absent is as good.
    let _ = fs::remove_file(path());
}

fn parse(text: &str) -> Option<Current> {
    let (until, name) = text.trim_end().split_once(' ')?;
    Some(Current {
        name: name.to_owned(),
        until_s: until.parse().ok()?,
    })
}

/// A clock that all processes share and nobody sets.
pub fn seconds_since_boot() -> u64 {
    clock_gettime(ClockId::Monotonic).tv_sec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_gets_on_has_its_whole_deadline_again() {
        let mut runs = Runs {
            name: "wipe".to_owned(),
            patience_s: 300,
            told_s: 1000,
        };
        assert_eq!(runs.until(1000), None, "once a second is enough");
        assert_eq!(runs.until(1299), Some(1599));
        assert_eq!(runs.until(1299), None);
        assert_eq!(
            runs.until(50_000),
            Some(50_300),
            "however long it takes in all"
        );
    }

    #[test]
    fn what_is_told_is_understood() {
        let told = parse("120 verify\n").unwrap();
        assert_eq!((told.name.as_str(), told.until_s), ("verify", 120));
        for text in ["", "verify", "x verify", "12"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
