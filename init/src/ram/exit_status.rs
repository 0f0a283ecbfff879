//! The worker's exit statuses: how it tells PID 1 how the run ended.

use std::process::ExitCode;

/// The new OS is in place.
pub const DONE: i32 = 0;
/// Failed before the commit point.
pub const NOT_COMMITTED: i32 = 3;
/// Failed behind it: a person is needed.
pub const HOLD: i32 = 4;
/// Failed behind it, in a start that is counted, before anything was done: a reset takes the run up
/// once more.
pub const TAKE_UP: i32 = 6;
/// The rehearsal has left its report.
pub const REHEARSED: i32 = 5;

/// What the worker returns for one.
pub fn code(status: i32) -> ExitCode {
    ExitCode::from(status as u8)
}
