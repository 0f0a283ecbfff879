//! The machine's root filesystem as the RAM environment sees it: mounted at [`TARGET`].

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use formats::plan::Plan;
use rustix::fs::{Mode, OFlags};
use tree::Gate;

use crate::root::place;

/// Where the machine's root filesystem is mounted.
pub const TARGET: &str = "/target";

/// A handle on its root directory.
pub fn directory() -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    rustix::fs::open(TARGET, flags, Mode::empty())
        .with_context(|| format!("open directory {TARGET}"))
}

/// The one way to write to it, beside wiping and unpacking: what the plan keeps is refused.
pub fn gate(plan: &Plan) -> Result<Gate> {
    Ok(place::gate(Path::new(TARGET), plan)?)
}

/// Where the RAM environment sees a path of the machine.
pub fn at(path: &str) -> PathBuf {
    place::at(Path::new(TARGET), path)
}

/// Writes everything to the disk; what was not reported as written does not count.
pub fn sync() -> Result<()> {
    rustix::fs::syncfs(&directory()?).context("write the root filesystem to disk (syncfs)")
}
