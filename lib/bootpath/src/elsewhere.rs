//! Boot loaders on disks other than the root's. The firmware starts one disk; where two of them can be
//! started, nothing on a disk says which it is.

use storage::gpt::{self, BootPartition};
use storage::mbr::{self, MBR_SIZE};

use crate::other_loader;

/// Bytes of a boot record that are code.
const CODE: usize = 440;
/// Type byte of an EFI system partition in a master boot record.
const EFI_SYSTEM: u8 = 0xef;

/// What a firmware could start from a disk, in words; `None` where there is nothing. `read` reads some
/// sectors of it from a sector on.
pub fn loader(read: &dyn Fn(u64, usize) -> Option<Vec<u8>>) -> Option<String> {
    let head = read(0, gpt::HEAD / MBR_SIZE)?;
    let table = mbr::parse(&head)?;
    let partitions = gpt::partitions(&head);
    let sector = |at: u64| read(at, 1);
    let active = table.active_start.and_then(sector);
    if other_loader::is_grub_2(&head) {
        // With its core image in the gap, in a BIOS boot partition, or in a file.
        return Some("GRUB 2".to_owned());
    }
    // A record that only starts the active partition starts nothing where none is.
    if let Some(name) = other_loader::name(&head, active.as_deref()) {
        if active.is_some() || other_loader::is_loader(&head) {
            return Some(name);
        }
    }
    // Code that nobody here knows, and a partition that it could start.
    if active.is_some() && head[..CODE].iter().any(|&byte| byte != 0) {
        return Some("a boot record that is not known".to_owned());
    }
    let there = |kind: BootPartition| {
        let mut boot = partitions.iter().filter(|p| p.boot == Some(kind));
        // One that was made and never written to starts nothing.
        boot.any(|p| sector(p.start).is_some_and(|first| first.iter().any(|&byte| byte != 0)))
    };
    if there(BootPartition::Bios) {
        return Some("a BIOS boot partition with a loader".to_owned());
    }
    let efi = table.partitions.iter().any(|p| p.kind == EFI_SYSTEM);
    (efi || there(BootPartition::Efi)).then(|| "an EFI system partition".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with a table that sfdisk writes, and bytes at sectors.
    fn found(script: &str, parts: &[(usize, &[u8])]) -> Option<String> {
        let mut bytes = fixtures::disk::partitioned(script);
        for (sector, part) in parts {
            // The tables are the disk's own.
            let length = if *sector == 0 {
                0x1b8.min(part.len())
            } else {
                part.len()
            };
            let at = sector * MBR_SIZE;
            bytes[at..at + length].copy_from_slice(&part[..length]);
        }
        loader(&|at, count| {
            let at = at as usize * MBR_SIZE;
            Some(bytes.get(at..at + count * MBR_SIZE)?.to_vec())
        })
    }

    const DOS: &str = "label: dos\nstart=2048, size=4096, type=83, bootable\n";
    const GPT_BIOS: &str = "label: gpt\nstart=2048, size=2048, \
        type=21686148-6449-6E6F-744E-656564454649\ntype=0FC63DAF-8483-4772-8E79-3D69D8477DE4\n";
    const GPT_EFI: &str = "label: gpt\nstart=2048, size=2048, \
        type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B\n";
    const GPT_DATA: &str = "label: gpt\ntype=0FC63DAF-8483-4772-8E79-3D69D8477DE4\n";

    #[test]
    fn every_loader_that_a_firmware_could_start_is_found() {
        let path = "/usr/lib/grub/i386-pc/boot.img";
        let grub = std::fs::read(path).unwrap_or_else(|e| panic!("{path}: {e}: grub-pc-bin"));
        let legacy = b"\xeb\x48\x90\0\0\0GRUB \0Geom\0Hard Disk\0Read\0 Error\0";
        let lilo = b"\xfa\xeb\x21\x01\xb4\x01LILO\x18\x06";
        let extlinux = b"\xeb\x58\x90EXTLINUX";
        let plain = b"Missing operating system.\r\nOperating system load error.\r\n";
        let efi_dos = "label: dos\ntype=ef\n";
        let no_active = DOS.replace(", bootable", "");
        for (name, script, parts, expected) in [
            ("GRUB, GPT", GPT_BIOS, &[(0, &grub[..])][..], Some("GRUB 2")),
            (
                "its image alone",
                GPT_BIOS,
                &[(2048, b"RV")],
                Some("BIOS boot partition"),
            ),
            ("GRUB, no core", DOS, &[(0, &grub)], Some("GRUB 2")),
            ("GRUB legacy", DOS, &[(0, legacy)], Some("GRUB legacy")),
            (
                "GRUB legacy, GPT",
                GPT_DATA,
                &[(0, legacy)],
                Some("GRUB legacy"),
            ),
            ("LILO", DOS, &[(0, lilo)], Some("LILO")),
            (
                "extlinux",
                DOS,
                &[(0, plain), (2048, extlinux)],
                Some("extlinux"),
            ),
            (
                "ESP",
                GPT_EFI,
                &[(2048, b"\xeb\x58\x90mkfs.fat")],
                Some("EFI system"),
            ),
            ("ESP, dos", efi_dos, &[], Some("EFI system")),
            ("data", GPT_DATA, &[], None),
            ("an empty BIOS boot partition", GPT_BIOS, &[], None),
            ("an empty ESP", GPT_EFI, &[], None),
            ("data, dos", &no_active, &[(0, plain)], None),
            ("new table", DOS, &[], None),
            (
                "unknown code",
                DOS,
                &[(0, b"\xfa\x31\xc0")],
                Some("boot record that is not known"),
            ),
            (
                "unknown code, nothing active",
                &no_active,
                &[(0, b"\xfa\x31\xc0")],
                None,
            ),
        ] {
            let found = found(script, parts);
            assert_eq!(found.is_some(), expected.is_some(), "{name}: {found:?}");
            let said = found.unwrap_or_default();
            assert!(
                said.contains(expected.unwrap_or_default()),
                "{name}: {said}"
            );
        }
    }

    #[test]
    fn a_disk_that_cannot_be_read_starts_nothing() {
        assert_eq!(loader(&|_, _| None), None);
        assert_eq!(loader(&|_, count| Some(vec![0; count * MBR_SIZE])), None);
    }
}
