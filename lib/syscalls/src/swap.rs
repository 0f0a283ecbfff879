//! `swapoff(2)`.

use std::ffi::CStr;
use std::io;

/// Stops swapping to a device or file and brings what was there back into memory.
pub fn off(path: &CStr) -> io::Result<()> {
    // SAFETY: the path is NUL-terminated and lives for the length of the call.
    if unsafe { libc::swapoff(path.as_ptr()) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
