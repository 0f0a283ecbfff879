//! The init as a program that is called, not as the first process. One test program, which is linked once.

mod in_root;
mod told;
