//! In which state a run is, whether it has ended, and with which exit status: tables.

use serde::{Deserialize, Serialize};

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It goes on.
    InProgress,
    /// The new OS is in place.
    Done,
    /// The rehearsal came back, and found nothing against a reinstallation.
    Rehearsed,
    /// The rehearsal came back, and found something.
    RehearsedWithFindings,
    /// It failed before the commit point: the old OS is as it was.
    Reverted,
    /// It ended without a word before the commit point: the old OS is as it was.
    Interrupted,
    /// It is behind the commit point and not done.
    Committed,
    /// Nothing tells.
    Unknown,
}

impl State {
    /// A few words for people.
    pub fn words(self) -> &'static str {
        match self {
            State::InProgress => "in progress",
            State::Done => "done: the new OS is in place",
            State::Rehearsed => "rehearsed: nothing stands against a reinstallation",
            State::RehearsedWithFindings => "rehearsed: something differs from the plan",
            State::Reverted => "failed and reverted",
            State::Interrupted => "ended without a word",
            State::Committed => "behind the commit point and not done",
            State::Unknown => "unknown",
        }
    }
}

/// What the first boot of the new OS says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confirmation {
    /// There is nothing to say: the run is not done, or is a rehearsal.
    #[default]
    None,
    /// The comparison has not been made yet, and will be in this boot.
    Pending,
    /// The machine is as planned.
    Passed,
    /// Something falls short of the plan; the next boot compares again.
    FellShort,
    /// It was tried and could not be made, or nothing is there to make it.
    Failed,
}

/// The exit status of a run, by the numbers of the commands' own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunExit {
    /// Done, and as planned.
    Done = 0,
    /// A rehearsal that found something; nothing was changed.
    Refused = 1,
    /// Failed and reverted; nothing was changed.
    Reverted = 3,
    /// Failed, needs a person.
    NeedsAPerson = 4,
}

/// The exit status of a wait that came to the end of its time.
pub const TIME_IS_OVER: u8 = 7;

/// What a run ended with; `None` while it goes on, as far as this OS sees it.
#[rustfmt::skip]
#[allow(clippy::match_same_arms, reason = "a table, with a reason by the row")]
pub fn exit(state: State, confirmation: Confirmation) -> Option<RunExit> {
    match (state, confirmation) {
        (State::InProgress, _)                  => None,
        (State::Done, Confirmation::Pending)    => None,
        (State::Done, Confirmation::Passed)     => Some(RunExit::Done),
        // Nobody can say that the machine is as it was.
        (State::Done, _)                        => Some(RunExit::NeedsAPerson),
        (State::Rehearsed, _)                   => Some(RunExit::Done),
        (State::RehearsedWithFindings, _)       => Some(RunExit::Refused),
        (State::Reverted | State::Interrupted, _) => Some(RunExit::Reverted),
        // Whoever can read this is in an OS, and it goes on in the RAM environment alone.
        (State::Committed | State::Unknown, _)  => Some(RunExit::NeedsAPerson),
    }
}
