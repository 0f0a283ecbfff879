//! A small plain archive of named paths, to carry a few files from one OS to the next.
//!
//! Same entries, same reader and same writer as the payload, without frames and compression.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::io::Read;
use std::os::fd::BorrowedFd;

use manifest::keep::{Fate, KeepSet};

use super::error::TreeError;
use super::header::{Entry, Kind, BLOCK, END};
use super::lookup::Lookup;
use super::pack::{open, unchanged};
use super::parents::{split, Parents};
use super::place::{NewFiles, Placer};
use super::read::each_entry;
use super::scan::look;

/// Packs the named paths below `root`, with the directories that lead to them, as one plain tar
/// archive. A path may name a file, a link or a directory; of a directory only itself is packed,
/// not what is in it. Paths are relative to the root or absolute; `..` and links on the way are
/// refused. Reading extended attributes needs /proc.
pub fn pack_paths(root: BorrowedFd<'_>, paths: &[&str]) -> Result<Vec<u8>, TreeError> {
    let mut names: BTreeSet<Vec<u8>> = BTreeSet::new();
    for path in paths {
        let path = path.trim_matches('/').as_bytes();
        let sound = |name: &[u8]| !name.is_empty() && name != b"." && name != b"..";
        if !path.split(|&byte| byte == b'/').all(sound) {
            return Err(TreeError::obstacle(path, "is not a plain path"));
        }
        let slashes = path.iter().enumerate().filter(|(_, &byte)| byte == b'/');
        names.extend(slashes.map(|(at, _)| path[..at].to_vec()));
        names.insert(path.to_vec());
    }
    let mut parents = Parents::new(Lookup::detect(root), root);
    let mut archive = Vec::new();
    for path in &names {
        let (dir, name) = parents.of(path)?;
        let Some(found) = look(dir, &name, path)? else {
            continue;
        };
        let header = found.entry.header();
        archive.extend(header.map_err(|e| TreeError::io("describe", path, e))?);
        if let Kind::File { size } = found.entry.kind {
            let mut file = open(&mut parents, &found)?;
            let end = archive.len() + size as usize;
            (&mut file)
                .take(size)
                .read_to_end(&mut archive)
                .map_err(|e| TreeError::io("read", path, e))?;
            unchanged(&file, &found)?;
            // Unchanged in size and time, so this only fills the last block.
            archive.resize(end.next_multiple_of(BLOCK as usize), 0);
        }
    }
    archive.resize(archive.len() + END as usize, 0);
    Ok(archive)
}

/// Unpacks what [`pack_paths`] packed, below `root`. Files that are there are replaced;
/// directories that are there stay as they are; nothing at or below a kept path is touched.
/// Returns how many entries were written.
pub fn unpack_tar(root: BorrowedFd<'_>, archive: &[u8], keep: &KeepSet) -> Result<u64, TreeError> {
    let lookup = Lookup::detect(root);
    let mut placer = Placer::new(lookup, root, keep, NewFiles::Unknown);
    let mut written = 0;
    let mut made = Vec::new();
    each_entry(archive, "the archive of carried files", |entry, body| {
        if let Kind::Directory = entry.kind {
            if make_missing(lookup, root, &mut placer, &entry)? {
                made.push(entry);
                written += 1;
            }
            return Ok(());
        }
        if matches!(placer.fate(&entry.path), Fate::Gone) {
            match &entry.kind {
                Kind::HardLink { target } if matches!(placer.fate(target), Fate::Gone) => {
                    placer.hard_link(&entry.path, target)?;
                }
                Kind::HardLink { .. } => return Ok(()),
                _ => placer.non_directory(&entry, body)?,
            }
            written += 1;
        }
        Ok(())
    })?;
    // Not before everything is in them, for that changes their times.
    for entry in &made {
        placer.finish_directory(entry)?;
    }
    Ok(written)
}

/// Makes a directory unless there is one, or it is kept, and says whether it did.
fn make_missing(
    lookup: Lookup,
    root: BorrowedFd<'_>,
    placer: &mut Placer<'_>,
    entry: &Entry,
) -> Result<bool, TreeError> {
    if entry.path.is_empty() || matches!(placer.fate(&entry.path), Fate::Kept | Fate::Ancestor(_)) {
        return Ok(false);
    }
    let (above, name) = split(&entry.path);
    let name = CString::new(name).map_err(|_| TreeError::entry(&entry.path, "NUL in the name"))?;
    let mut parents = Parents::new(lookup, root);
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
