//! The master boot record of a PC: boot code, disk signature, four primary partitions.

/// Bytes of the record, one sector.
pub const MBR_SIZE: usize = 512;
/// Where the boot code ends and the disk signature begins.
pub const SIGNATURE_AT: usize = 0x1b8;
const TABLE_AT: usize = 0x1be;
/// Partitions that the record itself has.
const PRIMARY_MAX: u32 = 4;

/// A primary partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// From 1 to 4.
    pub number: u32,
    /// The type byte.
    pub kind: u8,
    /// First sector.
    pub start: u64,
    /// Sectors.
    pub sectors: u64,
}

/// What a master boot record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mbr {
    /// The disk's signature.
    pub signature: u32,
    /// The primary partitions that are in use.
    pub partitions: Vec<Partition>,
    /// First sector of the active one, which a plain record starts.
    pub active_start: Option<u64>,
}

/// Reads a master boot record; `None` without the boot mark 55 aa.
pub fn parse(sector: &[u8]) -> Option<Mbr> {
    let sector = sector.get(..MBR_SIZE)?;
    if sector[510..] != [0x55, 0xaa] {
        return None;
    }
    let u32_at = |at: usize| {
        u32::from_le_bytes([sector[at], sector[at + 1], sector[at + 2], sector[at + 3]])
    };
    let active = (0..4)
        .map(|i| TABLE_AT + 16 * i)
        .find(|&at| sector[at] == 0x80);
    let partitions = (0..PRIMARY_MAX as usize)
        .map(|i| {
            let at = TABLE_AT + 16 * i;
            Partition {
                number: i as u32 + 1,
                kind: sector[at + 4],
                start: u64::from(u32_at(at + 8)),
                sectors: u64::from(u32_at(at + 12)),
            }
        })
        .filter(|p| p.kind != 0)
        .collect();
    Some(Mbr {
        signature: u32_at(SIGNATURE_AT),
        partitions,
        active_start: active.map(|at| u64::from(u32_at(at + 8))),
    })
}

impl Mbr {
    /// The record only guards a GUID partition table.
    pub fn is_protective(&self) -> bool {
        self.partitions.iter().any(|p| p.kind == 0xee)
    }

    /// Sectors between this record and the first partition; they belong to the boot loader.
    pub fn gap_sectors(&self) -> u64 {
        let first = self.partitions.iter().map(|p| p.start).min().unwrap_or(1);
        first.saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sector(entries: &[(usize, u8, u32, u32)]) -> Vec<u8> {
        let mut bytes = vec![0; MBR_SIZE];
        bytes[SIGNATURE_AT..SIGNATURE_AT + 4].copy_from_slice(&0xdead_beef_u32.to_le_bytes());
        for (slot, kind, start, sectors) in entries {
            let at = TABLE_AT + 16 * slot;
            bytes[at + 4] = *kind;
            bytes[at + 8..at + 12].copy_from_slice(&start.to_le_bytes());
            bytes[at + 12..at + 16].copy_from_slice(&sectors.to_le_bytes());
        }
        bytes[510..].copy_from_slice(&[0x55, 0xaa]);
        bytes
    }

    #[test]
    fn reads_partitions_and_gap() {
        let mbr = parse(&sector(&[(0, 0x83, 2048, 1000), (2, 0x82, 63, 10)])).unwrap();
        assert_eq!(mbr.signature, 0xdead_beef);
        assert_eq!(mbr.partitions.len(), 2);
        assert_eq!(mbr.partitions[1].number, 3);
        assert_eq!(mbr.gap_sectors(), 62);
        assert!(!mbr.is_protective());
    }

    #[test]
    fn knows_what_it_is_not() {
        assert_eq!(parse(&[0; 512]), None);
        assert_eq!(parse(&[0; 100]), None);
        assert!(parse(&sector(&[(0, 0xee, 1, 99)])).unwrap().is_protective());
        assert_eq!(parse(&sector(&[])).unwrap().gap_sectors(), 0);
    }
}
