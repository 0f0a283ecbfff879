//! Images that are whole and yet wrong: every digest right, and something in the manifest a lie.
//!
//! What is merely damaged is caught by digests; these are for the failures behind them.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use formats::trailer::{Part, PartKind, Trailer, PART_ALIGNMENT, TRAILER_SIZE};
use formats::{Digest, Document, Manifest};

/// Reads the trailer of an image's bytes.
pub fn trailer_of(image: &[u8]) -> Result<Trailer> {
    let at = image
        .len()
        .checked_sub(TRAILER_SIZE)
        .context("too short for a trailer")?;
    let bytes = image[at..].try_into().context("the trailer's length")?;
    Trailer::decode(bytes, image.len() as u64).context("the image's trailer")
}

/// Writes a copy of `image` to `to` with its manifest changed, all digests right again.
pub fn with_manifest(image: &Path, to: &Path, change: impl FnOnce(&mut Manifest)) -> Result<()> {
    let bytes = fs::read(image).with_context(|| format!("read {}", image.display()))?;
    let mut trailer = trailer_of(&bytes)?;
    let part = trailer.part(PartKind::Manifest);
    let (start, end) = (part.offset as usize, (part.offset + part.length) as usize);
    let mut manifest = Manifest::from_json(&bytes[start..end]).context("the image's manifest")?;
    change(&mut manifest);
    let json = manifest.to_json().into_bytes();
    trailer.parts[PartKind::Manifest as usize] = Part {
        offset: part.offset,
        length: json.len() as u64,
        digest: Digest::of(&json),
    };

    let file = File::create(to).with_context(|| format!("create {}", to.display()))?;
    let mut out = BufWriter::new(file);
    let padding = (json.len() as u64).next_multiple_of(PART_ALIGNMENT) - json.len() as u64;
    // The trailer is found from the end of the file; where it stands need not be aligned.
    out.write_all(&bytes[..start])?;
    out.write_all(&json)?;
    out.write_all(&vec![0; padding as usize])?;
    out.write_all(&trailer.encode())?;
    out.flush()
        .with_context(|| format!("write {}", to.display()))
}
