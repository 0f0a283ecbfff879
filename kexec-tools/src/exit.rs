//! How a call of this program ends, as its caller sees it.

use plan::run_state::RunExit;

/// How a call ended; the number is the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// What the command line said is done.
    Done = 0,
    /// A check refused, or the operator did; nothing was changed.
    Refused = 1,
    /// Something failed and was undone; nothing was changed.
    Reverted = 3,
    /// Something failed and could not be undone.
    NeedsAPerson = 4,
    /// The newest run is not the one that `--after` names; nothing was changed.
    NotTheNewest = 5,
    /// The plan resolves to another consent than `--consent`; nothing was changed.
    OtherConsent = 6,
    /// The run goes on, and whoever waited for it does so no longer.
    TimeIsOver = 7,
}

impl From<RunExit> for Exit {
    fn from(exit: RunExit) -> Exit {
        match exit {
            RunExit::Done => Exit::Done,
            RunExit::Refused => Exit::Refused,
            RunExit::Reverted => Exit::Reverted,
            RunExit::NeedsAPerson => Exit::NeedsAPerson,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_and_a_call_end_with_the_same_numbers() {
        for exit in [
            RunExit::Done,
            RunExit::Refused,
            RunExit::Reverted,
            RunExit::NeedsAPerson,
        ] {
            assert_eq!(Exit::from(exit) as u8, exit as u8);
        }
        assert_eq!(Exit::TimeIsOver as u8, plan::run_state::TIME_IS_OVER);
    }
}
