//! Images that are whole and yet wrong: every digest right, and something in the manifest a lie, or a program
//! of the RAM environment that breaks.
//!
//! What is merely damaged is caught by digests; these are for the failures behind them.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{ensure, Context, Result};
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
    let mut parts = parts_of(image)?;
    change_manifest(&mut parts, change)?;
    write(&parts, to)
}

/// Writes a copy of `image` to `to` whose ssh server in the RAM environment has these files in the place of its
/// own of the same names, or beside them: a further archive behind its own. What the new OS has is as it was.
pub fn with_ssh_files(image: &Path, to: &Path, files: &[(&str, Vec<u8>)]) -> Result<()> {
    let mut parts = parts_of(image)?;
    let initramfs = &mut parts[PartKind::Initramfs as usize];
    let before = initramfs.len();
    // Where the kernel looks for the next archive.
    initramfs.resize(before.next_multiple_of(4), 0);
    for (path, bytes) in files {
        let size = u32::try_from(bytes.len()).context("a file's size")?;
        let member = cpio::newc::Builder::new(path).mode(0o100_755).nlink(1);
        let mut member = member.write(&mut *initramfs, size);
        member.write_all(bytes)?;
        member.finish()?;
    }
    cpio::newc::trailer(&mut *initramfs)?;
    let added = (initramfs.len() - before) as u64;
    let mut has_one = false;
    change_manifest(&mut parts, |manifest| {
        if let Some(ssh) = &mut manifest.initramfs.ssh {
            has_one = true;
            ssh.packed_bytes += added;
            ssh.unpacked_bytes += added;
        }
    })?;
    ensure!(
        has_one,
        "{} has no ssh server for the RAM environment",
        image.display()
    );
    write(&parts, to)
}

/// The parts of an image, in their order.
type Parts = [Vec<u8>; PartKind::ALL.len()];

fn parts_of(image: &Path) -> Result<Parts> {
    let bytes = fs::read(image).with_context(|| format!("read {}", image.display()))?;
    let trailer = trailer_of(&bytes)?;
    Ok(trailer
        .parts
        .map(|part| bytes[part.offset as usize..(part.offset + part.length) as usize].to_vec()))
}

fn change_manifest(parts: &mut Parts, change: impl FnOnce(&mut Manifest)) -> Result<()> {
    let json = &mut parts[PartKind::Manifest as usize];
    let mut manifest = Manifest::from_json(json).context("the image's manifest")?;
    change(&mut manifest);
    *json = manifest.to_json().into_bytes();
    Ok(())
}

fn write(parts: &Parts, to: &Path) -> Result<()> {
    let mut image = Vec::new();
    let trailer = Trailer {
        parts: parts.each_ref().map(|bytes| {
            let offset = image.len() as u64;
            image.extend_from_slice(bytes);
            image.resize(image.len().next_multiple_of(PART_ALIGNMENT as usize), 0);
            Part {
                offset,
                length: bytes.len() as u64,
                digest: Digest::of(bytes),
            }
        }),
    };
    // It is found from the end of the file; where it stands need not be aligned.
    image.extend_from_slice(&trailer.encode());
    fs::write(to, image).with_context(|| format!("write {}", to.display()))
}
