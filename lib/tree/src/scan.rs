//! Listing a tree that is to be packed, in the order of the archive.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::os::fd::BorrowedFd;

use formats::payload::DirectoryLink;
use rustix::fs::{AtFlags, FileType, Stat};
use rustix::io::Errno;

use super::attributes::{self, Attribute};
use super::descent::{Descent, Entered};
use super::error::{printable, TreeError};
use super::header::{Entry, Kind, Time};
use super::lookup::Lookup;
use super::names::{Names, Reader};

/// The attributes that belong to an OS. Others, such as the labels of the building machine's
/// security module, belong to the machine that the tree lies on.
const CARRIED: &[&[u8]] = &[
    b"user.",
    b"trusted.",
    b"security.capability",
    b"system.posix_acl_access",
    b"system.posix_acl_default",
];

/// How many links are followed to find where one leads, as the kernel does.
const MOST_LINKS: usize = 40;

/// What a file was when it was listed, to notice when it is another one as it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    ino: u64,
    size: i64,
    mtime: Time,
    ctime: Time,
}

impl Stamp {
    pub(super) fn of(stat: &Stat) -> Self {
        Self {
            ino: stat.st_ino,
            size: stat.st_size,
            mtime: time(stat.st_mtime, stat.st_mtime_nsec as u32),
            ctime: time(stat.st_ctime, stat.st_ctime_nsec as u32),
        }
    }
}

fn time(seconds: i64, nanoseconds: u32) -> Time {
    Time {
        seconds,
        nanoseconds,
    }
}

/// An entry to pack.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) entry: Entry,
    pub(super) stamp: Stamp,
    /// Device and inode number of a file with more than one name.
    shared: Option<(u64, u64)>,
}

/// A tree's entries: directories, then files and the like, then hard links, each by path.
pub(super) struct Listing {
    pub(super) directories: Vec<Found>,
    pub(super) files: Vec<Found>,
    pub(super) hard_links: Vec<Found>,
}

/// Lists the tree below `root`, the root itself included, without what is at or below a path in
/// `exclude`. A mount in the tree is an error: what is in it belongs to another tree.
pub(super) fn list(
    lookup: Lookup,
    root: BorrowedFd<'_>,
    exclude: &[Vec<u8>],
) -> Result<Listing, TreeError> {
    let mut listing = Listing {
        directories: Vec::new(),
        files: Vec::new(),
        hard_links: Vec::new(),
    };
    let mut reader = Reader::new();
    let mut descent = Descent::new(lookup, root, b"", None::<Names>)?;
    let stat = rustix::fs::fstat(root).map_err(|e| TreeError::io("look at", b"/", e))?;
    let own = attributes::list(root).map_err(|e| TreeError::io("read attributes of", b"/", e))?;
    listing
        .directories
        .push(found(Vec::new(), Kind::Directory, &stat, own));
    loop {
        if descent.state().is_none() {
            let names = reader
                .names(descent.dir())
                .map_err(|e| TreeError::io("read", &descent.path(), e))?;
            *descent.state() = Some(names);
        }
        let Some(name) = descent.state().as_mut().and_then(Names::pop) else {
            if descent.leave()?.is_none() {
                break;
            }
            continue;
        };
        let path = descent.path_of(&name);
        if exclude.contains(&path) {
            continue;
        }
        let Some(found) = look(descent.dir(), &name, &path)? else {
            continue;
        };
        if found.entry.kind != Kind::Directory {
            listing.files.push(found);
            continue;
        }
        listing.directories.push(found);
        match descent.enter(&name, None)? {
            Entered::Yes => {}
            Entered::Mount => return Err(TreeError::obstacle(
                &path,
                "is a mount point; unmount it, for what is mounted there is no part of the tree",
            )),
            Entered::Missing | Entered::NotDirectory => {
                return Err(TreeError::Changed {
                    path: printable(&path),
                })
            }
        }
    }
    listing.directories.sort_unstable_by(by_path);
    listing.files.sort_unstable_by(by_path);
    listing.separate_hard_links();
    Ok(listing)
}

fn by_path(a: &Found, b: &Found) -> std::cmp::Ordering {
    a.entry.path.cmp(&b.entry.path)
}

/// Looks at one name. A socket gives nothing: it means nothing without the process behind it.
pub(super) fn look(
    dir: BorrowedFd<'_>,
    name: &CStr,
    path: &[u8],
) -> Result<Option<Found>, TreeError> {
    let failed = |e: Errno| TreeError::io("look at", path, e);
    let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
    let (major, minor) = (
        rustix::fs::major(stat.st_rdev),
        rustix::fs::minor(stat.st_rdev),
    );
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Kind::Directory,
        FileType::RegularFile => Kind::File {
            size: stat.st_size as u64,
        },
        FileType::Symlink => Kind::Symlink {
            target: rustix::fs::readlinkat(dir, name, Vec::new())
                .map_err(failed)?
                .into_bytes(),
        },
        FileType::CharacterDevice => Kind::CharacterDevice { major, minor },
        FileType::BlockDevice => Kind::BlockDevice { major, minor },
        FileType::Fifo => Kind::Fifo,
        FileType::Socket => return Ok(None),
        FileType::Unknown => return Err(TreeError::obstacle(path, "is of an unknown type")),
    };
    let attributes =
        attributes::list_at(dir, name).map_err(|e| TreeError::io("read attributes of", path, e))?;
    Ok(Some(found(path.to_vec(), kind, &stat, attributes)))
}

fn found(path: Vec<u8>, kind: Kind, stat: &Stat, mut attributes: Vec<Attribute>) -> Found {
    attributes.retain(|(name, _): &(CString, _)| {
        CARRIED
            .iter()
            .any(|carried| name.to_bytes().starts_with(carried))
    });
    let shared =
        (kind != Kind::Directory && stat.st_nlink > 1).then_some((stat.st_dev, stat.st_ino));
    Found {
        stamp: Stamp::of(stat),
        shared,
        entry: Entry {
            path,
            kind,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            mtime: time(stat.st_mtime, stat.st_mtime_nsec as u32),
            attributes,
        },
    }
}

impl Listing {
    /// Of several names of one file the first stays a file; the others become links to it.
    fn separate_hard_links(&mut self) {
        let mut first: HashMap<(u64, u64), Vec<u8>> = HashMap::new();
        let mut files = Vec::with_capacity(self.files.len());
        for mut found in std::mem::take(&mut self.files) {
            let target = found.shared.and_then(|shared| first.get(&shared).cloned());
            let Some(target) = target else {
                if let Some(shared) = found.shared {
                    first.insert(shared, found.entry.path.clone());
                }
                files.push(found);
                continue;
            };
            found.entry.kind = Kind::HardLink { target };
            // They came with the first name, and a link cannot differ.
            found.entry.attributes.clear();
            self.hard_links.push(found);
        }
        self.files = files;
    }

    /// The symbolic links of the tree that lead to a directory of it. Names that are no UTF-8 are
    /// left out, for no path to keep can go through them.
    pub(super) fn directory_links(&self) -> Vec<DirectoryLink> {
        let directories = self
            .directories
            .iter()
            .map(|found| (&found.entry.path, None));
        let links = self
            .files
            .iter()
            .filter_map(|found| match &found.entry.kind {
                Kind::Symlink { target } => Some((&found.entry.path, Some(target.as_slice()))),
                _ => None,
            });
        let tree: HashMap<&Vec<u8>, Option<&[u8]>> = directories.chain(links).collect();
        self.files
            .iter()
            .filter(|found| matches!(found.entry.kind, Kind::Symlink { .. }))
            .filter_map(|found| {
                let target = resolve(&tree, &found.entry.path)?;
                Some(DirectoryLink {
                    path: format!("/{}", std::str::from_utf8(&found.entry.path).ok()?),
                    target: format!("/{}", std::str::from_utf8(&target).ok()?),
                })
            })
            .collect()
    }
}

/// Where a path leads within a tree of directories and links; nothing if to no directory.
fn resolve(tree: &HashMap<&Vec<u8>, Option<&[u8]>>, path: &[u8]) -> Option<Vec<u8>> {
    let mut at: Vec<u8> = Vec::new();
    let components = |path: &[u8]| -> Vec<Vec<u8>> {
        let parts = path.split(|&byte| byte == b'/').map(<[u8]>::to_vec);
        parts.rev().collect()
    };
    let mut todo = components(path);
    let mut followed = 0;
    while let Some(component) = todo.pop() {
        match component.as_slice() {
            b"" | b"." => {}
            b".." => {
                let above = at.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
                at.truncate(above);
            }
            name => {
                let mut next = at.clone();
                if !next.is_empty() {
                    next.push(b'/');
                }
                next.extend_from_slice(name);
                match tree.get(&next)? {
                    None => at = next,
                    Some(target) => {
                        followed += 1;
                        if followed > MOST_LINKS {
                            return None;
                        }
                        if target.starts_with(b"/") {
                            at.clear();
                        }
                        todo.extend(components(target));
                    }
                }
            }
        }
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_resolved_within_the_tree() {
        let paths: Vec<(Vec<u8>, Option<&[u8]>)> = [
            ("usr", None),
            ("usr/bin", None),
            ("run", None),
            ("bin", Some("usr/bin")),
            ("var", None),
            ("var/run", Some("/run")),
            ("out", Some("../../../usr")),
            ("loop", Some("loop")),
            ("gone", Some("nowhere")),
            ("twice", Some("var/run/../bin/.")),
            ("root", Some("/")),
        ]
        .map(|(path, target): (&str, Option<&'static str>)| {
            (path.as_bytes().to_vec(), target.map(str::as_bytes))
        })
        .into();
        let tree = paths.iter().map(|(path, target)| (path, *target)).collect();
        let cases: &[(&str, Option<&str>)] = &[
            ("bin", Some("usr/bin")),
            ("var/run", Some("run")),
            ("out", Some("usr")),
            ("loop", None),
            ("gone", None),
            ("twice", Some("usr/bin")),
            ("root", Some("")),
        ];
        for (path, target) in cases {
            let found = resolve(&tree, path.as_bytes());
            assert_eq!(found.as_deref(), target.map(str::as_bytes), "{path}");
        }
    }
}
