//! How much there is at a place of a live system, for people who ask what they are about to lose.
//!
//! Bounded in time and memory: it stops at a number of entries and at a moment, and says so. Names
//! that vanish meanwhile are passed over. Links are not followed; what is to be left out, mounts
//! above all, is not even looked at, for a look at a mount from a server that is gone never ends.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::time::Instant;

use formats::facts::Weight;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, Stat};
use rustix::io::Errno;

use super::descent::{Descent, Entered};
use super::error::TreeError;
use super::lookup::{again, Lookup, Opened};
use super::names::{Names, Reader};
use super::roots::Roots;

/// Deeper trees are not followed to their end.
const DEEPEST: usize = 128;

/// Paths that are not looked at.
#[derive(Clone, Debug, Default)]
pub struct LeftOut {
    paths: BTreeSet<Vec<u8>>,
    /// Their last names: most names of a tree are none of them.
    names: BTreeSet<Vec<u8>>,
}

impl<P: AsRef<Path>> FromIterator<P> for LeftOut {
    fn from_iter<T: IntoIterator<Item = P>>(paths: T) -> LeftOut {
        let mut out = LeftOut::default();
        for path in paths {
            let path = path.as_ref();
            let name = path.file_name().unwrap_or_default();
            out.names.insert(name.as_bytes().to_vec());
            out.paths.insert(relative(path));
        }
        out
    }
}

impl LeftOut {
    /// Whether a path is one of them or below one of them.
    pub fn covers(&self, path: &Path) -> bool {
        path.ancestors()
            .any(|above| self.paths.contains(&relative(above)))
    }
}

fn relative(path: &Path) -> Vec<u8> {
    let path = path.as_os_str().as_bytes();
    path.strip_prefix(b"/").unwrap_or(path).to_vec()
}

/// How far a look goes.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Entries of each tree.
    pub entries: u64,
    /// When to stop.
    pub until: Instant,
}

/// Weighs what is at `path` below `root`, an absolute path whose directories are no links. Nothing
/// where there is nothing, or where it is left out.
pub fn weigh<'r>(
    roots: impl Into<Roots<'r>>,
    path: &Path,
    left_out: &LeftOut,
    limit: Limit,
) -> Option<Weight> {
    let roots = roots.into();
    let lookup = Lookup::detect(roots.root());
    let mut tally = Tally::default();
    if let Some(top) = top(&roots, path, left_out) {
        let whole = tree(&mut tally, lookup, top, path, left_out, limit).unwrap_or(false);
        return Some(tally.weight(whole));
    }
    let (above, name) = directory_above(lookup, &roots, path, left_out)?;
    let stat = look(above.as_fd(), &name)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        tally.add(&stat);
        return Some(tally.weight(true));
    }
    let Ok(Opened::Directory(top, _)) = lookup.directory(above.as_fd(), &name) else {
        return None;
    };
    // A directory that moves away while it is being looked at ends the look, no more.
    let whole = tree(&mut tally, lookup, top.as_fd(), path, left_out, limit).unwrap_or(false);
    Some(tally.weight(whole))
}

/// Names of what is in a directory, sorted, at most so many; links and what is left out are not
/// among them. Those of directories come first.
pub fn children<'r>(
    roots: impl Into<Roots<'r>>,
    path: &Path,
    left_out: &LeftOut,
    most: usize,
) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let roots = roots.into();
    let lookup = Lookup::detect(roots.root());
    let top = match top(&roots, path, left_out) {
        None if path == Path::new("/") => Some(roots.root()),
        top => top,
    };
    let found = if let Some(top) = top {
        again(top).ok().map(|(dir, _)| dir)
    } else {
        directory_above(lookup, &roots, path, left_out).and_then(|(above, name)| {
            match lookup.directory(above.as_fd(), &name) {
                Ok(Opened::Directory(dir, _)) => Some(dir),
                _ => None,
            }
        })
    };
    let (mut directories, mut files) = (Vec::new(), Vec::new());
    let Some(dir) = found else {
        return (directories, files);
    };
    let mut names = Vec::new();
    // What cannot be read any further was read so far.
    let _ = Reader::new().each(dir.as_fd(), |name, _| {
        names.push(name.to_owned());
        if names.len() < most {
            Ok(())
        } else {
            Err(Errno::OVERFLOW)
        }
    });
    for name in names {
        let path = path.join(std::ffi::OsStr::from_bytes(name.to_bytes()));
        if left_out.covers(&path) {
            continue;
        }
        let stat = look(dir.as_fd(), &name);
        match stat.map(|s| FileType::from_raw_mode(s.st_mode)) {
            Some(FileType::Directory) => directories.push(path),
            Some(FileType::RegularFile) => files.push(path),
            _ => {}
        }
    }
    directories.sort();
    files.sort();
    (directories, files)
}

/// The top of the filesystem of the tree that is mounted at this very path.
fn top<'r>(roots: &Roots<'r>, path: &Path, left_out: &LeftOut) -> Option<BorrowedFd<'r>> {
    roots
        .top(&relative(path))
        .filter(|_| !left_out.covers(path))
}

/// The directory that a path's last name is in.
fn directory_above(
    lookup: Lookup,
    roots: &Roots<'_>,
    path: &Path,
    left_out: &LeftOut,
) -> Option<(OwnedFd, CString)> {
    if left_out.covers(path) {
        return None;
    }
    let mut names: Vec<CString> = Vec::new();
    for component in path.components() {
        match component {
            Component::RootDir => {}
            Component::Normal(name) => names.push(CString::new(name.as_bytes()).ok()?),
            _ => return None,
        }
    }
    let last = names.pop()?;
    let (_, top, skipped) = roots.of(&relative(path));
    // Every slash of what leads to the top is behind a name.
    let leading = relative(path)[..skipped]
        .split(|&byte| byte == b'/')
        .count()
        - 1;
    let (mut dir, _) = again(top).ok()?;
    for name in names.into_iter().skip(leading) {
        match lookup.directory(dir.as_fd(), &name) {
            Ok(Opened::Directory(next, _)) => dir = next,
            _ => return None,
        }
    }
    Some((dir, last))
}

fn look(dir: BorrowedFd<'_>, name: &CStr) -> Option<Stat> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    rustix::fs::statat(dir, name, flags).ok()
}

/// Adds what is below `top`; false where it was stopped, or could not read a directory.
fn tree(
    tally: &mut Tally,
    lookup: Lookup,
    top: BorrowedFd<'_>,
    path: &Path,
    left_out: &LeftOut,
    limit: Limit,
) -> Result<bool, TreeError> {
    let mut reader = Reader::new();
    let mut descent = Descent::new(lookup, top, &relative(path), None::<Names>)?;
    let mut depth = 0;
    let mut whole = true;
    loop {
        if descent.state().is_none() {
            let mut directories = Names::default();
            let (here, base) = (descent.dir(), descent.path());
            let read = reader.each(here, |name, _| {
                if tally.seen >= limit.entries || Instant::now() > limit.until {
                    return Err(Errno::OVERFLOW);
                }
                tally.seen += 1;
                if left_out.names.contains(name.to_bytes()) {
                    let path = [&base, &b"/"[..], name.to_bytes()].concat();
                    if left_out.paths.contains(&path) {
                        return Ok(());
                    }
                }
                // What is not there any more is not there.
                let Some(stat) = look(here, name) else {
                    return Ok(());
                };
                if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                    directories.push(name);
                } else {
                    tally.add(&stat);
                }
                Ok::<_, Errno>(())
            });
            match read {
                // A directory that was removed meanwhile reads as ENOENT.
                Ok(()) | Err(Errno::NOENT) => {}
                Err(Errno::OVERFLOW) => return Ok(false),
                Err(_) => whole = false,
            }
            *descent.state() = Some(directories);
        }
        let next = descent.state().as_mut().and_then(Names::pop);
        let Some(name) = next else {
            if descent.leave()?.is_none() {
                return Ok(whole);
            }
            depth -= 1;
            continue;
        };
        if depth >= DEEPEST {
            whole = false;
            continue;
        }
        match descent.enter(&name, None) {
            Ok(Entered::Yes) => depth += 1,
            Ok(Entered::Mount | Entered::Missing | Entered::NotDirectory) => {}
            // One that may not be opened, as those of FUSE, is no reason to stop.
            Err(_) => whole = false,
        }
    }
}

#[derive(Default)]
struct Tally {
    seen: u64,
    files: u64,
    blocks: u64,
    newest: Option<u64>,
}

impl Tally {
    fn add(&mut self, stat: &Stat) {
        self.files += 1;
        self.blocks += stat.st_blocks as u64;
        self.newest = self.newest.max(u64::try_from(stat.st_mtime).ok());
    }

    fn weight(&self, whole: bool) -> Weight {
        Weight {
            files: self.files,
            bytes: self.blocks * 512,
            newest: self.newest,
            whole,
        }
    }
}
