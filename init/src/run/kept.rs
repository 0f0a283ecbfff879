//! The kept paths as the steps see them: what the wipe spares, and what each path measures. Only
//! reads.

use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::{Context, Result};

use formats::counted::counted;
use formats::keep::{KeepPath, KeepSet, SPARED};
use formats::measure::{Measure, Occupied};
use formats::plan::Plan;
use tree::{Measuring, Stillness, TreeError};

use crate::ram::current_step;
use crate::root::target::{self, TARGET};

/// Measures every kept path of the plan. Nobody else is there: whatever moves is an error.
pub fn measure(plan: &Plan) -> Result<Vec<Measure>> {
    let directory = target::directory()?;
    let mut measuring = Measuring::new(directory.as_fd(), Stillness::Still).telling(&gets_on);
    plan.keep
        .iter()
        .map(|kept| {
            let measure = measuring
                .measure(&kept.path)
                .with_context(|| format!("measure {}", kept.path))?;
            log::info!(
                "kept {}: {}, {} bytes",
                kept.path,
                counted(measure.entries, "entry", "entries"),
                measure.bytes
            );
            Ok(measure)
        })
        .collect()
}

/// A measure of millions of files does not hang as long as it gets on.
fn gets_on(_: u64) -> ControlFlow<()> {
    current_step::progressed();
    ControlFlow::Continue(())
}

/// What the wipe spares beside the kept paths: this run's directory, those of earlier runs, and what
/// the filesystem's own check has found.
pub fn spared() -> Result<Occupied> {
    let directory = target::directory()?;
    let mut measuring = Measuring::new(directory.as_fd(), Stillness::Still).telling(&gets_on);
    let mut all = Occupied::default();
    for path in SPARED {
        let path = KeepPath::internal(path).with_context(|| format!("name {path}"))?;
        match measuring.measure(&path) {
            Ok(measure) => all = all + Occupied::by_kept([(&path, &measure)]),
            Err(TreeError::KeepMissing { .. }) => {}
            Err(e) => return Err(e).with_context(|| format!("measure {path}")),
        }
    }
    Ok(all)
}

/// The keep list, and what else is not the old OS's: this run's directory, and the directory that
/// the filesystem's own check puts lost files into.
pub fn keep_set(plan: &Plan) -> Result<KeepSet> {
    let mut keep = KeepSet::new(plan.keep.iter().map(|k| &k.path));
    for path in SPARED {
        if Path::new(TARGET).join(&path[1..]).is_dir() {
            keep = keep
                .with_internal(path)
                .with_context(|| format!("keep {path}"))?;
        }
    }
    Ok(keep)
}
