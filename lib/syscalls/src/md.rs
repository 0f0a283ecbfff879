//! Arrays of the kernel's own RAID (md): the ioctls of `linux/raid/md_u.h` by which one is put together from
//! members that have its superblock, which the kernel reads itself.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `_IOW(9, 0x21, mdu_disk_info_t)`, whose 20 bytes are in the number.
const ADD_NEW_DISK: libc::c_ulong = 0x4014_0921;
/// `_IOW(9, 0x23, mdu_array_info_t)`, of 72 bytes.
const SET_ARRAY_INFO: libc::c_ulong = 0x4048_0923;
/// `_IOW(9, 0x30, mdu_param_t)`, of 12 bytes.
const RUN_ARRAY: libc::c_ulong = 0x400c_0930;
/// `_IO(9, 0x32)`.
const STOP_ARRAY: libc::c_ulong = 0x932;

/// Tells an array that has nothing yet which superblocks its members have: `(1, 2)` for version 1.2.
pub fn set_version(array: BorrowedFd, major: i32, minor: i32) -> io::Result<()> {
    // `mdu_array_info_t`: versions first; without a number of disks nothing else is looked at.
    let mut info: [libc::c_int; 18] = [0; 18];
    info[0] = major;
    info[1] = minor;
    // SAFETY: the request reads 72 bytes at the pointer, which are there.
    done(unsafe { libc::ioctl(array.as_raw_fd(), SET_ARRAY_INFO, info.as_ptr()) })
}

/// Adds the block device of this number, which has a superblock of the array.
pub fn add_member(array: BorrowedFd, major: u32, minor: u32) -> io::Result<()> {
    let number = |n: u32| libc::c_int::try_from(n).map_err(io::Error::other);
    // `mdu_disk_info_t`: number, major, minor, role, state.
    let info: [libc::c_int; 5] = [0, number(major)?, number(minor)?, 0, 0];
    // SAFETY: the request reads 20 bytes at the pointer, which are there.
    done(unsafe { libc::ioctl(array.as_raw_fd(), ADD_NEW_DISK, info.as_ptr()) })
}

/// Starts it with the members that it has. Those that are older than others are left out by the kernel.
pub fn run(array: BorrowedFd) -> io::Result<()> {
    // SAFETY: the request does not look at its argument.
    done(unsafe { libc::ioctl(array.as_raw_fd(), RUN_ARRAY, 0) })
}

/// Stops it, and gives its members free; one that is in use is not stopped.
pub fn stop(array: BorrowedFd) -> io::Result<()> {
    // SAFETY: the request takes no argument.
    done(unsafe { libc::ioctl(array.as_raw_fd(), STOP_ARRAY, 0) })
}

fn done(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
