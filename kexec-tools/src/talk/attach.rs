//! Attaching to a run that is there: show it, follow it while it goes on, end as it ended. Nothing is
//! begun here.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use formats::printable;
use formats::run_id::RunId;
use formats::steps::Mode;
use machine::patience::Patience;
use machine::runs::directory::Places;
use machine::runs::evidence::{evidence, status};
use plan::run_state::RunExit;
use plan::status::{judge, Confirmation, Evidence, State};
use plan::status_page;

use crate::exit::Exit;
use crate::run_directory;
use crate::talk::follow::{follow, Until};

/// How long a run that has the lock may take to have a directory, on a machine with room.
const APPEARS: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

/// Shows the run and ends with its exit status, as far as it is known.
pub fn attach(run: &RunId, (mode, until): (Mode, Until), consent: Option<&str>) -> Result<Exit> {
    let Some(e) = find(run)? else {
        eprintln!("refused: run {run} was about to begin, and has left nothing");
        eprintln!("intact: everything; nothing was changed");
        return Ok(Exit::Refused);
    };
    if let Some(planned) = e.plan.as_ref().map(|p| p.mode).filter(|&m| m != mode) {
        eprintln!(
            "refused: run {run} is there, and is one of `{}`",
            planned.command()
        );
        eprintln!("intact: everything; nothing was changed");
        return Ok(Exit::Refused);
    }
    let begun_on = e.begun.as_ref().map(|begun| begun.consent.as_str());
    if let (Some(wanted), Some(begun_on)) = (consent, begun_on) {
        if wanted != begun_on {
            eprintln!(
                "refused: run {run} is there, and was begun on another consent, {}",
                printable::line(begun_on)
            );
            eprintln!("intact: everything; nothing was changed");
            return Ok(Exit::OtherConsent);
        }
    }
    eprintln!("run {run} is there: nothing new is begun");
    if e.in_progress {
        let directory = PathBuf::from(&e.directory);
        return follow(&directory, (mode, until), &mut || {
            let goes_on = run_directory::in_progress().as_deref() == Some(run.as_str());
            if goes_on {
                return Ok(None);
            }
            // What has left nothing cannot be judged.
            let exit = find(run)?.map_or(Exit::NeedsAPerson, |e| exit_of(&e));
            Ok(Some(exit))
        });
    }
    let page = status(&Places::here(), std::slice::from_ref(&e));
    print!("{}", status_page::text(&page, std::slice::from_ref(&e)));
    Ok(exit_of(&e))
}

/// A run that is done and will be compared with its plan in this boot is done, as far as is known.
fn exit_of(e: &Evidence) -> Exit {
    let run = judge(e);
    if run.state == State::Done && run.confirmation == Confirmation::Pending {
        return Exit::Done;
    }
    match run.exit {
        Some(exit) if exit == RunExit::Done as u8 => Exit::Done,
        Some(exit) if exit == RunExit::Refused as u8 => Exit::Refused,
        Some(exit) if exit == RunExit::Reverted as u8 => Exit::Reverted,
        Some(_) => Exit::NeedsAPerson,
        None => Exit::Done,
    }
}

/// What the run has left. One that another launcher begins at this moment appears when that is ready.
fn find(run: &RunId) -> Result<Option<Evidence>> {
    let mut patience = Patience::new(APPEARS);
    loop {
        let found = evidence(&Places::here())?;
        if let Some(e) = found.into_iter().find(|e| e.run == run.as_str()) {
            return Ok(Some(e));
        }
        let begins = run_directory::in_progress().as_deref() == Some(run.as_str());
        if !begins || patience.is_over() {
            return Ok(None);
        }
        std::thread::sleep(PAUSE);
    }
}
