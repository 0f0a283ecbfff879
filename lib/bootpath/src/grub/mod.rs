//! GRUB 2: for a BIOS the images that are embedded in a disk's room for a boot loader, and the
//! configuration that the loader reads.
//!
//! It says which bytes belong where; only [`one_shot`] writes, and only files. A new core image goes
//! beside the one in use and the master boot record is switched last, so that one loader is complete
//! at every moment.
//! Layouts follow GRUB's `include/grub/i386/pc/boot.h` and `grub-core/boot/i386/pc/diskboot.S`.

pub mod config;
pub mod core_image;
pub mod embed;
pub mod environment;
pub mod new_core;
pub mod once;
pub mod one_shot;
pub mod script;
pub mod staged;
pub mod terminal;
