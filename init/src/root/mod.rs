//! The machine's root filesystem: where its paths are, and the gate
//! that everything written to it goes through.
//! A run sees it from the RAM environment, the confirmation as the root that it was booted from.
//!
//! It refuses to know what is in a file. It may import no other room.

pub mod place;
pub mod run_directory;
pub mod target;
