//! Getting the new root filesystem into a directory of the builder's own, from whatever the
//! folder names.
//!
//! A directory is copied and not packed where it is: hooks and the builder's own additions must
//! not change what belongs to somebody else.

use std::fs::{File, Permissions};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{bail, Context, Result};
use flate2::bufread::MultiGzDecoder;

use crate::command::run;
use crate::failure::refusal;
use crate::interrupt;
use crate::progress::{step, step_of_bytes};
use crate::recipe::Source;
use crate::suite::{self, Overrides};

/// Fills `root`, an empty directory.
pub fn make_root(source: &Source, overrides: &Overrides, root: &Path) -> Result<()> {
    match source {
        Source::Suite(suite) => suite::make(suite, overrides, root)
            .with_context(|| format!("make the suite {}", suite.name))?,
        Source::Tarball(path) => extract(path, root)
            .with_context(|| format!("extract the tarball {}", path.display()))?,
        Source::Directory(path) => {
            copy(path, root).with_context(|| format!("copy the directory {}", path.display()))?;
        }
    }
    // Its own mode travels in the payload. Tools leave what they like; `/` is for everyone.
    std::fs::set_permissions(root, Permissions::from_mode(0o755))
        .with_context(|| format!("set the mode of {}", root.display()))
}

fn copy(from: &Path, root: &Path) -> Result<()> {
    let progress = step(&format!("copying {}", from.display()));
    let mut command = Command::new("cp");
    // `from/.`: what is in the directory, and the directory's own attributes.
    command
        .args([
            "--archive",
            "--one-file-system",
            "--reflink=auto",
            "--no-target-directory",
            "--",
        ])
        .arg(from.join("."))
        .arg(root)
        .stdin(Stdio::null());
    run("cp", &mut command, "coreutils", &progress)?;
    progress.done("copied");
    Ok(())
}

/// GNU tar does the extraction, for it knows owners, ACLs, capabilities and sparse files; what it
/// reads comes decompressed from here, so that the name of the file does not matter.
fn extract(path: &Path, root: &Path) -> Result<()> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let progress = step_of_bytes(&format!("extracting {}", path.display()), length);
    let counted = Counted {
        inner: file,
        count: &|bytes| progress.add(bytes),
    };
    let mut archive = decompressor(BufReader::with_capacity(1 << 18, counted))?;
    let mut child = Command::new("tar")
        .args([
            "--extract",
            "--file=-",
            "--numeric-owner",
            "--same-owner",
            "--preserve-permissions",
        ])
        .args([
            "--acls",
            "--xattrs",
            "--xattrs-include=*",
            "--delay-directory-restore",
        ])
        .arg("--directory")
        .arg(root)
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("start tar (package tar)")?;
    let mut input = child.stdin.take().context("reach tar's input")?;
    let fed = std::thread::scope(|scope| {
        // Its complaints are read meanwhile: a full pipe would stop it.
        let stderr = child.stderr.take();
        let complaints = scope.spawn(move || {
            let mut text = String::new();
            // Only for the message; a reading error leaves it shorter.
            let _ = stderr.map(|mut pipe| pipe.read_to_string(&mut text));
            text
        });
        let fed = std::io::copy(&mut archive, &mut input);
        drop((input, archive));
        (fed, complaints.join().unwrap_or_default())
    });
    let status = child.wait().context("wait for tar")?;
    match fed.0 {
        // tar stops reading behind the end of the archive, or when it fails.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            return Err(error).context("decompress it");
        }
        _ if !status.success() => bail!("tar ended with {status}: {}", fed.1.trim()),
        _ => progress.done("extracted"),
    }
    Ok(())
}

/// Recognises a compression by its first bytes and takes it off. A plain tar archive begins with
/// a file's name, which none of these can be taken for.
pub fn decompressor<'a>(mut reader: impl BufRead + 'a) -> Result<Box<dyn Read + 'a>> {
    let magic = reader.fill_buf()?;
    let is = |wanted: &[u8]| magic.starts_with(wanted);
    Ok(if is(&[0x1f, 0x8b]) {
        Box::new(MultiGzDecoder::new(reader))
    } else if is(b"\xfd7zXZ\0") {
        Box::new(liblzma::bufread::XzDecoder::new_multi_decoder(reader))
    } else if is(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Box::new(zstd::Decoder::with_buffer(reader)?)
    } else if is(b"BZh") || is(b"LZIP") || is(&[0x1f, 0x9d]) {
        return Err(refusal(
            "its compression is not supported",
            "use a tar archive that is plain or compressed with gzip, xz or zstd",
        ));
    } else {
        Box::new(reader)
    })
}

struct Counted<'a, R> {
    inner: R,
    count: &'a dyn Fn(u64),
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        interrupt::check()?;
        let read = self.inner.read(buffer)?;
        (self.count)(read as u64);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const TEXT: &[u8] = b"ustar, or what looks like it; twice over";

    fn read(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        decompressor(bytes).unwrap().read_to_end(&mut out).unwrap();
        out
    }

    /// Parallel compressors write more than one member; all of them are the archive.
    #[test]
    fn every_member_of_every_compression_is_read() {
        let (one, two) = TEXT.split_at(20);
        let gzip = |part: &[u8]| {
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            writer.write_all(part).unwrap();
            writer.finish().unwrap()
        };
        let xz = |part: &[u8]| {
            let mut writer = liblzma::write::XzEncoder::new(Vec::new(), 1);
            writer.write_all(part).unwrap();
            writer.finish().unwrap()
        };
        let zstd = |part: &[u8]| zstd::encode_all(part, 1).unwrap();
        assert_eq!(read(&[gzip(one), gzip(two)].concat()), TEXT);
        assert_eq!(read(&[xz(one), xz(two)].concat()), TEXT);
        assert_eq!(read(&[zstd(one), zstd(two)].concat()), TEXT);
        assert_eq!(read(TEXT), TEXT);
        assert_eq!(read(b""), b"");
        assert!(decompressor(&b"BZh9"[..]).is_err());
    }
}
