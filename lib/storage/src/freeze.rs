//! Putting everything of a filesystem into its place, for those who read it without replaying its
//! journal, as GRUB does.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

/// How often thawing is tried: a filesystem that stays frozen stops the machine.
const ATTEMPTS: u32 = 50;

/// Held from before a freeze to behind its thaw.
static FROZEN: Mutex<()> = Mutex::new(());

/// Waits until nothing is frozen by this process any more. Whoever ends the process beside a thread
/// that freezes calls this first: the kernel would come to the end of the freeze, and nobody thaw.
pub fn wait_until_thawed() {
    drop(FROZEN.lock());
}

/// Freezes the filesystem at `path` and thaws it at once. Freezing empties the journal; a sync does
/// not. Between the two calls nothing is done at all, for whoever writes then waits for ever, this
/// process and its log included.
pub fn settle(path: &Path) -> io::Result<()> {
    let root = File::open(path)?;
    let _frozen = FROZEN.lock();
    match syscalls::freeze::freeze(root.as_fd()) {
        Ok(()) => thaw(&root),
        // Somebody else has frozen it: so it is settled, and theirs to thaw.
        Err(e) if e.kind() == io::ErrorKind::ResourceBusy => Ok(()),
        Err(e) => Err(e),
    }
}

fn thaw(root: &File) -> io::Result<()> {
    for _ in 1..ATTEMPTS {
        match syscalls::freeze::thaw(root.as_fd()) {
            // Not frozen: somebody else has thawed it.
            Ok(()) => return Ok(()),
            Err(e) if e.kind() == io::ErrorKind::InvalidInput => return Ok(()),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    syscalls::freeze::thaw(root.as_fd())
}
