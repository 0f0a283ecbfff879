//! What is inside an initrd: an uncompressed archive with microcode in front or none, and one that is
//! compressed, as the kernel's Documentation/driver-api/early-userspace/buffer-format.rst has it.
//!
//! Only names are taken: an initrd's modules by release, its programs and what calls them, and whether there is one to start.
//! Nothing is unpacked. Refuses what ends before its archive does.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use formats::tools::FOR_ALL_MOUNTS;
use liblzma::bufread::XzDecoder;
use thiserror::Error;

use crate::modules::{name_of, Dependencies, ModulesError};

/// What an initrd has of what a boot takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Names of the modules, for each release of a kernel (`/lib/modules/RELEASE`).
    pub modules: BTreeMap<String, BTreeSet<String>>,
    /// There is an `/init`, which the kernel starts.
    pub has_init: bool,
    /// Names of the programs in its `bin` and `sbin` directories.
    pub programs: BTreeSet<String>,
    /// Those of [`FOR_ALL_MOUNTS`] that something in it calls for all that is mounted there.
    pub for_all_mounts: BTreeSet<&'static str>,
}

/// Why an initrd cannot be looked into.
#[derive(Debug, Error)]
pub enum InitrdError {
    /// It cannot be read, or not be decompressed.
    #[error("read or decompress it")]
    Read(#[from] io::Error),
    /// What kernels can read and this program cannot.
    #[error("it is compressed by {0}, which is not looked into")]
    Compression(&'static str),
    /// No archive begins here.
    #[error("it is no archive: it begins with {0:02x?}")]
    NotAnArchive(Vec<u8>),
    /// A header does not hold numbers.
    #[error("its archive is damaged")]
    Damaged,
    /// The archive has no end.
    #[error("its archive is cut short")]
    CutShort,
}

/// What is compressed in a way, by its first bytes.
const UNREAD: [(&[u8], &str); 3] = [
    (b"BZh", "bzip2"),
    (&[0x5d, 0, 0], "LZMA"),
    (b"\x89LZO", "LZO"),
];

/// Looks into an initrd.
pub fn read(initrd: impl BufRead) -> Result<Contents, InitrdError> {
    let mut contents = Contents::default();
    archives(initrd, &mut contents, Depth::Outside)?;
    Ok(contents)
}

/// Whether what is read was compressed: then it is not so again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    Outside,
    Decompressed,
}

/// One archive after the other, with zeros between them.
fn archives(
    mut from: impl BufRead,
    contents: &mut Contents,
    depth: Depth,
) -> Result<(), InitrdError> {
    let mut found = 0;
    loop {
        match skip_zeros(&mut from) {
            Ok(true) => {}
            Ok(false) if found == 0 => return Err(InitrdError::CutShort),
            Ok(false) => return Ok(()),
            // Behind a whole archive the kernel passes over what it cannot decompress.
            Err(_) if found > 0 && depth == Depth::Decompressed => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        // A buffer may end within the mark.
        let mut start = [0; 6];
        let length = read_up_to(&mut from, &mut start)?;
        let start = &start[..length];
        let mut whole = start.chain(from);
        if matches!(start, b"070701" | b"070702") {
            archive(&mut whole, contents)?;
            found += 1;
            from = whole.into_inner().1;
            continue;
        }
        if depth == Depth::Decompressed {
            return if found > 0 {
                Ok(())
            } else {
                Err(InitrdError::NotAnArchive(start.to_vec()))
            };
        }
        return compressed(start, whole, contents);
    }
}

/// The archive in what is left, which is compressed.
fn compressed(
    start: &[u8],
    whole: impl BufRead,
    contents: &mut Contents,
) -> Result<(), InitrdError> {
    let is = |magic: &[u8]| start.starts_with(magic);
    let inside: Box<dyn Read + '_> = if is(&[0x1f, 0x8b]) {
        Box::new(MultiGzDecoder::new(whole))
    } else if is(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Box::new(zstd::Decoder::with_buffer(whole)?)
    } else if is(b"\xfd7zXZ") {
        Box::new(XzDecoder::new_multi_decoder(whole))
    } else if is(&[0x02, 0x21, 0x4c, 0x18]) || is(&[0x04, 0x22, 0x4d, 0x18]) {
        // The first is the legacy format, which is the kernel's.
        Box::new(lz4_flex::frame::FrameDecoder::new(whole))
    } else if let Some((_, name)) = UNREAD.iter().find(|(magic, _)| is(magic)) {
        return Err(InitrdError::Compression(name));
    } else {
        return Err(InitrdError::NotAnArchive(start.to_vec()));
    };
    let inside = BufReader::with_capacity(1 << 17, inside);
    archives(inside, contents, Depth::Decompressed)
}

/// Passes over zeros; whether anything comes behind them.
fn skip_zeros(from: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let buffer = from.fill_buf()?;
        if buffer.is_empty() {
            return Ok(false);
        }
        let zeros = buffer.iter().take_while(|&&byte| byte == 0).count();
        let more = zeros < buffer.len();
        from.consume(zeros);
        if more {
            return Ok(true);
        }
    }
}

fn read_up_to(from: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < bytes.len() {
        match from.read(&mut bytes[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// Bytes of a header of the newc format.
const HEADER: usize = 110;
/// Where in it the length of the file is, and that of its name; each is 8 hexadecimal digits.
const FILE_SIZE_AT: usize = 54;
const NAME_SIZE_AT: usize = 94;
/// The name behind the last entry.
const END: &[u8] = b"TRAILER!!!";
/// Names are paths, so `PATH_MAX`.
const NAME_MAX: u64 = 4096;

/// Walks one archive to its end.
fn archive(from: &mut impl Read, contents: &mut Contents) -> Result<(), InitrdError> {
    loop {
        let mut header = [0; HEADER];
        exactly(from, &mut header)?;
        if !header.starts_with(b"07070") {
            return Err(InitrdError::Damaged);
        }
        let name_size = number(&header, NAME_SIZE_AT)?;
        let file_size = number(&header, FILE_SIZE_AT)?;
        if name_size == 0 || name_size > NAME_MAX {
            return Err(InitrdError::Damaged);
        }
        let mut name = vec![0; name_size as usize];
        exactly(from, &mut name)?;
        name.pop();
        skip(from, padding(HEADER as u64 + name_size))?;
        if name == END {
            return Ok(());
        }
        note(&String::from_utf8_lossy(&name), contents);
        skip(from, file_size + padding(file_size))?;
    }
}

/// Header with name, and content, each fill whole words of four bytes.
fn padding(length: u64) -> u64 {
    length.next_multiple_of(4) - length
}

fn number(header: &[u8], at: usize) -> Result<u64, InitrdError> {
    std::str::from_utf8(&header[at..at + 8])
        .ok()
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or(InitrdError::Damaged)
}

fn exactly(from: &mut impl Read, bytes: &mut [u8]) -> Result<(), InitrdError> {
    from.read_exact(bytes).map_err(cut_short)
}

fn skip(from: &mut impl Read, length: u64) -> Result<(), InitrdError> {
    let skipped = io::copy(&mut from.take(length), &mut io::sink()).map_err(cut_short)?;
    if skipped == length {
        Ok(())
    } else {
        Err(InitrdError::CutShort)
    }
}

fn cut_short(error: io::Error) -> InitrdError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        InitrdError::CutShort
    } else {
        InitrdError::Read(error)
    }
}

/// Where programs are.
const PROGRAMS: [&str; 4] = ["bin/", "sbin/", "usr/bin/", "usr/sbin/"];
/// Where modules are, with merged directories or without.
const MODULES: [&str; 2] = ["lib/modules/", "usr/lib/modules/"];

fn note(name: &str, contents: &mut Contents) {
    let path = name.trim_start_matches("./").trim_start_matches('/');
    contents.has_init |= path == "init";
    let program = PROGRAMS.iter().find_map(|folder| path.strip_prefix(folder));
    contents.programs.extend(
        program
            .filter(|name| !name.contains('/'))
            .map(str::to_owned),
    );
    let calls = FOR_ALL_MOUNTS
        .iter()
        .filter(|(_, files)| files.iter().any(|file| path.ends_with(file)));
    contents
        .for_all_mounts
        .extend(calls.map(|(program, _)| *program));
    let Some(inner) = MODULES.iter().find_map(|folder| path.strip_prefix(folder)) else {
        return;
    };
    let Some((release, file)) = inner.split_once('/') else {
        return;
    };
    if format!("{file}.").contains(".ko.") {
        let modules = contents.modules.entry(release.to_owned()).or_default();
        modules.insert(name_of(file));
    }
}

impl Contents {
    /// Of drivers and all that they need, what a kernel of this release has neither in here nor in
    /// itself. Drivers that are in none of the lists are passed over: they are not that kernel's.
    pub fn lacks<'a>(
        &self,
        release: &str,
        dependencies: &Dependencies,
        drivers: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<String>, ModulesError> {
        let none = BTreeSet::new();
        let there = self.modules.get(release).unwrap_or(&none);
        let mut needed = dependencies.closure(drivers)?;
        needed.retain(|name| !there.contains(name));
        Ok(needed)
    }

    /// The modules of a release that are in here together with all that they need.
    pub fn complete(&self, release: &str, dependencies: &Dependencies) -> BTreeSet<String> {
        let names = self.modules.get(release).into_iter().flatten();
        let whole = |name: &&String| {
            dependencies.get(name).is_some()
                && self
                    .lacks(release, dependencies, [name.as_str()])
                    .is_ok_and(|lacks| lacks.is_empty())
        };
        names.filter(whole).cloned().collect()
    }
}

#[cfg(test)]
#[path = "initrd_tests.rs"]
mod tests;
