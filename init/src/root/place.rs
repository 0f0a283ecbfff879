//! Where the OS at a root has its paths, and the gate to it.

use std::path::{Path, PathBuf};

use formats::plan::Plan;
use tree::{Gate, TreeError};

/// Where the OS at `root` has a path.
pub fn at(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// The gate to the OS at `root`: it refuses what the plan keeps.
pub fn gate(root: &Path, plan: &Plan) -> Result<Gate, TreeError> {
    Gate::open(root, plan.keep.iter().map(|kept| &kept.path))
}
