//! What a program inherits through `execve(2)` and may have to get rid of: ignored signals, and
//! descriptors that only their number is known of.

use std::io;
use std::os::fd::RawFd;

/// Gives a signal its default action again, in whose place it was ignored or handled.
pub fn default_action(signal: i32) -> io::Result<()> {
    // SAFETY: SIG_DFL is no function of ours, so nothing of this process is called by the signal.
    if unsafe { libc::signal(signal, libc::SIG_DFL) } == libc::SIG_ERR {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Writes to a descriptor that nobody in this process owns.
pub fn write(descriptor: RawFd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the kernel reads `bytes.len()` bytes from the slice, which is borrowed for the length
    // of the call. A number that is no open descriptor makes it fail.
    let written = unsafe { libc::write(descriptor, bytes.as_ptr().cast(), bytes.len()) };
    usize::try_from(written).map_err(|_| io::Error::last_os_error())
}
