//! systemd's units of the ssh server, and which units are wanted at boot, of either OS by its files.

use super::{addresses, socket};
use crate::files::Files;

/// Names of units that are the server, or listen for it.
pub fn names() -> impl Iterator<Item = &'static str> {
    addresses::SERVICES.iter().chain(&socket::UNITS).copied()
}

/// The units that are in folders with these endings (`.wants`) in one of `folders`, by name.
pub fn wanted(files: &dyn Files, folders: &[&str], endings: &[&str]) -> Vec<String> {
    let name = |path: String| path.rsplit('/').next().unwrap_or_default().to_owned();
    let wants = |folder: &String| endings.iter().any(|end| folder.ends_with(end));
    let folders = folders.iter().flat_map(|folder| files.folder(folder));
    let units = folders
        .filter(wants)
        .flat_map(|folder| files.folder(&folder));
    units.map(name).collect()
}
