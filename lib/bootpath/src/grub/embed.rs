//! Where a core image goes in the room behind the master boot record, and what has to be patched
//! into it and into the record. Sectors are the disk's own, counted from its start.

use std::ops::Range;

use storage::mbr::{MBR_SIZE, SIGNATURE_AT};

use crate::room::{Kind, Room};

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
        "the core image takes {needed} sectors, but the {room} sectors that there are for boot loaders \
         have no free run of that length beside the loader in use (sectors {used:?})"
    )]
    NoRoom {
        /// Sectors of the core image.
        needed: u64,
        /// Sectors of the room.
        room: u64,
        /// Sectors of the loader in use.
        used: Range<u64>,
    },
}

/// The sectors that the loader in use occupies, if the record is GRUB's and starts one in this room.
pub fn sectors_in_use(room: &Room) -> Range<u64> {
    if !room.record.windows(5).any(|w| w == b"GRUB ") {
        return 0..0;
    }
    // Other loaders that call themselves GRUB have code where this one has the number.
    let start = u64_at(&room.record, KERNEL_SECTOR);
    let first = start.checked_add(1).and_then(|end| room.get(start..end));
    first.map_or(0..0, |first| start..start + core_sectors(first))
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
pub fn has_room(room: &Room) -> bool {
    let stage = free_run(room, &sectors_in_use(room), STAGE_SECTORS_MAX);
    stage.is_some_and(|start| {
        let stage = start..start + STAGE_SECTORS_MAX;
        free_run(room, &stage, CORE_SECTORS_MAX).is_some()
    })
}

/// Whether a core image of up to [`CORE_SECTORS_MAX`] sectors can be embedded beside the loader in
/// use.
pub fn has_room_for_one(room: &Room) -> bool {
    free_run(room, &sectors_in_use(room), CORE_SECTORS_MAX).is_some()
}

/// Sectors in a row that are free once the loader in use is needed no more, up to [`CORE_SECTORS_MAX`].
pub fn room_alone(room: &Room) -> u64 {
    let most = room.length().min(CORE_SECTORS_MAX);
    let fits = |&needed: &u64| free_run(room, &(0..0), needed).is_some();
    (1..=most).rev().find(fits).unwrap_or(0)
}

/// Whether the loader that the record starts is this core image, wherever it was put.
pub fn is_in_use(room: &Room, core: &[u8]) -> bool {
    let used = sectors_in_use(room);
    !used.is_empty() && is_at(room, used.start, core)
}

/// Whether this core image is in the room from `sector` on: the same bytes but for its own place.
pub fn is_at(room: &Room, sector: u64, core: &[u8]) -> bool {
    let core = whole_sectors(core);
    let Some(found) = room.get(sector..sector + (core.len() / SECTOR) as u64) else {
        return false;
    };
    let place = BLOCK_LIST..BLOCK_LIST + 8;
    core.len() > SECTOR
        && found[..place.start] == core[..place.start]
        && found[place.end..] == core[place.end..]
        && u64_at(found, BLOCK_LIST) == sector + 1
}

/// A core image as it is on a disk.
pub fn whole_sectors(core: &[u8]) -> Vec<u8> {
    let mut core = core.to_vec();
    core.resize(core.len().next_multiple_of(SECTOR), 0);
    core
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

impl Embedding {
    /// The sectors that the core image takes.
    pub fn sectors(&self) -> Range<u64> {
        self.sector..self.sector + (self.core.len() / SECTOR) as u64
    }
}

/// Plans the embedding of `boot` (boot.img) and `core` (from grub-mkimage) in a disk's room, as it is
/// now.
pub fn plan(room: &Room, boot: &[u8], core: &[u8]) -> Result<Embedding, EmbedError> {
    let boot: [u8; SECTOR] = boot
        .try_into()
        .map_err(|_| EmbedError::BootImage(format!("it has {} bytes", boot.len())))?;
    if boot[510..] != [0x55, 0xaa] {
        return Err(EmbedError::BootImage("it does not end in 55 aa".to_owned()));
    }
    let mut core = whole_sectors(core);
    let needed = (core.len() / SECTOR) as u64;
    check_core(&core, needed)?;

    let used = sectors_in_use(room);
    let sector = free_run(room, &used, needed).ok_or(EmbedError::NoRoom {
        needed,
        room: room.length(),
        used,
    })?;
    core[BLOCK_LIST..BLOCK_LIST + 8].copy_from_slice(&(sector + 1).to_le_bytes());

    let mut record = boot;
    record[BPB].copy_from_slice(&room.record[BPB]);
    record[SIGNATURE_AT..TABLE_END].copy_from_slice(&room.record[SIGNATURE_AT..TABLE_END]);
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

/// The first run of `needed` sectors that is free beside the loader in use.
fn free_run(room: &Room, used: &Range<u64>, needed: u64) -> Option<u64> {
    let all = room.sectors();
    let fits = |&start: &u64| {
        let run = start..start + needed;
        run.end <= all.end && (run.end <= used.start || run.start >= used.end || used.is_empty())
    };
    all.clone()
        .filter(fits)
        .find(|&start| is_free(room, used, start..start + needed))
}

/// Where nothing but zeros is, or else where another run's core image was: other things in a gap are
/// not ours. A BIOS boot partition has nothing else but a loader and what former ones left, so what the
/// one in use does not take is free; which that is, has to be known.
fn is_free(room: &Room, used: &Range<u64>, run: Range<u64>) -> bool {
    if room.kind == Kind::BiosBoot && !used.is_empty() {
        return true;
    }
    let Some(first) = room.get(run.start..run.start + 1) else {
        return false;
    };
    // diskboot's message is in its first sector.
    let was_core =
        u16_at(first, BLOCK_LIST + 10) == LOAD_SEGMENT && first.windows(7).any(|w| w == b"loading");
    let known = if was_core { core_sectors(first) } else { 0 };
    let rest = (run.start + known).min(run.end)..run.end;
    room.get(rest)
        .is_some_and(|rest| rest.iter().all(|&b| b == 0))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    (0..8).fold(0, |n, i| n | u64::from(bytes[at + i]) << (8 * i))
}

/// A room of this many sectors with nothing in it, to try in.
pub fn empty_room(sectors: usize) -> Room {
    Room {
        record: [0; MBR_SIZE],
        kind: Kind::Gap,
        first: 1,
        bytes: vec![0; sectors * SECTOR],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: usize = 2047;

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

    fn room(kind: Kind, first: u64, sectors: usize) -> Room {
        let mut record = [0; SECTOR];
        record[SIGNATURE_AT..TABLE_END].fill(0x77);
        record[510..512].copy_from_slice(&[0x55, 0xaa]);
        Room {
            record,
            kind,
            first,
            bytes: vec![0; sectors * SECTOR],
        }
    }

    fn disk() -> Room {
        room(Kind::Gap, 1, GAP)
    }

    /// The bytes of a room from a sector of the disk on.
    fn from(room: &mut Room, sector: u64) -> &mut [u8] {
        &mut room.bytes[(sector - room.first) as usize * SECTOR..]
    }

    fn write_core(room: &mut Room, e: &Embedding) {
        from(room, e.sector)[..e.core.len()].copy_from_slice(&e.core);
    }

    fn apply(room: &mut Room, e: &Embedding) {
        write_core(room, e);
        room.record = e.record;
    }

    #[test]
    fn a_second_loader_goes_beside_the_first_and_a_third_where_the_first_was() {
        let mut gap = disk();
        let first = plan(&gap, &boot(), &core(60)).unwrap();
        assert_eq!(first.sector, 1);
        assert_eq!(
            first.record[SIGNATURE_AT..TABLE_END],
            gap.record[SIGNATURE_AT..TABLE_END]
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
        from(&mut gap, 5)[0] = 1;
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
        from(&mut gap, 81 + STAGE_SECTORS_MAX).fill(1);
        // The loader that is in use now makes room for the last one, but is too short for it.
        assert!(!has_room(&gap) && has_room_for_one(&gap));
        from(&mut gap, 81).fill(1);
        assert!(!has_room(&gap) && !has_room_for_one(&gap));
    }

    #[test]
    fn a_gap_of_62_sectors_does_not_hold_two() {
        let mut gap = room(Kind::Gap, 1, 62);
        let first = plan(&gap, &boot(), &core(40)).unwrap();
        apply(&mut gap, &first);
        assert!(matches!(
            plan(&gap, &boot(), &core(40)),
            Err(EmbedError::NoRoom {
                needed: 40,
                room: 62,
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
        write_core(&mut gap, &second);
        assert!(is_at(&gap, second.sector, &second.core) && !is_in_use(&gap, &second.core));
        assert!(is_in_use(&gap, &first.core));
        gap.record = second.record;
        assert!(is_in_use(&gap, &second.core) && !is_in_use(&gap, &first.core));
        from(&mut gap, second.sector)[5000] ^= 1;
        assert!(!is_in_use(&gap, &second.core));
        assert!(!is_at(&gap, 5000, &second.core) && !is_at(&gap, 1, &[]));
    }

    #[test]
    fn nonsense_in_the_record_does_no_harm() {
        assert_eq!(sectors_in_use(&room(Kind::Gap, 1, 0)), 0..0);
        let mut gap = disk();
        gap.record.copy_from_slice(&boot());
        for number in [0x11, 0xff] {
            gap.record[KERNEL_SECTOR..KERNEL_SECTOR + 8].fill(number);
            assert_eq!(sectors_in_use(&gap), 0..0);
        }
    }

    /// What grub-install leaves there is longer than the core image: codes that mend it follow, and the
    /// block list has them. What an earlier, longer one left lies behind.
    #[test]
    fn all_of_a_bios_boot_partition_is_free_but_for_the_loader_in_use() {
        let mut partition = room(Kind::BiosBoot, 4096, 2048);
        partition.bytes.fill(0x5a);
        assert!(!has_room(&partition), "whose that is nobody knows");
        partition.bytes[200 * SECTOR..].fill(0);
        let old = plan(&partition, &boot(), &core(120)).unwrap();
        assert_eq!((old.sector, u64_at(&old.core, BLOCK_LIST)), (4296, 4297));
        apply(&mut partition, &old);
        partition.bytes[320 * SECTOR..].fill(0x5a);
        assert_eq!(sectors_in_use(&partition), 4296..4416);
        assert!(has_room(&partition) && has_room_for_one(&partition));
        let stage = plan(&partition, &boot(), &core(260)).unwrap();
        assert_eq!(stage.sector, 4416);
        apply(&mut partition, &stage);
        let new = plan(&partition, &boot(), &core(80)).unwrap();
        assert_eq!(new.sector, 4096);
        write_core(&mut partition, &new);
        assert!(is_at(&partition, 4096, &new.core) && is_in_use(&partition, &stage.core));
    }

    #[test]
    fn a_small_bios_boot_partition_does_not_hold_them() {
        let mut partition = room(Kind::BiosBoot, 34, 600);
        let old = plan(&partition, &boot(), &core(120)).unwrap();
        apply(&mut partition, &old);
        assert!(!has_room(&partition) && has_room_for_one(&partition));
    }
}
