//! A loader beside the one that the firmware starts: a file in the same directory, whose entry is in the
//! very sector that has the other's. One write of that sector exchanges what the two hold, so that a whole
//! loader is started before it and after it, no cluster belongs to two files, and none is lost.

use storage::fat::{Edit, Entry, FatError, Volume, Write};

/// What the file beside is called, as a directory has it.
const NAME: &[u8; 11] = b"REROOT  EFI";
/// The same for people.
pub const FILE: &str = "REROOT.EFI";

/// More bytes than any loader of a run takes: GRUB's are uncompressed on UEFI. The
/// staged image's, of 2.12, has 552 KiB.
pub const LOADER_MAX: usize = 2 << 20;

/// The path of the file beside the one at `path`.
pub fn path(path: &str) -> String {
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    format!("{directory}/{FILE}")
}

/// Whether there is room for a run's loaders beside the file at `path`: in its directory and for their
/// bytes. What an earlier run left there makes room when it goes.
pub fn room(volume: &Volume, path: &str) -> Result<(), FatError> {
    if let Some(left) = volume.find(&self::path(path))? {
        return volume.remove(&left).map(drop);
    }
    let loader = vec![1; LOADER_MAX];
    volume
        .put_beside(&file(volume, path)?, NAME, &loader)
        .map(drop)
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
    starts(volume, &self::path(path), loader)
}

/// Plans the removal of the file beside; `None` where there is none.
pub fn remove(volume: &Volume, path: &str) -> Result<Option<Edit>, FatError> {
    let left = volume.find(&self::path(path))?;
    left.map(|left| volume.remove(&left)).transpose()
}

/// Plans the file beside; there must be none.
pub fn put(volume: &Volume, path: &str, loader: &[u8]) -> Result<Edit, FatError> {
    volume.put_beside(&file(volume, path)?, NAME, loader)
}

/// Plans the switch: one sector.
pub fn switch(volume: &Volume, path: &str) -> Result<Write, FatError> {
    volume.exchange(&file(volume, path)?, &file(volume, &self::path(path))?)
}

fn file(volume: &Volume, path: &str) -> Result<Entry, FatError> {
    let found = volume.find(path)?;
    found.ok_or_else(|| FatError::Missing(path.to_owned()))
}
