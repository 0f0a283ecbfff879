//! Whether a program runs on its own on x86-64, which the launcher and the init have to do, and if
//! not, with what.
//!
//! Reads the file header, program headers and the dynamic section of elf(5), nothing else.

/// How much of a file has to be read to judge its architecture.
pub const HEAD: usize = 64;

const MACHINE_X86_64: u16 = 62;
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
/// The length of an entry of the dynamic section.
const DYNAMIC: usize = 16;
/// The length of a program header.
const PROGRAM_HEADER: usize = 56;

/// Whether the file's first bytes are the header of a 64-bit x86 program.
pub fn require_x86_64(bytes: &[u8]) -> Result<(), String> {
    if bytes.len() < HEAD || !bytes.starts_with(b"\x7fELF") {
        return Err("it is not an ELF program".into());
    }
    let (class, data) = (bytes[4], bytes[5]);
    let machine = u16::from_le_bytes([bytes[18], bytes[19]]);
    if class != 2 || data != 1 || machine != MACHINE_X86_64 {
        return Err(format!(
            "it is for another architecture (ELF machine {machine})"
        ));
    }
    Ok(())
}

/// Whether the file is an x86-64 program that needs no dynamic loader, and so nothing of the
/// userspace that it runs in.
pub fn require_static(bytes: &[u8]) -> Result<(), String> {
    require_x86_64(bytes)?;
    let word = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]) as usize;
    let mut offset = [0; 8];
    offset.copy_from_slice(&bytes[32..40]);
    let (size, count) = (word(54), word(56));
    for index in 0..count {
        let at = usize::try_from(u64::from_le_bytes(offset))
            .ok()
            .and_then(|start| start.checked_add(index * size));
        let kind = at.and_then(|at| bytes.get(at..at.checked_add(PROGRAM_HEADER)?));
        let Some(kind) = kind else {
            return Err("its program headers lie outside the file: it was cut short".into());
        };
        if u32::from_le_bytes([kind[0], kind[1], kind[2], kind[3]]) == PT_INTERP {
            return Err("it is linked dynamically; it has to be static".into());
        }
    }
    Ok(())
}

/// What a program or a library is linked with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Linked {
    /// The path of its loader.
    pub interpreter: Option<String>,
    /// Names of libraries.
    pub needed: Vec<String>,
}

/// A program header's type, and what of the file it is for: offset, address, length.
struct Header {
    kind: u32,
    offset: usize,
    address: u64,
    length: usize,
}

/// Reads what an x86-64 program is linked with.
pub fn linked(bytes: &[u8]) -> Result<Linked, String> {
    require_x86_64(bytes)?;
    read_linked(bytes).ok_or_else(|| "its headers lie outside the file: it was cut short".into())
}

fn read_linked(bytes: &[u8]) -> Option<Linked> {
    let headers = headers(bytes)?;
    let part =
        |header: &Header| bytes.get(header.offset..header.offset.checked_add(header.length)?);
    let text = |at: usize| {
        let rest = bytes.get(at..)?;
        let end = rest.iter().position(|&byte| byte == 0)?;
        Some(String::from_utf8_lossy(&rest[..end]).into_owned())
    };
    let mut linked = Linked::default();
    if let Some(header) = headers.iter().find(|h| h.kind == PT_INTERP) {
        linked.interpreter = Some(text(header.offset)?);
    }
    let Some(dynamic) = headers.iter().find(|h| h.kind == PT_DYNAMIC) else {
        return Some(linked);
    };
    let entries: Vec<(u64, u64)> = part(dynamic)?
        .chunks_exact(DYNAMIC)
        .map(|entry| (u64_at(entry, 0), u64_at(entry, 8)))
        .filter_map(|(tag, value)| Some((tag?, value?)))
        .take_while(|(tag, _)| *tag != DT_NULL)
        .collect();
    let needed = entries.iter().filter(|(tag, _)| *tag == DT_NEEDED);
    let needed: Vec<u64> = needed.map(|(_, value)| *value).collect();
    if needed.is_empty() {
        return Some(linked);
    }
    // An address, which is some way into one of the loaded parts.
    let names = entries.iter().find(|(tag, _)| *tag == DT_STRTAB)?.1;
    let names = headers.iter().find_map(|h| {
        let into = usize::try_from(names.checked_sub(h.address)?).ok()?;
        (h.kind == PT_LOAD && into < h.length).then(|| h.offset + into)
    })?;
    for at in needed {
        linked
            .needed
            .push(text(names.checked_add(usize::try_from(at).ok()?)?)?);
    }
    Some(linked)
}

fn headers(bytes: &[u8]) -> Option<Vec<Header>> {
    let start = usize::try_from(u64_at(bytes, 32)?).ok()?;
    let short = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let (size, count) = (usize::from(short(54)?), usize::from(short(56)?));
    (0..count)
        .map(|index| {
            let at = start.checked_add(index * size)?;
            let header = bytes.get(at..at.checked_add(PROGRAM_HEADER)?)?;
            Some(Header {
                kind: u32::from_le_bytes(header[..4].try_into().ok()?),
                offset: usize::try_from(u64_at(header, 8)?).ok()?,
                address: u64_at(header, 16)?,
                length: usize::try_from(u64_at(header, 32)?).ok()?,
            })
        })
        .collect()
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let word = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(word.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(kinds: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0; 64 + 56 * kinds.len()];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[18] = 62;
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = kinds.len() as u8;
        for (i, kind) in kinds.iter().enumerate() {
            bytes[64 + 56 * i..][..4].copy_from_slice(&kind.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn what_a_real_program_is_linked_with_is_read_and_a_cut_one_is_refused() {
        let bytes = std::fs::read("/bin/sh").unwrap();
        let found = linked(&bytes).unwrap();
        assert!(
            found.interpreter.unwrap().contains("ld-linux"),
            "this machine's shell"
        );
        assert!(
            found.needed.contains(&"libc.so.6".to_owned()),
            "{:?}",
            found.needed
        );
        for length in [64, 100, 1000] {
            assert!(linked(&bytes[..length]).is_err(), "{length} bytes");
        }
        assert_eq!(linked(&program(&[1])), Ok(Linked::default()));
    }

    #[test]
    fn only_static_programs_for_this_architecture_pass() {
        assert_eq!(require_static(&program(&[1, 1, 2])), Ok(()));
        let refused = |bytes: &[u8], reason: &str| {
            let error = require_static(bytes).unwrap_err();
            assert!(error.contains(reason), "{error}");
        };
        refused(&program(&[6, PT_INTERP, 1]), "dynamically");
        refused(&program(&[1])[..80], "cut short");
        refused(b"#!/bin/sh\n", "not an ELF");
        refused(b"", "not an ELF");
        let mut other = program(&[1]);
        other[18] = 183;
        refused(&other, "ELF machine 183");
        let mut far = program(&[1]);
        far[32..40].copy_from_slice(&u64::MAX.to_le_bytes());
        refused(&far, "cut short");
    }
}
