//! Where a core image goes in the gap behind the master boot record, and what has to be patched
//! into it and into the record.

use std::ops::Range;

use storage::mbr::{MBR_SIZE, SIGNATURE_AT};

const SECTOR: usize = 512;
/// The BIOS parameter block in boot.img; it belongs to the disk, not to the loader.
const BPB: Range<usize> = 0x03..0x5a;
/// First sector of the core image, u64.
const KERNEL_SECTOR: usize = 0x5c;
/// A jump that trusts the BIOS about the boot drive; two NOPs make it check (for BIOSes that pass
/// 0 for a hard disk).
const DRIVE_CHECK: usize = 0x66;
/// End of what belongs to the disk: signature and partition table.
const TABLE_END: usize = 0x1fe;
/// The last block list entry of diskboot: start u64, sectors u16, segment u16.
const BLOCK_LIST: usize = 0x1f4;
/// Where the core image's second sector is loaded, as a real-mode segment.
const LOAD_SEGMENT: u16 = 0x820;

/// Why a loader cannot be embedded.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EmbedError {
    /// boot.img is not one sector that ends in the boot mark.
    #[error("boot.img is not a boot sector: {0}")]
    BootImage(String),
    /// The core image does not begin with diskboot.
    #[error("the core image is not one for a PC's disk: {0}")]
    CoreImage(String),
    /// It does not fit beside the loader that is in use.
    #[error(
        "the core image takes {needed} sectors, but the gap of {gap} sectors behind the master boot record \
         has no free run of that length beside the loader in use (sectors {used:?})"
    )]
    NoRoom {
        /// Sectors of the core image.
        needed: u64,
        /// Sectors of the gap.
        gap: u64,
        /// Sectors of the loader in use.
        used: Range<u64>,
    },
}

/// The sectors that the loader in use occupies behind the record, if the record is GRUB's.
///
/// `gap` holds the disk's first sectors, the record included.
pub fn sectors_in_use(gap: &[u8]) -> Range<u64> {
    let none = 0..0;
    let Some(record) = gap.get(..MBR_SIZE) else {
        return none;
    };
    if !record.windows(5).any(|w| w == b"GRUB ") {
        return none;
    }
    let start = u64_at(record, KERNEL_SECTOR);
    // Other loaders that call themselves GRUB have code where this one has the number.
    let sectors = (gap.len() / SECTOR) as u64;
    if start == 0 || start >= sectors {
        return none;
    }
    let first = &gap[start as usize * SECTOR..(start as usize + 1) * SECTOR];
    start..start + core_sectors(first)
}

/// Sectors that a core image takes, by its first sector.
fn core_sectors(first: &[u8]) -> u64 {
    1 + u64::from(u16_at(first, BLOCK_LIST + 8))
}

/// Sectors that a core image takes at the most; those of GRUB 2.02 to 2.12 with what is needed to
/// read ext4 take about 60.
pub const CORE_SECTORS_MAX: u64 = 160;

/// Sectors that the core image for the staged image takes at the most. It has GRUB's script
/// interpreter in it, since it cannot load anything from the filesystem; that of 2.06 takes 260.
pub const STAGE_SECTORS_MAX: u64 = 384;

/// Whether there is room for all of a run: for the staged image's core beside the loader in use, and
/// then for the new OS's beside the staged image's. Asked before anything is changed.
pub fn has_room(gap: &[u8]) -> bool {
    let end = (gap.len() / SECTOR) as u64;
    let stage = free_run(gap, &sectors_in_use(gap), STAGE_SECTORS_MAX, end);
    stage.is_some_and(|start| {
        let stage = start..start + STAGE_SECTORS_MAX;
        free_run(gap, &stage, CORE_SECTORS_MAX, end).is_some()
    })
}

/// Whether a core image of up to [`CORE_SECTORS_MAX`] sectors can be embedded beside the loader in
/// use.
pub fn has_room_for_one(gap: &[u8]) -> bool {
    let end = (gap.len() / SECTOR) as u64;
    free_run(gap, &sectors_in_use(gap), CORE_SECTORS_MAX, end).is_some()
}

/// Whether the loader that the record starts is this core image, wherever it was put.
pub fn is_in_use(gap: &[u8], core: &[u8]) -> bool {
    let used = sectors_in_use(gap);
    !used.is_empty() && is_at(gap, used.start, core)
}

/// Whether this core image is in the gap from `sector` on: the same bytes but for its own place.
pub fn is_at(gap: &[u8], sector: u64, core: &[u8]) -> bool {
    let start = sector as usize * SECTOR;
    let Some(found) = gap.get(start..start + core.len()) else {
        return false;
    };
    let place = BLOCK_LIST..BLOCK_LIST + 8;
    core.len() > SECTOR
        && found[..place.start] == core[..place.start]
        && found[place.end..] == core[place.end..]
        && u64_at(found, BLOCK_LIST) == sector + 1
}

/// What to write, in this order: the core image at its sector, then the record at sector 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Embedding {
    /// First sector of the core image.
    pub sector: u64,
    /// The core image, a whole number of sectors.
    pub core: Vec<u8>,
    /// The master boot record.
    pub record: [u8; MBR_SIZE],
}

/// Plans the embedding of `boot` (boot.img) and `core` (from grub-mkimage).
///
/// `gap` holds the disk's sectors from 0 to the first partition, as they are now.
pub fn plan(gap: &[u8], boot: &[u8], core: &[u8]) -> Result<Embedding, EmbedError> {
    let boot: [u8; SECTOR] = boot
        .try_into()
        .map_err(|_| EmbedError::BootImage(format!("it has {} bytes", boot.len())))?;
    if boot[510..] != [0x55, 0xaa] {
        return Err(EmbedError::BootImage("it does not end in 55 aa".to_owned()));
    }
    let mut core = core.to_vec();
    core.resize(core.len().next_multiple_of(SECTOR), 0);
    let needed = (core.len() / SECTOR) as u64;
    check_core(&core, needed)?;

    let used = sectors_in_use(gap);
    let end = (gap.len() / SECTOR) as u64;
    let sector = free_run(gap, &used, needed, end).ok_or(EmbedError::NoRoom {
        needed,
        gap: end.saturating_sub(1),
        used,
    })?;
    core[BLOCK_LIST..BLOCK_LIST + 8].copy_from_slice(&(sector + 1).to_le_bytes());

    let mut record = boot;
    record[BPB].copy_from_slice(&gap[BPB]);
    record[SIGNATURE_AT..TABLE_END].copy_from_slice(&gap[SIGNATURE_AT..TABLE_END]);
    record[KERNEL_SECTOR..KERNEL_SECTOR + 8].copy_from_slice(&sector.to_le_bytes());
    record[DRIVE_CHECK..DRIVE_CHECK + 2].copy_from_slice(&[0x90, 0x90]);
    Ok(Embedding {
        sector,
        core,
        record,
    })
}

fn check_core(core: &[u8], sectors: u64) -> Result<(), EmbedError> {
    if sectors < 2 {
        return Err(EmbedError::CoreImage(format!("it has {sectors} sectors")));
    }
    let (length, segment) = (u16_at(core, BLOCK_LIST + 8), u16_at(core, BLOCK_LIST + 10));
    if u64::from(length) != sectors - 1 || segment != LOAD_SEGMENT {
        return Err(EmbedError::CoreImage(format!(
            "its block list tells of {length} sectors at segment {segment:#x}, expected {} at {LOAD_SEGMENT:#x}",
            sectors - 1
        )));
    }
    Ok(())
}

/// The first run of `needed` sectors that the loader in use does not occupy and where nothing but
/// zeros is, or else where another run's core image was. Other things in the gap are not ours.
fn free_run(gap: &[u8], used: &Range<u64>, needed: u64, end: u64) -> Option<u64> {
    let fits = |&start: &u64| {
        let run = start..start + needed;
        run.end <= end && (run.end <= used.start || run.start >= used.end || used.is_empty())
    };
    (1..end)
        .filter(fits)
        .find(|&start| is_free(gap, start..start + needed))
}

/// Nothing but zeros, behind what a core image of an earlier installation took, if one begins here.
fn is_free(gap: &[u8], run: Range<u64>) -> bool {
    let first = &gap[run.start as usize * SECTOR..(run.start as usize + 1) * SECTOR];
    // diskboot's message is in its first sector.
    let was_core =
        u16_at(first, BLOCK_LIST + 10) == LOAD_SEGMENT && first.windows(7).any(|w| w == b"loading");
    let known = if was_core { core_sectors(first) } else { 0 };
    let rest = (run.start + known).min(run.end)..run.end;
    gap[rest.start as usize * SECTOR..rest.end as usize * SECTOR]
        .iter()
        .all(|&b| b == 0)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    (0..8).fold(0, |n, i| n | u64::from(bytes[at + i]) << (8 * i))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: usize = 2048;

    fn boot() -> Vec<u8> {
        let mut b = vec![0xb0; SECTOR];
        b[0x180..0x185].copy_from_slice(b"GRUB ");
        b[510..].copy_from_slice(&[0x55, 0xaa]);
        b
    }

    fn core(sectors: usize) -> Vec<u8> {
        let mut c = vec![0xc0; sectors * SECTOR - 100];
        c[0x150..0x157].copy_from_slice(b"loading");
        c[BLOCK_LIST..BLOCK_LIST + 8].copy_from_slice(&1_u64.to_le_bytes());
        c[BLOCK_LIST + 8..BLOCK_LIST + 10].copy_from_slice(&(sectors as u16 - 1).to_le_bytes());
        c[BLOCK_LIST + 10..BLOCK_LIST + 12].copy_from_slice(&LOAD_SEGMENT.to_le_bytes());
        c
    }

    fn disk() -> Vec<u8> {
        let mut gap = vec![0; GAP * SECTOR];
        gap[SIGNATURE_AT..TABLE_END].fill(0x77);
        gap[510..512].copy_from_slice(&[0x55, 0xaa]);
        gap
    }

    fn apply(gap: &mut [u8], e: &Embedding) {
        let at = e.sector as usize * SECTOR;
        gap[at..at + e.core.len()].copy_from_slice(&e.core);
        gap[..SECTOR].copy_from_slice(&e.record);
    }

    #[test]
    fn a_second_loader_goes_beside_the_first_and_a_third_where_the_first_was() {
        let mut gap = disk();
        let first = plan(&gap, &boot(), &core(60)).unwrap();
        assert_eq!(first.sector, 1);
        assert_eq!(
            first.record[SIGNATURE_AT..TABLE_END],
            gap[SIGNATURE_AT..TABLE_END]
        );
        assert_eq!(u64_at(&first.core, BLOCK_LIST), 2);
        apply(&mut gap, &first);
        assert_eq!(sectors_in_use(&gap), 1..61);
        let second = plan(&gap, &boot(), &core(70)).unwrap();
        assert_eq!(second.sector, 61);
        apply(&mut gap, &second);
        assert_eq!(sectors_in_use(&gap), 61..131);
        assert_eq!(plan(&gap, &boot(), &core(55)).unwrap().sector, 1);
    }

    #[test]
    fn strangers_in_the_gap_are_left_alone() {
        let mut gap = disk();
        gap[5 * SECTOR] = 1;
        assert_eq!(plan(&gap, &boot(), &core(10)).unwrap().sector, 6);
    }

    #[test]
    fn what_lies_behind_a_shorter_former_core_is_left_alone() {
        let mut gap = disk();
        let first = plan(&gap, &boot(), &core(40)).unwrap();
        apply(&mut gap, &first);
        let second = plan(&gap, &boot(), &core(40)).unwrap();
        apply(&mut gap, &second);
        assert_eq!(second.sector, 41);
        assert_eq!(plan(&gap, &boot(), &core(30)).unwrap().sector, 1);
        // 45 sectors do not fit into the 40 between the record and the loader in use.
        assert_eq!(plan(&gap, &boot(), &core(45)).unwrap().sector, 81);
        assert!(has_room(&gap) && has_room_for_one(&gap));
        let behind = 81 + STAGE_SECTORS_MAX as usize;
        gap[behind * SECTOR..].fill(1);
        // The loader that is in use now makes room for the last one, but is too short for it.
        assert!(!has_room(&gap) && has_room_for_one(&gap));
        gap[81 * SECTOR..].fill(1);
        assert!(!has_room(&gap) && !has_room_for_one(&gap));
    }

    #[test]
    fn a_gap_of_62_sectors_does_not_hold_two() {
        let mut gap = disk()[..63 * SECTOR].to_vec();
        let first = plan(&gap, &boot(), &core(40)).unwrap();
        apply(&mut gap, &first);
        assert!(matches!(
            plan(&gap, &boot(), &core(40)),
            Err(EmbedError::NoRoom {
                needed: 40,
                gap: 62,
                ..
            })
        ));
    }

    #[test]
    fn images_of_another_kind_are_refused() {
        let mut wrong = core(10);
        wrong[BLOCK_LIST + 8] = 3;
        assert!(matches!(
            plan(&disk(), &boot(), &wrong),
            Err(EmbedError::CoreImage(_))
        ));
        assert!(matches!(
            plan(&disk(), &boot(), &[]),
            Err(EmbedError::CoreImage(_))
        ));
        assert!(matches!(
            plan(&disk(), &[0; 512], &core(10)),
            Err(EmbedError::BootImage(_))
        ));
        assert!(matches!(
            plan(&disk(), &[0; 7], &core(10)),
            Err(EmbedError::BootImage(_))
        ));
    }

    #[test]
    fn a_core_image_is_known_again_where_it_was_put() {
        let mut gap = disk();
        let first = plan(&gap, &boot(), &core(60)).unwrap();
        apply(&mut gap, &first);
        let second = plan(&gap, &boot(), &core(70)).unwrap();
        let at = second.sector as usize * SECTOR;
        gap[at..at + second.core.len()].copy_from_slice(&second.core);
        assert!(is_at(&gap, second.sector, &second.core) && !is_in_use(&gap, &second.core));
        assert!(is_in_use(&gap, &first.core));
        gap[..SECTOR].copy_from_slice(&second.record);
        assert!(is_in_use(&gap, &second.core) && !is_in_use(&gap, &first.core));
        gap[at + 5000] ^= 1;
        assert!(!is_in_use(&gap, &second.core));
        assert!(!is_at(&gap, 5000, &second.core) && !is_at(&gap, 1, &[]));
    }

    #[test]
    fn nonsense_in_the_record_does_no_harm() {
        assert_eq!(sectors_in_use(&[]), 0..0);
        let mut gap = disk();
        gap[..SECTOR].copy_from_slice(&boot());
        gap[KERNEL_SECTOR..KERNEL_SECTOR + 8].fill(0x11);
        assert_eq!(sectors_in_use(&gap), 0..0);
    }
}
