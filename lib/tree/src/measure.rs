//! Measuring a kept tree, so that a later measure proves that nothing in it was touched.
//!
//! No file is opened and no content read: what cannot change without leaving a trace in an
//! inode's modification time, size or number is enough, and a measure of a terabyte must take
//! seconds. Link counts, access and change times are left out: they change when a name outside
//! the kept tree goes away.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd};

use formats::accounts::Owners;
use formats::keep::KeepPath;
use formats::measure::Measure;
use formats::Digest;
use rustix::fs::{AtFlags, FileType, Stat};
use rustix::io::Errno;

use super::acl;
use super::attributes;
use super::descent::{Descent, Entered};
use super::error::{printable, TreeError};
use super::links::Links;
use super::lookup::{again, Lookup, Opened};
use super::names::{Names, Reader};

/// How many numbers of users, or of groups, a tree may have. Four containers with 65,536 numbers
/// each have as many; a tree with more would make a plan that does not fit beside the kernel.
const OWNERS_MAX: usize = 1 << 18;

/// Measures the tree at a kept path below `root`. Never follows a link, never enters a mount.
///
/// The order is fixed: a directory, then what is in it by the bytes of the names, then each
/// directory in it likewise. Reading extended attributes needs /proc.
pub fn measure(root: BorrowedFd<'_>, path: &KeepPath) -> Result<Measure, TreeError> {
    measure_by(Lookup::detect(root), root, path)
}

/// [`measure`], and notes the files that have several names in `links`.
pub fn measure_noting_links(
    root: BorrowedFd<'_>,
    path: &KeepPath,
    links: &mut Links,
) -> Result<Measure, TreeError> {
    measure_into(Lookup::detect(root), root, path, Some(links))
}

/// [`measure`], with the way to look names up given: tests force the one of old kernels.
pub fn measure_by(
    lookup: Lookup,
    root: BorrowedFd<'_>,
    path: &KeepPath,
) -> Result<Measure, TreeError> {
    measure_into(lookup, root, path, None)
}

fn measure_into(
    lookup: Lookup,
    root: BorrowedFd<'_>,
    path: &KeepPath,
    links: Option<&mut Links>,
) -> Result<Measure, TreeError> {
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
            Opened::Missing => {
                return Err(TreeError::KeepMissing {
                    path: printable(shown),
                })
            }
            Opened::Mount => {
                return Err(TreeError::KeepMount {
                    path: printable(shown),
                })
            }
            Opened::NotDirectory => {
                return Err(TreeError::obstacle(
                    shown,
                    "is reached through a symbolic link or something that is no directory",
                ))
            }
        };
    }
    let mut tally = Tally {
        links,
        ..Tally::default()
    };
    if let Some(links) = &mut tally.links {
        links.enter(path.as_str());
    }
    let file_type = tally.entry(dir.as_fd(), &name).map_err(|e| match e {
        Errno::NOENT => TreeError::KeepMissing {
            path: printable(shown),
        },
        e => TreeError::io("measure", shown, e),
    })?;
    if file_type == FileType::Directory {
        let opened = lookup
            .directory(dir.as_fd(), &name)
            .map_err(|e| TreeError::io("open", shown, e))?;
        let Opened::Directory(top, _) = opened else {
            return Err(TreeError::KeepMount {
                path: printable(shown),
            });
        };
        let mut descent = Descent::new(lookup, top.as_fd(), shown, None)?;
        tree(&mut tally, &mut descent)?;
    }
    Ok(Measure {
        entries: tally.entries,
        bytes: tally.bytes,
        disk_bytes: tally.disk_bytes,
        digest: Digest(*tally.hasher.finalize().as_bytes()),
        owners: tally.owners,
    })
}

fn tree(tally: &mut Tally<'_>, descent: &mut Descent<Option<Names>>) -> Result<(), TreeError> {
    let mut reader = Reader::new();
    loop {
        if descent.state().is_none() {
            let pending = directory(tally, &mut reader, descent)?;
            *descent.state() = Some(pending);
        }
        let next = descent.state().as_mut().and_then(Names::pop);
        if let Some(name) = next {
            match descent.enter(&name, None)? {
                Entered::Yes => {
                    tally.mark(b'>');
                    tally.bytes_of(name.to_bytes());
                }
                // What is mounted there is no part of the tree; that something is, is.
                Entered::Mount => tally.mark(b'm'),
                Entered::Missing | Entered::NotDirectory => {
                    return Err(TreeError::obstacle(
                        &descent.path_of(&name),
                        "changed while it was being measured",
                    ))
                }
            }
        } else {
            tally.mark(b'<');
            if descent.leave()?.is_none() {
                return Ok(());
            }
        }
    }
}

/// Measures what is in the current directory, and gives the directories in it, last one first.
fn directory(
    tally: &mut Tally<'_>,
    reader: &mut Reader,
    descent: &Descent<Option<Names>>,
) -> Result<Names, TreeError> {
    let mut names = Names::default();
    reader
        .each(descent.dir(), |name, _| {
            names.push(name);
            Ok::<_, Errno>(())
        })
        .map_err(|e| TreeError::io("read", &descent.path(), e))?;
    names.sort();
    let mut directories = Vec::new();
    for index in 0..names.len() {
        let Some(name) = names.get(index) else { break };
        let file_type = tally
            .entry(descent.dir(), name)
            .map_err(|e| TreeError::io("measure", &descent.path_of(name), e))?;
        if file_type == FileType::Directory {
            directories.push(index);
        }
    }
    let owners = &tally.owners;
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

#[derive(Default)]
struct Tally<'a> {
    links: Option<&'a mut Links>,
    entries: u64,
    bytes: u64,
    disk_bytes: u64,
    owners: Owners,
    hasher: blake3::Hasher,
}

impl Tally<'_> {
    fn mark(&mut self, mark: u8) {
        self.hasher.update(&[mark]);
    }

    /// Adds bytes with their length before them, so that no two sequences look the same.
    fn bytes_of(&mut self, bytes: &[u8]) {
        self.hasher.update(&(bytes.len() as u64).to_le_bytes());
        self.hasher.update(bytes);
    }

    fn entry(&mut self, dir: BorrowedFd<'_>, name: &CStr) -> Result<FileType, Errno> {
        let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let file_type = FileType::from_raw_mode(stat.st_mode);
        self.entries += 1;
        self.disk_bytes += stat.st_blocks as u64 * 512;
        if file_type == FileType::RegularFile {
            self.bytes += stat.st_size as u64;
            if let Some(links) = self.links.as_mut().filter(|_| stat.st_nlink > 1) {
                links.note(stat.st_ino, stat.st_nlink as u64);
            }
        }
        self.owners.users.insert(stat.st_uid);
        self.owners.groups.insert(stat.st_gid);
        self.mark(b'e');
        self.bytes_of(name.to_bytes());
        self.inode(&stat, file_type);
        if file_type == FileType::Symlink {
            let target = rustix::fs::readlinkat(dir, name, Vec::new())?;
            self.bytes_of(target.to_bytes());
        }
        for (name, value) in attributes::list_at(dir, name)? {
            self.mark(b'x');
            self.bytes_of(name.to_bytes());
            self.bytes_of(&value);
            acl::collect(&name, &value, &mut self.owners);
        }
        Ok(file_type)
    }

    fn inode(&mut self, stat: &Stat, file_type: FileType) {
        let device = match file_type {
            FileType::CharacterDevice | FileType::BlockDevice => stat.st_rdev,
            // Elsewhere the field means nothing and a filesystem may fill it with anything.
            _ => 0,
        };
        let fields = [
            stat.st_ino,
            u64::from(stat.st_mode),
            u64::from(stat.st_uid),
            u64::from(stat.st_gid),
            stat.st_size as u64,
            stat.st_mtime as u64,
            stat.st_mtime_nsec,
            device,
        ];
        for field in fields {
            self.hasher.update(&field.to_le_bytes());
        }
    }
}
