//! What PID 1 itself does: it makes the RAM environment a place to work in, starts the worker and
//! outlives it, keeps the steps' deadlines and the watchdog, and decides what becomes of the machine.
//!
//! It refuses to do any step of a run: what may fail or hang is done by a process that PID 1 can give
//! up. It may import [`crate::ram`] and [`crate::root`], never [`crate::run`].

pub mod early;
mod hold;
mod ssh;
pub mod supervisor;
pub mod takeover;
mod watch;
