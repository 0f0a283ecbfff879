//! Where the OS at a root has its paths, and the gate to it.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use formats::plan::Plan;
use rustix::fs::{Mode, OFlags};
use tree::{Gate, TreeError};

/// Where the OS at `root` has a path.
pub fn at(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// The gate to the OS at `root`, on all of its filesystems: it refuses what the plan keeps.
pub fn gate(root: &Path, plan: &Plan) -> Result<Gate, TreeError> {
    let gate = Gate::open(root, plan.keep.iter().map(|kept| &kept.path))?;
    let tops = tops(root, plan).into_iter();
    Ok(tops.fold(gate, |gate, (target, top)| gate.with(target, top)))
}

/// Where the OS at `root` has filesystems beside the root that were wiped with it, and the directory at each of
/// these places: the top of one that is mounted. A place that is no directory is left out.
pub fn tops<'p>(root: &Path, plan: &'p Plan) -> Vec<(&'p str, OwnedFd)> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let systems = plan.systems().map(|(target, _)| target);
    let open = |target| rustix::fs::open(at(root, target), flags, Mode::empty());
    systems
        .filter_map(|target| Some((target, open(target).ok()?)))
        .collect()
}
