//! GUID partition tables (UEFI specification, 5.3), as far as partitions are to be told apart, and
//! those with boot loaders found: GRUB's room where the firmware is a BIOS, and the EFI system partition.
//!
//! Disks with sectors of 512 bytes only: no BIOS starts others. The backup table is not looked at; what
//! the first does not say is not known.

use std::fmt;

/// Type of a BIOS boot partition, as its bytes are on disk: they spell `Hah!IdontNeedEFI`.
const BIOS_BOOT: &[u8; 16] = b"Hah!IdontNeedEFI";
/// Type of an EFI system partition, C12A7328-F81F-11D2-BA4B-00A0C93EC93B, as its bytes are on disk.
const EFI_SYSTEM: &[u8; 16] = &[
    0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b,
];
const SIGNATURE: &[u8; 8] = b"EFI PART";

/// Bytes from the start of the disk that hold header and entries, with sectors of 512 bytes.
pub const HEAD: usize = 34 * 512;

/// A partition, as far as it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GptPartition {
    /// From 1, as the kernel counts.
    pub number: u32,
    /// Its own GUID.
    pub guid: Guid,
    /// It holds a boot loader, and of which kind.
    pub boot: Option<BootPartition>,
    /// First sector.
    pub start: u64,
    /// Sectors.
    pub sectors: u64,
}

/// A GUID, as its bytes are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guid(pub [u8; 16]);

impl fmt::Display for Guid {
    /// The first three groups are little-endian on disk.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
        for (n, at) in ORDER.into_iter().enumerate() {
            if [4, 6, 8, 10].contains(&n) {
                out.write_str("-")?;
            }
            write!(out, "{:02x}", self.0[at])?;
        }
        Ok(())
    }
}

/// Partitions that hold boot loaders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootPartition {
    /// GRUB's room where the firmware is a BIOS.
    Bios,
    /// The EFI system partition.
    Efi,
}

/// The partitions; none where there is no such table.
pub fn partitions(head: &[u8]) -> Vec<GptPartition> {
    let Some(table) = Table::of(head) else {
        return Vec::new();
    };
    (0..table.count)
        .map_while(|n| Some((n, table.entry(head, n)?)))
        .filter(|(_, entry)| entry[..16] != [0; 16])
        .filter_map(|(n, entry)| {
            let lba = |at: usize| Some(u64::from_le_bytes(entry[at..at + 8].try_into().ok()?));
            let start = lba(32)?;
            Some(GptPartition {
                number: u32::try_from(n).ok()? + 1,
                guid: Guid(entry[16..32].try_into().ok()?),
                boot: match &entry[..16] {
                    kind if kind == BIOS_BOOT => Some(BootPartition::Bios),
                    kind if kind == EFI_SYSTEM => Some(BootPartition::Efi),
                    _ => None,
                },
                start,
                sectors: lba(40)?.checked_sub(start)?.saturating_add(1),
            })
        })
        .collect()
}

/// The first BIOS boot partition, which is the one that GRUB takes; `None` where there is none, or no
/// such table.
pub fn bios_boot(head: &[u8]) -> Option<GptPartition> {
    partitions(head)
        .into_iter()
        .find(|partition| partition.boot == Some(BootPartition::Bios))
}

/// The disk's GUID; `None` where there is no such table.
pub fn disk_guid(head: &[u8]) -> Option<Guid> {
    Table::of(head).map(|table| table.disk)
}

struct Table {
    disk: Guid,
    start: usize,
    count: usize,
    size: usize,
}

impl Table {
    fn of(head: &[u8]) -> Option<Table> {
        let header = head.get(512..1024)?;
        if &header[..8] != SIGNATURE {
            return None;
        }
        let u32_at = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let entries = u64::from(u32_at(72)) | u64::from(u32_at(76)) << 32;
        let (count, size) = (u32_at(80) as usize, u32_at(84) as usize);
        let start = usize::try_from(entries).ok()?.checked_mul(512)?;
        let disk = Guid(header[56..72].try_into().ok()?);
        (size >= 128).then_some(Table {
            disk,
            start,
            count,
            size,
        })
    }

    fn entry<'a>(&self, head: &'a [u8], n: usize) -> Option<&'a [u8]> {
        let at = self.start.checked_add(n.checked_mul(self.size)?)?;
        head.get(at..at.checked_add(48)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table that sfdisk writes on a file.
    fn table(script: &str) -> Vec<u8> {
        let mut head = fixtures::disk::partitioned(script);
        head.truncate(HEAD);
        head
    }

    #[test]
    fn finds_the_bios_boot_partition_of_real_tables() {
        let sectors = |script: &str| bios_boot(&table(script)).map(|p| p.sectors);
        let with = "label: gpt\nstart=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649\n\
            type=0FC63DAF-8483-4772-8E79-3D69D8477DE4\n";
        assert_eq!(sectors(with), Some(2048));
        let found = partitions(&table(with));
        let kinds: Vec<_> = found.iter().map(|p| (p.boot, p.start)).collect();
        assert_eq!(kinds, [(Some(BootPartition::Bios), 2048), (None, 4096)]);
        let efi = "label: gpt\ntype=C12A7328-F81F-11D2-BA4B-00A0C93EC93B\n";
        assert_eq!(partitions(&table(efi))[0].boot, Some(BootPartition::Efi));
        let without = "label: gpt\ntype=0FC63DAF-8483-4772-8E79-3D69D8477DE4\n";
        assert_eq!(sectors(without), None);
        assert_eq!(sectors("label: dos\ntype=83\n"), None);
    }

    /// As cloud images have it: the root is number 1, its loader number 14, which lies in front.
    #[test]
    fn disk_and_partitions_are_named_as_sfdisk_named_them() {
        let head = table(
            "label: gpt\nlabel-id: 01234567-89AB-CDEF-0123-456789ABCDEF\n\
             1: start=8192, type=L, uuid=FEDCBA98-7654-3210-FEDC-BA9876543210\n\
             14: start=2048, size=6144, type=21686148-6449-6E6F-744E-656564454649\n",
        );
        assert_eq!(
            disk_guid(&head).unwrap().to_string(),
            "01234567-89ab-cdef-0123-456789abcdef"
        );
        let found = partitions(&head);
        let numbers: Vec<_> = found.iter().map(|p| (p.number, p.start)).collect();
        assert_eq!(numbers, [(1, 8192), (14, 2048)]);
        assert_eq!(
            found[0].guid.to_string(),
            "fedcba98-7654-3210-fedc-ba9876543210"
        );
        assert_eq!(bios_boot(&head).unwrap().number, 14);
        assert_eq!(disk_guid(&table("label: dos\ntype=83\n")), None);
    }

    #[test]
    fn what_is_cut_or_lies_is_no_table() {
        let mut head = table("label: gpt\nsize=2048, type=21686148-6449-6E6F-744E-656564454649\n");
        assert!(bios_boot(&head).is_some());
        assert_eq!(bios_boot(&head[..1000]), None);
        head[512 + 72..512 + 88].fill(0xff);
        assert_eq!(bios_boot(&head), None);
    }
}
