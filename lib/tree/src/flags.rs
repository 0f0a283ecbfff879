//! Inode flags that forbid what root may otherwise do: immutable and append-only.

use std::ffi::CStr;
use std::os::fd::BorrowedFd;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{ioctl_getflags, ioctl_setflags, AtFlags, FileType, IFlags, Mode, OFlags};
use rustix::io::Errno;

/// Flags that forbid removing a file, changing it, or removing anything in a directory.
const HINDRANCES: IFlags = IFlags::IMMUTABLE.union(IFlags::APPEND);

/// All flags of a file, if one of them hinders.
pub(super) fn hindering(file: impl AsFd) -> Result<Option<IFlags>, Errno> {
    match ioctl_getflags(&file) {
        Ok(flags) if flags.intersects(HINDRANCES) => Ok(Some(flags)),
        // The latter: a filesystem without flags.
        Ok(_) | Err(Errno::NOTTY | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Clears the flags that hinder.
pub(super) fn clear(file: impl AsFd) -> Result<(), Errno> {
    match hindering(&file)? {
        Some(flags) => ioctl_setflags(&file, flags.difference(HINDRANCES)),
        None => Ok(()),
    }
}

/// Gives a file that is still there under another name its former flags back.
pub(super) fn restore(file: impl AsFd, flags: IFlags) -> Result<(), Errno> {
    if rustix::fs::fstat(&file)?.st_nlink > 0 {
        ioctl_setflags(&file, flags)?;
    }
    Ok(())
}

/// Opens a file or a directory to change its flags. Nothing else is opened, for opening a device
/// can have effects, and nothing else has flags.
pub(super) fn open(dir: BorrowedFd<'_>, name: &CStr) -> Result<Option<OwnedFd>, Errno> {
    let stat = match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno),
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile | FileType::Directory => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            rustix::fs::openat(dir, name, flags, Mode::empty()).map(Some)
        }
        _ => Ok(None),
    }
}
