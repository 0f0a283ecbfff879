//! Whether a file's bytes lie in one run on its block device, and where: what a boot loader needs
//! that takes a file by sectors alone.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use syscalls::fiemap::{self, Extent};

use crate::btrfs::{self, Chunks};

/// Sectors that boot loaders count in, in bytes.
const SECTOR: u64 = 512;

/// Why a file cannot be taken by its sectors.
#[derive(Debug, thiserror::Error)]
pub enum NotOneRun {
    /// Its extents cannot be read.
    #[error("ask where the file's bytes are (FIEMAP)")]
    Read(#[from] io::Error),
    /// They are not one run.
    #[error("the file's bytes do not lie together: {0}")]
    Apart(String),
}

/// Where the file's bytes begin on the block device, in bytes, if they lie in one run.
pub fn place(file: &File) -> Result<u64, NotOneRun> {
    let length = file.metadata()?.len();
    let mut extents: Vec<Extent> = Vec::new();
    loop {
        let next = extents.last().map_or(0, |e| e.logical + e.length);
        let more = fiemap::extents(file.as_fd(), next)?;
        let last = more.last().is_none_or(|e| e.flags & fiemap::LAST != 0);
        extents.extend(more);
        if last || next >= length && next > 0 {
            break;
        }
    }
    if btrfs::is_on(file)? {
        extents = on_device(&extents, &Chunks::read(file)?).map_err(NotOneRun::Apart)?;
    }
    one_run(&extents, length).map_err(NotOneRun::Apart)
}

/// The same on the device: Btrfs tells its own addresses. That an extent is another file's too, of a snapshot for
/// one, says nothing against it: who writes to either gets another place.
fn on_device(extents: &[Extent], chunks: &Chunks) -> Result<Vec<Extent>, String> {
    let mut placed = Vec::new();
    for extent in extents {
        let Some(pieces) = chunks.place(extent.physical, extent.length) else {
            let (from, address) = (extent.logical, extent.physical);
            return Err(format!(
                "the bytes from {from} on, at address {address}, have no place on one device"
            ));
        };
        let mut logical = extent.logical;
        for (physical, length) in pieces {
            let flags = extent.flags & !fiemap::SHARED;
            placed.push(Extent::new(logical, physical, length, flags));
            logical += length;
        }
    }
    Ok(placed)
}

/// Decides by the extents. Of their flags only two say nothing against it: the last one, and one
/// put together by the kernel. Others mean bytes that are not there yet, are not plain, or are
/// shared.
fn one_run(extents: &[Extent], length: u64) -> Result<u64, String> {
    let first = extents.first().ok_or("it has no place on the disk")?;
    let mut end = first.physical;
    let mut covered = 0;
    for extent in extents.iter().filter(|e| e.logical < length) {
        let strange = extent.flags & !(fiemap::LAST | fiemap::MERGED);
        if strange != 0 {
            return Err(format!(
                "the bytes from {} on have flags {strange:#x}",
                extent.logical
            ));
        }
        if extent.logical != covered || extent.physical != end {
            return Err(format!(
                "byte {} of the file is at {} of the disk, expected byte {covered} at {end}",
                extent.logical, extent.physical
            ));
        }
        covered += extent.length;
        end += extent.length;
    }
    if covered < length {
        return Err(format!("{covered} of {length} bytes have a place"));
    }
    if !first.physical.is_multiple_of(SECTOR) {
        return Err(format!("it begins within a sector, at {}", first.physical));
    }
    Ok(first.physical)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_run_and_everything_else_is_not() {
        let e = Extent::new;
        let last = fiemap::LAST;
        for (extents, length, expected) in [
            (&[e(0, 8192, 4096, last)][..], 4000, Some(8192)),
            (
                &[e(0, 8192, 4096, 0), e(4096, 12288, 4096, last)],
                8000,
                Some(8192),
            ),
            (
                &[e(0, 8192, 4096, 0), e(4096, 16384, 4096, last)],
                8000,
                None,
            ),
            (
                &[e(0, 8192, 4096, 0), e(8192, 12288, 4096, last)],
                12000,
                None,
            ),
            (&[e(0, 8192, 4096, last)], 5000, None),
            (&[], 1, None),
            // What was reserved behind the end of the file may be anywhere.
            (
                &[e(0, 8192, 4096, 0), e(4096, 99328, 4096, last | 0x800)],
                4096,
                Some(8192),
            ),
            // Not written, inline, delayed.
            (&[e(0, 8192, 4096, last | 0x800)], 4096, None),
            (&[e(0, 8192, 4096, last | 0x200)], 4096, None),
            (&[e(0, 0, 4096, last | 0x6)], 4096, None),
            (&[e(0, 8200, 4096, last)], 4096, None),
        ] {
            assert_eq!(one_run(extents, length).ok(), expected, "{extents:?}");
        }
    }
}
