//! What the launcher has staged in the run's directory, and where that lies on the disk.

use std::fs;
use std::ops::Range;

use anyhow::{ensure, Context, Result};
use formats::plan::Plan;
use formats::staged::Staged;
use formats::Document;
use storage::block::SECTOR;

use crate::root::run_directory;

/// Reads it; it must be of this run.
pub fn read(plan: &Plan) -> Result<Staged> {
    let path = run_directory::at(plan, Staged::FILE);
    let what = || format!("read {}", path.display());
    let staged = Staged::from_json(&fs::read(&path).with_context(what)?).with_context(what)?;
    ensure!(
        staged.run == plan.run,
        "{} is of run {}",
        path.display(),
        staged.run
    );
    Ok(staged)
}

/// The sectors of the disk that a loader for a BIOS may have in a file of the root filesystem, where the plan
/// wants one there.
pub fn loader_apart(plan: &Plan) -> Result<Option<Range<u64>>> {
    if !plan.loader_apart {
        return Ok(None);
    }
    let file = read(plan)?.loader;
    let file = file.context("no room for the staged image's loader was staged")?;
    // Never where the root is on a mirror.
    let start = plan.root.on_disk(0, file.offset, file.length);
    let start = start
        .context("the room for the staged image's loader does not lie together on the disk")?;
    Ok(Some(start..start + file.length / SECTOR))
}
