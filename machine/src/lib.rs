//! What a Linux machine is, as far as reroot reads or changes it: mounts, block devices,
//! partition tables, filesystems, boot loaders, modules, processes, trees of files.
//!
//! Parsers take bytes and are pure; thin readers feed them from /proc, /sys and devices.

pub mod accounts;
pub mod block;
pub mod bus_masters;
pub mod condition;
pub mod consoles;
pub mod devices;
pub mod direct;
pub mod ext4;
pub mod extents;
pub mod freeze;
pub mod gap;
pub mod gpt;
pub mod grub;
pub mod in_root;
pub mod kexec;
pub mod log_line;
pub mod mbr;
pub mod meminfo;
pub mod modules;
pub mod mounts;
pub mod network;
pub mod os_release;
pub mod processes;
pub mod root;
pub mod step_record;
pub mod sysrq;
pub mod tree;
pub mod watchdog;
