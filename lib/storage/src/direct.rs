//! Reading and writing a block device itself, past what the kernel has cached of it and of its files: what a
//! boot loader will find there.
//!
//! The kernel caches a disk in blocks of up to 4096 bytes, and each of its partitions by itself. To write one sector
//! through that cache is to write the block, with what its other sectors were when they were read: where a partition
//! begins in the middle of a block (sector 63), the first sectors of its filesystem, which may have been written since.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use formats::Digest;
use rustix::io::Errno;

use crate::block::SECTOR;

/// Bytes read at a time.
const CHUNK: usize = 1 << 20;
/// What positions, lengths and buffers must be multiples of: no disk has larger sectors.
const ALIGNMENT: usize = 4096;

/// A block device that is read and written past the cache.
pub struct Direct {
    file: File,
    /// Bytes of its own sectors, which are written whole.
    sector: u64,
}

impl Direct {
    /// Opens it to read.
    pub fn open(device: &Path) -> io::Result<Direct> {
        Direct::opened(device, false)
    }

    /// Opens it to read and to write.
    pub fn open_to_write(device: &Path) -> io::Result<Direct> {
        Direct::opened(device, true)
    }

    fn opened(device: &Path, to_write: bool) -> io::Result<Direct> {
        let file = open(device, to_write)?;
        let sector = match syscalls::block::sector_size(file.as_fd()) {
            Ok(bytes) => u64::from(bytes),
            // A file has none of its own.
            Err(e) if e.raw_os_error() == Some(Errno::NOTTY.raw_os_error()) => SECTOR,
            Err(e) => return Err(e),
        };
        Ok(Direct { file, sector })
    }

    /// Writes these bytes at `offset`, and nothing else than the device's own sectors that they are in. They are on the
    /// device when it is flushed ([`Direct::flush`]).
    pub fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let from = offset - offset % self.sector;
        let end = (offset + bytes.len() as u64).next_multiple_of(self.sector);
        let length = (end - from) as usize;
        let mut buffer = Vec::new();
        let whole = aligned(&mut buffer, length);
        if length != bytes.len() {
            whole.copy_from_slice(&self.read(from, length)?);
        }
        let at = (offset - from) as usize;
        whole[at..at + bytes.len()].copy_from_slice(bytes);
        self.file.write_all_at(whole, from)
    }

    /// Has the device keep what was written.
    pub fn flush(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Reads `length` bytes at `offset`.
    pub fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(length);
        self.each(offset, length as u64, |part| bytes.extend_from_slice(part))?;
        Ok(bytes)
    }

    /// Gives some bytes to `take`, part after part.
    fn each(&self, offset: u64, length: u64, mut take: impl FnMut(&[u8])) -> io::Result<()> {
        let align = ALIGNMENT as u64;
        let room = (length as usize + ALIGNMENT).next_multiple_of(ALIGNMENT);
        let room = room.min(CHUNK);
        let mut buffer = Vec::new();
        let buffer = aligned(&mut buffer, room);
        let (mut at, end) = (offset, offset + length);
        while at < end {
            let from = at - at % align;
            let wanted = ((end - from).next_multiple_of(align) as usize).min(room);
            // The last sectors of a device may be fewer than asked for.
            let read = self.file.read_at(&mut buffer[..wanted], from)? as u64;
            let until = (from + read).min(end);
            if until <= at {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            take(&buffer[(at - from) as usize..(until - from) as usize]);
            at = until;
        }
        Ok(())
    }
}

/// So many bytes, at a place that a device reads to and writes from.
fn aligned(buffer: &mut Vec<u8>, length: usize) -> &mut [u8] {
    buffer.resize(length + ALIGNMENT, 0);
    let skip = buffer.as_ptr().align_offset(ALIGNMENT);
    &mut buffer[skip..skip + length]
}

/// Digests `length` bytes of a block device from `offset` on.
pub fn digest(device: &Path, offset: u64, length: u64) -> io::Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    Direct::open(device)?.each(offset, length, |part| {
        hasher.update(part);
    })?;
    Ok(Digest(*hasher.finalize().as_bytes()))
}

fn open(device: &Path, to_write: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(to_write);
    let direct = rustix::fs::OFlags::DIRECT.bits() as i32;
    match options.clone().custom_flags(direct).open(device) {
        // Not every driver can; what is cached of a device is not what is cached of its files.
        Err(e) if e.kind() == io::ErrorKind::InvalidInput => options.open(device),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_part_of_a_device_has_the_digest_of_its_bytes() {
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
        let file = tempfile::NamedTempFile::new_in(".").unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        file.as_file().sync_all().unwrap();
        for (offset, length) in [(0, 3_000_000), (512, 1), (4096, 1 << 20), (1536, 2_500_001)] {
            let expected = Digest::of(&bytes[offset..offset + length]);
            let found = digest(file.path(), offset as u64, length as u64).unwrap();
            assert_eq!(found, expected, "{length} bytes at {offset}");
            let read = Direct::open(file.path())
                .unwrap()
                .read(offset as u64, length);
            assert_eq!(read.unwrap(), &bytes[offset..offset + length]);
        }
        assert!(digest(file.path(), 0, 3_000_001).is_err());
    }

    /// As where the first partition begins at sector 63: its filesystem has written since the disk was read.
    #[test]
    fn what_is_beside_the_sectors_that_are_written_stays_as_the_disk_has_it() {
        let file = tempfile::NamedTempFile::new_in(".").unwrap();
        file.as_file().set_len(1 << 20).unwrap();
        let disk = fixtures::disk::Loop::of(file.path());
        let cached = File::options()
            .read(true)
            .write(true)
            .open(disk.node())
            .unwrap();
        let direct = Direct::open_to_write(disk.node()).unwrap();
        for (offset, length) in [(62 * 512, 512), (60 * 512 + 7, 600), (0, 440)] {
            let mut seen = [0; 512];
            cached.read_exact_at(&mut seen, 63 * 512).unwrap();
            // Past this cache, as a partition's filesystem writes.
            file.as_file().write_all_at(&[7; 512], 63 * 512).unwrap();
            file.as_file().sync_all().unwrap();
            direct.write(offset, &vec![9; length]).unwrap();
            direct.flush().unwrap();
            let found = direct.read(offset, length).unwrap();
            assert_eq!(found, vec![9; length], "{length} bytes at {offset}");
            let mut beside = [0; 512];
            file.as_file().read_exact_at(&mut beside, 63 * 512).unwrap();
            assert_eq!(beside, [7; 512], "{length} bytes at {offset}");
            file.as_file().write_all_at(&[0; 512], 63 * 512).unwrap();
        }
    }
}
