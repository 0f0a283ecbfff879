//! Runs on this machine: where they are, who holds the lock, what they left, and waiting for one.
//!
//! It reads, in every OS that a machine has; the one thing that is written is who holds the lock.
//! How a run stands is judged in [`plan::status`].

pub mod directory;
pub mod evidence;
pub mod lock;
pub mod told;
pub mod waiting;
