//! GUID partition tables (UEFI specification, 5.3), as far as partitions with boot loaders are to be
//! found in one: GRUB's room where the firmware is a BIOS, and the EFI system partition.

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
    /// It holds a boot loader, and of which kind.
    pub boot: Option<BootPartition>,
    /// First sector.
    pub start: u64,
    /// Sectors.
    pub sectors: u64,
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
        .map_while(|n| table.entry(head, n))
        .filter(|entry| entry[..16] != [0; 16])
        .filter_map(|entry| {
            let lba = |at: usize| Some(u64::from_le_bytes(entry[at..at + 8].try_into().ok()?));
            let start = lba(32)?;
            Some(GptPartition {
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

/// Sectors of the first BIOS boot partition; `None` where there is none, or no such table.
pub fn bios_boot_sectors(head: &[u8]) -> Option<u64> {
    partitions(head)
        .iter()
        .find(|partition| partition.boot == Some(BootPartition::Bios))
        .map(|partition| partition.sectors)
}

struct Table {
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
        (size >= 128).then_some(Table { start, count, size })
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
        let with = "label: gpt\nstart=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649\n\
            type=0FC63DAF-8483-4772-8E79-3D69D8477DE4\n";
        assert_eq!(bios_boot_sectors(&table(with)), Some(2048));
        let found = partitions(&table(with));
        let kinds: Vec<_> = found.iter().map(|p| (p.boot, p.start)).collect();
        assert_eq!(kinds, [(Some(BootPartition::Bios), 2048), (None, 4096)]);
        let efi = "label: gpt\ntype=C12A7328-F81F-11D2-BA4B-00A0C93EC93B\n";
        assert_eq!(partitions(&table(efi))[0].boot, Some(BootPartition::Efi));
        let without = "label: gpt\ntype=0FC63DAF-8483-4772-8E79-3D69D8477DE4\n";
        assert_eq!(bios_boot_sectors(&table(without)), None);
        assert_eq!(bios_boot_sectors(&table("label: dos\ntype=83\n")), None);
    }

    #[test]
    fn what_is_cut_or_lies_is_no_table() {
        let mut head = table("label: gpt\nsize=2048, type=21686148-6449-6E6F-744E-656564454649\n");
        assert_eq!(bios_boot_sectors(&head), Some(2048));
        assert_eq!(bios_boot_sectors(&head[..1000]), None);
        head[512 + 72..512 + 88].fill(0xff);
        assert_eq!(bios_boot_sectors(&head), None);
    }
}
