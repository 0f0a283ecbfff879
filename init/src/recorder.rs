//! How long each phase took and what had to be tried again, for the report.

use std::time::{Duration, Instant};

use anyhow::Result;
use manifest::report::PhaseTime;

/// How often a step that failed after the commit point is tried, in all.
const ATTEMPTS: u32 = 3;
/// Between two attempts: long enough for a disk to come back from a reset.
const PAUSE: Duration = Duration::from_secs(5);

/// The record of a run so far.
#[derive(Clone, Default)]
pub struct Recorder {
    /// Finished phases.
    pub phases: Vec<PhaseTime>,
    /// Failures that a later attempt made good.
    pub retried: Vec<String>,
}

impl Recorder {
    /// Does a step once and records its time.
    pub fn once<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        log::info!("{name}: begins");
        let start = Instant::now();
        let result = step();
        let seconds = start.elapsed().as_secs_f64();
        if result.is_ok() {
            log::info!("{name}: done in {seconds:.1} s");
            self.phases.push(PhaseTime {
                name: name.to_owned(),
                seconds,
            });
        }
        result
    }

    /// Does a step that may be repeated until it succeeds or three attempts have failed.
    pub fn retrying<T>(&mut self, name: &str, mut step: impl FnMut() -> Result<T>) -> Result<T> {
        for attempt in 1.. {
            match self.once(name, &mut step) {
                Err(e) if attempt < ATTEMPTS => {
                    let text = format!("{name}, attempt {attempt} of {ATTEMPTS}: {e:#}");
                    log::warn!("{text}; trying again in {} s", PAUSE.as_secs());
                    self.retried.push(text);
                    std::thread::sleep(PAUSE);
                }
                other => return other,
            }
        }
        unreachable!("the loop ends by returning")
    }
}
