//! Reading a block device itself, past what the kernel has cached of it and of its files: what a
//! boot loader will find there.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use formats::Digest;

/// Bytes read at a time.
const CHUNK: usize = 1 << 20;
/// What positions, lengths and buffers must be multiples of: no disk has larger sectors.
const ALIGNMENT: usize = 4096;

/// A block device that is read past the cache.
pub struct Direct {
    file: File,
}

impl Direct {
    /// Opens it.
    pub fn open(device: &Path) -> io::Result<Direct> {
        Ok(Direct {
            file: open(device)?,
        })
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
        let mut buffer = vec![0; room + ALIGNMENT];
        let skip = buffer.as_ptr().align_offset(ALIGNMENT);
        let buffer = &mut buffer[skip..skip + room];
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

/// Digests `length` bytes of a block device from `offset` on.
pub fn digest(device: &Path, offset: u64, length: u64) -> io::Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    Direct::open(device)?.each(offset, length, |part| {
        hasher.update(part);
    })?;
    Ok(Digest(*hasher.finalize().as_bytes()))
}

fn open(device: &Path) -> io::Result<File> {
    let direct = rustix::fs::OFlags::DIRECT.bits() as i32;
    match OpenOptions::new()
        .read(true)
        .custom_flags(direct)
        .open(device)
    {
        // Not every driver can; what is cached of a device is not what is cached of its files.
        Err(e) if e.kind() == io::ErrorKind::InvalidInput => File::open(device),
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
}
