//! The only unsafe code of reroot: one safe wrapper a system call, for the calls that rustix does
//! not have. No policy, no fallbacks, no paths put together. It may import no
//! crate of reroot.

pub mod block;
pub mod btrfs;
pub mod device_mapper;
pub mod disk;
pub mod fiemap;
pub mod freeze;
pub mod inherited;
pub mod kexec;
pub mod mapping;
pub mod md;
pub mod mount_id;
pub mod seccomp;
pub mod swap;
pub mod watchdog;
