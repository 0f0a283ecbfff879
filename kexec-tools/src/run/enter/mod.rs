//! Entering the RAM environment, by the plan's entry. Each entry gets ready while services still
//! run, can be undone until it is entered, and returns from entering only if that failed.

mod boot;
mod kexec;
mod takeover;

use std::path::Path;

use anyhow::Result;
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

/// Gets ready what the entry needs, from the staged files in the run's directory.
pub fn load(plan: &Plan, image: &Image, directory: &Path) -> Result<()> {
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
