//! `kexec_load(2)`, and `kexec_file_load(2)` of Linux 3.17 and later.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Remove the loaded kernel (`KEXEC_FILE_UNLOAD`).
const UNLOAD: libc::c_ulong = 1;

/// Loads a kernel and an initramfs, to be entered by `reboot(LINUX_REBOOT_CMD_KEXEC)`.
///
/// Both files must be open for reading, and nobody may have them open for writing.
pub fn file_load(kernel: BorrowedFd, initramfs: BorrowedFd, cmdline: &CStr) -> io::Result<()> {
    // SAFETY: both descriptors are open for the length of the call; the command line is
    // NUL-terminated, and its length is given with the NUL, as the call requires.
    let result = unsafe {
        libc::syscall(
            libc::SYS_kexec_file_load,
            kernel.as_raw_fd(),
            initramfs.as_raw_fd(),
            cmdline.to_bytes_with_nul().len(),
            cmdline.as_ptr(),
            0 as libc::c_ulong,
        )
    };
    outcome(result)
}

/// Removes the loaded kernel. Without one, and without the call, it fails.
pub fn unload() -> io::Result<()> {
    // SAFETY: with KEXEC_FILE_UNLOAD the kernel reads no other argument.
    let result = unsafe {
        libc::syscall(
            libc::SYS_kexec_file_load,
            -1,
            -1,
            0_usize,
            std::ptr::null::<u8>(),
            UNLOAD,
        )
    };
    outcome(result)
}

/// Whether the running kernel has the call. Asks with descriptors that cannot be right: a kernel
/// that has it answers `EBADF` or `EPERM`, never `ENOSYS`.
#[must_use]
pub fn file_load_exists() -> bool {
    // SAFETY: no memory is passed; the descriptors are invalid, so nothing can be loaded.
    let result = unsafe {
        libc::syscall(
            libc::SYS_kexec_file_load,
            -1,
            -1,
            1_usize,
            c"".as_ptr(),
            0 as libc::c_ulong,
        )
    };
    !matches!(outcome(result), Err(e) if e.raw_os_error() == Some(libc::ENOSYS))
}

/// Whether the running kernel has `kexec_load(2)`. Asks with flags that cannot be right: a kernel
/// that has it answers `EINVAL` or `EPERM`, never `ENOSYS`.
#[must_use]
pub fn load_exists() -> bool {
    // SAFETY: no segments are passed, and the flags are invalid, so nothing can be loaded.
    let result = unsafe {
        libc::syscall(
            libc::SYS_kexec_load,
            0_usize,
            0_usize,
            std::ptr::null::<u8>(),
            libc::c_ulong::from(u32::MAX),
        )
    };
    !matches!(outcome(result), Err(e) if e.raw_os_error() == Some(libc::ENOSYS))
}

fn outcome(result: libc::c_long) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
