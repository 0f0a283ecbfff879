//! The steps behind the commit point: the old OS goes, the new one comes, gets the machine's
//! identity and a boot loader, and is checked as a firmware would follow it.
//!
//! They refuse to run before the commit point: each consumes the proof that the one before it made.

pub mod carry;
pub mod chroot;
pub mod finish;
mod fstab;
mod host_keys;
mod inspect;
mod loader;
mod locales;
mod unpack;
mod wipe;
