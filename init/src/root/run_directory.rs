//! A run's directory on the root filesystem, and the names in it that are known on both sides of a
//! power cut or of the reboot into the new OS.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use formats::plan::Plan;
use formats::staged;

use crate::root::{place, target};

/// The kept paths' measures before the wipe.
pub const BEFORE: &str = "before.json";
/// The master boot record, and behind it the sectors for boot loaders, as the old OS had them: all that
/// a person needs to go back. In the run's directory from the commit point on, a record in the end.
pub const BOOT_SECTORS: &str = "boot-sectors-before.bin";

/// The same of each disk of a mirror, from 0.
pub fn boot_sectors(disk: usize) -> String {
    match disk {
        0 => BOOT_SECTORS.to_owned(),
        further => format!("boot-sectors-before-{}.bin", further + 1),
    }
}

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

/// Removes what staging has left in a run's directory, attempts that were broken off with it.
pub fn remove_copies(root: &Path, plan: &Plan) -> Result<()> {
    let directory = place::at(root, &plan.run_directory());
    let gate = place::gate(root, plan)?;
    let what = || format!("read {}", directory.display());
    for entry in fs::read_dir(&directory).with_context(what)? {
        let name = entry.with_context(what)?.file_name();
        if let Some(name) = name.to_str().filter(|name| staged::is_copy(name)) {
            gate.remove(&path(plan, name))?;
        }
    }
    Ok(())
}
