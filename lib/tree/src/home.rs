//! A file in somebody's home, read as that person would read it.
//!
//! A home belongs to somebody who may be hostile: names in it become links to what only root may
//! read, pipes that are never written to, files without end. So the file is opened by a thread that
//! has the owner's number, no groups and no capabilities; no link is followed below the home; only a
//! regular file is taken, of the owner or of root, up to a size. What is refused is told to whoever
//! asked, and is no failure of anything else.
//!
//! Root's own home is root's: links in it are followed, for who may set them may do anything.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, Stat, CWD};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::header::{Entry, Kind, Time};
use crate::in_root;

/// The largest file that is taken, in bytes: some thousands of keys.
pub const LARGEST: u64 = 1 << 20;

/// A file below a home.
#[derive(Clone, Copy, Debug)]
pub struct HomeFile<'a> {
    /// The home, absolute. It, and what leads to it, may be links.
    pub home: &'a str,
    /// The file, relative to the home.
    pub name: &'a str,
    /// Whose home it is.
    pub uid: u32,
    /// Their group.
    pub gid: u32,
}

/// A file that was read, with the directories that lead to it.
#[derive(Debug)]
pub struct FromHome {
    /// From the top down; the file is the last.
    pub(super) entries: Vec<Entry>,
    /// The file's content.
    pub(super) bytes: Vec<u8>,
    /// How many of the entries lead to the home.
    above: usize,
    /// Whose home it is.
    owner: u32,
}

impl FromHome {
    /// The file's content.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether nobody but root and the owner may write the file, or put another in its place: from the
    /// home down each belongs to one of them and is writable for no group and not for everybody. An ssh
    /// server asks the same of keys (`StrictModes`).
    #[must_use]
    pub fn is_its_owners(&self) -> bool {
        let own = |entry: &Entry| [0, self.owner].contains(&entry.uid) && entry.mode & 0o022 == 0;
        self.entries.iter().skip(self.above).all(own)
    }

    /// Whether an ssh server that asks that (`StrictModes`) certainly takes no keys from the file: from the home down
    /// something belongs to somebody else, or everybody may write it, or a group may that is none of
    /// `private`, with nobody in it but the owner. Some servers take these.
    #[must_use]
    pub fn is_open(&self, private: &dyn Fn(u32) -> bool) -> bool {
        let open = |entry: &Entry| {
            ![0, self.owner].contains(&entry.uid)
                || entry.mode & 0o002 != 0
                || entry.mode & 0o020 != 0 && !private(entry.gid)
        };
        self.entries.iter().skip(self.above).any(open)
    }
}

/// Reads a file of the OS below `root`. `None` where there is none; the error says in words why one
/// is not taken.
///
/// # Errors
/// What the file is, or what the kernel says to its owner.
pub fn read_from_home(root: &Path, file: HomeFile) -> Result<Option<FromHome>, String> {
    if file.uid == 0 {
        return read(root, file, Links::Followed);
    }
    // A thread's numbers are its own: this one is not seen with them by anybody else, and the
    // others of this process stay root.
    let read = move || {
        become_owner(file.uid, file.gid)
            .map_err(|e| format!("cannot be read as its owner, number {}: {e}", file.uid))?;
        read(root, file, Links::Refused)
    };
    std::thread::scope(|scope| scope.spawn(read).join())
        .unwrap_or_else(|_| Err("cannot be read: its reader failed".to_owned()))
}

/// Gives this thread the rights of a user who is in no group but their own. Only the effective
/// numbers change, so that nobody but root may signal or trace it; with root's goes every effective
/// capability.
fn become_owner(uid: u32, gid: u32) -> Result<(), Errno> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    set_thread_groups(&[])?;
    set_thread_res_gid(Gid::ROOT, gid, Gid::ROOT)?;
    set_thread_res_uid(Uid::ROOT, uid, Uid::ROOT)
}

/// What becomes of links below the home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Links {
    Followed,
    Refused,
}

/// [`read_from_home`], with the rights of this thread.
fn read(root: &Path, wanted: HomeFile, links: Links) -> Result<Option<FromHome>, String> {
    let home = wanted.home.trim_matches('/');
    let mut entries = Vec::new();
    let mut at = String::new();
    let Some(mut directory) = open_place(root, "")? else {
        return Ok(None);
    };
    for name in home.split('/').filter(|name| !name.is_empty()) {
        at = join(&at, name);
        // What leads to a home is followed as for a program of that OS.
        let Some(found) = open_place(root, &at)? else {
            return Ok(None);
        };
        directory = found;
        entries.push(directory_entry(&at, &stat(&directory)?));
    }
    // The home itself counts.
    let at_home = entries.len().saturating_sub(1);
    let (above, name) = wanted.name.rsplit_once('/').unwrap_or(("", wanted.name));
    for name in above.split('/').filter(|name| !name.is_empty()) {
        at = join(&at, name);
        let found = match links {
            Links::Followed => open_place(root, &at)?,
            Links::Refused => below(&directory, name, OFlags::PATH | OFlags::DIRECTORY)?,
        };
        let Some(found) = found else {
            return Ok(None);
        };
        directory = found;
        entries.push(directory_entry(&at, &stat(&directory)?));
    }
    at = join(&at, name);
    // A pipe must not be waited for, and a terminal not become this process's.
    let plain = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let found = match links {
        Links::Followed => {
            let real = in_root::resolve(root, Path::new(&at)).map_err(|e| e.to_string())?;
            absent(rustix::fs::openat(
                CWD,
                &real,
                plain | OFlags::CLOEXEC,
                Mode::empty(),
            ))?
        }
        Links::Refused => below(&directory, name, plain)?,
    };
    let Some(file) = found else {
        return Ok(None);
    };
    let stat = stat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err("is no regular file".to_owned());
    }
    if ![0, wanted.uid].contains(&stat.st_uid) {
        return Err(format!(
            "belongs to number {}, not to its home's owner",
            stat.st_uid
        ));
    }
    let mut bytes = Vec::new();
    // The size that it had may not be the one that it has.
    File::from(file)
        .take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| e.to_string())?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("is larger than {} KiB", LARGEST >> 10));
    }
    let size = bytes.len() as u64;
    entries.push(entry(&at, Kind::File { size }, &stat));
    Ok(Some(FromHome {
        entries,
        bytes,
        above: at_home,
        owner: wanted.uid,
    }))
}

fn join(at: &str, name: &str) -> String {
    if at.is_empty() {
        name.to_owned()
    } else {
        format!("{at}/{name}")
    }
}

/// A directory of the OS, links followed within it.
fn open_place(root: &Path, path: &str) -> Result<Option<OwnedFd>, String> {
    let real = in_root::resolve(root, Path::new(path)).map_err(|e| e.to_string())?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    absent(rustix::fs::openat(CWD, &real, flags, Mode::empty()))
}

/// What is in a directory, and no link.
fn below(directory: &OwnedFd, name: &str, flags: OFlags) -> Result<Option<OwnedFd>, String> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    absent(rustix::fs::openat(directory, name, flags, Mode::empty()))
}

fn absent(opened: Result<OwnedFd, Errno>) -> Result<Option<OwnedFd>, String> {
    match opened {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::LOOP) => Err("is a link, or leads through one".to_owned()),
        // A link where a directory was asked for says so on some kernels.
        Err(Errno::NOTDIR) => {
            Err("leads through a link, or something that is no directory".to_owned())
        }
        Err(Errno::ACCESS) => Err("cannot be read by its home's owner".to_owned()),
        // A socket, or a device that is not there.
        Err(Errno::NXIO | Errno::NODEV) => Err("is no regular file".to_owned()),
        Err(e) => Err(format!("cannot be opened: {e}")),
    }
}

fn stat(file: &OwnedFd) -> Result<Stat, String> {
    rustix::fs::fstat(file.as_fd()).map_err(|e| format!("cannot be looked at: {e}"))
}

fn directory_entry(path: &str, stat: &Stat) -> Entry {
    entry(path, Kind::Directory, stat)
}

/// Without attributes: a list of rights that others set is no part of what lets somebody in.
fn entry(path: &str, kind: Kind, stat: &Stat) -> Entry {
    Entry {
        path: path.as_bytes().to_vec(),
        kind,
        mode: stat.st_mode & 0o1777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: Time {
            seconds: stat.st_mtime,
            nanoseconds: stat.st_mtime_nsec as u32,
        },
        attributes: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    /// A server asks the same of keys, from the home down and not above.
    #[test]
    fn a_file_that_others_may_write_is_not_its_owners() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        fs::create_dir_all(at("home/ann/.ssh")).unwrap();
        fs::write(at("home/ann/.ssh/keys"), "k").unwrap();
        let uid = fs::metadata(root.path()).unwrap().uid();
        let gid = fs::metadata(root.path()).unwrap().gid();
        let asked = || {
            let file = HomeFile {
                home: "/home/ann",
                name: ".ssh/keys",
                uid,
                gid,
            };
            let read = read(root.path(), file, Links::Refused).unwrap().unwrap();
            let open = [true, false].map(|private| read.is_open(&|_| private));
            (read.is_its_owners(), open)
        };
        // What a group may write is open where somebody else is in it.
        let (own, by_group, by_all) = (
            (true, [false, false]),
            (false, [false, true]),
            (false, [true, true]),
        );
        for (path, mode, expected) in [
            ("home/ann/.ssh/keys", 0o644, own),
            ("home/ann/.ssh/keys", 0o664, by_group),
            ("home/ann/.ssh/keys", 0o600, own),
            ("home/ann/.ssh", 0o777, by_all),
            ("home/ann/.ssh", 0o700, own),
            ("home/ann", 0o775, by_group),
            ("home/ann", 0o757, by_all),
            ("home/ann", 0o755, own),
            ("home", 0o777, own),
        ] {
            fs::set_permissions(at(path), Permissions::from_mode(mode)).unwrap();
            assert_eq!(asked(), expected, "{path} {mode:o}");
        }
    }
}
