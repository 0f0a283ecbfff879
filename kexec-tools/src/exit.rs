//! How a call of this program ends, as its caller sees it.

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
}
