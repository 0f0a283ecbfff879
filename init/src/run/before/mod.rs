//! The steps before the commit point: the root is found, and image, machine and network are proved. A
//! rehearsal ends here.
//!
//! They refuse to write to the machine's disks: the root is mounted read-only. In a run that is taken
//! up, behind its commit point, e2fsck may mend it before. They may import what is
//! beside this room in [`crate::run`], and nothing of [`crate::run::behind`] or of the commit.

pub mod checks;
pub mod drivers;
pub mod find;
mod mirror;
pub mod network;
pub mod rehearse;
mod repair;
mod replay;
pub mod take_up;
pub mod verify;
