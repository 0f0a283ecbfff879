//! The worker: one run, step by step. [`worker`] is the order of the steps and on top; the steps
//! before the commit point are in [`before`], the commit point is [`commit`], the steps that only go
//! forwards are in [`behind`]. Beside them is what several steps need.
//!
//! It refuses to decide what becomes of the machine, which is PID 1's to do. It may import
//! [`crate::ram`], [`crate::root`], and of [`crate::confirm`] what is left in the new OS for it.

pub mod back;
pub mod before;
pub mod behind;
mod boot_sectors;
pub mod commit;
mod data;
mod journal_file;
mod kept;
mod order;
mod progress;
pub mod recorder;
mod stage_loader;
pub mod worker;
