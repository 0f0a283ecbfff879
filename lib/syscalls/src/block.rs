//! Block device ioctls of `linux/fs.h`.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `BLKFLSBUF`, `_IO(0x12, 97)`.
const BLKFLSBUF: libc::c_ulong = 0x1261;

/// Makes the kernel forget what it has cached of a block device, so that the next read comes from
/// the device.
pub fn forget_cached(device: BorrowedFd) -> io::Result<()> {
    // SAFETY: the request takes no argument; on anything but a block device it fails.
    if unsafe { libc::ioctl(device.as_raw_fd(), BLKFLSBUF, 0) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
