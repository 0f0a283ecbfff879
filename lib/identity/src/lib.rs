//! What a machine is known by, decided: its network, accounts, names, keys and mounts, and whether the
//! new OS has them at its first boot.
//!
//! Pure: nothing here touches a file, a device or the clock. The values that are decided on, and
//! those that come of it, are in [`formats`], which is all that it may import.

pub mod access;
pub mod accounts;
pub mod confirm;
pub mod network;

pub mod cloud;
pub mod files;
pub mod fstab;
pub mod host_keys;
pub mod kept;
mod mount_options;
pub mod mounts;
pub mod names;
pub mod placed;
pub mod plan;
mod public_key;
pub mod root_options;
mod serial_logins;
pub mod ssh_access;
mod zones;
