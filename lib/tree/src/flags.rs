//! Inode flags that forbid what root may otherwise do: immutable and append-only.

use rustix::fd::AsFd;
use rustix::fs::{ioctl_getflags, ioctl_setflags, IFlags};
use rustix::io::Errno;

/// Flags that forbid removing a file, changing it, or removing anything in a directory.
const HINDRANCES: IFlags = IFlags::IMMUTABLE.union(IFlags::APPEND);

/// Clears the flags that hinder, and gives the former ones if there were any.
pub(super) fn clear(file: impl AsFd) -> Result<Option<IFlags>, Errno> {
    match ioctl_getflags(&file) {
        Ok(flags) if flags.intersects(HINDRANCES) => {
            ioctl_setflags(&file, flags.difference(HINDRANCES))?;
            Ok(Some(flags))
        }
        // The latter: a filesystem without flags.
        Ok(_) | Err(Errno::NOTTY | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Gives a file that is still there under another name its former flags back.
pub(super) fn restore(file: impl AsFd, flags: IFlags) -> Result<(), Errno> {
    if rustix::fs::fstat(&file)?.st_nlink > 0 {
        ioctl_setflags(&file, flags)?;
    }
    Ok(())
}
