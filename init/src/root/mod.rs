//! The machine's root filesystem: where its paths are, and files of it written whole or removed.
//! The run sees it from the RAM environment, the confirmation as the root that it has booted.
//!
//! It refuses to know what a file is for. It imports no other room.

pub mod place;
pub mod remove;
pub mod replace;
pub mod run_directory;
pub mod target;
