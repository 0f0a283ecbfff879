//! Reading what the run left for the comparison.

use std::fs;
use std::path::Path;

use anyhow::{ensure, Context, Result};
use formats::plan::Plan;
use formats::Document;

use super::units;

/// Reads the plan; it must be that of this very directory, for the directory goes in the end.
pub fn read_plan(directory: &Path) -> Result<Plan> {
    let plan: Plan = read_document(&directory.join("plan.json"))?;
    ensure!(
        units::is_run_id(&plan.run) && Path::new(&plan.run_directory()) == directory,
        "{} has the plan of run {:?}",
        directory.display(),
        plan.run
    );
    Ok(plan)
}

pub fn read_document<T: Document>(path: &Path) -> Result<T> {
    let what = || format!("read {}", path.display());
    T::from_json(&fs::read(path).with_context(what)?).with_context(what)
}
