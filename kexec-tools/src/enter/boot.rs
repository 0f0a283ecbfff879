//! The boot loader as the way in.

use std::path::Path;

use anyhow::{bail, Result};
use manifest::plan::Plan;

/// Points the boot loader at the staged files, for one boot.
pub fn load(_plan: &Plan, _directory: &Path) -> Result<()> {
    bail!("this release cannot enter through the boot loader")
}

/// Takes that back.
pub fn unload() {}

/// Reboots.
pub fn enter() -> anyhow::Error {
    anyhow::anyhow!("this release cannot enter through the boot loader")
}
