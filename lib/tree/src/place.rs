//! Putting one entry of an archive where it belongs, by directory handle.
//!
//! Order matters: content first, then the owner, then the mode (changing the owner clears setuid),
//! then extended attributes (changing the owner clears capabilities), then the time.

use std::ffi::CStr;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use formats::keep::{Fate, KeepSet};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, UTIME_OMIT};
use rustix::io::Errno;

use super::attributes;
use super::error::TreeError;
use super::flags;
use super::header::{Entry, Kind, Time};
use super::lookup::{Lookup, Opened};
use super::parents::Parents;
use super::roots::Roots;
use super::scan;

/// Zeros are tested for in pieces of this size, at multiples of it; a piece of zeros is a hole.
const HOLE: usize = 64 * 1024;
/// Below it nothing has holes: GRUB reads what is there by its blocks. XFS may have given blocks to a hole
/// before it knew that it is one, and has them marked as not written; GRUB passes over the mark, and takes
/// for the file's what stood in them before.
const READ_BY_LOADER: &[u8] = b"boot/";
/// How much of a file's content is read at once.
const CHUNK: usize = 4 * HOLE;

/// What the kernel gives a new file that no call need change.
#[derive(Debug, Clone, Copy)]
pub(super) enum NewFiles {
    /// Directories around may hand down a group or an ACL: set everything.
    Unknown,
    /// Root makes them, in directories that hand nothing down; the mode lacks these bits.
    Root {
        /// The mode bits that the process withholds.
        umask: u32,
    },
}

impl NewFiles {
    /// What new files get while every directory that the unpacking makes is still plain.
    pub(super) fn detect() -> Self {
        if !rustix::process::geteuid().is_root() || !rustix::process::getegid().is_root() {
            return Self::Unknown;
        }
        // The only way to ask before Linux 4.7. In between, a file made by another thread gets
        // fewer permissions than it would, never more.
        let umask = rustix::process::umask(Mode::from_raw_mode(0o077));
        rustix::process::umask(umask);
        Self::Root {
            umask: umask.as_raw_mode(),
        }
    }

    fn owner_is_right(self, entry: &Entry) -> bool {
        matches!(self, Self::Root { .. }) && entry.uid == 0 && entry.gid == 0
    }

    fn mode_is_right(self, entry: &Entry) -> bool {
        match self {
            Self::Unknown => false,
            Self::Root { umask } => entry.mode & (0o7000 | umask) == 0,
        }
    }
}

/// Places entries below a root.
pub(super) struct Placer<'a> {
    lookup: Lookup,
    keep: &'a KeepSet,
    parents: Parents<'a>,
    new_files: NewFiles,
    buffer: Vec<u8>,
}

impl<'a> Placer<'a> {
    pub(super) fn new(
        lookup: Lookup,
        roots: impl Into<Roots<'a>>,
        keep: &'a KeepSet,
        new_files: NewFiles,
    ) -> Self {
        Self {
            lookup,
            keep,
            parents: Parents::new(lookup, roots),
            new_files,
            buffer: vec![0; CHUNK],
        }
    }

    /// What the keep list says of a path.
    pub(super) fn fate(&self, path: &[u8]) -> Fate<'a> {
        if path.is_empty() {
            return Fate::Ancestor(self.keep.root());
        }
        self.keep.fate(path.split(|&byte| byte == b'/'))
    }

    /// Whether another filesystem of the tree is mounted at this path or below it: only a directory can be there.
    pub(super) fn leads_to_another(&self, path: &[u8]) -> bool {
        self.parents.roots().leads_to_another(path)
    }

    /// Makes a directory that is for root alone until [`Placer::finish_directory`], or takes the
    /// one that is there and makes it so. Something else in its place is a leftover and goes.
    pub(super) fn directory(&mut self, entry: &Entry) -> Result<(), TreeError> {
        let path = &entry.path;
        let failed = |e: io::Error| TreeError::io("reuse directory", path, e);
        if path.is_empty() || self.parents.roots().top(path).is_some() {
            let top = self.parents.directory(path)?;
            make_plain(top).map_err(|e| failed(e.into()))?;
            return Ok(());
        }
        let lookup = self.lookup;
        let (dir, name) = self.parents.of(path)?;
        let private = Mode::RWXU;
        match rustix::fs::mkdirat(dir, &name, private) {
            Ok(()) => return Ok(()),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(TreeError::io("make directory", path, errno)),
        }
        match lookup.directory(dir, &name).map_err(failed)? {
            Opened::Directory(fd, _) => {
                make_plain(fd.as_fd()).map_err(|e| failed(e.into()))?;
                Ok(())
            }
            Opened::Mount => Err(TreeError::obstacle(
                path,
                "is a mount point, but the payload has a directory there",
            )),
            Opened::Missing | Opened::NotDirectory => {
                // The fate of a path with something kept below it was settled before: this is
                // neither kept nor on the way there.
                remove_leftover(dir, &name, path)?;
                rustix::fs::mkdirat(dir, &name, private)
                    .map_err(|e| TreeError::io("make directory", path, e))
            }
        }
    }

    /// Gives a directory its owner, attributes, mode and time, when nothing more goes into it.
    pub(super) fn finish_directory(&mut self, entry: &Entry) -> Result<(), TreeError> {
        let path = &entry.path;
        let dir = self.parents.directory(path)?;
        let failed = |e: Errno| TreeError::io("set the attributes of", path, e);
        set_owner(dir, entry).map_err(failed)?;
        rustix::fs::fchmod(dir, Mode::from_raw_mode(entry.mode)).map_err(failed)?;
        for attribute in &entry.attributes {
            attributes::set(dir, attribute).map_err(failed)?;
        }
        rustix::fs::futimens(dir, &timestamps(entry.mtime)).map_err(failed)
    }

    /// Writes a file, a link or a device. A hard link is made by [`Placer::hard_link`].
    pub(super) fn non_directory(
        &mut self,
        entry: &Entry,
        body: &mut dyn Read,
    ) -> Result<(), TreeError> {
        let path = &entry.path;
        let new_files = self.new_files;
        let (dir, name) = self.parents.of(path)?;
        let made = create(dir, &name, entry);
        let file = match made {
            Err(Errno::EXIST) => {
                remove_leftover(dir, &name, path)?;
                create(dir, &name, entry)
            }
            made => made,
        }
        .map_err(|e| TreeError::io("create", path, e))?;
        let Some(file) = file else {
            return finish_special(dir, &name, entry)
                .map_err(|e| TreeError::io("set the attributes of", path, e));
        };
        write_body(&file, entry, body, &mut self.buffer)?;
        finish_file(file.as_fd(), entry, new_files)
            .map_err(|e| TreeError::io("set the attributes of", path, e))
    }

    /// Gives the entry at `target` another name. Neither is at or below a kept path. On two filesystems a file
    /// cannot have two names, and becomes two files.
    pub(super) fn hard_link(&mut self, path: &[u8], target: &[u8]) -> Result<(), TreeError> {
        let failed = |e: Errno| TreeError::io("make hard link", path, e);
        // Both directories must be open at once, and the cache lends one at a time.
        let (dir, name) = self.parents.of(path)?;
        let dir = rustix::io::fcntl_dupfd_cloexec(dir, 0).map_err(failed)?;
        let (target_dir, target_name) = self.parents.of(target)?;
        let stat = rustix::fs::statat(target_dir, &target_name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(failed)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            return Err(TreeError::entry(path, "the hard link leads to a directory"));
        }
        let link = || rustix::fs::linkat(target_dir, &target_name, &dir, &name, AtFlags::empty());
        match link() {
            Err(Errno::EXIST) => {
                let there = rustix::fs::statat(&dir, &name, AtFlags::SYMLINK_NOFOLLOW);
                if there
                    .is_ok_and(|there| (there.st_dev, there.st_ino) == (stat.st_dev, stat.st_ino))
                {
                    // Made by an earlier attempt; were it the target itself, it must not go.
                    return Ok(());
                }
                remove_leftover(dir.as_fd(), &name, path)?;
                match link() {
                    Err(Errno::XDEV) => self.copy(path, target),
                    result => result.map_err(failed),
                }
            }
            Err(Errno::XDEV) => self.copy(path, target),
            result => result.map_err(failed),
        }
    }

    /// Writes what is at `target` once more, at `path`.
    fn copy(&mut self, path: &[u8], target: &[u8]) -> Result<(), TreeError> {
        let failed = |e: Errno| TreeError::io("copy for a hard link", path, e);
        let (dir, name) = self.parents.of(target)?;
        let found = scan::look(dir, &name, path)?;
        let Some(found) = found else {
            return Err(TreeError::entry(path, "the hard link leads to a socket"));
        };
        let mut body: Box<dyn Read> = match found.entry.kind {
            Kind::File { .. } => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file = rustix::fs::openat(dir, &name, flags, Mode::empty()).map_err(failed)?;
                Box::new(std::fs::File::from(file))
            }
            _ => Box::new(io::empty()),
        };
        self.non_directory(&found.entry, &mut *body)
    }
}

/// Makes a directory of the old OS, or of an earlier attempt, one that hands nothing down.
fn make_plain(dir: BorrowedFd<'_>) -> Result<(), Errno> {
    flags::clear(dir)?;
    attributes::clear(dir)?;
    rustix::fs::fchown(dir, Some(Uid::ROOT), Some(Gid::ROOT))?;
    rustix::fs::fchmod(dir, Mode::RWXU)
}

/// Removes what an earlier attempt left where an entry belongs.
fn remove_leftover(dir: BorrowedFd<'_>, name: &CStr, path: &[u8]) -> Result<(), TreeError> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR) => Err(TreeError::obstacle(
            path,
            "is a directory, but the payload has something else there",
        )),
        Err(errno) => Err(TreeError::io("replace", path, errno)),
    }
}

/// Creates what no name may stand for yet; a file comes back open.
fn create(dir: BorrowedFd<'_>, name: &CStr, entry: &Entry) -> Result<Option<OwnedFd>, Errno> {
    let mode = Mode::from_raw_mode(entry.mode & 0o777);
    let node =
        |file_type, device| rustix::fs::mknodat(dir, name, file_type, mode, device).map(|()| None);
    match &entry.kind {
        Kind::File { .. } => {
            let flags =
                OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(dir, name, flags, mode).map(Some)
        }
        Kind::Symlink { target } => {
            rustix::fs::symlinkat(target.as_slice(), dir, name).map(|()| None)
        }
        Kind::CharacterDevice { major, minor } => node(
            FileType::CharacterDevice,
            rustix::fs::makedev(*major, *minor),
        ),
        Kind::BlockDevice { major, minor } => {
            node(FileType::BlockDevice, rustix::fs::makedev(*major, *minor))
        }
        Kind::Fifo => node(FileType::Fifo, 0),
        // Both have their own ways.
        Kind::Directory | Kind::HardLink { .. } => Err(Errno::INVAL),
    }
}

/// Writes a file's content, leaving out what is zero anyway, but for files that a boot loader reads.
fn write_body(
    file: &OwnedFd,
    entry: &Entry,
    body: &mut dyn Read,
    buffer: &mut [u8],
) -> Result<(), TreeError> {
    let path = &entry.path;
    let size = entry.body_size();
    let mut done = 0;
    let mut ends_in_hole = false;
    let whole = path.starts_with(READ_BY_LOADER);
    while done < size {
        let wanted = usize::try_from(size - done).unwrap_or(CHUNK).min(CHUNK);
        let chunk = &mut buffer[..wanted];
        body.read_exact(chunk).map_err(|e| TreeError::Archive {
            place: super::error::printable(path),
            what: format!("its content is cut short or damaged: {e}"),
        })?;
        let mut start = 0;
        while start < wanted {
            let is_zero = |at: usize| {
                !whole && chunk[at..wanted].len() >= HOLE && is_zero(&chunk[at..at + HOLE])
            };
            if is_zero(start) {
                start += HOLE;
                ends_in_hole = true;
                continue;
            }
            let mut end = (start + HOLE).min(wanted);
            while end < wanted && !is_zero(end) {
                end = (end + HOLE).min(wanted);
            }
            write_at(file, &chunk[start..end], done + start as u64)
                .map_err(|e| TreeError::io("write", path, e))?;
            ends_in_hole = false;
            start = end;
        }
        done += wanted as u64;
    }
    if ends_in_hole {
        rustix::fs::ftruncate(file, size).map_err(|e| TreeError::io("write", path, e))?;
    }
    Ok(())
}

fn is_zero(bytes: &[u8]) -> bool {
    // Most data is not zero at its beginning, and then one look is enough.
    let (head, tail) = bytes.split_at(bytes.len().min(64));
    head.iter().all(|&byte| byte == 0) && tail.iter().fold(0, |or, &byte| or | byte) == 0
}

fn write_at(file: &OwnedFd, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::pwrite(file, bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => {
                bytes = &bytes[n..];
                offset += n as u64;
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

fn finish_file(file: BorrowedFd<'_>, entry: &Entry, new_files: NewFiles) -> Result<(), Errno> {
    let owner_is_right = new_files.owner_is_right(entry);
    if !owner_is_right {
        set_owner(file, entry)?;
    }
    if !new_files.mode_is_right(entry) || !owner_is_right {
        rustix::fs::fchmod(file, Mode::from_raw_mode(entry.mode))?;
    }
    for attribute in &entry.attributes {
        attributes::set(file, attribute)?;
    }
    rustix::fs::futimens(file, &timestamps(entry.mtime))
}

/// A link or a device, which is never opened.
fn finish_special(dir: BorrowedFd<'_>, name: &CStr, entry: &Entry) -> Result<(), Errno> {
    let nofollow = AtFlags::SYMLINK_NOFOLLOW;
    let (owner, group) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
    rustix::fs::chownat(dir, name, Some(owner), Some(group), nofollow)?;
    if !matches!(entry.kind, Kind::Symlink { .. }) {
        // The call follows links, and has no way not to before Linux 6.6. The name was created
        // exclusively a moment ago in a tree that nothing else writes to.
        rustix::fs::chmodat(dir, name, Mode::from_raw_mode(entry.mode), AtFlags::empty())?;
    }
    for attribute in &entry.attributes {
        attributes::set_at(dir, name, attribute)?;
    }
    rustix::fs::utimensat(dir, name, &timestamps(entry.mtime), nofollow)
}

fn set_owner(file: BorrowedFd<'_>, entry: &Entry) -> Result<(), Errno> {
    let (owner, group) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
    rustix::fs::fchown(file, Some(owner), Some(group))
}

/// The modification time; the access time is left as it is.
fn timestamps(mtime: Time) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: mtime.seconds,
            tv_nsec: i64::from(mtime.nanoseconds),
        },
    }
}
