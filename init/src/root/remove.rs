//! Removing what may be gone already: a second attempt finds less than the first.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use anyhow::{Context, Result};

/// Removes a file or a link, if it is there.
pub fn file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Removes files of a directory, those that are there.
pub fn files(directory: &Path, names: &[&str]) -> Result<()> {
    for name in names {
        let path = directory.join(name);
        file(&path).with_context(|| format!("remove {}", path.display()))?;
    }
    Ok(())
}

/// Removes a tree, if it is there.
pub fn tree(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => {
            Err(e).with_context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
