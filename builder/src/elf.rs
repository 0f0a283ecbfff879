//! Whether a program runs on its own on x86-64: what the launcher and the init have to do.
//!
//! Reads the file and program headers of elf(5), nothing else.

/// How much of a file has to be read to judge its architecture.
pub const HEAD: usize = 64;

const MACHINE_X86_64: u16 = 62;
const PT_INTERP: u32 = 3;
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
