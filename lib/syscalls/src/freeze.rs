//! Freezing a filesystem: `FIFREEZE` and `FITHAW` of `linux/fs.h` (Linux 2.6.29 and later), both in
//! a child process, so that nobody who kills this one leaves the filesystem frozen.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

/// `FIFREEZE`, `_IOWR('X', 119, int)`.
const FIFREEZE: libc::c_ulong = 0xc004_5877;
/// `FITHAW`, `_IOWR('X', 120, int)`.
const FITHAW: libc::c_ulong = 0xc004_5878;

/// How often thawing is tried: a filesystem that stays frozen stops the machine.
const ATTEMPTS: u32 = 500;
/// Between two attempts.
static PAUSE: libc::timespec = libc::timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};
/// The child's exit status where the filesystem cannot be thawed; no error of Linux is that high.
const STILL_FROZEN: i32 = 255;
/// Descriptors below this are closed one by one where `close_range(2)` (Linux 5.9) is missing.
const DESCRIPTORS: RawFd = 4096;

/// Freezes the filesystem that `file` is on and thaws it at once: everything is written to its place
/// then, and the journal is empty. Whoever writes in between waits.
///
/// A child of its own session does it, one that no signal reaches but SIGKILL and that holds nothing
/// but this descriptor. Fails with what the kernel says of freezing; `EBUSY` where somebody else has
/// frozen it.
pub fn freeze_and_thaw(file: BorrowedFd) -> io::Result<()> {
    let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: it writes the set that it is given, whole.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    // SAFETY: `all` was filled, `before` has room; the mask is this thread's own. The child inherits
    // it, so that there is no moment in which a signal could end it.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) };
    // SAFETY: the child calls nothing but system calls until it ends by _exit: no allocation, no
    // lock, whatever the other threads held.
    let child = unsafe { libc::fork() };
    if child == 0 {
        as_child(file.as_raw_fd());
    }
    let failed = io::Error::last_os_error();
    // SAFETY: `before` is what the first call has written.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
    if child < 0 {
        return Err(failed);
    }
    match wait(child)? {
        0 => Ok(()),
        STILL_FROZEN => Err(io::Error::other(
            "the filesystem is frozen and cannot be thawed; `fsfreeze -u` may do it",
        )),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// The child's exit status.
fn wait(child: libc::pid_t) -> io::Result<i32> {
    loop {
        let mut status = 0;
        // SAFETY: the kernel writes one int to where it is told.
        let found = unsafe { libc::waitpid(child, &raw mut status, 0) };
        if found == child {
            return if libc::WIFEXITED(status) {
                Ok(libc::WEXITSTATUS(status))
            } else {
                Err(io::Error::other(
                    "the process that freezes and thaws was killed; the filesystem may be frozen",
                ))
            };
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// The child: system calls only.
fn as_child(file: RawFd) -> ! {
    // A session of its own: no terminal, and no group that it could be killed with. It cannot fail
    // in a child that has just been made.
    // SAFETY: it takes nothing.
    unsafe { libc::setsid() };
    close_others(file);
    // SAFETY: the kernel ignores the argument of this request, whatever the file is.
    if unsafe { libc::ioctl(file, FIFREEZE, 0) } != 0 {
        end(errno());
    }
    for _ in 0..ATTEMPTS {
        // SAFETY: as above.
        if unsafe { libc::ioctl(file, FITHAW, 0) } == 0 || errno() == libc::EINVAL {
            // EINVAL: it is not frozen, for somebody else has thawed it.
            end(0);
        }
        // SAFETY: the kernel reads one timespec and writes nowhere.
        unsafe { libc::nanosleep(&raw const PAUSE, std::ptr::null_mut()) };
    }
    end(STILL_FROZEN)
}

/// Locks and pipes of the parent are none of the child's business.
fn close_others(file: RawFd) {
    let range = |first: RawFd, last: u32| {
        // SAFETY: the numbers are those of descriptors of this process, which is a child that uses
        // none of them.
        unsafe { libc::syscall(libc::SYS_close_range, first.cast_unsigned(), last, 0) == 0 }
    };
    let below = file == 0 || range(0, (file - 1).cast_unsigned());
    if below && range(file + 1, u32::MAX) {
        return;
    }
    for other in (0..DESCRIPTORS).filter(|&other| other != file) {
        // SAFETY: as above.
        unsafe { libc::close(other) };
    }
}

fn errno() -> i32 {
    // SAFETY: it gives the place of this thread's own errno.
    unsafe { *libc::__errno_location() }
}

fn end(status: i32) -> ! {
    // SAFETY: it runs nothing of this program, and does not return.
    unsafe { libc::_exit(status) }
}
