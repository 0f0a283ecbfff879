//! A small plain archive of named paths, to carry a few files from one OS to the next.
//!
//! Same entries, same reader and same writer as the payload, without frames and compression.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CString, OsStr};
use std::io::Read;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use formats::keep::{Fate, KeepSet};

use super::error::TreeError;
use super::header::{Entry, Kind, BLOCK, END};
use super::home::FromHome;
use super::lookup::Lookup;
use super::pack::{open, unchanged};
use super::parents::{split, Parents};
use super::place::{NewFiles, Placer};
use super::read::each_entry;
use super::roots::Roots;
use super::scan::{list, look, Found};
use crate::in_root;

/// The largest archive. It is held in memory here, and again in the RAM environment.
const MOST: usize = 256 << 20;

/// How a path is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// As it is: a file, a link, or a directory with everything in it. Links on the way are
    /// refused.
    AsItIs,
    /// As the file that it leads to, root's, with these permission bits and no attributes, so that
    /// no access control list lets anybody else in.
    Roots(u32),
}

/// Packs the named paths below `root` as they are; see [`pack_items`].
pub fn pack_paths(root: BorrowedFd<'_>, paths: &[&str]) -> Result<Vec<u8>, TreeError> {
    let items: Vec<_> = paths
        .iter()
        .map(|path| (*path, Treatment::AsItIs))
        .collect();
    pack_items(root, &items, &[])
}

/// Packs the named paths below `root`, with the directories that lead to them, as one plain tar
/// archive, and with them what was read from homes. Paths are relative to the root or absolute;
/// `..` is refused. Reading extended attributes and following links needs /proc.
pub fn pack_items(
    root: BorrowedFd<'_>,
    items: &[(&str, Treatment)],
    from_homes: &[FromHome],
) -> Result<Vec<u8>, TreeError> {
    let mut names: BTreeMap<Vec<u8>, Option<Treatment>> = BTreeMap::new();
    for (path, treatment) in items {
        let path = path.trim_matches('/').as_bytes();
        let sound = |name: &[u8]| !name.is_empty() && name != b"." && name != b"..";
        if !path.split(|&byte| byte == b'/').all(sound) {
            return Err(TreeError::obstacle(path, "is not a plain path"));
        }
        let slashes = path.iter().enumerate().filter(|(_, &byte)| byte == b'/');
        for (at, _) in slashes {
            names.entry(path[..at].to_vec()).or_insert(None);
        }
        names.insert(path.to_vec(), Some(*treatment));
    }
    // Where a path is only passed through by such that may be links, it may be one too.
    let through = |path: &[u8]| {
        items.iter().all(|(item, treatment)| {
            let item = item.trim_matches('/').as_bytes();
            *treatment != Treatment::AsItIs
                || !(item.starts_with(path) && item.get(path.len()) == Some(&b'/'))
        })
    };
    let lookup = Lookup::detect(root);
    let mut parents = Parents::new(lookup, root);
    let mut archive = Archive { bytes: Vec::new() };
    for (path, treatment) in &names {
        let real = match treatment {
            None if through(path) => real(root, path)?,
            None | Some(Treatment::AsItIs) => path.clone(),
            Some(Treatment::Roots(_)) => real(root, path)?,
        };
        let (dir, name) = parents.of(&real)?;
        let Some(found) = look(dir, &name, &real)? else {
            continue;
        };
        let whole = names[path] == Some(Treatment::AsItIs) && found.entry.kind == Kind::Directory;
        let mut entry = found.entry.clone();
        entry.path.clone_from(path);
        if let Some(Treatment::Roots(mode)) = treatment {
            entry.mode = *mode;
            (entry.uid, entry.gid) = (0, 0);
            entry.attributes.clear();
        }
        archive.add(&mut parents, &entry, &found)?;
        if whole {
            let directory = parents.directory(path)?;
            let mut listing = list(lookup, directory, &[])?;
            // The first is the directory itself.
            listing
                .directories
                .retain(|found| !found.entry.path.is_empty());
            let below = |name: &[u8]| [path.as_slice(), b"/", name].concat();
            let all = [listing.directories, listing.files, listing.hard_links];
            for mut found in all.into_iter().flatten() {
                found.entry.path = below(&found.entry.path);
                if let Kind::HardLink { target } = &mut found.entry.kind {
                    *target = below(target);
                }
                let entry = found.entry.clone();
                archive.add(&mut parents, &entry, &found)?;
            }
        }
    }
    for read in from_homes {
        archive.add_read(read, &names)?;
    }
    let mut bytes = archive.bytes;
    bytes.resize(bytes.len() + END as usize, 0);
    Ok(bytes)
}

/// Where a path leads, relative to the root.
fn real(root: BorrowedFd<'_>, path: &[u8]) -> Result<Vec<u8>, TreeError> {
    let at = format!("/proc/self/fd/{}", root.as_raw_fd());
    let at = Path::new(&at);
    let found = in_root::resolve(at, Path::new(OsStr::from_bytes(path)))
        .map_err(|e| TreeError::io("follow", path, e))?;
    let below = found.strip_prefix(at).unwrap_or(&found);
    Ok(below.as_os_str().as_bytes().to_vec())
}

/// An archive that grows.
struct Archive {
    bytes: Vec<u8>,
}

impl Archive {
    /// Adds an entry, with the content of what was found.
    fn add(
        &mut self,
        parents: &mut Parents<'_>,
        entry: &Entry,
        found: &Found,
    ) -> Result<(), TreeError> {
        let path = &entry.path;
        let header = entry.header();
        self.bytes
            .extend(header.map_err(|e| TreeError::io("describe", path, e))?);
        let Kind::File { size } = entry.kind else {
            return Ok(());
        };
        if self.bytes.len() as u64 + size > MOST as u64 {
            return Err(TreeError::obstacle(
                path,
                "makes what is carried larger than 256 MiB; keep it instead",
            ));
        }
        let mut file = open(parents, found)?;
        let end = self.bytes.len() + size as usize;
        (&mut file)
            .take(size)
            .read_to_end(&mut self.bytes)
            .map_err(|e| TreeError::io("read", path, e))?;
        unchanged(&file, found)?;
        // Unchanged in size and time, so this only fills the last block.
        self.bytes.resize(end.next_multiple_of(BLOCK as usize), 0);
        Ok(())
    }

    /// Adds a file that was read already, and of the directories that lead to it those that are not
    /// in the archive.
    fn add_read(
        &mut self,
        read: &FromHome,
        names: &BTreeMap<Vec<u8>, Option<Treatment>>,
    ) -> Result<(), TreeError> {
        for entry in &read.entries {
            if names.contains_key(&entry.path) {
                continue;
            }
            let header = entry.header();
            self.bytes
                .extend(header.map_err(|e| TreeError::io("describe", &entry.path, e))?);
            if let Kind::File { .. } = entry.kind {
                let end = self.bytes.len() + read.bytes.len();
                self.bytes.extend_from_slice(&read.bytes);
                self.bytes.resize(end.next_multiple_of(BLOCK as usize), 0);
            }
        }
        Ok(())
    }
}

/// What became of an archive's entries.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Placed {
    /// How many were written.
    pub written: u64,
    /// Those that were not because something of another kind is in their place, with what that is.
    pub obstructed: Vec<String>,
}

/// Unpacks what [`pack_paths`] packed, below `root`. Files that are there are replaced;
/// directories that are there stay as they are; nothing at or below a kept path is touched. Where a
/// directory has to be and something else is, or the other way round, or a link leads elsewhere, the
/// entry is left out and told: no reason to leave a machine with half an OS.
pub fn unpack_tar<'r>(
    roots: impl Into<Roots<'r>>,
    archive: &[u8],
    keep: &KeepSet,
) -> Result<Placed, TreeError> {
    let roots = roots.into();
    let lookup = Lookup::detect(roots.root());
    let mut placer = Placer::new(lookup, roots.clone(), keep, NewFiles::Unknown);
    let mut placed = Placed::default();
    let mut made = Vec::new();
    let mut left_out = BTreeSet::new();
    each_entry(archive, "the archive of carried files", |entry, body| {
        if let Kind::HardLink { target } = &entry.kind {
            if left_out.contains(target) {
                let path = super::error::printable(&entry.path);
                let why = format!("{path} is another name of what is left out");
                placed.obstructed.push(why);
                return Ok(());
            }
        }
        match place_one(lookup, &roots, &mut placer, &entry, body) {
            Ok(true) => placed.written += 1,
            Ok(false) => return Ok(()),
            Err(e @ TreeError::Obstacle { .. }) => {
                let path = super::error::printable(&entry.path);
                let why = e.to_string();
                left_out.insert(entry.path);
                placed.obstructed.push(if why.starts_with(&path) {
                    why
                } else {
                    format!("{path}: {why}")
                });
                return Ok(());
            }
            Err(e) => return Err(e),
        }
        if entry.kind == Kind::Directory {
            made.push(entry);
        }
        Ok(())
    })?;
    // Not before everything is in them, for that changes their times.
    for entry in &made {
        placer.finish_directory(entry)?;
    }
    Ok(placed)
}

/// Writes an entry, and says whether there was something to be written.
fn place_one(
    lookup: Lookup,
    roots: &Roots<'_>,
    placer: &mut Placer<'_>,
    entry: &Entry,
    body: &mut dyn Read,
) -> Result<bool, TreeError> {
    if entry.kind == Kind::Directory {
        return make_missing(lookup, roots, placer, entry);
    }
    if !matches!(placer.fate(&entry.path), Fate::Gone) || placer.leads_to_another(&entry.path) {
        return Ok(false);
    }
    match &entry.kind {
        Kind::HardLink { target } if matches!(placer.fate(target), Fate::Gone) => {
            placer.hard_link(&entry.path, target)?;
        }
        Kind::HardLink { .. } => return Ok(false),
        _ => placer.non_directory(entry, body)?,
    }
    Ok(true)
}

/// The content of one file of such an archive, by its path in it; nothing where it is not there.
///
/// # Errors
/// The archive is damaged.
pub fn file_of_tar(archive: &[u8], path: &str) -> Result<Option<Vec<u8>>, TreeError> {
    let mut found = None;
    each_entry(archive, "the archive of carried files", |entry, body| {
        if entry.path == path.as_bytes() && matches!(entry.kind, Kind::File { .. }) {
            let mut bytes = Vec::new();
            body.read_to_end(&mut bytes)
                .map_err(|e| TreeError::io("read", &entry.path, e))?;
            found = Some(bytes);
        }
        Ok(())
    })?;
    Ok(found)
}

/// Makes a directory unless there is one, or it is kept, and says whether it did.
fn make_missing(
    lookup: Lookup,
    roots: &Roots<'_>,
    placer: &mut Placer<'_>,
    entry: &Entry,
) -> Result<bool, TreeError> {
    if entry.path.is_empty() || matches!(placer.fate(&entry.path), Fate::Kept | Fate::Ancestor(_)) {
        return Ok(false);
    }
    let (above, name) = split(&entry.path);
    let name = CString::new(name).map_err(|_| TreeError::entry(&entry.path, "NUL in the name"))?;
    let mut parents = Parents::new(lookup, roots.clone());
    let dir = parents.directory(above)?;
    match rustix::fs::statat(dir, &name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat)
            if rustix::fs::FileType::from_raw_mode(stat.st_mode)
                == rustix::fs::FileType::Directory =>
        {
            Ok(false)
        }
        Ok(_) => Err(TreeError::obstacle(
            &entry.path,
            "is no directory, but a carried file belongs in it",
        )),
        Err(rustix::io::Errno::NOENT) => {
            placer.directory(entry)?;
            Ok(true)
        }
        Err(errno) => Err(TreeError::io("look at", &entry.path, errno)),
    }
}
