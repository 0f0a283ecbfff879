//! Which boot loader a file for UEFI is, and for which processor, by its bytes.

/// A program for UEFI (a PE image).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Bits of the firmware that it is for; `None` where that is no PC.
    pub bits: Option<u32>,
    /// Whose it is; `None` where that is GRUB's or shim's, which starts GRUB.
    pub other: Option<&'static str>,
}

/// Loaders that name themselves in their bytes, as they do it.
const NAMES: [(&str, Text, &str); 4] = [
    ("LoaderInfo: systemd-boot", Text::Ascii, "systemd-boot"),
    ("rEFInd", Text::Utf16, "rEFInd"),
    ("bootmgfw", Text::Utf16, "Windows"),
    ("limine", Text::Ascii, "Limine"),
];
/// A function that GRUB's kernel gives its modules, and the file that shim starts.
const OURS: [(&str, Text); 2] = [("grub_dl_", Text::Ascii), ("grubx64.efi", Text::Utf16)];

#[derive(Clone, Copy)]
enum Text {
    Ascii,
    Utf16,
}

/// Looks at a file; `None` where it is no program for UEFI.
pub fn program(bytes: &[u8]) -> Option<Program> {
    let at = u32::from_le_bytes(bytes.get(0x3c..0x40)?.try_into().ok()?) as usize;
    let head = bytes.get(at..at.checked_add(6)?)?;
    if !bytes.starts_with(b"MZ") || !head.starts_with(b"PE\0\0") {
        return None;
    }
    let bits = match [head[4], head[5]] {
        [0x64, 0x86] => Some(64),
        [0x4c, 0x01] => Some(32),
        _ => None,
    };
    let has = |text: &str, as_: Text| {
        let bytes_of: Vec<u8> = match as_ {
            Text::Ascii => text.bytes().collect(),
            Text::Utf16 => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        };
        bytes.windows(bytes_of.len()).any(|part| part == bytes_of)
    };
    let named = NAMES.iter().find(|(text, as_, _)| has(text, *as_));
    let other = match named {
        Some((_, _, name)) => Some(*name),
        None if OURS.iter().any(|(text, as_)| has(text, *as_)) => None,
        None => Some("a loader that is not known"),
    };
    Some(Program { bits, other })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// A program with this machine, and bytes behind its head.
    fn image(machine: [u8; 2], rest: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 0x80];
        bytes[..2].copy_from_slice(b"MZ");
        bytes[0x3c] = 0x40;
        bytes[0x40..0x44].copy_from_slice(b"PE\0\0");
        bytes[0x44..0x46].copy_from_slice(&machine);
        [&bytes, rest].concat()
    }

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn grub_is_known_as_its_own_tool_makes_it() {
        let made = tempfile::NamedTempFile::new().unwrap();
        let status = Command::new("grub-mkimage")
            .args(["-O", "x86_64-efi", "-p", "/boot/grub", "-o"])
            .arg(made.path())
            .arg("normal")
            .status()
            .expect("grub-mkimage (packages grub-common, grub-efi-amd64-bin)");
        assert!(status.success());
        let found = program(&std::fs::read(made.path()).unwrap()).unwrap();
        assert_eq!((found.bits, found.other), (Some(64), None));
    }

    #[test]
    fn others_are_told_by_their_marks() {
        let pc = [0x64, 0x86];
        for (bytes, other) in [
            (utf16("\\grubx64.efi"), None),
            (
                b"#### LoaderInfo: systemd-boot 252 ####".to_vec(),
                Some("systemd-boot"),
            ),
            (utf16("rEFInd"), Some("rEFInd")),
            (
                utf16("\\EFI\\Microsoft\\Boot\\bootmgfw.efi"),
                Some("Windows"),
            ),
            // It starts GRUB among others.
            (
                [utf16("rEFInd"), utf16("grubx64.efi")].concat(),
                Some("rEFInd"),
            ),
            (b"?".to_vec(), Some("a loader that is not known")),
        ] {
            assert_eq!(program(&image(pc, &bytes)).unwrap().other, other);
        }
        assert_eq!(program(&image([0x4c, 1], b"")).unwrap().bits, Some(32));
        assert_eq!(program(&image([0x64, 0xaa], b"")).unwrap().bits, None);
        for bad in [&b""[..], b"MZ", &[0; 0x80], &image(pc, b"")[..0x45]] {
            assert_eq!(program(bad), None);
        }
    }
}
