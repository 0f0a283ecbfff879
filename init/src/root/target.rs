//! The machine's root filesystem as the RAM environment sees it: mounted at [`TARGET`].

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{Mode, OFlags};

use crate::root::place;

/// Where the machine's root filesystem is mounted.
pub const TARGET: &str = "/target";

/// A handle on its root directory.
pub fn directory() -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    rustix::fs::open(TARGET, flags, Mode::empty())
        .with_context(|| format!("open directory {TARGET}"))
}

/// Where the RAM environment sees a path of the machine.
pub fn at(path: &str) -> PathBuf {
    place::at(Path::new(TARGET), path)
}

/// Writes everything to the disk; what was not reported as written does not count.
pub fn sync() -> Result<()> {
    rustix::fs::syncfs(&directory()?).context("write the root filesystem to disk (syncfs)")
}
