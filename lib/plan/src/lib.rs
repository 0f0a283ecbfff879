//! What will be done, decided: the entry, the steps and their deadlines, the plan from manifest and
//! facts, and what became of earlier runs.
//!
//! Pure: nothing here touches a file, a device or the clock. What a machine is known by is decided in
//! [`identity`]; the values themselves are in [`formats`]. These two are all that it may import.

pub mod below_kept;
pub mod boot_paths;
pub mod brought;
pub mod btrfs_features;
pub mod btrfs_room;
pub mod carried;
pub mod checks_in_ram;
pub mod choices;
pub mod consent;
pub mod data_mounts;
pub mod deadlines;
pub mod drivers;
pub mod entry;
pub mod ext4_features;
pub mod filesystems;
pub mod firmware;
pub mod gone;
pub mod kexec_call;
pub mod needs;
pub mod plan_document;
pub mod put_together;
mod ram_cmdline;
pub mod ram_ssh;
pub mod rehearsal;
pub mod resolve;
pub mod root_logical;
pub mod root_place;
pub mod root_type;
pub mod run_state;
mod since;
pub mod started;
pub mod status;
pub mod status_page;
pub mod steps;
pub mod subvolumes;
pub mod svg;
pub mod version;
pub mod xfs_features;
