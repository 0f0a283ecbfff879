//! Freezing a filesystem: `FIFREEZE` and `FITHAW` of `linux/fs.h` (Linux 2.6.29 and later).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `FIFREEZE`, `_IOWR('X', 119, int)`.
const FIFREEZE: libc::c_ulong = 0xc004_5877;
/// `FITHAW`, `_IOWR('X', 120, int)`.
const FITHAW: libc::c_ulong = 0xc004_5878;

/// Freezes the filesystem that `file` is on: everything is written to its place, the journal is
/// empty, and whoever writes from now on waits.
pub fn freeze(file: BorrowedFd) -> io::Result<()> {
    // SAFETY: the kernel ignores the argument of this request, whatever the file is.
    outcome(unsafe { libc::ioctl(file.as_raw_fd(), FIFREEZE, 0) })
}

/// Thaws it.
pub fn thaw(file: BorrowedFd) -> io::Result<()> {
    // SAFETY: the kernel ignores the argument of this request, whatever the file is.
    outcome(unsafe { libc::ioctl(file.as_raw_fd(), FITHAW, 0) })
}

fn outcome(result: libc::c_int) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
