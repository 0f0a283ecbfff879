//! The sectors that a BIOS's boot loader lives in: the master boot record, and the disk's room for core
//! images. Written, flushed, and read back from the disk itself.

use std::fs::File;
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use anyhow::{bail, ensure, Context, Result};
use bootpath::grub::embed;
use bootpath::grub::embed::{EmbedError, Embedding};
use bootpath::room::{Kind, Room};
use storage::direct::Direct;
use storage::mbr::{MBR_SIZE, SIGNATURE_AT};

use crate::root::run_directory;
use crate::run::boot_path::{Beside, BootPath, Loader, OnDisk};
use crate::run::data::Start;

/// End of the partition table in the record.
const TABLE_END: usize = 0x1fe;

/// A disk that the root is on, opened for its boot sectors.
pub struct BootSectors {
    file: File,
    /// The same, to write to: what is beside those sectors is in no cache of theirs.
    direct: Direct,
    place: OnDisk,
    /// Sectors of a staged file, where the disk's own room holds one loader and no two.
    apart: Option<Range<u64>>,
}

impl BootSectors {
    /// Opens it. `apart` is a staged file with room for a loader, by the disk's sectors.
    pub fn open(place: OnDisk, apart: Option<Range<u64>>) -> Result<BootSectors> {
        let what = || format!("open disk {}", place.node.display());
        let file = File::open(&place.node).with_context(what)?;
        let direct = Direct::open_to_write(&place.node).with_context(what)?;
        Ok(BootSectors {
            file,
            direct,
            place,
            apart,
        })
    }

    /// The master boot record and the room for core images, from the disk itself.
    fn room(&self) -> Result<Room> {
        self.forget()?;
        Room::read(&self.file).context("read the disk's sectors for boot loaders")
    }

    /// The disk's own room, and a staged file with room for a loader, where there is one.
    fn rooms(&self) -> Result<(Room, Option<Room>)> {
        let own = self.room()?;
        let read = |sectors: &Range<u64>| -> Result<Room> {
            let mut bytes = vec![0; (sectors.end - sectors.start) as usize * MBR_SIZE];
            self.file
                .read_exact_at(&mut bytes, sectors.start * MBR_SIZE as u64)
                .context("read the staged file for a boot loader")?;
            Ok(Room {
                first: sectors.start,
                bytes,
                kind: Kind::Gap,
                record: own.record,
            })
        };
        let apart = self.apart.as_ref().map(read).transpose()?;
        Ok((own, apart))
    }

    /// The room that has this sector.
    fn room_of(&self, sector: u64) -> Result<Room> {
        let (own, apart) = self.rooms()?;
        let apart = apart.filter(|apart| apart.sectors().contains(&sector));
        Ok(apart.unwrap_or(own))
    }

    /// Writes, flushes, and reads from the disk itself.
    fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.direct
            .write(offset, bytes)
            .with_context(|| format!("write {} bytes at {offset}", bytes.len()))?;
        self.direct.flush().context("flush the disk")?;
        let found = self.direct.read(offset, bytes.len()).context("read back")?;
        ensure!(
            found == bytes,
            "the disk does not hold what was written to it at {offset}"
        );
        Ok(())
    }

    fn forget(&self) -> Result<()> {
        syscalls::block::forget_cached(self.file.as_fd()).context("drop the disk's cached sectors")
    }
}

impl BootPath for BootSectors {
    fn name(&self) -> String {
        format!("the master boot record of {}", self.place.node.display())
    }

    fn starts(&self, loader: &dyn Loader) -> Result<bool> {
        let core = loader.bios(self.place.disk)?.1;
        let (own, apart) = self.rooms()?;
        let mut rooms = [Some(own), apart].into_iter().flatten();
        Ok(rooms.any(|room| embed::is_in_use(&room, &core)))
    }

    fn ensure_room(&self, start: Start) -> Result<()> {
        let room = self.room()?;
        let has_room = match start {
            // How much of it the new OS's takes was asked before.
            _ if self.apart.is_some() => embed::room_alone(&room) > 0,
            Start::Fresh => embed::has_room(&room),
            Start::TakenUp => embed::has_room_for_one(&room),
        };
        ensure!(
            has_room,
            "the sectors for boot loaders have no room for a further one"
        );
        Ok(())
    }

    fn put_beside(&self, loader: &dyn Loader) -> Result<Beside> {
        let (boot, core) = loader.bios(self.place.disk)?;
        let (own, apart) = self.rooms()?;
        let (before, planned) = match (embed::plan(&own, &boot, &core), apart) {
            (Err(EmbedError::NoRoom { .. }), Some(apart)) => {
                let planned = embed::plan(&apart, &boot, &core);
                (apart, planned)
            }
            (planned, _) => (own.clone(), planned),
        };
        let embedding = planned.context("embed GRUB behind the master boot record")?;
        self.write(embedding.sector * MBR_SIZE as u64, &embedding.core)
            .context("write GRUB's core image")?;
        log::info!("loader: core image at sectors {:?}", embedding.sectors());
        Ok(Beside::Sectors {
            embedding: Box::new(embedding),
            before: Box::new(before),
            own: Box::new(own),
        })
    }

    fn switch(&self, beside: &Beside) -> Result<()> {
        let (plan, _) = sectors(beside)?;
        ensure!(
            embed::is_at(&self.room_of(plan.sector)?, plan.sector, &plan.core),
            "the core image at sector {} is not what was written there; the record is not switched",
            plan.sector
        );
        self.write(0, &plan.record)
            .context("switch the master boot record")
    }

    fn take_back(&self, beside: &Beside) -> Result<()> {
        let (plan, before) = sectors(beside)?;
        if self.room()?.record == plan.record {
            self.write(0, &before.record)
                .context("switch the master boot record back")?;
        }
        let what = "give the sectors of GRUB's core image back";
        let bytes = before.get(plan.sectors()).context(what)?;
        self.write(plan.sector * MBR_SIZE as u64, bytes)
            .context(what)
    }

    /// The record's code as it was, with the table as it is.
    fn switch_back(
        &self,
        loader: &dyn Loader,
        before: &dyn Fn(&str) -> Result<Vec<u8>>,
    ) -> Result<()> {
        if !self.starts(loader)? {
            return Ok(());
        }
        let image = before(&run_directory::boot_sectors(self.place.disk))?;
        let now = self.room()?;
        let record = record_before(&now, &image)?;
        self.write(0, &record)
            .context("switch the master boot record back")
    }

    fn record_name(&self) -> Option<String> {
        Some(run_directory::boot_sectors(self.place.disk))
    }

    /// From the record, as it will be, to the core image, byte for byte what GRUB's tool made but for
    /// the place it was put at.
    fn inspect(&self, beside: &Beside, loader: &dyn Loader) -> Result<()> {
        let (plan, _) = sectors(beside)?;
        let mut room = self.room_of(plan.sector)?;
        let table = SIGNATURE_AT..MBR_SIZE;
        ensure!(
            plan.record[table.clone()] == room.record[table],
            "the master boot record that was made has another partition table than the disk"
        );
        room.record = plan.record;
        ensure!(
            embed::is_in_use(&room, &loader.bios(self.place.disk)?.1),
            "the master boot record would not start the core image that was made"
        );
        Ok(())
    }

    fn tidy(&self) -> Result<()> {
        Ok(())
    }
}

/// The record that started what is in use no more, by the image of record and room as they were: its core image
/// has to be there still, byte for byte.
fn record_before(now: &Room, image: &[u8]) -> Result<[u8; MBR_SIZE]> {
    let table = SIGNATURE_AT..TABLE_END;
    let (record, bytes) = image
        .split_first_chunk::<MBR_SIZE>()
        .context("the boot sectors as they were have no record")?;
    let mut record = *record;
    record[table.clone()].copy_from_slice(&now.record[table]);
    let before = Room {
        record,
        bytes: bytes.to_vec(),
        ..now.clone()
    };
    let used = embed::sectors_in_use(&before);
    ensure!(
        !used.is_empty() && before.get(used.clone()) == now.get(used),
        "the boot loader that was there is not whole any more"
    );
    Ok(record)
}

fn sectors(beside: &Beside) -> Result<(&Embedding, &Room)> {
    match beside {
        Beside::Sectors {
            embedding, before, ..
        } => Ok((embedding, before)),
        Beside::File(_) => bail!("what is beside is no core image"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record that starts a core image of `sectors` sectors at `at`, and that image, in a room.
    fn put(room: &mut Room, at: u64, sectors: u16) {
        let core = (at - room.first) as usize * MBR_SIZE;
        room.bytes[core + 0x1fc..core + 0x1fe].copy_from_slice(&(sectors - 1).to_le_bytes());
        room.bytes[core + MBR_SIZE..core + 2 * MBR_SIZE].fill(at as u8);
        room.record[0x180..0x185].copy_from_slice(b"GRUB ");
        room.record[0x5c..0x64].copy_from_slice(&at.to_le_bytes());
    }

    #[test]
    fn going_back_takes_the_code_as_it_was_and_the_table_as_it_is() {
        let mut room = Room {
            record: [0; MBR_SIZE],
            kind: Kind::Gap,
            first: 1,
            bytes: vec![0; 100 * MBR_SIZE],
        };
        put(&mut room, 1, 10);
        room.record[SIGNATURE_AT..TABLE_END].fill(7);
        let image = room.image();
        put(&mut room, 20, 10);
        room.record[SIGNATURE_AT..TABLE_END].fill(8);
        let record = record_before(&room, &image).unwrap();
        assert_eq!(record[..SIGNATURE_AT], image[..SIGNATURE_AT]);
        assert!(record[SIGNATURE_AT..TABLE_END]
            .iter()
            .all(|&byte| byte == 8));
        // An update of the old OS has put another one there.
        room.bytes[MBR_SIZE] ^= 1;
        assert!(record_before(&room, &image).is_err());
        assert!(record_before(&room, &image[..100]).is_err());
        let nothing = vec![0; image.len()];
        assert!(record_before(&room, &nothing).is_err());
    }
}
