//! What a program says beside its wishes, so that nothing is done twice: `--after`, `--run`,
//! `--consent`; and what it is told where they close the way.

use anyhow::Result;
use formats::printable;
use formats::steps::Mode;
use machine::runs::directory::Places;
use machine::runs::evidence::evidence;
use plan::consent::Consent;
use plan::status::judge;

use crate::exit::Exit;
use crate::run::fence::{Closed, Fence};
use crate::survey::take::Survey;
use crate::talk::attach;
use crate::talk::follow::Until;

/// What has to be so for a run to begin.
pub struct Wanted {
    /// Which run it is, and which is the newest.
    pub fence: Fence,
    /// What was consented to, where that is asked for.
    pub consent: Option<Consent>,
    /// What the run is for.
    pub mode: Mode,
    /// How long whoever begins it stays with it.
    pub until: Until,
}

/// Asks the fence before anything is looked at, which takes long: what it says now it says in the end.
pub fn ask(wanted: &Wanted) -> Result<Option<Exit>> {
    let closed = wanted.fence.ask(&Places::here())?;
    closed
        .map(|closed| self::closed(&closed, wanted))
        .transpose()
}

/// Compares what is consented to with what the plan has come to.
pub fn ask_consent(wanted: &Wanted, survey: &Survey) -> Option<Exit> {
    let (given, now) = (wanted.consent.as_ref()?, survey.consent.as_ref()?);
    let differs = given.differs(now)?;
    eprintln!("refused: the plan is not the one that was consented to; different: {differs}");
    eprintln!("now it is --consent {now}; read it with `plan`");
    eprintln!("intact: everything; nothing was changed");
    Some(Exit::OtherConsent)
}

/// Attaches to the run that is there, or says why none begins.
pub fn closed(closed: &Closed, wanted: &Wanted) -> Result<Exit> {
    match closed {
        Closed::There(run) => {
            let consent = wanted.consent.as_ref().map(ToString::to_string);
            attach::attach(run, (wanted.mode, wanted.until), consent.as_deref())
        }
        Closed::NotTheNewest(newest) => {
            let after = wanted.fence.after.as_ref().map_or("none", |a| a.text());
            eprintln!(
                "refused: --after {after}, and {}",
                printable::line(&newest_in_words(newest.as_deref())?)
            );
            eprintln!("intact: everything; nothing was changed");
            Ok(Exit::NotTheNewest)
        }
        Closed::Busy(run) => {
            eprintln!(
                "refused: another run is in progress on this machine: {}",
                printable::line(run)
            );
            eprintln!("intact: everything; nothing was changed by this call");
            Ok(Exit::Refused)
        }
    }
}

fn newest_in_words(newest: Option<&str>) -> Result<String> {
    let Some(newest) = newest else {
        return Ok("there is no run on this machine".to_owned());
    };
    let runs = evidence(&Places::here())?;
    let state = runs
        .iter()
        .find(|e| e.run == newest)
        .map(|e| judge(e).state);
    let state = state.map_or("it begins", plan::status::State::words);
    Ok(format!(
        "the newest run on this machine is {newest} ({state})"
    ))
}
