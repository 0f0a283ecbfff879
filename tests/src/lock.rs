//! Locks between test processes: one builder of a cached thing at a time, two machines at a time.
//!
//! They are `flock`s on files under the target directory, so that a killed test leaves none behind.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::fs::{flock, FlockOperation};

use crate::paths;

/// Emulated machines run on as many cores; more at a time only make each other late.
const MACHINES_AT_A_TIME: usize = 2;

/// A held lock; released when dropped.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code, reason = "held for its lock alone")] File);

/// Waits for the lock on the file `path`.
pub fn exclusive(path: &Path) -> Result<Lock> {
    let file = open(path)?;
    flock(&file, FlockOperation::LockExclusive)
        .with_context(|| format!("lock {}", path.display()))?;
    Ok(Lock(file))
}

/// Waits for one of the places for a running machine.
pub fn machine_slot() -> Result<Lock> {
    let directory = paths::target().join("vm");
    let slots = (0..MACHINES_AT_A_TIME)
        .map(|slot| open(&directory.join(format!("slot-{slot}"))))
        .collect::<Result<Vec<_>>>()?;
    loop {
        for slot in &slots {
            // EWOULDBLOCK is another machine in that place; any other refusal would recur below.
            if flock(slot, FlockOperation::NonBlockingLockExclusive).is_ok() {
                let file = slot.try_clone().context("duplicate a machine slot")?;
                return Ok(Lock(file));
            }
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Says that what lies under `target/base/` is in use, until dropped.
pub fn base_in_use() -> Result<Lock> {
    let path = paths::base().join("in-use.lock");
    let file = open(&path)?;
    flock(&file, FlockOperation::LockShared).with_context(|| format!("lock {}", path.display()))?;
    Ok(Lock(file))
}

/// A lock under which nothing of `target/base/` is in use; none where a machine runs on it, perhaps
/// one of an older harness.
pub fn base_unused() -> Option<Lock> {
    let file = open(&paths::base().join("in-use.lock")).ok()?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(Lock(file))
}

fn open(path: &Path) -> Result<File> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
    }
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .with_context(|| format!("open {}", path.display()))
}
