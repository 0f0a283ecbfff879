//! UEFI: which file of which EFI system partition the firmware starts, and a loader put beside it.
//!
//! The firmware goes by a variable that names a file, or, where it has none, by the name that is the
//! same for all. Either way it ends at an entry of a directory on the EFI system partition, and that
//! entry is what is switched, in one sector; variables are read and never written. See
//! docs/boot-paths.md for why.

pub mod beside;
pub mod load_option;
mod mark;
mod order;
pub mod survey;
pub mod variables;

/// Where a firmware looks when no variable names a file (UEFI specification, 3.5.1.1).
pub const FALLBACK: &str = "/EFI/BOOT/BOOTX64.EFI";
