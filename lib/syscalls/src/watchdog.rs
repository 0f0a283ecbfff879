//! Watchdog ioctls of `linux/watchdog.h`.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `WDIOC_SETTIMEOUT`, `_IOWR('W', 6, int)`.
const SETTIMEOUT: libc::c_ulong = 0xc004_5706;
/// `WDIOC_KEEPALIVE`, `_IOR('W', 5, int)`.
const KEEPALIVE: libc::c_ulong = 0x8004_5705;

/// Sets after how many seconds without a sign of life the machine is reset; returns what the
/// device made of it.
pub fn set_timeout(device: BorrowedFd, seconds: i32) -> io::Result<i32> {
    let mut value: libc::c_int = seconds;
    // SAFETY: the request reads and writes one int, which `value` is, for the time of the call.
    if unsafe { libc::ioctl(device.as_raw_fd(), SETTIMEOUT, &raw mut value) } == 0 {
        Ok(value)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// A sign of life.
pub fn keep_alive(device: BorrowedFd) -> io::Result<()> {
    // SAFETY: the request takes no argument; some drivers pass it over, none writes to it.
    if unsafe { libc::ioctl(device.as_raw_fd(), KEEPALIVE, 0) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
