//! `status` and `wait`: what earlier runs left, judged.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use formats::printable;
use formats::run_id::RunId;
use machine::runs::directory::Places;
use machine::runs::evidence::evidence;
use machine::runs::told::{self, Form, Told};
use plan::status::judge;
use plan::svg;

use crate::exit::Exit;
use crate::survey::earlier;

/// Shows the runs of this machine, or the one of that name.
pub fn show(run: Option<&RunId>, form: Form, svg: Option<&Path>) -> Result<Exit> {
    earlier::ensure_root()?;
    let run = run.map(RunId::as_str);
    if let Some(path) = svg {
        draw(run, path)?;
    }
    say(&told::told_status(&Places::here(), run, form)?)
}

/// Waits until the run has ended, and ends as it did.
pub fn wait(run: &RunId, limit: Option<Duration>, form: Form) -> Result<Exit> {
    earlier::ensure_root()?;
    say(&told::told_end(&Places::here(), run.as_str(), limit, form)?)
}

/// Prints it. Whoever does not read it any more is no failure of the run's.
fn say(told: &Told) -> Result<Exit> {
    let _ = std::io::stdout().write_all(told.out.as_bytes());
    eprint!("{}", printable::text(&told.err));
    let known = [
        Exit::Done,
        Exit::Refused,
        Exit::Reverted,
        Exit::NeedsAPerson,
        Exit::TimeIsOver,
    ];
    let exit = known.into_iter().find(|&exit| exit as u8 == told.exit);
    exit.with_context(|| format!("exit status {} has no name", told.exit))
}

/// Draws the steps of a run, or of the newest, with what became of them, into a file.
fn draw(run: Option<&str>, path: &Path) -> Result<()> {
    let all = evidence(&Places::here())?;
    let wanted = |e: &&plan::status::Evidence| run.is_none_or(|run| e.run == run);
    let newest = all.iter().rev().filter(wanted).find(|e| e.plan.is_some());
    let newest = newest.context("there is no run with a plan to draw")?;
    let plan = newest.plan.as_ref().context("the plan cannot be read")?;
    let outcomes = judge(newest).steps;
    std::fs::write(path, svg::graph(plan, &outcomes))
        .with_context(|| format!("write {}", path.display()))
}
