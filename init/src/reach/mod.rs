//! Getting in while a run goes on: the ssh server of the RAM environment, and what it says to people and
//! programs.
//!
//! It refuses to do anything about the run: it reads what worker and PID 1 have written, and before a hold
//! there is no shell. It may import [`crate::ram`] and [`crate::root`], of a run's own what brings up the
//! network ([`crate::run::before::network`]) and what was handed over ([`crate::run::order`]).

mod follow;
pub mod greet;
pub mod server;
mod told;
