//! A run, step by step. [`worker`] has the order of the steps and is on top; those before the commit
//! point are in [`before`], the commit point is [`commit`], those that only go forwards are in
//! [`behind`]. Beside them is what several of them need; [`data`] is what they receive and hand on.
//!
//! It refuses to decide what becomes of the machine, which is PID 1's to do. It may import
//! [`crate::ram`], [`crate::root`], and of [`crate::confirm`] the units that it leaves in the new OS.

pub mod back;
pub mod before;
pub mod behind;
mod boot_path;
mod boot_paths;
mod boot_sectors;
mod commit;
mod data;
mod efi_file;
mod journal_file;
mod kept;
pub mod order;
mod payload;
mod progress;
mod recorder;
mod stage_loader;
mod staged_file;
mod standing;
mod systems;
pub mod worker;
