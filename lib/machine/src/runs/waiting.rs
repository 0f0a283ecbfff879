//! Waiting for a run's end, as far as this OS sees it.

use std::time::{Duration, Instant};

use plan::status::{judge, Evidence};

use super::directory::{Places, RunsError};
use super::evidence::evidence;
use super::lock;

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// How waiting ended.
#[derive(Clone, Debug)]
pub enum Waited {
    /// The run has ended.
    Ended(Box<Evidence>),
    /// It goes on, and there is no more time.
    GoesOn(Option<Box<Evidence>>),
    /// There is no such run.
    NoSuchRun,
}

/// Waits until a run has ended, or for so long.
///
/// # Errors
/// What runs have left cannot be read.
pub fn wait(places: &Places, run: &str, limit: Option<Duration>) -> Result<Waited, RunsError> {
    let start = Instant::now();
    loop {
        // It may have begun and have left nothing yet.
        let begins = lock::holder(places).is_some_and(|holder| holder.run == run);
        let found = evidence(places)?.into_iter().find(|e| e.run == run);
        match &found {
            Some(e) if judge(e).exit.is_some() => return Ok(Waited::Ended(Box::new(e.clone()))),
            None if !begins => return Ok(Waited::NoSuchRun),
            _ => {}
        }
        let left = limit.map(|limit| limit.saturating_sub(start.elapsed()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(Waited::GoesOn(found.map(Box::new)));
        }
        std::thread::sleep(left.map_or(PAUSE, |left| left.min(PAUSE)));
    }
}
