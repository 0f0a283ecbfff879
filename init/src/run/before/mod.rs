//! The steps before the commit point: finding the root, proving the image, the machine and the
//! network. A rehearsal ends here.
//!
//! They refuse to write to the machine's disks: the root is mounted read-only. They import nothing of
//! what is behind the commit point.

pub mod checks;
pub mod drivers;
pub mod find;
pub mod network;
pub mod rehearse;
pub mod take_up;
pub mod verify;
