//! Block devices and what is on them, told by their superblocks: ext2 to ext4, XFS, btrfs, FAT, swap
//! and LUKS; whatever else there is, by the names that udev made and by what is mounted.
//!
//! Offsets are those of the kernel's own headers of each format.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use formats::identity::DeviceFacts;

use crate::block::{self, BlockDevice};
use crate::ext4;
use crate::logical::MADE_BY_LVM;
use crate::{gpt, mapper, mbr, mounts};

/// Bytes from the start of a device that hold every superblock looked for: btrfs's is last.
const HEAD: usize = 0x1_1000;

/// What a superblock tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Type: `ext4`, `swap`…
    pub fstype: String,
    /// UUID, or for FAT the serial number, as `blkid` prints it.
    pub uuid: Option<String>,
    /// Label, if it has one.
    pub label: Option<String>,
    /// Which of the devices of a Btrfs it is.
    pub member: Option<String>,
}

/// Every block device with something on it, by name. Devices that make up another one (a RAID, a
/// volume group) are left out: what seems to be on them is on the other one.
pub fn read() -> std::io::Result<Vec<DeviceFacts>> {
    let links = links(Path::new("/dev"));
    let mounts = mounts::read().unwrap_or_default();
    Ok(block::all()?
        .iter()
        .filter(|device| device.held_by().is_empty())
        .map(|device| facts(device, &links, &mounts))
        .filter(|facts| facts.uuid.is_some() || facts.label.is_some() || facts.fstype.is_some())
        .collect())
}

/// What is on a device; `None` where that cannot be read, or is nothing that is known.
pub fn on(node: &Path) -> Option<Contents> {
    head(node).ok().and_then(|head| identify(&head))
}

fn facts(
    device: &BlockDevice,
    links: &BTreeMap<PathBuf, Vec<String>>,
    mounts: &[mounts::Mount],
) -> DeviceFacts {
    let node = device.node();
    let links = links.get(&node).cloned().unwrap_or_default();
    // A device that cannot be read, such as an empty drive, has nothing on it.
    let contents = on(&node).unwrap_or_default();
    let linked = |folder: &str| {
        let start = format!("/dev/disk/{folder}/");
        links
            .iter()
            .find_map(|link| Some(link.strip_prefix(&start)?.to_owned()))
    };
    let number = fs::read_to_string(device.sysfs.join("dev")).unwrap_or_default();
    let mounted = mounts
        .iter()
        .find(|m| format!("{}:{}", m.device.0, m.device.1) == number.trim())
        .map(|m| m.fstype.clone());
    DeviceFacts {
        node: node.display().to_string(),
        logical: mapper::identifier(device)
            .starts_with(MADE_BY_LVM)
            .then(|| mapper::name(device)),
        uuid: contents.uuid.or_else(|| linked("by-uuid")),
        label: contents.label,
        member: contents.member,
        part_uuid: linked("by-partuuid").or_else(|| by_table(device)),
        fstype: Some(contents.fstype).filter(|f| !f.is_empty()).or(mounted),
        links,
    }
}

/// Names in folders of /dev that are links to a node, by node.
fn links(dev: &Path) -> BTreeMap<PathBuf, Vec<String>> {
    let folders = |path: &Path| -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(path) else {
            return Vec::new();
        };
        let is_folder = |e: &fs::DirEntry| e.file_type().is_ok_and(|t| t.is_dir());
        entries
            .flatten()
            .filter(is_folder)
            .map(|e| e.path())
            .collect()
    };
    let mut all = vec![dev.to_owned()];
    all.extend(folders(dev));
    all.extend(folders(&dev.join("disk")));
    let mut found: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for entry in all
        .iter()
        .filter_map(|f| fs::read_dir(f).ok())
        .flatten()
        .flatten()
    {
        if !entry.file_type().is_ok_and(|t| t.is_symlink()) {
            continue;
        }
        // A link to nothing, or to something else, leads to no device that is asked for.
        if let Ok(node) = fs::canonicalize(entry.path()) {
            let link = entry.path().display().to_string();
            found.entry(node).or_default().push(link);
        }
    }
    for links in found.values_mut() {
        links.sort();
    }
    found
}

/// The UUID that the kernel gives a partition by the disk's table.
fn by_table(device: &BlockDevice) -> Option<String> {
    let place = device.partition.as_ref()?;
    let disk = block::by_name(&place.disk).ok()?;
    let head = disk.read(0, gpt::HEAD).ok()?;
    let table = mbr::parse(&head)?;
    if table.is_protective() {
        let partitions = gpt::partitions(&head);
        let own = partitions.iter().find(|p| p.number == place.number)?;
        return Some(own.guid.to_string());
    }
    (!table.is_protective() && table.signature != 0)
        .then(|| format!("{:08x}-{:02x}", table.signature, place.number))
}

fn head(node: &Path) -> std::io::Result<Vec<u8>> {
    let file = File::open(node)?;
    let mut bytes = vec![0; HEAD];
    let mut filled = 0;
    while filled < HEAD {
        match file.read_at(&mut bytes[filled..], filled as u64)? {
            0 => break,
            more => filled += more,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// What is on a device, by its first 68 KiB; nothing if that is not known.
pub(crate) fn identify(head: &[u8]) -> Option<Contents> {
    let found = [luks, xfs, ext, btrfs, swap, fat];
    found.iter().find_map(|f| f(head))
}

#[allow(
    clippy::unnecessary_wraps,
    reason = "what every row of the table of superblocks gives"
)]
fn contents(fstype: &str, uuid: Option<String>, label: Option<&[u8]>) -> Option<Contents> {
    let label = label.map(|bytes| {
        let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).trim_end().to_owned()
    });
    Some(Contents {
        fstype: fstype.to_owned(),
        uuid,
        label: label.filter(|label| !label.is_empty()),
        member: None,
    })
}

pub(crate) fn uuid(bytes: Option<&[u8]>) -> Option<String> {
    let bytes = bytes.filter(|bytes| bytes.iter().any(|b| *b != 0))?;
    let hex: String = bytes
        .iter()
        .flat_map(|b| [b >> 4, b & 15])
        .map(hex_digit)
        .collect();
    let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default();
    let parts = [
        part(0..8),
        part(8..12),
        part(12..16),
        part(16..20),
        part(20..32),
    ];
    Some(parts.join("-"))
}

fn hex_digit(value: u8) -> char {
    char::from_digit(u32::from(value), 16).unwrap_or('0')
}

fn u32_at(head: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?))
}

fn luks(head: &[u8]) -> Option<Contents> {
    head.starts_with(b"LUKS\xba\xbe").then_some(())?;
    let text = std::str::from_utf8(head.get(168..208)?).ok()?;
    let text = text.trim_end_matches('\0').to_owned();
    contents("crypto_LUKS", Some(text).filter(|t| !t.is_empty()), None)
}

fn xfs(head: &[u8]) -> Option<Contents> {
    head.starts_with(b"XFSB").then_some(())?;
    contents("xfs", uuid(head.get(32..48)), head.get(108..120))
}

/// Features by which ext3 is told from ext2 and ext4 from both, as libblkid does.
fn ext(head: &[u8]) -> Option<Contents> {
    const HAS_JOURNAL: u32 = 0x4;
    const EXT3_INCOMPAT: u32 = 0x2 | 0x4 | 0x10;
    const EXT3_RO_COMPAT: u32 = 0x1 | 0x2 | 0x4;
    let superblock = head.get(ext4::SUPERBLOCK_AT as usize..)?;
    let features = ext4::features(superblock)?;
    let fstype = if features.incompat & ext4::INCOMPAT_JOURNAL_DEV != 0 {
        "jbd"
    } else if features.incompat & !EXT3_INCOMPAT != 0 || features.ro_compat & !EXT3_RO_COMPAT != 0 {
        "ext4"
    } else if features.compat & HAS_JOURNAL != 0 {
        "ext3"
    } else {
        "ext2"
    };
    contents(
        fstype,
        uuid(superblock.get(0x68..0x78)),
        superblock.get(0x78..0x88),
    )
}

fn btrfs(head: &[u8]) -> Option<Contents> {
    let at = 0x1_0000;
    (head.get(at + 0x40..at + 0x48)? == b"_BHRfS_M").then_some(())?;
    let found = contents(
        "btrfs",
        uuid(head.get(at + 0x20..at + 0x30)),
        head.get(at + 0x12b..at + 0x22b),
    );
    // `dev_item.uuid` in `struct btrfs_super_block`.
    found.map(|found| Contents {
        member: uuid(head.get(at + 0x10b..at + 0x11b)),
        ..found
    })
}

/// The signature ends the first page, of whatever size pages are.
fn swap(head: &[u8]) -> Option<Contents> {
    [4096, 8192, 16384, 65536]
        .into_iter()
        .any(|page| head.get(page - 10..page) == Some(b"SWAPSPACE2"))
        .then_some(())?;
    contents("swap", uuid(head.get(1036..1052)), head.get(1052..1068))
}

fn fat(head: &[u8]) -> Option<Contents> {
    (head.get(510..512)? == [0x55, 0xaa]).then_some(())?;
    let base = if head.get(0x52..0x5a)? == b"FAT32   " {
        0x43
    } else if [b"FAT16   ", b"FAT12   "]
        .iter()
        .any(|name| head.get(0x36..0x3e) == Some(*name))
    {
        0x27
    } else {
        return None;
    };
    // Without a serial number it has no name in /dev/disk/by-uuid, and what waits for one waits in vain.
    let serial = Some(u32_at(head, base)?).filter(|serial| *serial != 0);
    let serial = serial.map(|serial| format!("{:04X}-{:04X}", serial >> 16, serial & 0xffff));
    let label = head
        .get(base + 4..base + 15)
        .filter(|label| *label != b"NO NAME    ");
    contents("vfat", serial, label)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "00010203-0405-0607-0809-0a0b0c0d0e0f";

    #[test]
    fn a_fat_without_a_serial_number_has_no_name() {
        let found = identify(&made(&[(510, &[0x55, 0xaa]), (0x36, b"FAT16   ")])).unwrap();
        assert_eq!((found.fstype.as_str(), found.uuid), ("vfat", None));
    }

    /// A head with these bytes at these places.
    fn made(parts: &[(usize, &[u8])]) -> Vec<u8> {
        let mut head = vec![0; HEAD];
        for (at, bytes) in parts {
            head[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        head
    }

    #[test]
    fn superblocks_are_told_apart() {
        let id: Vec<u8> = (0..16).collect();
        let ext = |compat: u8, incompat: u8| {
            made(&[
                (1080, &[0x53, 0xef]),
                (1024 + 0x5c, &[compat]),
                (1024 + 0x60, &[incompat]),
                (1024 + 0x68, &id),
                (1024 + 0x78, b"data disk"),
            ])
        };
        let cases = [
            (ext(0, 2), "ext2", UUID, "data disk"),
            (ext(4, 2), "ext3", UUID, "data disk"),
            (ext(4, 0x42), "ext4", UUID, "data disk"),
            (ext(0, 8), "jbd", UUID, "data disk"),
            (
                made(&[(0, b"XFSB"), (32, &id), (108, b"full label x")]),
                "xfs",
                UUID,
                "full label x",
            ),
            (
                made(&[(0x1_0040, b"_BHRfS_M"), (0x1_0020, &id)]),
                "btrfs",
                UUID,
                "",
            ),
            (
                made(&[(4086, b"SWAPSPACE2"), (1036, &id), (1052, b"sw")]),
                "swap",
                UUID,
                "sw",
            ),
            (
                made(&[(65526, b"SWAPSPACE2"), (1036, &id)]),
                "swap",
                UUID,
                "",
            ),
            (
                made(&[
                    (510, &[0x55, 0xaa]),
                    (0x52, b"FAT32   "),
                    (0x43, &[4, 3, 2, 0xa1]),
                    (0x47, b"EFI        "),
                ]),
                "vfat",
                "A102-0304",
                "EFI",
            ),
            (
                made(&[
                    (510, &[0x55, 0xaa]),
                    (0x36, b"FAT16   "),
                    (0x27, &[4, 3, 2, 1]),
                    (0x2b, b"NO NAME    "),
                ]),
                "vfat",
                "0102-0304",
                "",
            ),
        ];
        for (head, fstype, uuid, label) in cases {
            let found = identify(&head).unwrap_or_default();
            assert_eq!(found.fstype, fstype);
            assert_eq!(found.uuid.as_deref(), Some(uuid), "{fstype}");
            assert_eq!(
                found.label.as_deref().unwrap_or_default(),
                label,
                "{fstype}"
            );
        }
        let short = ext(4, 2);
        for length in [0, 1, 512, 1030, 1100] {
            assert_eq!(identify(&short[..length]), None, "{length}");
        }
        assert_eq!(identify(&made(&[])), None);
    }

    #[test]
    fn what_mkfs_and_mkswap_make_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let uuid = "6f8ba2d3-0ef5-4d42-a9c1-000000000001";
        let makers: [(&str, &[&str], &str); 4] = [
            ("mkfs.ext4", &["-q", "-F", "-U", uuid, "-L", "a b"], "ext4"),
            ("mkfs.ext3", &["-q", "-F", "-U", uuid, "-L", "a b"], "ext3"),
            ("mkfs.ext2", &["-q", "-F", "-U", uuid, "-L", "a b"], "ext2"),
            ("mkswap", &["-U", uuid, "-L", "a b"], "swap"),
        ];
        for (program, arguments, fstype) in makers {
            let path = dir.path().join(fstype);
            File::create(&path).unwrap().set_len(8 << 20).unwrap();
            let done = std::process::Command::new(program)
                .args(arguments)
                .arg(&path)
                .output();
            assert!(done.unwrap().status.success(), "{program}");
            let found = identify(&head(&path).unwrap()).unwrap();
            assert_eq!(found.fstype, fstype);
            assert_eq!(found.uuid.as_deref(), Some(uuid), "{fstype}");
            assert_eq!(found.label.as_deref(), Some("a b"), "{fstype}");
        }
    }

    #[test]
    fn links_are_found_by_their_node() {
        let dev = tempfile::tempdir().unwrap();
        fs::create_dir_all(dev.path().join("disk/by-uuid")).unwrap();
        fs::write(dev.path().join("vda1"), "").unwrap();
        std::os::unix::fs::symlink("../../vda1", dev.path().join("disk/by-uuid/x")).unwrap();
        std::os::unix::fs::symlink("nowhere", dev.path().join("broken")).unwrap();
        let found = links(dev.path());
        let node = fs::canonicalize(dev.path().join("vda1")).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[&node],
            [dev.path().join("disk/by-uuid/x").display().to_string()]
        );
    }
}
