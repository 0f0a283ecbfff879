//! What is made once and kept under `target/base/`, under a name that changes with its recipe.

use std::fs;

use crate::{lock, paths};

/// Removes what an earlier recipe made: each is a gigabyte that nothing will ask for again.
pub(crate) fn forget_others(current: &str, prefix: &str) {
    let Some(_unused) = lock::base_unused() else {
        return;
    };
    let Ok(entries) = fs::read_dir(paths::base()) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(prefix) && name != current {
            // Best effort: what stays costs space and nothing else.
            let _ = fs::remove_dir_all(entry.path());
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Twelve hexadecimal digits that change with any of `parts`.
pub fn digest(parts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex()[..12].to_owned()
}

/// A line about something that takes a while.
pub fn say(line: &str) {
    eprintln!("harness: {line}");
}
