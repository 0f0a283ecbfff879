//! Where the state of this run is: files in memory, which last as long as the RAM environment. The
//! new OS's first boot has its own at the same place.

use std::path::{Path, PathBuf};

use tree::{Gate, TreeError};

/// The directory.
pub const STATE: &str = "/run/reroot";

/// Where a file of it is.
pub fn at(name: &str) -> PathBuf {
    Path::new(STATE).join(name)
}

/// Writes a file of it whole: whoever reads it sees all of it, or what it was before.
pub fn write(name: &str, bytes: &[u8], mode: u32) -> Result<(), TreeError> {
    Gate::open(Path::new(STATE), [])?.write(name, bytes, mode)
}
