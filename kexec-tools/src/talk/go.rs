//! `go`, on the operator's side: consent, and then the run, which outlives the session.

use std::io::{self, IsTerminal, Write};

use anyhow::{Context, Result};
use formats::plan::Plan;
use formats::printable;
use formats::steps::Mode;
use plan::gone::headline;

use crate::exit::Exit;
use crate::run::start;
use crate::survey::finding;
use crate::survey::take::Survey;
use crate::talk::fenced::{self, Wanted};
use crate::talk::follow::follow;
use crate::talk::plan as plan_text;

/// Whether the operator's consent is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// `--yes`.
    Given,
    /// To be had on the terminal.
    Wanted,
}

/// Starts the run, or attaches to the one that the fence names.
pub fn go(survey: &Survey, consent: Consent, wanted: &Wanted) -> Result<Exit> {
    let plan = survey.plan.as_ref().map_err(|e| anyhow::anyhow!("{e}"))?;
    print!("{}", plan_text::text(plan));
    eprint!("{}", finding::refusals(&survey.findings));
    // The last words before the question, and where nobody is asked the last words at all.
    if plan.mode == Mode::Reinstall {
        if let Some(line) = headline(&plan.gone) {
            eprintln!("\n{}.", printable::line(&line));
        }
    }
    if consent == Consent::Wanted && !consents(plan)? {
        eprintln!("not confirmed; nothing was changed");
        return Ok(Exit::Refused);
    }
    match start::start(plan, survey, &wanted.fence)? {
        Ok((mut worker, directory)) => follow(&directory, (plan.mode, wanted.until), &mut || {
            let ended = worker.try_wait().context("wait for the worker")?;
            Ok(ended.map(|status| match status.code() {
                Some(code) if code == Exit::Reverted as i32 => Exit::Reverted,
                _ => Exit::NeedsAPerson,
            }))
        }),
        Err(closed) => fenced::closed(&closed, wanted),
    }
}

fn consents(plan: &Plan) -> Result<bool> {
    let hostname = &plan.hostname;
    if !io::stdin().is_terminal() {
        eprintln!("there is no terminal to ask on; confirm with --yes");
        return Ok(false);
    }
    let what = match plan.mode {
        Mode::Reinstall => "reinstall it",
        Mode::Rehearse => "rehearse: its services stop, it comes back as it is",
    };
    eprint!(
        "\nType the machine's name ({}) to {what}: ",
        printable::line(hostname)
    );
    io::stderr().flush().ok();
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .context("read the answer")?;
    Ok(answer.trim() == hostname.as_str())
}
