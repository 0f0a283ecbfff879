//! A loader beside the one that the firmware starts: a file in the same directory, whose entry is in the
//! very sector that has the other's. One write of that sector exchanges what the two hold, so that a whole
//! loader is started before it and after it, no cluster belongs to two files, and none is lost.

use std::collections::BTreeMap;

use storage::fat::{Edit, Entry, FatError, Volume, Write};

/// Ending of a file beside, whose name is that of the file in use: each path has its own.
const ENDING: &[u8; 3] = b"RER";

/// More bytes than any loader of a run takes: GRUB's are uncompressed on UEFI. The
/// staged image's, of 2.12, has 552 KiB, and the new OS's, with what it may need of its modules, 1.6 MiB.
pub const LOADER_MAX: usize = 4 << 20;

/// Whether there is room for a run's loaders beside all these files of a partition: in their directories and
/// for their bytes. What an earlier run left there makes room when it goes.
pub fn room(volume: &Volume, paths: &[&str]) -> Result<(), FatError> {
    let mut names = Vec::new();
    let mut entries = BTreeMap::new();
    let mut free = volume.free_bytes();
    for path in paths {
        let found = file(volume, path)?;
        let beside = self::path(path, &found);
        if names.contains(&beside) {
            return Err(FatError::NoRoom(format!(
                "two files that a firmware starts have the same name but for its ending, {path} among them"
            )));
        }
        names.push(beside);
        if let Some(left) = left(volume, path)? {
            volume.remove(&left)?;
            free += volume.occupied(&left)?;
            continue;
        }
        let (sector, unused) = volume.unused_beside(&found)?;
        let unused = entries.entry(sector).or_insert(unused);
        *unused = unused.checked_sub(1).ok_or_else(|| {
            FatError::NoRoom(format!(
                "the directory of {path} has no free entry beside it"
            ))
        })?;
    }
    if free < (paths.len() * LOADER_MAX) as u64 {
        return Err(FatError::NoRoom(format!(
            "{} KiB are free, {} are needed",
            free >> 10,
            (paths.len() * LOADER_MAX) >> 10
        )));
    }
    Ok(())
}

/// The path of the file beside the one at `path`, whose entry is `file`.
fn path(path: &str, file: &Entry) -> String {
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    let name = name(file);
    let (base, ending) = name.split_at(8);
    let base = String::from_utf8_lossy(base);
    let ending = String::from_utf8_lossy(ending);
    format!("{directory}/{}.{ending}", base.trim_end())
}

/// What the file beside is called, as a directory has it.
fn name(file: &Entry) -> [u8; 11] {
    let mut name = file.name();
    name[8..].copy_from_slice(ENDING);
    name
}

/// What is beside the file at `path`.
fn left(volume: &Volume, path: &str) -> Result<Option<Entry>, FatError> {
    volume.find(&self::path(path, &file(volume, path)?))
}

/// Whether the firmware would start exactly these bytes by the file at `path`.
pub fn starts(volume: &Volume, path: &str, loader: &[u8]) -> Result<bool, FatError> {
    match volume.find(path)? {
        Some(found) if found.size() as usize == loader.len() => {
            Ok(volume.contents(&found)? == loader)
        }
        _ => Ok(false),
    }
}

/// Whether these bytes are in the file beside.
pub fn is_beside(volume: &Volume, path: &str, loader: &[u8]) -> Result<bool, FatError> {
    starts(volume, &self::path(path, &file(volume, path)?), loader)
}

/// Plans the removal of the file beside; `None` where there is none.
pub fn remove(volume: &Volume, path: &str) -> Result<Option<Edit>, FatError> {
    let left = left(volume, path)?;
    left.map(|left| volume.remove(&left)).transpose()
}

/// Plans the file beside; there must be none.
pub fn put(volume: &Volume, path: &str, loader: &[u8]) -> Result<Edit, FatError> {
    let file = file(volume, path)?;
    volume.put_beside(&file, &name(&file), loader)
}

/// Plans the switch: one sector.
pub fn switch(volume: &Volume, path: &str) -> Result<Write, FatError> {
    let one = file(volume, path)?;
    let other = file(volume, &self::path(path, &one))?;
    volume.exchange(&one, &other)
}

fn file(volume: &Volume, path: &str) -> Result<Entry, FatError> {
    let found = volume.find(path)?;
    found.ok_or_else(|| FatError::Missing(path.to_owned()))
}
