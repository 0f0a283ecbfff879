//! Measuring a kept tree, so that a later measure proves that nothing in it was touched.
//!
//! No file is opened and no content read: what cannot change without leaving a trace in an
//! inode's modification time, size or number is enough, and a measure of a terabyte must take
//! seconds. Link counts, access and change times are left out: they change when a name outside
//! the kept tree goes away. So are the sizes of directories: they change when the filesystem is mended.
//!
//! In a running OS the tree is being used while it is measured. Names come and go, and what is
//! mounted below may not answer. There a measure says how much there is about; it is no proof.

use std::ffi::{CStr, CString};
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use formats::keep::KeepPath;
use formats::measure::Measure;
use rustix::fs::FileType;
use rustix::io::Errno;

use super::descent::{Descent, Entered, Left};
use super::entry::{Entry, Look};
use super::error::TreeError;
use super::inodes::Inodes;
use super::leading_out::LeadingOut;
use super::links::Links;
use super::lookup::{again, Lookup, Opened};
use super::mount_points::MountPoints;
use super::names::{Names, Reader};
use super::tally::Tally;

/// How many numbers of users, or of groups, a tree may have. Four containers with 65,536 numbers
/// each have as many; a tree with more would make a plan that does not fit beside the kernel.
const OWNERS_MAX: usize = 1 << 18;
/// How many entries are told at once.
const PROGRESS_STEP: u64 = 256;
/// How often a name is read that turns out to be of another kind each time.
const KINDS_TRIED: u32 = 4;

/// Whether anybody else works on the tree meanwhile.
#[derive(Clone, Copy)]
pub enum Stillness<'a> {
    /// Nobody does: whatever changes is an error.
    Still,
    /// The OS whose tree it is runs. Names may vanish, and what is mounted is never asked: the
    /// function lists the mount points below the root.
    Live(&'a dyn Fn() -> io::Result<MountPoints>),
}

/// Takes measures below one root.
pub struct Measuring<'a> {
    root: BorrowedFd<'a>,
    /// Where the root is mounted in the tree that paths are named by.
    target: String,
    lookup: Lookup,
    stillness: Stillness<'a>,
    look: Look,
    /// Inodes with several names that were counted, in this tree or in one before.
    seen: Inodes,
    links: Links,
    leading_out: Option<LeadingOut>,
    tell: &'a (dyn Fn(u64) -> ControlFlow<()> + Sync),
}

impl<'a> Measuring<'a> {
    /// Of trees below this root.
    pub fn new(root: BorrowedFd<'a>, stillness: Stillness<'a>) -> Self {
        Self {
            root,
            target: "/".to_owned(),
            lookup: Lookup::detect(root),
            stillness,
            look: Look::Statx,
            seen: Inodes::default(),
            links: Links::default(),
            leading_out: None,
            tell: &|_| ControlFlow::Continue(()),
        }
    }

    /// Of trees on the filesystem that is mounted at this absolute path, whose top the root is. Paths are named
    /// by the whole tree all the same.
    #[must_use]
    pub fn on(mut self, target: &str) -> Self {
        target.clone_into(&mut self.target);
        self
    }

    /// With the way to look names up given.
    #[must_use]
    pub fn looking_up(mut self, lookup: Lookup) -> Self {
        self.lookup = lookup;
        self
    }

    /// Tells every few hundred entries how many were measured since it was last told. What is told
    /// may have the measure stop.
    #[must_use]
    pub fn telling(mut self, tell: &'a (dyn Fn(u64) -> ControlFlow<()> + Sync)) -> Self {
        self.tell = tell;
        self
    }

    /// Notes symbolic links that lead out of what is kept.
    #[must_use]
    pub fn noting(mut self, leading_out: LeadingOut) -> Self {
        self.leading_out = Some(leading_out);
        self
    }

    /// What was noted of all trees so far: files with several names, and links that lead out.
    pub fn noted(self) -> (Links, Option<LeadingOut>) {
        (self.links, self.leading_out)
    }

    /// Measures the tree at a kept path. Never follows a link, never enters a mount. An inode that
    /// has a name in an earlier tree is not counted again.
    ///
    /// The order is fixed: a directory, then what is in it by the bytes of the names, then each
    /// directory in it likewise. Reading extended attributes needs /proc.
    pub fn measure(&mut self, path: &KeepPath) -> Result<Measure, TreeError> {
        let mounts = match self.stillness {
            Stillness::Still => MountPoints::default(),
            Stillness::Live(mounts) => {
                mounts().map_err(|e| TreeError::io("list the mounts below", b"/", e))?
            }
        };
        let shown = path.as_str().as_bytes();
        if let Some(mount) = mounts.crossed_by(shown) {
            return Err(TreeError::keep_mount(mount));
        }
        let own = path.within(&self.target);
        let own = own.ok_or_else(|| TreeError::obstacle(shown, "is on another filesystem"))?;
        let (dir, name) = way_to(self.lookup, self.root, &own)?;
        self.links.enter(path.as_str());
        let mut walk = Walk {
            tally: Tally::default(),
            reader: Reader::new(),
            told: 0,
            measured: 0,
            of: self,
        };
        let file_type = walk.entry(dir.as_fd(), &name, &|| shown.to_vec())?;
        let Some(file_type) = file_type else {
            return Err(TreeError::keep_missing(shown));
        };
        if file_type == FileType::Directory {
            let opened = walk
                .of
                .lookup
                .directory(dir.as_fd(), &name)
                .map_err(|e| TreeError::io("open", shown, e))?;
            let top = match opened {
                Opened::Directory(top, _) => top,
                Opened::Missing => return Err(TreeError::keep_missing(shown)),
                Opened::Mount | Opened::NotDirectory => return Err(TreeError::keep_mount(shown)),
            };
            let state = Directory {
                pending: None,
                mounts: mounts.at(shown),
            };
            let mut descent = Descent::new(walk.of.lookup, top.as_fd(), shown, state)?;
            walk.tree(&mut descent)?;
        }
        walk.tell()?;
        Ok(walk.tally.finish())
    }

    /// Whether an error on a name that was not known to be a mount point is one of what has been
    /// mounted there meanwhile, which is no part of the tree.
    fn is_mounted_by_now(&self, path: &[u8]) -> bool {
        match self.stillness {
            Stillness::Still => false,
            Stillness::Live(mounts) => {
                mounts().is_ok_and(|mounts| mounts.crossed_by(path).is_some())
            }
        }
    }

    fn is_live(&self) -> bool {
        matches!(self.stillness, Stillness::Live(_))
    }
}

/// The directory that a kept path's last name is in, and that name.
pub(super) fn way_to(
    lookup: Lookup,
    root: BorrowedFd<'_>,
    path: &KeepPath,
) -> Result<(OwnedFd, CString), TreeError> {
    let shown = path.as_str().as_bytes();
    let (mut dir, _) = again(root).map_err(|e| TreeError::io("open", b"/", e))?;
    let mut components = path.components().peekable();
    let mut name = CString::default();
    while let Some(component) = components.next() {
        name = CString::new(component)
            .map_err(|_| TreeError::obstacle(shown, "contains a NUL character"))?;
        if components.peek().is_none() {
            break;
        }
        let opened = lookup
            .directory(dir.as_fd(), &name)
            .map_err(|e| TreeError::io("open", shown, e))?;
        dir = match opened {
            Opened::Directory(dir, _) => dir,
            Opened::Missing => return Err(TreeError::keep_missing(shown)),
            Opened::Mount => return Err(TreeError::keep_mount(shown)),
            Opened::NotDirectory => {
                return Err(TreeError::obstacle(
                    shown,
                    "is reached through a symbolic link or something that is no directory",
                ))
            }
        };
    }
    Ok((dir, name))
}

/// What a walk knows of a directory that it is in.
struct Directory<'m> {
    /// Directories in it that are still to be measured, once it has been read.
    pending: Option<Names>,
    /// Set where something is mounted below.
    mounts: Option<&'m MountPoints>,
}

struct Walk<'w, 'a> {
    tally: Tally,
    reader: Reader,
    measured: u64,
    told: u64,
    of: &'w mut Measuring<'a>,
}

impl Walk<'_, '_> {
    fn tree(&mut self, descent: &mut Descent<Directory<'_>>) -> Result<(), TreeError> {
        loop {
            if descent.state().pending.is_none() {
                let pending = self.directory(descent)?;
                descent.state().pending = Some(pending);
            }
            let next = descent.state().pending.as_mut().and_then(Names::pop);
            if let Some(name) = next {
                self.descend(descent, &name)?;
            } else {
                self.tally.mark(b'<');
                let left = match self.of.stillness {
                    Stillness::Still => descent.leave()?.is_some(),
                    Stillness::Live(_) => descent.leave_or_find_back()? == Left::ForAbove,
                };
                if !left {
                    return Ok(());
                }
            }
        }
    }

    fn descend(
        &mut self,
        descent: &mut Descent<Directory<'_>>,
        name: &CStr,
    ) -> Result<(), TreeError> {
        let mounts = descent.state().mounts;
        let state = Directory {
            pending: None,
            mounts: mounts.and_then(|mounts| mounts.child(name.to_bytes())),
        };
        match descent.enter(name, state) {
            Ok(Entered::Yes) => {
                self.tally.mark(b'>');
                self.tally.bytes_of(name.to_bytes());
                Ok(())
            }
            // What is mounted there is no part of the tree; that something is, is.
            Ok(Entered::Mount) => {
                self.tally.mark(b'm');
                Ok(())
            }
            // It went away, or made room for something else, since it was looked at.
            Ok(Entered::Missing | Entered::NotDirectory) if self.of.is_live() => {
                self.tally.mark(b'v');
                Ok(())
            }
            Ok(Entered::Missing | Entered::NotDirectory) => Err(TreeError::obstacle(
                &descent.path_of(name),
                "changed while it was being measured",
            )),
            Err(_) if self.of.is_mounted_by_now(&descent.path_of(name)) => {
                self.tally.mark(b'm');
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Measures what is in the current directory, and gives the directories in it, last one first.
    fn directory(&mut self, descent: &mut Descent<Directory<'_>>) -> Result<Names, TreeError> {
        let mut names = Names::default();
        let read = self.reader.each(descent.dir(), |name, _| {
            names.push(name);
            Ok::<_, Errno>(())
        });
        match read {
            // ENOENT: the directory itself was removed, and has no names any more.
            Err(Errno::NOENT) if self.of.is_live() => {}
            read => read.map_err(|e| TreeError::io("read", &descent.path(), e))?,
        }
        names.sort();
        let mounts = descent.state().mounts;
        let is_mount = |name: &CStr| {
            mounts
                .and_then(|mounts| mounts.child(name.to_bytes()))
                .is_some_and(MountPoints::is_mount)
        };
        let mut directories = Vec::new();
        for index in 0..names.len() {
            let Some(name) = names.get(index) else { break };
            if is_mount(name) {
                self.tally.mount(name);
                continue;
            }
            let file_type = self.entry(descent.dir(), name, &|| descent.path_of(name))?;
            if file_type == Some(FileType::Directory) {
                directories.push(index);
            }
        }
        let owners = &self.tally.owners;
        if owners.users.len().max(owners.groups.len()) > OWNERS_MAX {
            return Err(TreeError::obstacle(
                &descent.path(),
                "belongs to a tree with more owners than can be recorded (262144)",
            ));
        }
        let mut pending = Names::default();
        for name in directories.into_iter().rev().filter_map(|i| names.get(i)) {
            pending.push(name);
        }
        Ok(pending)
    }

    /// Measures one name. Nothing comes of it where it went away, or something was mounted on it.
    fn entry(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &CStr,
        path: &dyn Fn() -> Vec<u8>,
    ) -> Result<Option<FileType>, TreeError> {
        let mut tries = 1;
        let entry = loop {
            match Entry::read(&mut self.of.look, dir, name) {
                Ok(entry) => break entry,
                // EINVAL: it was a link when it was looked at, and is none now.
                Err(Errno::INVAL) if self.of.is_live() && tries < KINDS_TRIED => tries += 1,
                Err(Errno::NOENT | Errno::INVAL) if self.of.is_live() => return Ok(None),
                Err(_) if self.of.is_mounted_by_now(&path()) => {
                    self.tally.mount(name);
                    return Ok(None);
                }
                Err(Errno::NOENT) if self.measured == 0 => return Ok(None),
                Err(errno) => return Err(TreeError::io("measure", &path(), errno)),
            }
        };
        let file_type = entry.inode.file_type();
        if file_type == FileType::RegularFile && entry.inode.names > 1 {
            self.of.links.note(entry.inode.number, entry.inode.names);
        }
        if let (Some(out), Some(target)) = (&mut self.of.leading_out, &entry.target) {
            out.note(&path(), target.to_bytes());
        }
        self.tally.add(name, &entry, &mut self.of.seen);
        self.measured += 1;
        if self.measured - self.told >= PROGRESS_STEP {
            self.tell()?;
        }
        Ok(Some(file_type))
    }

    fn tell(&mut self) -> Result<(), TreeError> {
        let since = self.measured - self.told;
        self.told = self.measured;
        match (self.of.tell)(since) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(TreeError::Stopped),
        }
    }
}
