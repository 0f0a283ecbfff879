//! `reroot verify`: reads an image to its end and proves everything that it says of itself.
//!
//! The trailer, the zeros between the parts, each part's digest, the manifest; each frame of the
//! payload by its digest, then decompressed and read as a tar archive to its last byte, with its
//! entries counted. Nothing is unpacked.

use std::io::{self, Read};

use anyhow::{bail, ensure, Context, Result};
use formats::counted::counted;
use formats::payload::Frame;
use formats::trailer::{Part, PartKind, TRAILER_SIZE};
use formats::Digest;

use crate::cli;
use crate::failure::refusal;
use crate::image_file::ImageFile;
use crate::progress::step_of_bytes;

/// The two zero blocks that end a tar archive.
const TAR_END: u64 = 1024;

/// Verifies an image.
pub fn verify(arguments: &cli::Verify) -> Result<()> {
    let file = &arguments.file;
    let image = ImageFile::open(file).with_context(|| format!("verify {}", file.display()))?;
    let progress = step_of_bytes(&format!("verifying {}", file.display()), image.length);
    verify_all(&image, &|bytes| progress.add(bytes))
        .with_context(|| format!("verify {}", file.display()))?;
    progress.done("every digest matches");
    let payload = image.manifest()?.payload;
    println!(
        "{}: good; {} parts, {}, {}",
        file.display(),
        PartKind::ALL.len(),
        counted(payload.frames.len() as u64, "frame", "frames"),
        counted(payload.entries, "entry", "entries")
    );
    Ok(())
}

fn verify_all(image: &ImageFile, progress: &dyn Fn(u64)) -> Result<()> {
    verify_gaps(image)?;
    for kind in PartKind::ALL {
        image.verify_part(kind, progress)?;
    }
    let manifest = image.manifest()?;
    let part = image.trailer.part(PartKind::Payload);
    let length = manifest.payload.length();
    ensure!(
        length == part.length,
        "the manifest says that the payload has {length} bytes, it has {}",
        part.length
    );
    for (index, frame) in manifest.payload.frames.iter().enumerate() {
        let last = index + 1 == manifest.payload.frames.len();
        verify_frame(image, part, frame, if last { TAR_END } else { 0 }).with_context(|| {
            format!(
                "read frame {index} of the payload, at byte {}",
                part.offset + frame.offset
            )
        })?;
    }
    Ok(())
}

/// Between the parts there are zeros, and behind the last one the trailer.
fn verify_gaps(image: &ImageFile) -> Result<()> {
    let mut from = 0;
    let trailer_at = image.length - TRAILER_SIZE as u64;
    let starts = image
        .trailer
        .parts
        .iter()
        .map(|part| (part.offset, part.length));
    for (offset, length) in starts.chain([(trailer_at, 0)]) {
        let gap = Part {
            offset: from,
            length: offset - from,
            digest: Digest::of(b""),
        };
        let mut bytes = Vec::new();
        image
            .reader(gap)
            .read_to_end(&mut bytes)
            .context("read between the parts")?;
        if let Some(at) = bytes.iter().position(|&b| b != 0) {
            return Err(refusal(
                format!("byte {} between the parts is not zero", from + at as u64),
                "copy the image again, or build it again",
            ));
        }
        from = offset + length;
    }
    Ok(())
}

fn verify_frame(image: &ImageFile, payload: Part, frame: &Frame, end: u64) -> Result<()> {
    let mut stored = vec![0; usize::try_from(frame.length)?];
    let part = Part {
        offset: payload.offset + frame.offset,
        length: frame.length,
        ..payload
    };
    image.reader(part).read_exact(&mut stored)?;
    if Digest::of(&stored) != frame.digest {
        bail!("it is damaged: its digest does not match");
    }
    verify_archive(&stored, frame, end)
}

/// Reads a frame as the archive that it is. The tar crate ends at two zero blocks and at the end
/// of its input alike, and hides what follows the former: so every byte is accounted for here.
fn verify_archive(stored: &[u8], frame: &Frame, end: u64) -> Result<()> {
    let decoder = zstd::Decoder::with_buffer(stored)?.single_frame();
    let mut archive = tar::Archive::new(Counting {
        inner: decoder,
        count: 0,
    });
    let mut entries = 0;
    for entry in archive.entries()? {
        let mut entry = entry.with_context(|| format!("entry {entries}"))?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let expected = entry.size();
        let read = io::copy(&mut entry, &mut io::sink()).with_context(|| name.clone())?;
        ensure!(read == expected, "{name} has {read} of {expected} bytes");
        entries += 1;
    }
    ensure!(
        entries == frame.entries,
        "it holds {}, not {}",
        counted(entries, "entry", "entries"),
        frame.entries
    );
    let mut rest = archive.into_inner();
    let mut behind = Vec::new();
    // One byte more than may be there tells everything.
    (&mut rest).take(end + 1).read_to_end(&mut behind)?;
    ensure!(
        behind.len() as u64 <= end && behind.iter().all(|&b| b == 0),
        "something follows the end of the archive, at byte {}",
        rest.count - behind.len() as u64
    );
    ensure!(
        rest.count == frame.unpacked,
        "it has {} bytes, not {}",
        rest.count,
        frame.unpacked
    );
    Ok(())
}

struct Counting<R> {
    inner: R,
    count: u64,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count += read as u64;
        Ok(read)
    }
}
