//! The beginning of a run: its directory, with what the worker reads there, and the worker, which
//! outlives the session.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use formats::plan::Plan;
use formats::Document;
use storage::replace::{replace, Access};

use crate::survey::take::Survey;
use crate::{log_file, run_directory};

/// Makes the run's directory and starts the worker.
pub fn start(plan: &Plan, survey: &Survey) -> Result<(Child, PathBuf)> {
    let directory = run_directory::make(&plan.run)?;
    let started = start_in(&directory, plan, survey);
    if started.is_err() {
        // Nothing but the directory exists yet.
        let _ = fs::remove_dir_all(&directory);
    }
    Ok((started?, directory))
}

fn start_in(directory: &Path, plan: &Plan, survey: &Survey) -> Result<Child> {
    let write = |name: &str, text: String| {
        let path = directory.join(name);
        replace(&path, text.as_bytes(), Access::Mode(0o644))
            .with_context(|| format!("write {}", path.display()))
    };
    write(run_directory::PLAN, plan.to_json())?;
    write(run_directory::FACTS, survey.facts.to_json())?;
    write(run_directory::CHECK_WISHES, survey.check_wishes.to_json())?;
    write(log_file::NAME, String::new())?;
    // Its own copy of the descriptor: the file may be replaced while the run goes on.
    Command::new("/proc/self/exe")
        .arg("worker")
        .arg(directory)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("start the worker")
}
