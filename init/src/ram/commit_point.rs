//! Whether the commit point is passed, and how often the run was taken up behind it, as far as this
//! RAM environment knows. The worker marks it; PID 1 decides by it what becomes of the machine.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use bootpath::grub::staged;

use crate::ram::state;

/// How long a kernel that panics waits before it reboots, in seconds: long enough to be read. What
/// boots then is the staged image, which takes the run up.
const PANIC_SECONDS: &str = "30";

fn marker() -> PathBuf {
    state::at("committed")
}

fn taken_up_marker() -> PathBuf {
    state::at("taken-up")
}

fn staged_marker() -> PathBuf {
    state::at("staged-is-needed")
}

fn counted_marker() -> PathBuf {
    state::at("counted")
}

/// Whether the commit point is passed.
pub fn is_passed() -> bool {
    marker().exists()
}

/// PID 1 goes by the marker, so it is set before the record is switched: of two wrong beliefs,
/// holding an unharmed machine is the one that loses nothing.
pub fn mark() -> Result<()> {
    fs::write(marker(), "").context("mark the commit")?;
    fs::write("/proc/sys/kernel/panic", PANIC_SECONDS)
        .context("have a kernel that panics boot the staged image")
}

/// The record was not switched after all, and the disk says so.
pub fn unmark() -> Result<()> {
    fs::remove_file(marker()).context("take the mark of the commit back")
}

/// Notes how often the run was taken up.
pub fn note_taken_up(times: u32) -> Result<()> {
    fs::write(taken_up_marker(), times.to_string()).context("note how often the run was taken up")
}

/// Notes that this start is counted on the disk, so that another reset has its end.
pub fn note_counted() -> Result<()> {
    fs::write(counted_marker(), "").context("note that this start is counted")
}

/// Notes that something may start the staged image although the run is given up: what is staged has to stay.
pub fn note_staged_is_needed() -> Result<()> {
    fs::write(staged_marker(), "").context("note that what is staged has to stay")
}

/// Whether something may.
pub fn is_staged_needed() -> bool {
    staged_marker().exists()
}

/// Whether this start is counted on the disk.
pub fn is_counted() -> bool {
    counted_marker().exists()
}

/// How often the run was taken up.
pub fn taken_up() -> u32 {
    fs::read_to_string(taken_up_marker())
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

/// Whether this kernel was started by the staged image's loader: known before any disk is.
pub fn is_ordered() -> bool {
    ordered_run().is_ok_and(|run| run.is_some())
}

/// The run that the staged image's loader started this kernel for, if it did.
pub fn ordered_run() -> Result<Option<String>> {
    let cmdline = fs::read_to_string("/proc/cmdline").context("read /proc/cmdline")?;
    Ok(ordered(&cmdline).map(str::to_owned))
}

fn ordered(cmdline: &str) -> Option<&str> {
    cmdline
        .split_whitespace()
        .find_map(|word| word.strip_prefix(staged::COMMITTED)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameter_is_found_among_others() {
        assert_eq!(ordered("panic=30 reroot.committed=r-1 x"), Some("r-1"));
        assert_eq!(ordered("reroot.committedly=r"), None);
        assert_eq!(ordered("quiet"), None);
    }
}
