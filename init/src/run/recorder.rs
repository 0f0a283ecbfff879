//! The engine of the RAM environment: runs the plan's steps as it is told to, repeats them by the
//! plan's rule, and records how long each took and how it ended.
//!
//! The order is not its to know: behind the commit point it is a chain of types. Deadlines are the
//! supervisor's to keep, since a step that hangs cannot: it reads which step runs from a file
//! ([`current_step`]).

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use formats::outcomes;
use formats::plan::Plan;
use formats::report::PhaseTime;
use formats::steps::{Place, Retry, Step};
use machine::outside;
use machine::step_record::StepRecord;

use crate::ram::{current_step, state};

/// The rule for a step that the plan does not name.
pub const ONCE: Retry = Retry {
    attempts: 1,
    pause_s: 0,
};
/// The rule for what comes before the commit point in a run that is taken up behind it: there is no
/// old OS to go back to, and a disk may fail to answer once.
pub const AGAIN: Retry = Retry {
    attempts: 3,
    pause_s: 5,
};
/// How long the end of a run waits for what is yet to be told.
const TOLD: Duration = Duration::from_secs(5);
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
    pub fn retrying<T>(&mut self, name: &str, step: impl FnMut() -> Result<T>) -> Result<T> {
        let planned = self.steps.iter().find(|s| s.name == name);
        let retry = planned.and_then(|s| s.retry).unwrap_or(ONCE);
        self.repeating(name, retry, step)
    }

    /// Does a step that may be repeated, as often as this.
    pub fn repeating<T>(
        &mut self,
        name: &str,
        retry: Retry,
        mut step: impl FnMut() -> Result<T>,
    ) -> Result<T> {
        let Retry { attempts, pause_s } = retry;
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
        current_step::tell(name, planned.map_or(DEADLINE_S, |s| s.deadline_s));
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
    state::at(outcomes::RAM)
}

/// Records that a run ended in its current step by what nobody in the worker could record: a
/// deadline, a signal.
pub fn note_end(plan: &Plan, error: &str) {
    outside::begin(plan);
    let mut record = StepRecord::open(&path(), &plan.run, Place::Ram);
    let step = record
        .outcomes()
        .last()
        .map_or("drivers".to_owned(), |s| s.name.clone());
    record.failed(&step, error);
    record.note_failure(&step, error);
    outside::flush(TOLD);
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use anyhow::bail;

    use super::*;

    fn tries(retry: Retry, fail: u32) -> (bool, u32, usize) {
        let mut recorder = Recorder::default();
        let made = Cell::new(0);
        let done = recorder.repeating("find", retry, || {
            made.set(made.get() + 1);
            if made.get() <= fail {
                bail!("not there")
            }
            Ok(())
        });
        (done.is_ok(), made.get(), recorder.retried.len())
    }

    #[test]
    fn a_step_is_tried_as_often_as_its_rule_says() {
        let thrice = Retry {
            pause_s: 0,
            ..AGAIN
        };
        assert_eq!(tries(thrice, 0), (true, 1, 0));
        assert_eq!(tries(thrice, 2), (true, 3, 2));
        assert_eq!(tries(thrice, 3), (false, 3, 2));
        assert_eq!(tries(ONCE, 1), (false, 1, 0));
    }
}
