//! A run's directory on the root filesystem, and the names in it that are known on both sides of a
//! power cut or of the reboot into the new OS.

use std::path::PathBuf;

use formats::plan::Plan;

use crate::root::target;

/// The kept paths' measures before the wipe.
pub const BEFORE: &str = "before.json";
/// The sectors before the first partition and the boot block as the old OS had them: all that a
/// person needs to go back. In the run's directory from the commit point on, a record in the end.
pub const BOOT_SECTORS: &str = "boot-sectors-before.bin";
/// See [`BOOT_SECTORS`].
pub const BOOT_BLOCK: &str = "boot-block-before.bin";

/// Where the RAM environment sees it.
pub fn of(plan: &Plan) -> PathBuf {
    target::at(&plan.run_directory())
}

/// Where the RAM environment sees a file of it.
pub fn at(plan: &Plan, name: &str) -> PathBuf {
    of(plan).join(name)
}

/// A file of it, as the machine calls it.
pub fn path(plan: &Plan, name: &str) -> String {
    format!("{}/{name}", plan.run_directory())
}
