//! The harness of the boot tests: old servers as virtual machines, in words a test can be read by.
//!
//! A test takes [`snapshot::running_old_server`], works on it by ssh, follows its console, cuts its
//! power, and looks into its [`disk::Disk`] afterwards. Everything made on the way is cached under
//! the target directory. Machines listen on the loopback interface alone.

pub mod accelerator;
pub mod additions;
pub mod bare;
mod base;
mod by_hand;
pub mod client;
pub mod cloud_disk;
pub mod command;
pub mod confirmed;
pub mod crafted;
pub mod debian;
pub mod demo_machine;
mod devices;
pub mod dialect_tree;
pub mod disk;
pub mod evidence;
pub mod fenced;
pub mod floor;
pub mod images;
pub mod listener;
pub mod lock;
pub mod mirror;
pub mod moments;
pub mod needs;
pub mod old_server;
pub mod outside;
pub mod paths;
pub mod power;
pub mod pressure;
pub mod prober;
pub mod proof;
pub mod qmp;
pub mod ram_machine;
pub mod ram_ssh;
mod recorder;
pub mod refusals;
pub mod reinstall;
pub mod several;
pub mod shop_data;
pub mod signed;
pub mod snapshot;
pub mod ssh;
pub mod static_server;
pub mod sysvinit_server;
pub mod tiny;
mod uefi;
pub mod vm;
pub mod volume_server;
pub mod watching;
