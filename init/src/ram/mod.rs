//! The RAM environment: where things are in it, what is mounted in it, and by what PID 1 and the
//! worker, which are two processes, tell each other how far a run has come.
//!
//! It refuses to decide anything, and knows neither a step nor a verdict. It imports no other room
//! but the paths of [`crate::root`].

pub mod console;
