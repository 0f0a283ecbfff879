//! The engine of the RAM environment: runs the plan's steps as it is told to, repeats them by the
//! plan's rule, and records how long each took and how it ended.
//!
//! The order is not its to know: behind the commit point it is a chain of types. Deadlines are the
//! supervisor's to keep, since a step that hangs cannot: it reads which step runs from a file
//! ([`current`]).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use machine::step_record::StepRecord;
use manifest::outcomes;
use manifest::plan::Plan;
use manifest::report::PhaseTime;
use manifest::steps::{Place, Retry, Step};
use rustix::time::{clock_gettime, ClockId};

use crate::early::STATE;

/// The rule for a step that the plan does not name.
const ONCE: Retry = Retry {
    attempts: 1,
    pause_s: 0,
};
/// Its deadline.
const DEADLINE_S: u64 = 600;

/// The record of a run so far.
#[derive(Default)]
pub struct Recorder {
    /// Finished phases.
    pub phases: Vec<PhaseTime>,
    /// Failures that a later attempt made good.
    pub retried: Vec<String>,
    steps: Vec<Step>,
    record: Option<StepRecord>,
    /// The step that has begun and not ended.
    begun: Option<String>,
}

impl Recorder {
    /// A record of this plan's steps.
    pub fn new(plan: &Plan) -> Recorder {
        Recorder {
            steps: plan.steps.clone(),
            record: Some(StepRecord::open(&path(), &plan.run, Place::Ram)),
            ..Recorder::default()
        }
    }

    /// Does a step once and records its time.
    pub fn once<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        self.attempt(name, step).inspect_err(|e| {
            if let Some(record) = &mut self.record {
                record.note_failure(name, &format!("{e:#}"));
            }
        })
    }

    /// Does a step that may be repeated, as often as the plan says.
    pub fn retrying<T>(&mut self, name: &str, mut step: impl FnMut() -> Result<T>) -> Result<T> {
        let planned = self.steps.iter().find(|s| s.name == name);
        let Retry { attempts, pause_s } = planned.and_then(|s| s.retry).unwrap_or(ONCE);
        for attempt in 1..attempts {
            match self.attempt(name, &mut step) {
                Ok(done) => return Ok(done),
                Err(e) => {
                    let text = format!("{name}, attempt {attempt} of {attempts}: {e:#}");
                    log::warn!("{text}; trying again in {pause_s} s");
                    self.retried.push(text);
                    std::thread::sleep(Duration::from_secs(pause_s));
                }
            }
        }
        self.once(name, step)
    }

    /// A step begins: one that ends with this kernel, or one that is done later on.
    pub fn begin(&mut self, name: &str) {
        if self.begun.as_deref() == Some(name) {
            return;
        }
        self.begun = Some(name.to_owned());
        log::info!("{name}: begins");
        let planned = self.steps.iter().find(|s| s.name == name);
        tell(name, planned.map_or(DEADLINE_S, |s| s.deadline_s));
        if let Some(record) = &mut self.record {
            record.begin(name);
        }
    }

    fn attempt<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        self.begin(name);
        let result = step();
        self.begun = None;
        match (&result, &mut self.record) {
            (Ok(_), Some(record)) => {
                let seconds = record.done(name);
                log::info!("{name}: done in {seconds:.1} s");
                self.phases.push(PhaseTime {
                    name: name.to_owned(),
                    seconds,
                });
            }
            (Err(e), Some(record)) => record.failed(name, &format!("{e:#}")),
            (_, None) => {}
        }
        result
    }
}

/// Where the outcomes are while the RAM environment runs.
pub fn path() -> PathBuf {
    Path::new(STATE).join(outcomes::RAM)
}

/// Records that a run ended in its current step by what nobody in the worker could record: a
/// deadline, a signal.
pub fn note_end(plan: &Plan, error: &str) {
    let mut record = StepRecord::open(&path(), &plan.run, Place::Ram);
    let step = record
        .outcomes()
        .last()
        .map_or("drivers".to_owned(), |s| s.name.clone());
    record.failed(&step, error);
    record.note_failure(&step, error);
}

/// The step that this process does, and how long it may go without progress.
static RUNS: Mutex<Option<Runs>> = Mutex::new(None);

struct Runs {
    name: String,
    patience_s: u64,
    told_s: u64,
}

/// The step that runs has come a little further: it may take its whole deadline again from now on. To
/// be called as often as it does; the supervisor is told once a second.
pub fn progressed() {
    let mut runs = RUNS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runs) = runs.as_mut() {
        if let Some(until_s) = runs.until(seconds_since_boot()) {
            write_current(&runs.name, until_s);
        }
    }
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

/// The step that runs, and until when it may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    /// The step.
    pub name: String,
    /// By the clock of [`seconds_since_boot`].
    pub until_s: u64,
}

/// The file that says which step runs.
fn current_path() -> PathBuf {
    Path::new(STATE).join("step")
}

/// Says which step runs, and for how long it may without progress.
fn tell(name: &str, deadline_s: u64) {
    let now = seconds_since_boot();
    let mut runs = RUNS.lock().unwrap_or_else(PoisonError::into_inner);
    *runs = Some(Runs {
        name: name.to_owned(),
        patience_s: deadline_s,
        told_s: now,
    });
    write_current(name, now + deadline_s);
}

/// A file that cannot be written leaves the earlier deadline in force: too early rather than never.
fn write_current(name: &str, until_s: u64) {
    let text = format!("{until_s} {name}\n");
    let temporary = current_path().with_extension("new");
    let written = fs::write(&temporary, text).and_then(|()| fs::rename(&temporary, current_path()));
    if let Err(e) = written {
        log::warn!("tell the supervisor that {name} begins: {e}");
    }
}

/// The step that runs, if one has begun.
pub fn current() -> Option<Current> {
    parse(&fs::read_to_string(current_path()).ok()?)
}

/// No step runs: those of an attempt that is over have no deadline any more.
pub fn forget_current() {
    // Absent is as good.
    let _ = fs::remove_file(current_path());
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
