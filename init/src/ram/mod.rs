//! The RAM environment: where things are in it, what is mounted in it, and by what PID 1 and the
//! worker, which are two processes, tell each other how far a run has come.
//!
//! It refuses to decide anything, and knows neither a step nor a verdict. Of the other rooms it may
//! import [`crate::root`] alone.

pub mod commit_point;
pub mod console;
pub mod current_step;
pub mod ended;
pub mod exit_status;
pub mod kernel_filesystems;
pub mod old_records;
pub mod parts;
pub mod percent;
pub mod reachable;
pub mod standing;
pub mod state;
