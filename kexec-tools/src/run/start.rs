//! The beginning of a run: its directory, with what the worker reads there, and the worker, which
//! outlives the session.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use formats::plan::Plan;
use formats::trailer::PartKind;
use formats::Document;
use machine::runs::directory::Places;

use crate::image::Image;
use crate::run::fence::{self, Beginning, Closed, Fence};
use crate::survey::take::Survey;
use crate::{log_file, run_directory};

/// Makes the run's directory and starts the worker, if the fence lets it.
pub fn start(
    plan: &Plan,
    survey: &Survey,
    fence: &Fence,
) -> Result<Result<(Child, PathBuf), Closed>> {
    let consent = survey.consent.as_ref();
    let beginning = Beginning {
        run: &plan.run,
        consent: consent.map(ToString::to_string).unwrap_or_default(),
        forced: survey.check_wishes.forced.clone(),
        documents: vec![
            (run_directory::PLAN, plan.to_json()),
            (run_directory::FACTS, survey.facts.to_json()),
            (run_directory::CHECK_WISHES, survey.check_wishes.to_json()),
            (log_file::NAME, String::new()),
        ],
        program: Image::open_running()?.bytes(PartKind::Launcher)?,
    };
    fence::begin(&Places::here(), fence, &beginning, worker)
}

/// The worker, with the lock of the run as its standard input.
fn worker(directory: &Path, lock: OwnedFd) -> Result<Child> {
    // Its own copy of the descriptor: the file may be replaced while the run goes on.
    Command::new("/proc/self/exe")
        .arg("worker")
        .arg(directory)
        .current_dir("/")
        .stdin(Stdio::from(lock))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("start the worker")
}
