//! The steps behind the commit point: the old OS goes, the new one comes and gets the machine's
//! identity and a boot loader, and what will boot is checked as a firmware would follow it.
//!
//! They refuse to run before the commit point, for each consumes the proof that the one before it
//! made. They may import what is beside this room in [`crate::run`], each the step before it.

mod access;
mod arrays;
mod carry;
pub mod chroot;
pub mod finish;
mod flags_cleared;
mod fstab;
mod hooks;
mod host_keys;
mod inspect;
mod loader;
mod locales;
mod new_initrd;
mod new_loader;
mod unpack;
mod wipe;
