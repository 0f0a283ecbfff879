//! How a failed run stands on the disk, in words: the worker looks, whoever holds the machine tells.

use std::fs;

use crate::ram::state;

/// The file with the words.
const FILE: &str = "next";

/// Leaves them.
pub fn leave(words: &str) {
    if let Err(e) = state::write(FILE, words.as_bytes(), 0o600) {
        log::warn!("note how the run stands: {e}");
    }
}

/// Those that were left, if any were.
pub fn words() -> Option<String> {
    fs::read_to_string(state::at(FILE)).ok()
}

/// The words of an earlier attempt are not those of this one.
pub fn forget() {
    // Absent is as good.
    let _ = fs::remove_file(state::at(FILE));
}
