//! The sectors that a BIOS's boot loader lives in: the master boot record, and the disk's room for core
//! images. Written, flushed, and read back from the disk itself.

use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use anyhow::{bail, ensure, Context, Result};
use bootpath::grub::embed;
use bootpath::grub::embed::Embedding;
use bootpath::room::Room;
use storage::mbr::{MBR_SIZE, SIGNATURE_AT};

use crate::run::boot_path::{Beside, BootPath, Loader};
use crate::run::data::{MountedRoot, Start};

/// The disk that the root is on, opened for its boot sectors.
pub struct BootSectors {
    file: File,
}

impl BootSectors {
    /// Opens it.
    pub fn open(root: &MountedRoot) -> Result<BootSectors> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&root.disk)
            .with_context(|| format!("open disk {}", root.disk.display()))?;
        Ok(BootSectors { file })
    }

    /// The master boot record and the room for core images, from the disk itself.
    fn room(&self) -> Result<Room> {
        self.forget()?;
        Room::read(&self.file).context("read the disk's sectors for boot loaders")
    }

    /// Writes, flushes, forgets what is cached, and reads from the disk itself.
    fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all_at(bytes, offset)
            .with_context(|| format!("write {} bytes at {offset}", bytes.len()))?;
        self.file.sync_all().context("flush the disk")?;
        self.forget()?;
        let mut found = vec![0; bytes.len()];
        self.file
            .read_exact_at(&mut found, offset)
            .context("read back")?;
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
        "the master boot record".to_owned()
    }

    fn starts(&self, loader: &dyn Loader) -> Result<bool> {
        Ok(embed::is_in_use(&self.room()?, &loader.bios()?.1))
    }

    fn ensure_room(&self, start: Start) -> Result<()> {
        let room = self.room()?;
        let has_room = match start {
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
        let (boot, core) = loader.bios()?;
        let before = self.room()?;
        let embedding = embed::plan(&before, &boot, &core)
            .context("embed GRUB behind the master boot record")?;
        self.write(embedding.sector * MBR_SIZE as u64, &embedding.core)
            .context("write GRUB's core image")?;
        log::info!("loader: core image at sectors {:?}", embedding.sectors());
        Ok(Beside::Sectors(Box::new(embedding), Box::new(before)))
    }

    fn switch(&self, beside: &Beside) -> Result<()> {
        let (plan, _) = sectors(beside)?;
        ensure!(
            embed::is_at(&self.room()?, plan.sector, &plan.core),
            "the core image at sector {} is not what was written there; the record is not switched",
            plan.sector
        );
        self.write(0, &plan.record)
            .context("switch the master boot record")
    }

    fn take_back(&self, beside: &Beside) -> Result<()> {
        let (plan, before) = sectors(beside)?;
        let what = "give the sectors of GRUB's core image back";
        let bytes = before.get(plan.sectors()).context(what)?;
        self.write(plan.sector * MBR_SIZE as u64, bytes)
            .context(what)
    }

    /// From the record, as it will be, to the core image, byte for byte what GRUB's tool made but for
    /// the place it was put at.
    fn inspect(&self, beside: &Beside, loader: &dyn Loader) -> Result<()> {
        let (plan, _) = sectors(beside)?;
        let mut room = self.room()?;
        let table = SIGNATURE_AT..MBR_SIZE;
        ensure!(
            plan.record[table.clone()] == room.record[table],
            "the master boot record that was made has another partition table than the disk"
        );
        room.record = plan.record;
        ensure!(
            embed::is_in_use(&room, &loader.bios()?.1),
            "the master boot record would not start the core image that was made"
        );
        Ok(())
    }

    fn tidy(&self) -> Result<()> {
        Ok(())
    }
}

fn sectors(beside: &Beside) -> Result<(&Embedding, &Room)> {
    match beside {
        Beside::Sectors(embedding, before) => Ok((embedding, before)),
        Beside::File(_) => bail!("what is beside is no core image"),
    }
}
