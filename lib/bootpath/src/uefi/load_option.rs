//! The firmware's variables that say what it starts (UEFI specification, 3.1.3 and 10.3). Only read.

use storage::gpt::Guid;

/// A variable `Boot####`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadOption {
    /// What people see of it.
    pub description: String,
    /// The firmware tries it in its turn; others are there for a menu alone.
    pub tried: bool,
    /// What it names.
    pub target: Target,
}

/// What a variable names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A partition, by its GUID, and a file of it, with slashes and one in front. Without one it is the
    /// fallback file.
    Partition(String, Option<String>),
    /// A disk, as firmware names them itself: by the way to it. It stands for the fallback file of it.
    Device(Option<String>),
    /// A network: what it starts is not on this machine.
    Network,
    /// A disc or a USB device, which may be in the machine or not.
    Removable,
    /// A device of a kind that only the firmware knows.
    Unknown,
    /// Something that starts none of the root disk's files; why, in words.
    Other(&'static str),
}

// Attributes (3.1.3).
const ACTIVE: u32 = 1;
const CATEGORY: u32 = 0x1f00;

const END: u8 = 0x7f;
/// Signature type of a hard drive's node: the partition's GUID.
const BY_GUID: u8 = 2;

/// What the nodes of a device path say (10.3), by type and subtype. The last one counts, for a path leads from
/// the bus to the device and to the file on it.
enum Node {
    HardDrive,
    File,
    Names(Target),
}

fn kind(kind: u8, sub: u8, node: &[u8]) -> Node {
    const HARDWARE: u8 = 1;
    const MESSAGING: u8 = 3;
    const MEDIA: u8 = 4;
    const BIOS_BOOT: u8 = 5;
    // Of the BIOS boot specification: a network's card, and any other that starts by itself.
    const BIOS_NETWORK: [u8; 2] = [6, 0x80];
    let is_network = node.first().is_some_and(|kind| BIOS_NETWORK.contains(kind));
    match (kind, sub) {
        (MEDIA, 1) => Node::HardDrive,
        (MEDIA, 4) => Node::File,
        (MEDIA, 6 | 7) => Node::Names(Target::Other("a program of the firmware's own")),
        (MEDIA, 9) => Node::Names(Target::Other("a disk in memory")),
        // A disc; USB, by port, class, or identity; a card of SD's.
        (MEDIA, 2) | (MESSAGING, 5 | 15 | 16 | 26) => Node::Names(Target::Removable),
        // InfiniBand, MAC, IPv4, IPv6, iSCSI, VLAN, URI, Bluetooth, WiFi, DNS, Bluetooth LE, NVMe over fabrics.
        (MESSAGING, 9 | 11 | 12 | 13 | 19 | 20 | 24 | 27 | 28 | 30 | 31 | 34) => {
            Node::Names(Target::Network)
        }
        (BIOS_BOOT, _) => Node::Names(if is_network {
            Target::Network
        } else {
            Target::Other("a device for a BIOS")
        }),
        // A function of PCI, as virtio's disks are, and a controller's; ATAPI, SCSI, fibre channel, a unit,
        // SATA, SAS, NVMe, UFS, eMMC.
        (HARDWARE, 1 | 5) | (MESSAGING, 1 | 2 | 3 | 17 | 18 | 21 | 22 | 23 | 25 | 29) => {
            Node::Names(Target::Device(None))
        }
        // What makers have made up, which may be a disk, a network, or a shell.
        _ => Node::Names(Target::Unknown),
    }
}

/// Reads the bytes of a variable; `None` where they are cut short.
pub fn parse(bytes: &[u8]) -> Option<LoadOption> {
    let attributes = u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?);
    let length = usize::from(u16::from_le_bytes(bytes.get(4..6)?.try_into().ok()?));
    let units = bytes.get(6..)?.as_chunks::<2>().0;
    let end = units.iter().position(|unit| *unit == [0, 0])?;
    let start = 6 + 2 * (end + 1);
    Some(LoadOption {
        description: text(&units[..end]),
        tried: attributes & ACTIVE != 0 && attributes & CATEGORY == 0,
        target: target(bytes.get(start..start + length)?)?,
    })
}

fn target(mut path: &[u8]) -> Option<Target> {
    let mut file: Option<String> = None;
    let mut partition = None;
    let mut named = None;
    while let [class, sub, low, high, ..] = *path {
        let length = usize::from(u16::from_le_bytes([low, high]));
        if class == END {
            break;
        }
        let node = path.get(4..length)?;
        match kind(class, sub, node) {
            Node::HardDrive if node.get(37) == Some(&BY_GUID) => {
                let guid = Guid(node.get(20..36)?.try_into().ok()?);
                partition = Some(guid.to_string());
            }
            Node::HardDrive => {
                named = Some(Target::Other("a partition that it knows by no GUID"));
            }
            Node::File => {
                let units = node.as_chunks::<2>().0;
                let end = units.iter().position(|unit| *unit == [0, 0]);
                let name = text(&units[..end.unwrap_or(units.len())]);
                // Several nodes are parts of one path.
                for part in name.split('\\').filter(|part| !part.is_empty()) {
                    let file = file.get_or_insert_default();
                    file.push('/');
                    file.push_str(part);
                }
            }
            // A drive on a network, or of a stick, is no disk of the machine's.
            Node::Names(Target::Device(_))
                if matches!(named, Some(Target::Network | Target::Removable)) => {}
            Node::Names(target) => named = Some(target),
        }
        path = path.get(length.max(4)..)?;
    }
    // Where the GUID is, the way to the partition does not matter.
    Some(match (partition, named) {
        (Some(guid), _) => Target::Partition(guid, file),
        (None, Some(Target::Device(_))) => Target::Device(file),
        (None, Some(target)) => target,
        (None, None) => Target::Unknown,
    })
}

/// What a variable is whose bytes are none.
pub fn cut_short() -> LoadOption {
    LoadOption {
        description: String::new(),
        tried: true,
        target: Target::Other("cut short"),
    }
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

    /// A partition by its number, on a disk with a master boot record.
    fn drive_of_a_record() -> Vec<u8> {
        let mut bytes = vec![0; 38];
        bytes[36..].copy_from_slice(&[1, 1]);
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
                end,
            ],
        );
        let found = parse(&debian).unwrap();
        assert_eq!(
            found,
            LoadOption {
                description: "debian".into(),
                tried: true,
                target: Target::Partition(
                    "6f726572-746f-0b4d-9c36-d1f1c6a0be15".into(),
                    Some("/EFI/debian/grubx64.efi".into())
                ),
            }
        );
        for cut in 0..debian.len() - 8 {
            assert_eq!(parse(&debian[..cut]), None, "{cut}");
        }
        for (attributes, tried) in [(0, false), (9, true), (0x109, false)] {
            let mut bytes = debian.clone();
            bytes[..4].copy_from_slice(&u32::to_le_bytes(attributes));
            assert_eq!(parse(&bytes).unwrap().tried, tried, "{attributes:x}");
        }
    }

    /// As OVMF makes them for its devices, its shell and its networks.
    #[test]
    fn a_device_is_told_from_what_starts_no_disk() {
        let pci = || node(1, 1, &[0, 4]);
        let named = |nodes: &[Vec<u8>]| {
            let end = node(0x7f, 0xff, &[]);
            parse(&variable("x", &[nodes, &[end]].concat()))
                .unwrap()
                .target
        };
        let disk = [node(2, 1, &[0; 8]), pci()];
        assert_eq!(named(&disk), Target::Device(None));
        let nvme = [node(2, 1, &[0; 8]), pci(), node(3, 23, &[0; 12])];
        assert_eq!(named(&nvme), Target::Device(None));
        // As makers of servers name their networks and shells.
        for (kind, sub) in [(1, 4), (3, 10), (4, 3)] {
            let made_up = [pci(), node(kind, sub, &[0; 16])];
            assert_eq!(named(&made_up), Target::Unknown, "{kind} {sub}");
        }
        assert_eq!(named(&[node(5, 1, &[0x80, 0, 0, 0, 0])]), Target::Network);
        for (kind, sub) in [(3, 11), (3, 12), (3, 13), (3, 19), (3, 24)] {
            let network = [pci(), node(3, 11, &[0; 33]), node(kind, sub, &[0; 15])];
            assert_eq!(named(&network), Target::Network, "{kind} {sub}");
        }
        let stick = [pci(), node(3, 5, &[0; 2])];
        assert_eq!(named(&stick), Target::Removable);
        assert_eq!(named(&[pci(), node(4, 2, &[0; 20])]), Target::Removable);
        for other in [
            vec![node(4, 7, &[0; 16]), node(4, 6, &[0; 16])],
            vec![node(5, 1, &[0; 5])],
            vec![drive_of_a_record()],
        ] {
            assert!(matches!(named(&other), Target::Other(_)), "{other:?}");
        }
        // By its GUID a partition is known wherever it is plugged in.
        let on_stick = named(&[pci(), node(3, 5, &[0; 2]), drive([7; 16])]);
        assert!(matches!(on_stick, Target::Partition(_, None)));
    }
}
