//! The operator's programs for the moment before services stop: to take a machine out of a balancer, to
//! have a database write down what it has. They are called one after another, while everything runs. One
//! that refuses ends the run, and nothing was changed but by those programs themselves.

use std::path::Path;
use std::time::Duration;

use anyhow::{bail, ensure, Context, Result};
use formats::hooks::{BEFORE_STOP, LIMIT_S};
use formats::plan::Plan;
use machine::own_programs::{self, Word};

/// Calls those that the plan names.
pub fn before_stop(plan: &Plan) -> Result<()> {
    let found = own_programs::in_directory(Path::new(BEFORE_STOP))
        .with_context(|| format!("read {BEFORE_STOP}"))?;
    let mut variables = plan.variables("before-stop");
    variables.push(("REROOT_MODE", plan.mode.command().to_owned()));
    ensure!(
        found.len() == plan.hooks.before_stop.len(),
        "{BEFORE_STOP} has other programs than when the plan was made; run `go` again"
    );
    for path in &plan.hooks.before_stop {
        let program = found
            .iter()
            .find(|program| program.path == Path::new(path))
            .with_context(|| format!("{path} is gone since the plan was made; run `go` again"))?;
        log::info!("before-stop: {path}");
        let answer = own_programs::call(program, &variables, Duration::from_secs(LIMIT_S));
        match answer.word {
            Word::Pass => {}
            Word::Note => log::warn!("{path}: {}", answer.said),
            Word::Refuse => bail!("{path}: {}", answer.said),
        }
    }
    Ok(())
}
