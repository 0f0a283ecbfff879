//! The room that a disk has for a PC's boot loader: the gap between the master boot record and the
//! first partition, or, behind a GUID partition table, the BIOS boot partition, wherever it lies. The
//! record is in sector 0 in both cases, and names the sector where the loader's core image begins.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use storage::mbr::MBR_SIZE;
use storage::{gpt, mbr};

/// At most this much of it is looked at, in sectors: partitions begin at sector 63 or 2048, and BIOS
/// boot partitions have 2048 to 8192 sectors, at whose start GRUB puts itself.
const SECTORS_MAX: u64 = 4096;

/// What the room is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Sectors that no partition has. GRUB shares them with whoever else uses them.
    Gap,
    /// A partition that is there for a boot loader alone.
    BiosBoot,
}

/// A disk's first sector and the room that its loader may lie in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// Sector 0: boot code, disk signature, partition table.
    pub record: [u8; MBR_SIZE],
    /// What it is.
    pub kind: Kind,
    /// Its first sector on the disk.
    pub first: u64,
    /// What is in it, a whole number of sectors.
    pub bytes: Vec<u8>,
}

/// Where the room is, by the disk's tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What it is.
    pub kind: Kind,
    /// The sectors of it.
    pub sectors: Range<u64>,
}

impl Place {
    /// Finds it in the first bytes of a disk. `None` where there is none: no master boot record, or a
    /// GUID partition table without a BIOS boot partition.
    pub fn of(head: &[u8]) -> Option<Place> {
        let record = mbr::parse(head)?;
        let (kind, sectors) = if record.is_protective() {
            let boot = gpt::bios_boot(head)?;
            let end = boot.start.checked_add(boot.sectors)?;
            (Kind::BiosBoot, boot.start..end)
        } else {
            (Kind::Gap, 1..record.gap_sectors() + 1)
        };
        // A table that has it at the record lies.
        (sectors.start > 0).then_some(Place { kind, sectors })
    }

    /// How many sectors it has.
    pub fn length(&self) -> u64 {
        self.sectors.end - self.sectors.start
    }
}

impl Room {
    /// Reads it. A disk without any is an error of kind `InvalidData`.
    pub fn read(disk: &File) -> io::Result<Room> {
        let mut head = vec![0; gpt::HEAD];
        disk.read_exact_at(&mut head, 0)?;
        let place = Place::of(&head).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "the disk has no room for a boot loader: neither a master boot record of its own, nor a \
                 BIOS boot partition",
            )
        })?;
        let sectors = place.length().min(SECTORS_MAX);
        let mut bytes = vec![0; sectors as usize * MBR_SIZE];
        disk.read_exact_at(&mut bytes, place.sectors.start * MBR_SIZE as u64)?;
        let mut record = [0; MBR_SIZE];
        record.copy_from_slice(&head[..MBR_SIZE]);
        Ok(Room {
            record,
            kind: place.kind,
            first: place.sectors.start,
            bytes,
        })
    }

    /// The disk's sectors that are in it.
    pub fn sectors(&self) -> Range<u64> {
        self.first..self.first + self.length()
    }

    /// How many sectors it has.
    pub fn length(&self) -> u64 {
        (self.bytes.len() / MBR_SIZE) as u64
    }

    /// Record and room, one behind the other, for people.
    pub fn image(&self) -> Vec<u8> {
        [&self.record, &self.bytes[..]].concat()
    }

    /// The bytes of these sectors of the disk; `None` where one of them is outside.
    pub fn get(&self, sectors: Range<u64>) -> Option<&[u8]> {
        let at = |sector: u64| {
            let from_start = usize::try_from(sector.checked_sub(self.first)?).ok()?;
            from_start.checked_mul(MBR_SIZE)
        };
        self.bytes.get(at(sectors.start)?..at(sectors.end)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with a table that sfdisk writes.
    fn disk(script: &str) -> File {
        let disk = tempfile::tempfile().unwrap();
        disk.write_all_at(&fixtures::disk::partitioned(script), 0)
            .unwrap();
        disk
    }

    #[test]
    fn every_table_has_its_room_where_grub_takes_it() {
        const BIOS: &str = "type=21686148-6449-6E6F-744E-656564454649";
        for (script, kind, sectors) in [
            ("label: dos\nstart=2048, type=83\n", Kind::Gap, 1..2048),
            ("label: dos\nstart=63, type=83\n", Kind::Gap, 1..63),
            // The root on a logical partition: what counts is where the extended one begins.
            (
                "label: dos\nstart=4000, size=8000, type=5\nstart=4100, type=83\n",
                Kind::Gap,
                1..4000,
            ),
            (
                &format!("label: gpt\n1: start=8192, type=L\n14: start=2048, size=6144, {BIOS}\n"),
                Kind::BiosBoot,
                2048..6144,
            ),
            // Behind the root, and small.
            (
                &format!(
                    "label: gpt\nstart=2048, size=4096, type=L\nstart=8192, size=100, {BIOS}\n"
                ),
                Kind::BiosBoot,
                8192..8292,
            ),
        ] {
            let disk = disk(script);
            let marks: Vec<u64> = vec![sectors.start, sectors.end - 1];
            for mark in &marks {
                let at = mark * MBR_SIZE as u64;
                disk.write_all_at(&mark.to_le_bytes(), at).unwrap();
            }
            let room = Room::read(&disk).unwrap();
            assert_eq!((room.kind, room.sectors()), (kind, sectors), "{script}");
            for mark in marks {
                let bytes = room.get(mark..mark + 1).unwrap();
                assert_eq!(bytes[..8], mark.to_le_bytes(), "{script}");
            }
            let end = room.sectors().end;
            assert_eq!(room.get(end..end + 1), None);
            assert_eq!(room.get(0..1), None);
        }
    }

    #[test]
    fn a_disk_without_room_says_so() {
        let gpt = disk("label: gpt\nstart=2048, type=L\n");
        let without = Room::read(&gpt).unwrap_err();
        assert_eq!(without.kind(), io::ErrorKind::InvalidData);
        let empty = tempfile::tempfile().unwrap();
        empty.set_len(64 << 20).unwrap();
        let without = Room::read(&empty).unwrap_err();
        assert_eq!(without.kind(), io::ErrorKind::InvalidData);
    }
}
