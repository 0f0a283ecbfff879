//! One name in a directory, with everything that a measure takes from it, read without opening it.

use std::ffi::{CStr, CString};
use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, FileType, Stat, Statx, StatxAttributes, StatxFlags};
use rustix::io::Errno;

use super::attributes::{self, Attribute};

/// Flags of an inode that forbid changing it. Others do not outlive what reroot does to a kept file
/// any less, and kernels differ in which of them they tell.
const FLAGS: StatxAttributes = StatxAttributes::IMMUTABLE.union(StatxAttributes::APPEND);

/// What is in an inode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Inode {
    pub(super) number: u64,
    pub(super) names: u64,
    pub(super) mode: u32,
    pub(super) user: u32,
    pub(super) group: u32,
    pub(super) size: u64,
    pub(super) modified: (u64, u64),
    pub(super) device: u64,
    /// Blocks of 512 bytes.
    pub(super) blocks: u64,
    /// Immutable, append-only; `None` where the kernel (before 4.11) or the filesystem does not say
    /// it without opening the file.
    pub(super) flags: Option<u64>,
}

impl Inode {
    pub(super) fn file_type(&self) -> FileType {
        FileType::from_raw_mode(self.mode)
    }

    fn of_stat(stat: &Stat) -> Self {
        Self {
            number: stat.st_ino,
            names: stat.st_nlink,
            mode: stat.st_mode,
            user: stat.st_uid,
            group: stat.st_gid,
            size: stat.st_size as u64,
            modified: (stat.st_mtime as u64, stat.st_mtime_nsec),
            device: stat.st_rdev,
            blocks: stat.st_blocks as u64,
            flags: None,
        }
    }

    fn of_statx(stat: &Statx) -> Self {
        let known = stat.stx_attributes_mask.contains(FLAGS);
        Self {
            number: stat.stx_ino,
            names: stat.stx_nlink.into(),
            mode: stat.stx_mode.into(),
            user: stat.stx_uid,
            group: stat.stx_gid,
            size: stat.stx_size,
            modified: (stat.stx_mtime.tv_sec as u64, stat.stx_mtime.tv_nsec.into()),
            device: rustix::fs::makedev(stat.stx_rdev_major, stat.stx_rdev_minor),
            blocks: stat.stx_blocks,
            flags: known.then(|| stat.stx_attributes.intersection(FLAGS).bits()),
        }
    }
}

/// How inodes are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// `statx(2)`, Linux 4.11, which tells flags too.
    Statx,
    /// `fstatat(2)`.
    Stat,
}

impl Look {
    /// Looks at `name` in `dir`, and never mounts anything by it. From the first time on that
    /// `statx` is not there it is not tried again.
    pub(super) fn at(&mut self, dir: BorrowedFd<'_>, name: &CStr) -> Result<Inode, Errno> {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        if *self == Self::Statx {
            match rustix::fs::statx(dir, name, flags, StatxFlags::BASIC_STATS) {
                Ok(stat) => return Ok(Inode::of_statx(&stat)),
                // ENOSYS: before 4.11. EPERM: a seccomp filter that does not know the call.
                Err(Errno::NOSYS | Errno::PERM) => *self = Self::Stat,
                Err(errno) => return Err(errno),
            }
        }
        rustix::fs::statat(dir, name, flags).map(|stat| Inode::of_stat(&stat))
    }
}

/// One name, read.
pub(super) struct Entry {
    pub(super) inode: Inode,
    /// Where it leads, if it is a symbolic link.
    pub(super) target: Option<CString>,
    pub(super) attributes: Vec<Attribute>,
}

impl Entry {
    /// Reads `name` in `dir`. Needs /proc for the extended attributes.
    pub(super) fn read(look: &mut Look, dir: BorrowedFd<'_>, name: &CStr) -> Result<Self, Errno> {
        let inode = look.at(dir, name)?;
        let target = match inode.file_type() {
            FileType::Symlink => Some(rustix::fs::readlinkat(dir, name, Vec::new())?),
            _ => None,
        };
        Ok(Self {
            inode,
            target,
            attributes: attributes::list_at(dir, name)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn both_calls_say_the_same_but_for_the_flags() {
        let dev = std::fs::File::open("/dev").unwrap();
        let etc = std::fs::File::open("/etc").unwrap();
        for (dir, name) in [
            (&dev, c"null"),
            (&dev, c"fd"),
            (&etc, c"passwd"),
            (&etc, c"."),
        ] {
            let by = |mut look: Look| Look::at(&mut look, dir.as_fd(), name).unwrap();
            let (statx, stat) = (by(Look::Statx), by(Look::Stat));
            assert_eq!(
                stat,
                Inode {
                    flags: None,
                    ..statx
                },
                "{name:?}"
            );
        }
    }
}
