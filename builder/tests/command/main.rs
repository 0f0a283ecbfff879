//! The command, as it is called. One test program, which is linked once.

mod image;
mod program;
mod refusals;
mod small_os;
mod xenial_mirror;
