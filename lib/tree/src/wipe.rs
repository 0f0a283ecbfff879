//! Removing everything below a root but what is kept.
//!
//! A name is removed by name in the open directory that it was read from. A directory that stays
//! is read again until nothing in it was removed, since a filesystem may skip names when entries
//! vanish while it is being read. Removing is idempotent: what is gone already is no error.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::io;
use std::num::NonZero;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use formats::keep::{Fate, KeepNode, KeepSet};
use rustix::fs::{AtFlags, FileType, SeekFrom};
use rustix::io::Errno;

use super::cleared::Cleared;
use super::descent::{Descent, Entered};
use super::error::{printable, TreeError};
use super::flags;
use super::lookup::{again, Lookup};
use super::names::{Names, Reader};
use super::parents::Parents;
use super::subvolume;
use super::validate::validate_keep_by;

/// How many removed entries are told to the caller at once.
const PROGRESS_STEP: u64 = 256;
/// How deep the directories are that are emptied side by side.
const UNIT_DEPTH: usize = 3;
/// How many of those are listed at most, so that a tree cannot fill the memory with them.
const MOST_UNITS: usize = 4096;
/// How many threads empty them at most.
const MOST_THREADS: usize = 4;
/// How often a directory is read again because it turned out not to be empty.
const PASSES: u32 = 16;
/// How often what was removed is written out for one name, to have room for removing it.
const ROOM_TRIES: u32 = 8;

/// What a wipe did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WipeReport {
    /// How many entries were removed, directories included.
    pub removed: u64,
    /// Mount points that were found, and left with everything below them; printable paths.
    pub skipped_mounts: Vec<String>,
}

/// Removes everything below `root` but the kept paths and the directories that lead to them.
///
/// Proves first that every kept path is there; when one is not, nothing is removed. Mount points
/// are left alone, and so are the directories that lead to them. `progress` is told every few
/// hundred entries how many were removed since it was last told.
pub fn wipe(
    root: BorrowedFd<'_>,
    keep: &KeepSet,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<WipeReport, TreeError> {
    wipe_by(Lookup::detect(root), root, keep, progress)
}

/// What is told of a file that may have a kept name, before its flags are cleared. They are only
/// cleared once it is done.
pub type Note<'n> = &'n (dyn Fn(Cleared) -> io::Result<()> + Sync);

/// [`wipe`], with a way to note durably whose flags are cleared for a moment, for
/// [`restore_cleared`](super::restore_cleared).
pub fn wipe_noting(
    root: BorrowedFd<'_>,
    keep: &KeepSet,
    progress: &(dyn Fn(u64) + Sync),
    note: Note<'_>,
) -> Result<WipeReport, TreeError> {
    wipe_in(Lookup::detect(root), root, keep, progress, note)
}

/// [`wipe`], with the way to look names up given: tests force the one of old kernels.
pub fn wipe_by(
    lookup: Lookup,
    root: BorrowedFd<'_>,
    keep: &KeepSet,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<WipeReport, TreeError> {
    wipe_in(lookup, root, keep, progress, &|_| Ok(()))
}

fn wipe_in(
    lookup: Lookup,
    root: BorrowedFd<'_>,
    keep: &KeepSet,
    progress: &(dyn Fn(u64) + Sync),
    note: Note<'_>,
) -> Result<WipeReport, TreeError> {
    validate_keep_by(lookup, root, keep)?;
    let units = units(lookup, root, keep)?;
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let side_by_side = || {
        let mut wipe = Wipe::new(progress, note);
        let mut parents = Parents::new(lookup, root);
        while let Some(unit) = units.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = wipe.unit(lookup, &mut parents, unit);
            if result.is_err() {
                stop.store(true, Ordering::Relaxed);
            }
            if stop.load(Ordering::Relaxed) {
                return wipe.finish(result);
            }
        }
        wipe.finish(Ok(()))
    };
    let parts = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads(units.len()))
            .map(|_| scope.spawn(side_by_side))
            .collect();
        let mut parts = vec![side_by_side()];
        // A thread that panicked has removed nothing it should not have; the walk below sees
        // what it left.
        parts.extend(others.into_iter().filter_map(|other| other.join().ok()));
        parts
    });
    let mut report = WipeReport::default();
    for part in parts {
        report.add(part?);
    }
    let mut wipe = Wipe::new(progress, note);
    let top = Directory::new(Some(keep.root()));
    let result = Descent::new(lookup, root, b"", top).and_then(|descent| wipe.tree(descent));
    report.add(wipe.finish(result)?);
    report.skipped_mounts.sort_unstable();
    report.skipped_mounts.dedup();
    Ok(report)
}

impl WipeReport {
    fn add(&mut self, part: WipeReport) {
        self.removed += part.removed;
        self.skipped_mounts.extend(part.skipped_mounts);
    }
}

/// How many threads empty directories side by side. More than a few only wait for each other in
/// the filesystem's journal.
fn threads(units: usize) -> usize {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    processors.min(MOST_THREADS).min(units).max(1)
}

/// Directories that go with all that is in them, and can be emptied side by side: those a few
/// levels down, so that there are enough of them. A directory that leads to something kept is
/// never one. This only divides the work; the walk over the whole tree comes afterwards.
fn units(lookup: Lookup, root: BorrowedFd<'_>, keep: &KeepSet) -> Result<Vec<Vec<u8>>, TreeError> {
    let mut reader = Reader::new();
    let mut parents = Parents::new(lookup, root);
    let mut units = Vec::new();
    let mut pending = vec![(Vec::new(), Some(keep.root()), 0)];
    while let Some((path, node, depth)) = pending.pop() {
        if units.len() >= MOST_UNITS {
            break;
        }
        let mut below = Names::default();
        // Whatever cannot be entered is for the walk over the whole tree to judge.
        let Ok(dir) = parents.directory(&path) else {
            continue;
        };
        let (dir, _) = again(dir).map_err(|e| TreeError::io("open", &path, e))?;
        reader
            .each(dir.as_fd(), |name, file_type| {
                if file_type == FileType::Directory {
                    below.push(name);
                }
                Ok::<_, Errno>(())
            })
            .map_err(|e| TreeError::io("read", &path, e))?;
        while let Some(name) = below.pop().filter(|_| units.len() < MOST_UNITS) {
            let mut child = path.clone();
            if !child.is_empty() {
                child.push(b'/');
            }
            child.extend_from_slice(name.to_bytes());
            match node.map_or(Fate::Gone, |node: &KeepNode| node.child(name.to_bytes())) {
                Fate::Gone if depth + 1 == UNIT_DEPTH => units.push(child),
                Fate::Gone => pending.push((child, None, depth + 1)),
                Fate::Ancestor(node) if depth + 1 < UNIT_DEPTH => {
                    pending.push((child, Some(node), depth + 1));
                }
                Fate::Ancestor(_) | Fate::Kept => {}
            }
        }
    }
    Ok(units)
}

/// What the wipe knows of a directory that it is in.
struct Directory<'a> {
    /// Set for a directory that leads to something kept.
    node: Option<&'a KeepNode>,
    /// Directories in it that are still to be emptied.
    pending: Names,
    /// Something in it stays, so it does.
    stays: bool,
    /// Whether the last pass over it removed something.
    removed: bool,
    passes: u32,
    /// It has been read and its pending directories are being worked on.
    read: bool,
}

impl<'a> Directory<'a> {
    fn new(node: Option<&'a KeepNode>) -> Self {
        Self {
            node,
            pending: Names::default(),
            stays: node.is_some(),
            removed: false,
            passes: 0,
            read: false,
        }
    }
}

/// What became of one name.
enum Unlinked {
    Removed,
    Missing,
    IsDirectory,
    IsMount,
}

struct Wipe<'p> {
    reader: Reader,
    removed: u64,
    told: u64,
    mounts: BTreeSet<String>,
    progress: &'p (dyn Fn(u64) + Sync),
    note: Note<'p>,
}

impl<'p> Wipe<'p> {
    fn new(progress: &'p (dyn Fn(u64) + Sync), note: Note<'p>) -> Self {
        Self {
            note,
            reader: Reader::new(),
            removed: 0,
            told: 0,
            mounts: BTreeSet::new(),
            progress,
        }
    }

    /// What was done, unless it failed.
    fn finish(mut self, result: Result<(), TreeError>) -> Result<WipeReport, TreeError> {
        self.tell();
        result.map(|()| WipeReport {
            removed: self.removed,
            skipped_mounts: self.mounts.into_iter().collect(),
        })
    }

    /// Empties one directory with nothing to keep below it.
    fn unit(
        &mut self,
        lookup: Lookup,
        parents: &mut Parents<'_>,
        path: &[u8],
    ) -> Result<(), TreeError> {
        // A mount point, or gone already: the walk over the whole tree comes by again.
        let Ok(dir) = parents.directory(path) else {
            return Ok(());
        };
        self.tree(Descent::new(lookup, dir, path, Directory::new(None))?)
    }

    fn tree(&mut self, mut descent: Descent<Directory<'_>>) -> Result<(), TreeError> {
        loop {
            if !descent.state().read {
                self.read(&mut descent)?;
            }
            if let Some(name) = descent.state().pending.pop() {
                self.descend(&mut descent, &name)?;
                continue;
            }
            let directory = descent.state();
            if directory.stays && directory.removed && directory.passes < PASSES {
                directory.read = false;
                continue;
            }
            if descent.is_root() {
                return Ok(());
            }
            self.ascend(&mut descent)?;
        }
    }

    /// Reads the current directory, removes what is no directory, and notes what is.
    fn read(&mut self, descent: &mut Descent<Directory<'_>>) -> Result<(), TreeError> {
        let failed = |descent: &Descent<_>, e: Errno| TreeError::io("read", &descent.path(), e);
        let again = descent.state().passes > 0;
        if again {
            rustix::fs::seek(descent.dir(), SeekFrom::Start(0)).map_err(|e| failed(descent, e))?;
        }
        let (dir, directory) = descent.dir_and_state();
        directory.read = true;
        directory.removed = false;
        directory.passes += 1;
        let node = directory.node;
        let tell = self.note;
        let (mut removed, mut mounts) = (0, Names::default());
        let result = self.reader.each(dir, |name, file_type| {
            match node.map_or(Fate::Gone, |node| node.child(name.to_bytes())) {
                Fate::Kept => return Ok(()),
                // The first pass went into it and finished.
                Fate::Ancestor(_) if again => return Ok(()),
                Fate::Ancestor(_) => {
                    directory.pending.push(name);
                    return Ok(());
                }
                Fate::Gone => {}
            }
            if file_type == FileType::Directory {
                directory.pending.push(name);
                return Ok(());
            }
            match making_room(dir, || unlink(dir, name, tell))
                .map_err(|errno| Failed::On(name.to_owned(), errno))?
            {
                Unlinked::Removed => removed += 1,
                Unlinked::Missing => {}
                Unlinked::IsDirectory => directory.pending.push(name),
                Unlinked::IsMount => mounts.push(name),
            }
            Ok(())
        });
        directory.removed |= removed > 0;
        directory.stays |= mounts.len() > 0;
        self.count(removed);
        while let Some(name) = mounts.pop() {
            self.mounts.insert(printable(&descent.path_of(&name)));
        }
        result.map_err(|failed_on| match failed_on {
            Failed::Reading(errno) => failed(descent, errno),
            Failed::On(name, errno) => TreeError::io("remove", &descent.path_of(&name), errno),
        })
    }

    /// Goes into a directory that is to be emptied.
    fn descend(
        &mut self,
        descent: &mut Descent<Directory<'_>>,
        name: &CStr,
    ) -> Result<(), TreeError> {
        let fate = descent
            .state()
            .node
            .map_or(Fate::Gone, |node| node.child(name.to_bytes()));
        let node = match fate {
            Fate::Ancestor(node) => Some(node),
            Fate::Gone => None,
            // Never pending; when in doubt, keep.
            Fate::Kept => return Ok(()),
        };
        match descent.enter(name, Directory::new(node))? {
            Entered::Yes | Entered::Missing => Ok(()),
            Entered::Mount => {
                self.mounts.insert(printable(&descent.path_of(name)));
                descent.state().stays = true;
                Ok(())
            }
            Entered::NotDirectory if node.is_some() => Err(TreeError::obstacle(
                &descent.path_of(name),
                "stopped being a directory while its filesystem was wiped; what is to be kept below it was not touched",
            )),
            Entered::NotDirectory => Err(TreeError::obstacle(
                &descent.path_of(name),
                "stopped being a directory while its filesystem was wiped",
            )),
        }
    }

    /// Leaves a finished directory, and removes it unless it stays.
    fn ascend(&mut self, descent: &mut Descent<Directory<'_>>) -> Result<(), TreeError> {
        let Some((name, left)) = descent.leave()? else {
            return Ok(());
        };
        if left.stays {
            descent.state().stays = true;
            return Ok(());
        }
        let dir = descent.dir();
        match making_room(dir, || rmdir(dir, &name)) {
            Ok(()) => {
                descent.state().removed = true;
                self.count(1);
                Ok(())
            }
            Err(Errno::NOENT) => Ok(()),
            // Something was mounted over it that another mount hid.
            Err(Errno::BUSY) => {
                self.mounts.insert(printable(&descent.path_of(&name)));
                descent.state().stays = true;
                Ok(())
            }
            // Reading skipped a name, as it may while names vanish. It is not over yet.
            Err(Errno::NOTEMPTY | Errno::EXIST) if left.passes < PASSES => {
                let mut directory = Directory::new(None);
                directory.passes = left.passes;
                if descent.enter(&name, directory)? == Entered::Yes {
                    return Ok(());
                }
                Err(TreeError::obstacle(
                    &descent.path_of(&name),
                    "changed while it was being removed",
                ))
            }
            Err(errno) => Err(TreeError::io(
                "remove directory",
                &descent.path_of(&name),
                errno,
            )),
        }
    }

    fn count(&mut self, removed: u64) {
        self.removed += removed;
        if self.removed - self.told >= PROGRESS_STEP {
            self.tell();
        }
    }

    fn tell(&mut self) {
        if self.removed > self.told {
            (self.progress)(self.removed - self.told);
            self.told = self.removed;
        }
    }
}

/// Which name a pass over a directory failed on.
enum Failed {
    Reading(Errno),
    On(CString, Errno),
}

impl From<Errno> for Failed {
    fn from(errno: Errno) -> Self {
        Self::Reading(errno)
    }
}

/// Removes something from a directory. On Btrfs that takes room before it gives any, for what is changed is copied, and
/// what was removed before is free again once all of it is written out: where there is none, that is waited for.
fn making_room<T>(dir: BorrowedFd<'_>, remove: impl Fn() -> Result<T, Errno>) -> Result<T, Errno> {
    for _ in 0..ROOM_TRIES {
        match remove() {
            Err(Errno::NOSPC | Errno::DQUOT) => rustix::fs::syncfs(dir)?,
            result => return result,
        }
    }
    remove()
}

/// Removes what is no directory.
fn unlink(dir: BorrowedFd<'_>, name: &CStr, note: Note<'_>) -> Result<Unlinked, Errno> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) => Ok(Unlinked::Removed),
        Err(Errno::NOENT) => Ok(Unlinked::Missing),
        Err(Errno::ISDIR) => Ok(Unlinked::IsDirectory),
        // A file that something is mounted on.
        Err(Errno::BUSY) => Ok(Unlinked::IsMount),
        // Immutable or append-only, the file or the directory; or really not allowed, which the
        // second attempt tells.
        Err(Errno::PERM | Errno::ACCESS) => {
            flags::clear(dir)?;
            let file = flags::open(dir, name)?;
            let former = file.as_ref().map(flags::hindering).transpose()?.flatten();
            if let (Some(file), Some(former)) = (&file, former) {
                let stat = rustix::fs::fstat(file)?;
                if stat.st_nlink > 1 {
                    // The error of a note that failed is told as that of the removal.
                    note(Cleared {
                        inode: stat.st_ino,
                        flags: former.bits(),
                    })
                    .map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
                }
                flags::clear(file)?;
            }
            match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
                Ok(()) => {
                    // Another name of the file may be kept, and its flags with it.
                    if let (Some(file), Some(former)) = (file, former) {
                        flags::restore(file, former)?;
                    }
                    Ok(Unlinked::Removed)
                }
                Err(Errno::NOENT) => Ok(Unlinked::Missing),
                Err(errno) => Err(errno),
            }
        }
        Err(errno) => Err(errno),
    }
}

/// Removes an empty directory.
fn rmdir(dir: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    match rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR) {
        Err(Errno::PERM | Errno::ACCESS) => {
            flags::clear(dir)?;
            if let Some(child) = flags::open(dir, name)? {
                flags::clear(&child)?;
            }
            match rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR) {
                // The subvolume is empty: what is in it was removed name by name.
                Err(errno @ Errno::PERM) => subvolume::remove(dir, name).unwrap_or(Err(errno)),
                result => result,
            }
        }
        result => result,
    }
}
