//! What the firmware starts, and what that starts, down to the kernel: boot sectors, GRUB's images,
//! its configuration and environment.
//!
//! It says which bytes belong where. Only [`grub::one_shot`] writes, and only files: whoever switches
//! a loader does so by what is planned here. Disks are read through [`storage`],
//! which is the one crate beside it that it may import; of those below, formats and syscalls.

pub mod elsewhere;
pub mod grub;
pub mod other_loader;
pub mod other_systems;
pub mod room;
pub mod root;
pub mod secure_boot;
pub mod started;
pub mod uefi;
