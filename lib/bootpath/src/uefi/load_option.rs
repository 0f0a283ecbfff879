//! The firmware's variables that say what it starts (UEFI specification, 3.1.3 and 10.3). Only read.

use storage::gpt::Guid;

/// A variable `Boot####`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadOption {
    /// What people see of it.
    pub description: String,
    /// GUID of the partition that its device path names.
    pub partition: Option<String>,
    /// The file that it names, with slashes, and one in front.
    pub file: Option<String>,
    /// It names a file in the firmware itself: a shell, a setup.
    pub in_firmware: bool,
}

const MEDIA: u8 = 4;
const HARD_DRIVE: u8 = 1;
const FILE: u8 = 4;
const FIRMWARE_FILE: u8 = 6;
const END: u8 = 0x7f;
/// Signature type of a hard drive's node: the partition's GUID.
const BY_GUID: u8 = 2;

/// Reads the bytes of a variable; `None` where they are cut short.
pub fn parse(bytes: &[u8]) -> Option<LoadOption> {
    let length = usize::from(u16::from_le_bytes(bytes.get(4..6)?.try_into().ok()?));
    let units = bytes.get(6..)?.as_chunks::<2>().0;
    let end = units.iter().position(|unit| *unit == [0, 0])?;
    let start = 6 + 2 * (end + 1);
    let mut option = LoadOption {
        description: text(&units[..end]),
        ..LoadOption::default()
    };
    let mut path = bytes.get(start..start + length)?;
    while let [kind, sub, low, high, ..] = *path {
        let length = usize::from(u16::from_le_bytes([low, high]));
        if kind == END {
            break;
        }
        let node = path.get(4..length)?;
        match (kind, sub) {
            (MEDIA, HARD_DRIVE) if node.get(37) == Some(&BY_GUID) => {
                let guid = Guid(node.get(20..36)?.try_into().ok()?);
                option.partition = Some(guid.to_string());
            }
            (MEDIA, FILE) => {
                let units = node.as_chunks::<2>().0;
                let end = units.iter().position(|unit| *unit == [0, 0]);
                let name = text(&units[..end.unwrap_or(units.len())]);
                // Several nodes are parts of one path.
                for part in name.split('\\').filter(|part| !part.is_empty()) {
                    let file = option.file.get_or_insert_default();
                    file.push('/');
                    file.push_str(part);
                }
            }
            (MEDIA, FIRMWARE_FILE) => option.in_firmware = true,
            _ => {}
        }
        path = path.get(length.max(4)..)?;
    }
    Some(option)
}

fn text(units: &[[u8; 2]]) -> String {
    char::decode_utf16(units.iter().map(|unit| u16::from_le_bytes(*unit)))
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str) -> Vec<u8> {
        let units = text.encode_utf16().chain([0]);
        units.flat_map(u16::to_le_bytes).collect()
    }

    fn node(kind: u8, sub: u8, bytes: &[u8]) -> Vec<u8> {
        let length = (bytes.len() as u16 + 4).to_le_bytes();
        [&[kind, sub, length[0], length[1]], bytes].concat()
    }

    fn variable(description: &str, nodes: &[Vec<u8>]) -> Vec<u8> {
        let path = nodes.concat();
        let head = [&[1, 0, 0, 0][..], &(path.len() as u16).to_le_bytes()].concat();
        [head, utf16(description), path, b"data".to_vec()].concat()
    }

    fn drive(guid: [u8; 16]) -> Vec<u8> {
        let mut bytes = vec![0; 38];
        bytes[20..36].copy_from_slice(&guid);
        bytes[36..].copy_from_slice(&[2, 2]);
        node(4, 1, &bytes)
    }

    #[test]
    fn a_variable_says_partition_and_file() {
        let end = node(0x7f, 0xff, &[]);
        let guid = [
            0x72, 0x65, 0x72, 0x6f, 0x6f, 0x74, 0x4d, 0x0b, 0x9c, 0x36, 0xd1, 0xf1, 0xc6, 0xa0,
            0xbe, 0x15,
        ];
        let debian = variable(
            "debian",
            &[
                drive(guid),
                node(4, 4, &utf16("\\EFI\\debian\\grubx64.efi")),
                end.clone(),
            ],
        );
        let found = parse(&debian).unwrap();
        assert_eq!(
            found,
            LoadOption {
                description: "debian".into(),
                partition: Some("6f726572-746f-0b4d-9c36-d1f1c6a0be15".into()),
                file: Some("/EFI/debian/grubx64.efi".into()),
                in_firmware: false,
            }
        );
        for cut in 0..debian.len() - 8 {
            assert_eq!(parse(&debian[..cut]), None, "{cut}");
        }
        // As OVMF makes them for a disk, and for its own shell.
        let disk = variable(
            "UEFI Misc Device",
            &[node(2, 1, &[0; 8]), node(1, 1, &[0, 4]), end.clone()],
        );
        let found = parse(&disk).unwrap();
        assert_eq!(
            (found.partition, found.file, found.in_firmware),
            (None, None, false)
        );
        let shell = variable(
            "EFI Internal Shell",
            &[node(4, 7, &[0; 16]), node(4, 6, &[0; 16]), end],
        );
        assert!(parse(&shell).unwrap().in_firmware);
    }
}
