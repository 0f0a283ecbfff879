//! Opening what is in a directory: one name, no link, no mount.
//!
//! `openat2(2)` (Linux 5.6) lets the kernel refuse. Before that, a directory is opened without
//! following a link and compared with the directory it was found in: another device or another
//! mount id is another filesystem, or the same one mounted again. A kernel may be too old to say
//! either id: `name_to_handle_at(2)` is an option of its build (`CONFIG_FHANDLE`, off by default
//! then), and /proc/self/fdinfo has it since 3.15. A bind mount within one filesystem has the same
//! device, so there the list of mounts decides: one step from a directory leads to another mount
//! only where something is mounted on the very name, and then the name's path is in the list.
//! A subvolume of Btrfs has a device of its own, and is no mount: there the mount alone decides.
//! (statx(2) says it too, but since 5.8, when there is openat2.)

use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use storage::mounts::{self, Mount};

use super::subvolume;

/// Flags that a directory is opened with. `O_NOATIME` because reading a kept directory must leave
/// no trace in it.
const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOATIME);

/// How names are looked up beneath a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// The kernel refuses links and mounts: `openat2`, Linux 5.6.
    Kernel,
    /// Links and mounts are found out by comparison, as Linux 3.2 allows.
    Comparison,
    /// The same, where the kernel has no number for a mount: by the list of what is mounted where.
    MountList,
}

/// Which directory this is, as long as it is open or has an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    dev: u64,
    ino: u64,
}

impl Identity {
    pub(super) fn of(stat: &Stat) -> Self {
        Self {
            dev: stat.st_dev,
            ino: stat.st_ino,
        }
    }
}

/// What opening a name as a directory came to.
#[derive(Debug)]
pub(super) enum Opened {
    /// The directory, and which one it is.
    Directory(OwnedFd, Identity),
    /// Something is mounted there.
    Mount,
    /// There is no such name.
    Missing,
    /// It is a symbolic link, or no directory at all.
    NotDirectory,
}

impl Lookup {
    /// The best that this kernel can do.
    pub fn detect(root: BorrowedFd<'_>) -> Self {
        // ENOSYS: before 5.6. EPERM: a seccomp filter that does not know the call. Whatever else is
        // wrong shows again, with a path, when the tree is walked.
        let kernel_refuses = openat2(root, c".", DIRECTORY).is_ok();
        Self::choose(kernel_refuses, || mount_of(root, c""))
    }

    fn choose(kernel_refuses: bool, mount: impl FnOnce() -> io::Result<u64>) -> Self {
        if kernel_refuses {
            return Self::Kernel;
        }
        match mount() {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Self::MountList,
            _ => Self::Comparison,
        }
    }

    /// Opens the directory `name` in `dir`.
    pub(super) fn directory(self, dir: BorrowedFd<'_>, name: &CStr) -> io::Result<Opened> {
        let opened = match self {
            Self::Kernel => openat2(dir, name, DIRECTORY),
            Self::Comparison | Self::MountList => openat(dir, name, DIRECTORY),
        };
        let fd = match opened {
            Ok(fd) => fd,
            Err(Errno::XDEV) => return Ok(Opened::Mount),
            Err(Errno::NOENT) => return Ok(Opened::Missing),
            // ELOOP comes from openat2 for a link, ENOTDIR for everything else, links included
            // when O_DIRECTORY is looked at first.
            Err(Errno::LOOP | Errno::NOTDIR) => return Ok(Opened::NotDirectory),
            Err(error) => return Err(error.into()),
        };
        let stat = rustix::fs::fstat(&fd)?;
        let differs = match self {
            Self::Kernel => false,
            Self::Comparison => {
                is_elsewhere(dir, &stat)? || mount_of(dir, c"")? != mount_of(fd.as_fd(), c"")?
            }
            Self::MountList => is_elsewhere(dir, &stat)? || is_mounted_on(fd.as_fd())?,
        };
        if differs {
            return Ok(Opened::Mount);
        }
        Ok(Opened::Directory(fd, Identity::of(&stat)))
    }

    /// Is something mounted on `name` in `dir`? Works for every type of file.
    pub(super) fn is_mount(self, dir: BorrowedFd<'_>, name: &CStr) -> io::Result<bool> {
        match self {
            Self::Kernel => {
                let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV;
                loop {
                    match rustix::fs::openat2(dir, name, flags, Mode::empty(), beneath) {
                        Ok(_) => return Ok(false),
                        Err(Errno::XDEV) => return Ok(true),
                        // As in `openat2` below: the kernel could not be sure.
                        Err(Errno::AGAIN | Errno::INTR) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
            }
            Self::Comparison => {
                let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
                if is_elsewhere(dir, &stat)? {
                    return Ok(true);
                }
                Ok(mount_of(dir, c"")? != mount_of(dir, name)?)
            }
            Self::MountList => {
                let fd = name_itself(dir, name)?;
                let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
                Ok(is_elsewhere(dir, &stat)? || is_mounted_on(fd.as_fd())?)
            }
        }
    }
}

/// Opens the directory above `dir`; the caller compares it with the one it expects.
pub(super) fn parent(dir: BorrowedFd<'_>) -> io::Result<(OwnedFd, Identity)> {
    let fd = openat(dir, c"..", DIRECTORY)?;
    let stat = rustix::fs::fstat(&fd)?;
    Ok((fd, Identity::of(&stat)))
}

/// Opens `dir` once more, with a position of its own for reading.
pub(super) fn again(dir: BorrowedFd<'_>) -> io::Result<(OwnedFd, Identity)> {
    let fd = openat(dir, c".", DIRECTORY)?;
    let stat = rustix::fs::fstat(&fd)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(Errno::NOTDIR.into());
    }
    Ok((fd, Identity::of(&stat)))
}

fn openat2(dir: BorrowedFd<'_>, name: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_XDEV
        | ResolveFlags::NO_MAGICLINKS;
    loop {
        match rustix::fs::openat2(dir, name, flags, Mode::empty(), resolve) {
            // EAGAIN: something was renamed meanwhile and the kernel could not be sure.
            Err(Errno::AGAIN | Errno::INTR) => {}
            // EPERM: O_NOATIME is for the owner or root. Access times matter less than the work.
            Err(Errno::PERM) if flags.contains(OFlags::NOATIME) => {
                return openat2(dir, name, flags.difference(OFlags::NOATIME));
            }
            result => return result,
        }
    }
}

fn openat(dir: BorrowedFd<'_>, name: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    match rustix::fs::openat(dir, name, flags, Mode::empty()) {
        Err(Errno::PERM) if flags.contains(OFlags::NOATIME) => {
            openat(dir, name, flags.difference(OFlags::NOATIME))
        }
        result => result,
    }
}

/// Whether this is another filesystem than that of `dir`, or something that may be one: a subvolume that begins in a
/// directory of Btrfs looks like another Btrfs that is mounted there, and so does what the kernel makes up where one
/// was; who asks goes by the mount.
fn is_elsewhere(dir: BorrowedFd<'_>, stat: &Stat) -> io::Result<bool> {
    let differs = rustix::fs::fstat(dir)?.st_dev != stat.st_dev;
    Ok(differs && !subvolume::has_own_device(dir, stat.st_ino)?)
}

/// A handle of the name itself, whatever it is, a link too.
fn name_itself(dir: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::empty())
}

/// Whether the path of this file is one that something is mounted on. The list is read after the
/// file was opened. Where the path is hidden below another mount it may be in the list for that
/// one: then something is taken for a mount that is none, which keeps more, never less.
fn is_mounted_on(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let path = fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    let mounts = mounts::read_of_thread()?;
    if mounts.is_empty() {
        return Err(no_answer());
    }
    match path {
        Ok(path) if path.is_absolute() => Ok(mounts.iter().any(|m| m.target == path)),
        // The kernel has no path for what lies outside of this process's root.
        Ok(_) => Err(no_answer()),
        // Nor a longer one than a page.
        Err(error) if Errno::from_io_error(&error) == Some(Errno::NAMETOOLONG) => {
            let stat = rustix::fs::fstat(fd)?;
            Ok(mounts.iter().any(|mount| may_show(mount, &stat)))
        }
        Err(error) => Err(error),
    }
}

/// Whether a mount may begin at the directory with this `stat`. So it seems as well for the directory
/// that a bind mount shows elsewhere: see above.
fn may_show(mount: &Mount, stat: &Stat) -> bool {
    let device = (
        rustix::fs::major(stat.st_dev),
        rustix::fs::minor(stat.st_dev),
    );
    mount.device == device
        && rustix::fs::stat(&mount.target)
            .map_or(true, |top| Identity::of(&top) == Identity::of(stat))
}

fn no_answer() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "this kernel does not say which mount a file is on",
    )
}

/// The mount that `name` in `dir` is on; an empty name asks for `dir` itself.
///
/// When neither way works the answer is an error and the caller stops: a mount that cannot be
/// told from a directory might hold what must not be lost.
fn mount_of(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<u64> {
    match syscalls::mount_id::mount_id(dir, name) {
        Ok(id) => Ok(id),
        // ENOSYS: before 2.6.39 or filtered. EOPNOTSUPP: a filesystem without file handles.
        // EPERM: filtered. The kernel's own listing is then asked, which has it from 3.15 on.
        Err(error)
            if [Errno::NOSYS, Errno::OPNOTSUPP, Errno::PERM]
                .contains(&Errno::from_io_error(&error).unwrap_or(Errno::IO)) =>
        {
            let fd;
            let fd = if name.is_empty() {
                dir
            } else {
                fd = name_itself(dir, name)?;
                fd.as_fd()
            };
            let info = fs::read(format!("/proc/self/fdinfo/{}", fd.as_raw_fd()))?;
            mount_id_in(&info).ok_or_else(no_answer)
        }
        Err(error) => Err(error),
    }
}

/// The `mnt_id:` line of a file in /proc/self/fdinfo.
fn mount_id_in(info: &[u8]) -> Option<u64> {
    info.split(|&byte| byte == b'\n')
        .find_map(|line| line.strip_prefix(b"mnt_id:"))
        .and_then(|value| std::str::from_utf8(value).ok()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_has_no_number_for_a_mount_is_asked_for_its_list() {
        // As Linux 3.2 without CONFIG_FHANDLE: its fdinfo has no mount id.
        let nothing = || mount_id_in(b"pos:\t0\nflags:\t02\n").ok_or_else(no_answer);
        assert_eq!(Lookup::choose(false, nothing), Lookup::MountList);
        assert_eq!(Lookup::choose(false, || Ok(27)), Lookup::Comparison);
        assert_eq!(Lookup::choose(true, nothing), Lookup::Kernel);
        let denied = || Err(Errno::ACCESS.into());
        assert_eq!(Lookup::choose(false, denied), Lookup::Comparison);
    }

    #[test]
    fn the_mount_id_is_found_in_fdinfo() {
        let cases: &[(&[u8], Option<u64>)] = &[
            (b"pos:\t0\nflags:\t02\nmnt_id:\t27\nino:\t1\n", Some(27)),
            (b"pos:\t0\nflags:\t02\n", None),
            (b"mnt_id:\tx\n", None),
            (b"", None),
        ];
        for (info, id) in cases {
            assert_eq!(mount_id_in(info), *id);
        }
    }
}
