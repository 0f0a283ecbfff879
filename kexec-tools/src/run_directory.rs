//! `/.reroot/RUN` on the root filesystem: plan, facts, logs, and what the run needs to have there.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use formats::utc::utc;
use machine::runs::directory::Places;
use machine::runs::lock;

pub use machine::runs::directory::{copies, BASE, HANDED_OVER, PLAN};

/// In a run's directory: the facts that the plan was made from.
pub const FACTS: &str = "facts.json";
/// In a run's directory: the wishes that checks are asked again with.
pub const CHECK_WISHES: &str = "asked.json";

/// A new run id: the time in UTC, for people, and four digits that make it unique.
pub fn new_id() -> Result<String> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock is before 1970")?;
    let unique = (now.subsec_nanos() ^ std::process::id().rotate_left(8)) & 0xffff;
    Ok(format!("{}-{unique:04x}", utc(now.as_secs())))
}

/// The run that holds the lock, if one does.
pub fn in_progress() -> Option<String> {
    let run = lock::holder(&Places::here())?.run;
    Some(if run.is_empty() {
        "unnamed".to_owned()
    } else {
        run
    })
}
