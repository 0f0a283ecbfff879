//! What `status` and `wait` say, in every OS: texts and exit status, for a program to print.

use std::time::Duration;

use formats::Document;
use plan::run_state::{RunExit, TIME_IS_OVER};
use plan::status::{judge, Evidence, Status};
use plan::status_page;

use super::directory::{Places, RunsError};
use super::evidence::{evidence, status};
use super::waiting::{wait, Waited};

/// What is to be printed, and the exit status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// For standard output.
    pub out: String,
    /// For standard error; empty or a line.
    pub err: String,
    /// The exit status.
    pub exit: u8,
}

/// How documents are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Every run of this machine, or the one of that name.
///
/// # Errors
/// What runs have left cannot be read.
pub fn told_status(places: &Places, run: Option<&str>, form: Form) -> Result<Told, RunsError> {
    let mut runs = evidence(places)?;
    let newest = newest(&runs);
    if let Some(run) = run {
        runs.retain(|e| e.run == run);
        if runs.is_empty() {
            return Ok(no_such_run(places, run));
        }
    }
    Ok(Told {
        out: page(places, &runs, newest, form),
        err: String::new(),
        exit: RunExit::Done as u8,
    })
}

/// The run, once it has ended, with its exit status; or as it stands when there is no more time.
///
/// # Errors
/// What runs have left cannot be read.
pub fn told_end(
    places: &Places,
    run: &str,
    limit: Option<Duration>,
    form: Form,
) -> Result<Told, RunsError> {
    let waited = wait(places, run, limit)?;
    let shown = |e: &Evidence| -> Result<String, RunsError> {
        let newest = newest(&evidence(places)?);
        Ok(page(places, std::slice::from_ref(e), newest, form))
    };
    Ok(match waited {
        Waited::Ended(e) => Told {
            out: shown(&e)?,
            err: String::new(),
            exit: judge(&e).exit.unwrap_or(TIME_IS_OVER),
        },
        Waited::GoesOn(e) => Told {
            out: e.map_or(Ok(String::new()), |e| shown(&e))?,
            err: format!("run {run} goes on\n"),
            exit: TIME_IS_OVER,
        },
        Waited::NoSuchRun => no_such_run(places, run),
    })
}

fn newest(runs: &[Evidence]) -> Option<String> {
    runs.last().map(|e| e.run.clone())
}

/// One run may be shown; which is the newest is a fact about the machine.
fn page(places: &Places, runs: &[Evidence], newest: Option<String>, form: Form) -> String {
    let status = Status {
        newest,
        ..status(places, runs)
    };
    match form {
        Form::Json => status.to_json(),
        Form::Text => status_page::text(&status, runs),
    }
}

fn no_such_run(places: &Places, run: &str) -> Told {
    Told {
        out: String::new(),
        err: format!(
            "there is no run {run} in {} or {}\n",
            places.base.display(),
            places.records.display()
        ),
        exit: RunExit::Refused as u8,
    }
}
