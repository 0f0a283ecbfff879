//! Subvolumes of Btrfs in a tree: directories that have a device of their own, and are removed in a way of their own.

use std::ffi::CStr;
use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;
use storage::btrfs;
use storage::subvolumes::FIRST_INODE;

/// `BTRFS_EMPTY_SUBVOL_DIR_OBJECTID`.
const MADE_UP: u64 = 2;

/// Whether it is a directory that the kernel makes up, in a copy of a subvolume, for one that was in that: it has the
/// time at which it was looked at. Elsewhere only the first directory of ext4 has its number, which is no kept one.
pub(super) fn is_made_up(inode: u64, file_type: FileType) -> bool {
    inode == MADE_UP && file_type == FileType::Directory
}

/// Whether an inode, found by its name in an open directory of Btrfs, is the one that a subvolume begins with.
pub(super) fn begins_at(dir: BorrowedFd<'_>, inode: u64) -> io::Result<bool> {
    Ok(inode == FIRST_INODE && btrfs::is_on(dir)?)
}

/// Whether an inode, found by its name in an open directory of Btrfs, may have another device there than the directory
/// without a mount: a subvolume has one of its own, and so has what is made up in the place of one.
pub(super) fn has_own_device(dir: BorrowedFd<'_>, inode: u64) -> io::Result<bool> {
    Ok([FIRST_INODE, MADE_UP].contains(&inode) && btrfs::is_on(dir)?)
}

/// Removes a subvolume by name that was emptied before; `None` where there is none of this name. Linux before
/// 4.18 takes it for no directory that can be removed as one.
pub(super) fn remove(dir: BorrowedFd<'_>, name: &CStr) -> Option<Result<(), Errno>> {
    let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    let is_one = begins_at(dir, stat.st_ino).unwrap_or(false);
    is_one.then(|| {
        syscalls::btrfs::destroy(dir, name)
            .map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))
    })
}
