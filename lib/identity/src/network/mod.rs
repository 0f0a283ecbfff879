//! The network of a machine: where the old OS's addresses came from, what of it comes along, and how
//! the new OS says it.
//!
//! Pure: what the kernel and the files say comes in as values, files to be written go out.

pub mod dialect;
mod ethtool;
pub mod old;
pub mod select;
