//! The kept paths as the steps see them: what the wipe spares, and what each path measures. Only
//! reads.

use std::os::fd::AsFd;
use std::path::Path;

use anyhow::{Context, Result};

use formats::keep::KeepSet;
use formats::measure::Measure;
use formats::plan::Plan;

use crate::root::target::{self, TARGET};

/// Measures every kept path of the plan.
pub fn measure(plan: &Plan) -> Result<Vec<Measure>> {
    let directory = target::directory()?;
    plan.keep
        .iter()
        .map(|kept| {
            let measure = tree::measure(directory.as_fd(), &kept.path)
                .with_context(|| format!("measure {}", kept.path))?;
            log::info!(
                "kept {}: {} entries, {} bytes",
                kept.path,
                measure.entries,
                measure.bytes
            );
            Ok(measure)
        })
        .collect()
}

/// The keep list, and what else is not the old OS's: this run's directory, and the directory that
/// the filesystem's own check puts lost files into.
pub fn keep_set(plan: &Plan) -> Result<KeepSet> {
    let mut keep = KeepSet::new(plan.keep.iter().map(|k| &k.path));
    for path in ["/.reroot", "/lost+found"] {
        if Path::new(TARGET).join(&path[1..]).is_dir() {
            keep = keep
                .with_internal(path)
                .with_context(|| format!("keep {path}"))?;
        }
    }
    Ok(keep)
}
