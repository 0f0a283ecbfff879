//! The one way to write, replace, link, remove and make directories on a root beside wiping and
//! unpacking it.
//!
//! It knows the keep list: at or below a kept path, and in the place of a directory that leads to
//! one, it does nothing and says so ([`TreeError::Kept`]). Names are opened one component at a time
//! from the root's handle; a link on the way and a mount are refused, never followed or crossed, but for
//! filesystems that were given by their own handles. A file is written whole: a temporary name, its bytes on the disk, then a rename, and that on the
//! disk. A power cut at any time leaves the old one or the new one.
//!
//! What a path is when it is read is none of its business.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use formats::keep::{Fate, KeepPath, KeepSet};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use super::error::{printable, TreeError};
use super::lookup::{Lookup, Opened};
use super::names::{Names, Reader};
use super::parents::split;
use super::wipe::wipe_by;

/// What is added to a file's name while it is being written.
const TEMPORARY: &[u8] = b".reroot-new";
/// Directories that are made are open to everybody, as an OS's own are.
const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o755);

/// Who may do what with a file that is written. It is root's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Permission bits.
    pub mode: u32,
    /// The group, by number.
    pub group: u32,
}

impl From<u32> for Access {
    fn from(mode: u32) -> Self {
        Self { mode, group: 0 }
    }
}

/// When what is written counts as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Durable {
    /// On return.
    Now,
    /// Once the caller has synced the filesystem: for many files at once.
    Later,
}

/// What became of a directory that has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directory {
    /// It was.
    There,
    /// It, or something above it, was made.
    Made,
}

/// A root that is written to, with what is kept of it.
#[derive(Debug)]
pub struct Gate {
    root: OwnedFd,
    /// Filesystems that are mounted below it and belong to it: where, without a slash at either end, and the
    /// top of each.
    apart: Vec<(Vec<u8>, OwnedFd)>,
    lookup: Lookup,
    keep: KeepSet,
}

/// A path that may be written to.
struct Free<'p> {
    path: &'p [u8],
}

impl Gate {
    /// A gate to the directory that `root` is open on.
    pub fn new(root: OwnedFd, keep: KeepSet) -> Self {
        let lookup = Lookup::detect(root.as_fd());
        Self::new_by(lookup, root, keep)
    }

    /// The same, with the way to look names up given: tests force the one of old kernels.
    pub fn new_by(lookup: Lookup, root: OwnedFd, keep: KeepSet) -> Self {
        Self {
            root,
            apart: Vec::new(),
            lookup,
            keep,
        }
    }

    /// With a filesystem that is mounted at an absolute path below the root; the caller answers for `top` being
    /// its top.
    #[must_use]
    pub fn with(mut self, target: &str, top: OwnedFd) -> Self {
        let target = target.trim_matches('/').as_bytes().to_vec();
        self.apart.push((target, top));
        self
    }

    /// A gate to the directory at a path, which the caller answers for.
    pub fn open<'k>(
        root: &Path,
        keep: impl IntoIterator<Item = &'k KeepPath>,
    ) -> Result<Self, TreeError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(root, flags, Mode::empty())
            .map_err(|e| TreeError::io("open directory", root.as_os_str().as_encoded_bytes(), e))?;
        Ok(Self::new(fd, KeepSet::new(keep)))
    }

    /// Whether a path is kept, below one that is, or leads to one: nothing is written there.
    pub fn is_kept(&self, path: &str) -> bool {
        self.free(path).is_err()
    }

    /// Writes a file whole, in the place of what stood there, be it a link. The directory that it
    /// is in is there.
    pub fn write(
        &self,
        path: &str,
        bytes: &[u8],
        access: impl Into<Access>,
    ) -> Result<(), TreeError> {
        self.put(path, bytes, access.into(), Durable::Now)
    }

    /// The same, on the disk only once the caller has synced the filesystem: for many files.
    pub fn write_unsynced(
        &self,
        path: &str,
        bytes: &[u8],
        access: impl Into<Access>,
    ) -> Result<(), TreeError> {
        self.put(path, bytes, access.into(), Durable::Later)
    }

    fn put(
        &self,
        path: &str,
        bytes: &[u8],
        access: Access,
        durable: Durable,
    ) -> Result<(), TreeError> {
        let Free { path } = self.free(path)?;
        let (dir, name) = self.parent(path)?;
        let failed = |e: std::io::Error| TreeError::io("write", path, e);
        let temporary = temporary(dir.as_fd(), &name).map_err(|e| failed(e.into()))?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // Nobody else shall read it before it has its mode.
        let file = rustix::fs::openat(&dir, &temporary, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|e| failed(e.into()))?;
        let mut file = File::from(file);
        file.write_all(bytes).map_err(failed)?;
        set_access(file.as_fd(), access).map_err(|e| failed(e.into()))?;
        if durable == Durable::Now {
            file.sync_all().map_err(failed)?;
        }
        drop(file);
        Self::name(dir.as_fd(), &temporary, &name, durable).map_err(|e| failed(e.into()))
    }

    /// Puts a link in the place of what stood there, in the same way.
    pub fn link(&self, path: &str, to: &str) -> Result<(), TreeError> {
        let Free { path } = self.free(path)?;
        let (dir, name) = self.parent(path)?;
        let failed = |e: Errno| TreeError::io("link", path, e);
        let temporary = temporary(dir.as_fd(), &name).map_err(failed)?;
        rustix::fs::symlinkat(to, &dir, &temporary).map_err(failed)?;
        Self::name(dir.as_fd(), &temporary, &name, Durable::Now).map_err(failed)
    }

    /// The rename is on the disk when the directory is: without that the old file would come back.
    fn name(
        dir: BorrowedFd<'_>,
        temporary: &CStr,
        name: &CStr,
        durable: Durable,
    ) -> Result<(), Errno> {
        rustix::fs::renameat(dir, temporary, dir, name)?;
        match durable {
            Durable::Now => rustix::fs::fsync(dir),
            Durable::Later => Ok(()),
        }
    }

    /// Makes a directory and those above it, where they are missing, and says whether it did. One
    /// that is missing at or below a kept path is not made; one that is there is left as it is,
    /// kept or not.
    pub fn make_directories(&self, path: &str) -> Result<Directory, TreeError> {
        let path = plain(path)?;
        let mut outcome = Directory::There;
        let mut here = self.again()?;
        for (end, name) in components(path) {
            let name = c_name(name, path)?;
            let so_far = &path[..end];
            if let Some(next) = self.step(here.as_fd(), &name, so_far)? {
                here = next;
                continue;
            }
            if matches!(self.fate(so_far), Fate::Kept) {
                return Err(kept(so_far));
            }
            rustix::fs::mkdirat(&here, &name, DIRECTORY_MODE)
                .map_err(|e| TreeError::io("make directory", so_far, e))?;
            outcome = Directory::Made;
            here = self
                .step(here.as_fd(), &name, so_far)?
                .ok_or_else(|| TreeError::io("open", so_far, Errno::NOENT))?;
            // The mode that the process withholds bits of.
            rustix::fs::fchmod(&here, DIRECTORY_MODE)
                .map_err(|e| TreeError::io("set the mode of", so_far, e))?;
        }
        Ok(outcome)
    }

    /// Removes a file or a link, if it is there: a second attempt finds less than the first.
    pub fn remove(&self, path: &str) -> Result<(), TreeError> {
        let Free { path } = self.free(path)?;
        let Some((dir, name)) = self.parent_if_there(path)? else {
            return Ok(());
        };
        match rustix::fs::unlinkat(&dir, &name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(TreeError::io("remove", path, e)),
        }
    }

    /// Removes a file, or every file of an ending: `/etc/netplan/*.yaml`. Directories stay, and so
    /// does what is kept, whose paths are given back.
    pub fn remove_matching(&self, pattern: &str) -> Result<Vec<String>, TreeError> {
        let path = plain(pattern)?;
        let Some((dir, name)) = self.parent_if_there(path)? else {
            return Ok(Vec::new());
        };
        let mut left = Vec::new();
        let mut names = Names::default();
        if let Some(ending) = name.to_bytes().strip_prefix(b"*") {
            Reader::new()
                .each(dir.as_fd(), |name, _| {
                    if name.to_bytes().ends_with(ending) {
                        names.push(name);
                    }
                    Ok::<(), Errno>(())
                })
                .map_err(|e| TreeError::io("list", split(path).0, e))?;
        } else {
            names.push(&name);
        }
        for name in (0..names.len()).filter_map(|at| names.get(at)) {
            let full = join(split(path).0, name.to_bytes());
            let stat = match rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(Errno::NOENT) => continue,
                Err(e) => return Err(TreeError::io("look at", &full, e)),
            };
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                continue;
            }
            if !matches!(self.fate(&full), Fate::Gone) {
                left.push(printable(&full));
                continue;
            }
            rustix::fs::unlinkat(&dir, name, AtFlags::empty())
                .map_err(|e| TreeError::io("remove", &full, e))?;
        }
        Ok(left)
    }

    /// Removes a directory with everything in it, if it is there. Nothing at or below it is kept.
    pub fn remove_tree(&self, path: &str) -> Result<(), TreeError> {
        let Free { path } = self.free(path)?;
        if self.apart.iter().any(|(target, _)| target == path) {
            return Err(TreeError::mount(path));
        }
        let Some((dir, name)) = self.parent_if_there(path)? else {
            return Ok(());
        };
        let Some(tree) = self.step(dir.as_fd(), &name, path)? else {
            return Ok(());
        };
        wipe_by(self.lookup, tree.as_fd(), &KeepSet::default(), &|_| {})?;
        rustix::fs::unlinkat(&dir, &name, AtFlags::REMOVEDIR)
            .map_err(|e| TreeError::io("remove", path, e))
    }

    /// The path without its outer slashes, if nothing of it is kept.
    fn free<'p>(&self, path: &'p str) -> Result<Free<'p>, TreeError> {
        let path = plain(path)?;
        match self.fate(path) {
            Fate::Gone => Ok(Free { path }),
            Fate::Kept | Fate::Ancestor(_) => Err(kept(path)),
        }
    }

    fn fate(&self, path: &[u8]) -> Fate<'_> {
        self.keep.fate(path.split(|&byte| byte == b'/'))
    }

    fn again(&self) -> Result<OwnedFd, TreeError> {
        rustix::io::fcntl_dupfd_cloexec(&self.root, 0)
            .map_err(|e| TreeError::io("open the root directory of", b"", e))
    }

    /// The directory that a path is in, and the path's last name.
    fn parent(&self, path: &[u8]) -> Result<(OwnedFd, CString), TreeError> {
        self.parent_if_there(path)?.ok_or_else(|| {
            let above = split(path).0;
            TreeError::obstacle(above, "is no directory, or is not there")
        })
    }

    /// The same; nothing where the directory does not exist, or something above it is a file.
    fn parent_if_there(&self, path: &[u8]) -> Result<Option<(OwnedFd, CString)>, TreeError> {
        let (above, name) = split(path);
        let mut here = self.again()?;
        for (end, component) in components(above) {
            let component = c_name(component, path)?;
            if is_file(here.as_fd(), &component) {
                return Ok(None);
            }
            match self.step(here.as_fd(), &component, &above[..end])? {
                Some(next) => here = next,
                None => return Ok(None),
            }
        }
        Ok(Some((here, c_name(name, path)?)))
    }

    /// Goes down one name. Nothing where there is none.
    fn step(
        &self,
        dir: BorrowedFd<'_>,
        name: &CStr,
        path: &[u8],
    ) -> Result<Option<OwnedFd>, TreeError> {
        if let Some((_, top)) = self.apart.iter().find(|(target, _)| target == path) {
            let top = rustix::io::fcntl_dupfd_cloexec(top, 0);
            return top.map(Some).map_err(|e| TreeError::io("open", path, e));
        }
        let opened = self.lookup.directory(dir, name);
        match opened.map_err(|e| TreeError::io("open", path, e))? {
            Opened::Directory(fd, _) => Ok(Some(fd)),
            Opened::Missing => Ok(None),
            Opened::Mount => Err(TreeError::mount(path)),
            Opened::NotDirectory => Err(TreeError::obstacle(
                path,
                "is no directory, but a symbolic link or a file",
            )),
        }
    }
}

fn kept(path: &[u8]) -> TreeError {
    TreeError::Kept {
        path: printable(path),
    }
}

/// Whether a name is that of a file, which nothing can be in.
fn is_file(dir: BorrowedFd<'_>, name: &CStr) -> bool {
    // What cannot be looked at shows again when it is opened.
    rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
}

/// A path without its outer slashes: at least one name, none of them empty, `.` or `..`.
fn plain(path: &str) -> Result<&[u8], TreeError> {
    let path = path.trim_matches('/').as_bytes();
    let sound = |name: &[u8]| !name.is_empty() && name != b"." && name != b"..";
    if path.split(|&byte| byte == b'/').all(sound) {
        Ok(path)
    } else {
        Err(TreeError::obstacle(path, "is not a plain path"))
    }
}

/// The names of a path from the root down, each with where it ends.
fn components(path: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut end = 0;
    path.split(|&byte| byte == b'/')
        .filter(|name| !name.is_empty())
        .map(move |name| {
            end += name.len() + usize::from(end > 0);
            (end, name)
        })
}

fn join(above: &[u8], name: &[u8]) -> Vec<u8> {
    if above.is_empty() {
        name.to_vec()
    } else {
        [above, b"/", name].concat()
    }
}

fn c_name(name: &[u8], path: &[u8]) -> Result<CString, TreeError> {
    CString::new(name).map_err(|_| TreeError::obstacle(path, "has a NUL in its name"))
}

/// A name beside the file that nothing has: what an attempt left that was cut off goes.
fn temporary(dir: BorrowedFd<'_>, name: &CStr) -> Result<CString, Errno> {
    let name = CString::new([name.to_bytes(), TEMPORARY].concat()).map_err(|_| Errno::INVAL)?;
    match rustix::fs::unlinkat(dir, &name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(name),
        Err(e) => Err(e),
    }
}

/// Owner, then mode: changing the owner clears bits of it. A directory may hand down another group.
fn set_access(file: BorrowedFd<'_>, access: Access) -> Result<(), Errno> {
    // Only root can, and whoever else runs this is a test.
    if rustix::process::geteuid().is_root() {
        rustix::fs::fchown(file, Some(Uid::ROOT), Some(Gid::from_raw(access.group)))?;
    }
    rustix::fs::fchmod(file, Mode::from_raw_mode(access.mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_know_where_they_end() {
        let of = |path: &'static str| {
            components(path.as_bytes())
                .map(|(end, name)| (&path[..end], std::str::from_utf8(name).unwrap()))
                .collect::<Vec<_>>()
        };
        assert_eq!(of("a/bc/d"), [("a", "a"), ("a/bc", "bc"), ("a/bc/d", "d")]);
        assert_eq!(of(""), []);
    }

    #[test]
    fn only_plain_paths_pass() {
        assert_eq!(plain("/etc/fstab").unwrap(), b"etc/fstab");
        assert_eq!(plain("etc/").unwrap(), b"etc");
        for path in ["", "/", "//", "a//b", "/a/../b", "./a"] {
            assert!(plain(path).is_err(), "{path}");
        }
    }
}
