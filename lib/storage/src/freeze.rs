//! Putting everything of a filesystem into its place, for those who read it without replaying its
//! journal, as GRUB does.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

/// Freezes the filesystem at `path` and thaws it at once. Freezing empties the journal; a sync does
/// not. Whoever writes in between waits, this process and its log included; a child process comes to
/// the thaw whatever becomes of this one.
pub fn settle(path: &Path) -> io::Result<()> {
    let root = File::open(path)?;
    match syscalls::freeze::freeze_and_thaw(root.as_fd()) {
        // Somebody else has frozen it: so it is settled, and theirs to thaw.
        Err(e) if e.kind() == io::ErrorKind::ResourceBusy => Ok(()),
        other => other,
    }
}
