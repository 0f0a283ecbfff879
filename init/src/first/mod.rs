//! What PID 1 itself does: it makes the RAM environment a place to work in, starts the worker and
//! outlives it, keeps the steps' deadlines and the watchdog, and decides what becomes of the machine.
//!
//! It refuses to do any step of a run, and never opens a file of the machine's disk itself: what may
//! hang is a process's to do that can be given up. It may import [`crate::ram`] and [`crate::root`],
//! never the steps.

pub mod early;
mod hold;
pub mod supervisor;
pub mod takeover;
mod watch;
