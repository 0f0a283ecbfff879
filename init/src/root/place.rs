//! Where the OS at a root has its paths.

use std::path::{Path, PathBuf};

/// Where the OS at `root` has a path.
pub fn at(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}
