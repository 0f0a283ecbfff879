//! Entering the RAM environment, by the plan's entry. Each entry gets ready while services still
//! run, can be undone until it is entered, and returns from entering only if that failed.

mod boot;
mod kexec;
mod takeover;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use anyhow::{bail, ensure, Result};
use formats::entry::Entry;
use formats::plan::Plan;

use crate::image::Image;

pub use takeover::FirstProcess;

/// Tries what can be tried without changing anything, before anything else is done.
pub fn rehearse(plan: &Plan, directory: &Path) -> Result<()> {
    match plan.entry.entry {
        Entry::Takeover => takeover::rehearse(directory),
        Entry::Kexec | Entry::Boot => Ok(()),
    }
}

/// Held while an entry is being got ready; false once that is no longer wanted.
static WANTED: Mutex<bool> = Mutex::new(true);
/// Nobody wants it any more, although it could not be waited for: who gets it ready takes it back.
static GIVEN_UP: AtomicBool = AtomicBool::new(false);
/// How long what is being got ready is waited for before it is taken back.
const LOADING: Duration = Duration::from_secs(100);
const PAUSE: Duration = Duration::from_millis(50);

/// Gets ready what the entry needs, from the staged files in the run's directory.
pub fn load(plan: &Plan, image: &Image, directory: &Path) -> Result<()> {
    let wanted = WANTED.lock().unwrap_or_else(PoisonError::into_inner);
    ensure!(*wanted, "the run was broken off");
    let loaded = load_wanted(plan, image, directory);
    given_up_meanwhile(&GIVEN_UP, unload)?;
    loaded
}

fn given_up_meanwhile(given_up: &AtomicBool, unload: impl FnOnce()) -> Result<()> {
    if given_up.load(Ordering::SeqCst) {
        unload();
        bail!("the run was broken off");
    }
    Ok(())
}

/// Takes back what [`load`] did, or is doing at this moment on another thread, for good: that thread
/// is waited for, since what it loads behind this would stay loaded.
pub fn take_back() {
    GIVEN_UP.store(true, Ordering::SeqCst);
    wait_for_load(LOADING);
    unload();
}

fn wait_for_load(limit: Duration) {
    let start = Instant::now();
    loop {
        match WANTED.try_lock() {
            Ok(mut wanted) => {
                *wanted = false;
                break;
            }
            Err(TryLockError::Poisoned(wanted)) => {
                *wanted.into_inner() = false;
                break;
            }
            Err(TryLockError::WouldBlock) if start.elapsed() < limit => {
                std::thread::sleep(PAUSE);
            }
            Err(TryLockError::WouldBlock) => {
                log::warn!(
                    "load: not done within {} s; taking back what there is, and the rest when it is done",
                    limit.as_secs()
                );
                break;
            }
        }
    }
}

fn load_wanted(plan: &Plan, image: &Image, directory: &Path) -> Result<()> {
    match plan.entry.entry {
        Entry::Kexec => kexec::load(plan, image, directory),
        Entry::Takeover => takeover::load(plan, image, directory),
        Entry::Boot => boot::load(plan, directory),
    }
}

/// Takes back what [`load`] did, of whichever entry: neither the next reboot nor anybody else may
/// enter the RAM environment any more. Does nothing where nothing was done.
pub fn unload() {
    kexec::unload();
    takeover::unload();
    boot::unload();
}

/// Enters. The old OS has let go of everything; its PID 1 is held, if it could be. Returns the
/// reason if that failed.
pub fn enter(plan: &Plan, directory: &Path, held: Option<FirstProcess>) -> anyhow::Error {
    log::info!("enter: the RAM environment starts now; follow the console");
    match plan.entry.entry {
        Entry::Kexec => kexec::enter(),
        Entry::Takeover => takeover::enter(directory, held),
        Entry::Boot => boot::enter(plan),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_waited_for_is_taken_back_by_who_loads_it() {
        let unloaded = AtomicBool::new(false);
        let unload = || unloaded.store(true, Ordering::SeqCst);
        given_up_meanwhile(&AtomicBool::new(false), unload).unwrap();
        assert!(!unloaded.load(Ordering::SeqCst));
        assert!(given_up_meanwhile(&AtomicBool::new(true), unload).is_err());
        assert!(unloaded.load(Ordering::SeqCst));
    }

    /// The lock is what a load on another thread holds.
    #[test]
    fn what_is_being_loaded_is_waited_for_and_nothing_is_loaded_behind_that() {
        let loading = WANTED.lock().unwrap();
        let taken_back = std::thread::spawn(|| {
            wait_for_load(Duration::from_mins(1));
            Instant::now()
        });
        std::thread::sleep(Duration::from_millis(300));
        let loaded = Instant::now();
        drop(loading);
        assert!(taken_back.join().unwrap() >= loaded);
        assert!(!*WANTED.lock().unwrap());
    }
}
