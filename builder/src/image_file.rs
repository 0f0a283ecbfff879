//! Writing and opening image files. The layout is that of [`formats::trailer`].
//!
//! An image is written under another name beside its target and gets its name when it is complete
//! and on the disk: whoever sees the name sees a whole image. Nothing is left behind otherwise.

use std::fs::{File, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use formats::manifest::Manifest;
use formats::trailer::{Part, PartKind, Trailer, PART_ALIGNMENT, TRAILER_SIZE};
use formats::{Digest, Document};
use tempfile::NamedTempFile;

use crate::failure::refusal;
use crate::interrupt;

/// An image that is being written.
pub struct ImageWriter {
    file: NamedTempFile,
    target: PathBuf,
    parts: Vec<Part>,
}

impl ImageWriter {
    /// Begins an image that will be called `target`.
    pub fn begin(target: &Path) -> Result<ImageWriter> {
        if target.is_dir() {
            return Err(refusal(
                format!("{} is a directory", target.display()),
                "name a file: -o FILE",
            ));
        }
        let folder = folder_of(target);
        let file = tempfile::Builder::new()
            .prefix(".reroot-")
            .tempfile_in(folder)
            .with_context(|| format!("make a file in {}", folder.display()))?;
        Ok(ImageWriter {
            file,
            target: target.to_owned(),
            parts: Vec::new(),
        })
    }

    /// Writes the next part of [`PartKind::ALL`] and returns what `write` returns.
    pub fn part<T>(&mut self, write: impl FnOnce(&mut dyn Write) -> Result<T>) -> Result<T> {
        let kind = PartKind::ALL[self.parts.len()];
        let context = || format!("write the {} of {}", kind.name(), self.target.display());
        let file = self.file.as_file_mut();
        let end = file.stream_position().with_context(context)?;
        let offset = end.next_multiple_of(PART_ALIGNMENT);
        let padding = vec![0; (offset - end) as usize];
        file.write_all(&padding).with_context(context)?;
        let result = write(&mut Stoppable(file)).with_context(context)?;
        let length = file.stream_position().with_context(context)? - offset;
        // Read back, so that the digest is of what the file holds.
        let digest = digest_of(file, offset, length, &|_| ()).with_context(context)?;
        self.parts.push(Part {
            offset,
            length,
            digest,
        });
        Ok(result)
    }

    /// Writes the trailer, brings everything to the disk and gives the image its name. Returns
    /// its size in bytes.
    pub fn finish(mut self) -> Result<u64> {
        let context = || format!("complete {}", self.target.display());
        let parts = <[Part; 5]>::try_from(std::mem::take(&mut self.parts))
            .map_err(|parts| anyhow::anyhow!("an image has 5 parts, not {}", parts.len()))?;
        let trailer = Trailer { parts };
        self.file
            .write_all(&trailer.encode())
            .with_context(context)?;
        let file = self.file.as_file();
        file.set_permissions(Permissions::from_mode(0o755))
            .with_context(context)?;
        file.sync_all().with_context(context)?;
        let length = file.metadata().with_context(context)?.len();
        interrupt::check().with_context(context)?;
        let target = self.target;
        let context = || format!("name the image {}", target.display());
        self.file.persist(&target).with_context(context)?;
        File::open(folder_of(&target))
            .and_then(|f| f.sync_all())
            .with_context(context)?;
        Ok(length)
    }
}

/// A file that is no longer written to once the program was told to stop.
struct Stoppable<'a>(&'a mut File);

impl Write for Stoppable<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        interrupt::check()?;
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The directory that a path's last component is in.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// An image that is there.
pub struct ImageFile {
    /// Its file, open for reading.
    pub file: File,
    /// Its table of parts.
    pub trailer: Trailer,
    /// Its size in bytes.
    pub length: u64,
}

impl ImageFile {
    /// Opens an image and reads its trailer. The parts' digests are not looked at.
    pub fn open(path: &Path) -> Result<ImageFile> {
        let context = || format!("read {}", path.display());
        let mut file = File::open(path).with_context(context)?;
        let length = file.metadata().with_context(context)?.len();
        let mut bytes = [0; TRAILER_SIZE];
        let at = length.saturating_sub(TRAILER_SIZE as u64);
        file.seek(SeekFrom::Start(at)).with_context(context)?;
        // A shorter file leaves zeros, in which there is no trailer.
        let mut end = Vec::new();
        (&mut file)
            .take(TRAILER_SIZE as u64)
            .read_to_end(&mut end)
            .with_context(context)?;
        bytes[..end.len()].copy_from_slice(&end);
        let trailer = Trailer::decode(&bytes, length).with_context(context)?;
        Ok(ImageFile {
            file,
            trailer,
            length,
        })
    }

    /// Reads the manifest, proving its digest.
    pub fn manifest(&self) -> Result<Manifest> {
        let part = self.trailer.part(PartKind::Manifest);
        let mut bytes = Vec::new();
        self.reader(part)
            .read_to_end(&mut bytes)
            .context("read the manifest")?;
        if Digest::of(&bytes) != part.digest {
            return Err(damaged(PartKind::Manifest));
        }
        let manifest = Manifest::from_json(&bytes).context("read the manifest")?;
        manifest.payload.validate().context("read the manifest")?;
        Ok(manifest)
    }

    /// The bytes of a part; an end within them is an error.
    pub fn reader(&self, part: Part) -> impl Read + use<'_> {
        PartReader {
            file: &self.file,
            at: part.offset,
            left: part.length,
        }
    }

    /// Reads a part to its end and compares its digest.
    pub fn verify_part(&self, kind: PartKind, progress: &dyn Fn(u64)) -> Result<()> {
        let part = self.trailer.part(kind);
        let found = Digest::of_reader(&mut self.reader(part), progress)
            .with_context(|| format!("read the {}", kind.name()))?;
        if found == part.digest {
            Ok(())
        } else {
            Err(damaged(kind))
        }
    }
}

/// The error for a part whose bytes are not those that were written.
pub fn damaged(kind: PartKind) -> anyhow::Error {
    refusal(
        format!("the {} is damaged: its digest does not match", kind.name()),
        "copy the image again and compare the sizes, or build it again",
    )
}

/// Digests a stretch of a file.
fn digest_of(file: &File, offset: u64, length: u64, progress: &dyn Fn(u64)) -> io::Result<Digest> {
    Digest::of_reader(
        &mut PartReader {
            file,
            at: offset,
            left: length,
        },
        progress,
    )
}

struct PartReader<'a> {
    file: &'a File,
    at: u64,
    left: u64,
}

impl Read for PartReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).map_or(buffer.len(), |l| l.min(buffer.len()));
        if wanted == 0 {
            return Ok(0);
        }
        let read = self.file.read_at(&mut buffer[..wanted], self.at)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}
