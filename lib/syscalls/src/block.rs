//! Block device ioctls of `linux/fs.h`.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `BLKFLSBUF`, `_IO(0x12, 97)`.
const BLKFLSBUF: libc::c_ulong = 0x1261;

/// `BLKSSZGET`, `_IO(0x12, 104)`.
const BLKSSZGET: libc::c_ulong = 0x1268;

/// Bytes of a block device's own sectors: what it reads and writes at least. ENOTTY for anything else.
pub fn sector_size(device: BorrowedFd) -> io::Result<u32> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the request writes an int to where its argument points, which is one and outlives the call.
    if unsafe { libc::ioctl(device.as_raw_fd(), BLKSSZGET, &raw mut bytes) } == 0 {
        u32::try_from(bytes).map_err(io::Error::other)
    } else {
        Err(io::Error::last_os_error())
    }
}

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
