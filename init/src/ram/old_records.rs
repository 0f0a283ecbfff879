//! What the old OS recorded of the run, copied from its disk once: whoever is told of the run must not wait
//! for a disk that hangs.

use std::fs;

use formats::plan::Plan;
use formats::{begun, outcomes};

use crate::ram::state;
use crate::root::run_directory;

/// The records.
const NAMES: [&str; 2] = [begun::NAME, outcomes::OLD_OS];
/// None of them is larger.
const LARGEST: u64 = 1 << 20;

/// Copies them, as far as they are there.
pub fn copy(plan: &Plan) {
    for name in NAMES {
        let path = run_directory::at(plan, name);
        let small = fs::metadata(&path).is_ok_and(|m| m.is_file() && m.len() <= LARGEST);
        if let Some(bytes) = fs::read(&path).ok().filter(|_| small) {
            if let Err(e) = state::write(name, &bytes, 0o600) {
                log::warn!("copy {}: {e}", path.display());
            }
        }
    }
}
