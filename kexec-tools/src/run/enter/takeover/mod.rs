//! Replacing PID 1 as the way in: whatever it is, it is stopped by ptrace and made to execute the
//! init. It is not asked for anything, and it is not told.
//!
//! Before services stop, a trial does all that the last call will do, with a program that has no
//! name, and everything that the init will need is in memory. If the last call fails, PID 1 gets its
//! registers and its stack back and goes on.

mod first_process;
mod registers;
mod room;
mod stops;

use std::path::Path;

use anyhow::{Context, Result};
use formats::plan::Plan;

use crate::image::Image;

pub use first_process::FirstProcess;

/// The environment of the init, as a kernel would give it.
const ENVIRONMENT: [&str; 3] = ["HOME=/", "TERM=linux", "PATH=/bin:/sbin"];

/// Shows that PID 1 can be made to execute a program: everything is done that [`enter`] does, its
/// arguments and its place in PID 1's memory included, for a program that cannot be there.
pub fn rehearse(directory: &Path) -> Result<()> {
    with_arguments(directory, |argv| {
        FirstProcess::hold()?
            .try_everything(argv, &ENVIRONMENT)
            .context("try to make PID 1 call the kernel")
    })?;
    log::info!("load: PID 1 can be taken over");
    Ok(())
}

/// Unpacks the RAM environment into a tmpfs of its own.
pub fn load(plan: &Plan, image: &Image, directory: &Path) -> Result<()> {
    log::info!("load: unpacking the RAM environment into memory");
    let room = room::make(plan, image, directory)?;
    log::info!("load: done, at {}", room.display());
    Ok(())
}

/// Takes that back.
pub fn unload() {
    room::remove();
}

/// Makes PID 1 execute the init. Returns only if that failed: then PID 1 goes on as before.
pub fn enter(directory: &Path, held: Option<FirstProcess>) -> anyhow::Error {
    match try_enter(directory, held) {
        // The init ends whoever is left, this process too.
        Ok(()) => std::process::exit(0),
        Err(e) => e.context("take over PID 1; it goes on as it was"),
    }
}

fn try_enter(directory: &Path, held: Option<FirstProcess>) -> Result<()> {
    let mut held = match held {
        Some(held) => held,
        None => FirstProcess::hold()?,
    };
    with_arguments(directory, |argv| held.execute(argv, &ENVIRONMENT))
}

/// The init's path and its arguments.
fn with_arguments(directory: &Path, act: impl FnOnce(&[&str; 3]) -> Result<()>) -> Result<()> {
    let room = room::of(directory);
    let room = room.to_str().context("the run's directory is not UTF-8")?;
    let init = format!("{room}/init");
    act(&[&init, "takeover", room])
}
