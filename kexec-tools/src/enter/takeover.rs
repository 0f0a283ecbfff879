//! Replacing PID 1 as the way in.

use std::path::Path;

use anyhow::{bail, Result};
use manifest::plan::Plan;

use crate::image::Image;

/// Unpacks the RAM environment into a tmpfs of its own.
pub fn load(_plan: &Plan, _image: &Image, _directory: &Path) -> Result<()> {
    bail!("this release cannot take over PID 1")
}

/// Takes that back.
pub fn unload() {}

/// Makes PID 1 execute the init.
pub fn enter(_plan: &Plan, _directory: &Path) -> anyhow::Error {
    anyhow::anyhow!("this release cannot take over PID 1")
}
