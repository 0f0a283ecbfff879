//! The parts that the launcher handed over: files of the initramfs, or of the tmpfs of a takeover.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The directory.
const PARTS: &str = "/reroot";

/// Where a part is.
pub fn at(name: &str) -> PathBuf {
    Path::new(PARTS).join(name)
}

/// Reads one whole.
pub fn read(name: &str) -> Result<Vec<u8>> {
    let path = at(name);
    std::fs::read(&path).with_context(|| format!("read {}", path.display()))
}

/// Whether this RAM environment was entered by a takeover: the launcher put a mark there.
pub fn came_by_takeover() -> bool {
    at("taken-over").exists()
}
