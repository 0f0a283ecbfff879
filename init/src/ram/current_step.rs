//! The step that runs, and until when it may: the worker tells it in a file, for PID 1 keeps the
//! deadlines. A step that hangs cannot keep its own.

use std::fs;
use std::path::PathBuf;

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

/// Says which step runs, and for how long it may. A file that cannot be written leaves the earlier
/// step's deadline in force: too early rather than never.
pub fn tell(name: &str, deadline_s: u64) {
    let text = format!("{} {name}\n", seconds_since_boot() + deadline_s);
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
    fn what_is_told_is_understood() {
        let told = parse("120 verify\n").unwrap();
        assert_eq!((told.name.as_str(), told.until_s), ("verify", 120));
        for text in ["", "verify", "x verify", "12"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
