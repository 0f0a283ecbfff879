//! Where the state of this run is: files in memory, which last as long as the RAM environment. The
//! new OS's first boot has its own at the same place.

use std::path::{Path, PathBuf};

/// The directory.
pub const STATE: &str = "/run/reroot";

/// Where a file of it is.
pub fn at(name: &str) -> PathBuf {
    Path::new(STATE).join(name)
}
