//! The sectors that a boot loader lives in: the master boot record, and the disk's room for core
//! images. Written, flushed, and read back from the disk itself.

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{ensure, Context, Result};
use bootpath::grub::embed;
use bootpath::grub::embed::Embedding;
use bootpath::room::Room;
use storage::mbr::MBR_SIZE;

use crate::run::data::MountedRoot;

/// The staged image's loader, in the initramfs.
const LOADER: &str = "/loader";

/// The core image for the staged image, with a placeholder for its commands.
pub fn stage_core() -> Result<Vec<u8>> {
    read_loader("stage.img")
}

/// GRUB's boot sector for it.
pub fn stage_boot() -> Result<Vec<u8>> {
    read_loader("boot.img")
}

fn read_loader(name: &str) -> Result<Vec<u8>> {
    let path = Path::new(LOADER).join(name);
    fs::read(&path).with_context(|| format!("read {}", path.display()))
}

/// The disk that the root is on, opened for its boot sectors.
pub struct Disk {
    file: File,
}

impl Disk {
    /// Opens it.
    pub fn open(root: &MountedRoot) -> Result<Disk> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&root.disk)
            .with_context(|| format!("open disk {}", root.disk.display()))?;
        Ok(Disk { file })
    }

    /// The master boot record and the room for core images, from the disk itself.
    pub fn room(&self) -> Result<Room> {
        self.forget()?;
        Room::read(&self.file).context("read the disk's sectors for boot loaders")
    }

    /// Writes a core image where the plan has it. The loader in use is not touched.
    pub fn write_core(&self, plan: &Embedding) -> Result<()> {
        self.write(plan.sector * MBR_SIZE as u64, &plan.core)
            .context("write GRUB's core image")
    }

    /// Switches the master boot record, one sector, to a core image that is in its place.
    pub fn switch(&self, plan: &Embedding) -> Result<()> {
        ensure!(
            embed::is_at(&self.room()?, plan.sector, &plan.core),
            "the core image at sector {} is not what was written there; the record is not switched",
            plan.sector
        );
        self.write(0, &plan.record)
            .context("switch the master boot record")
    }

    /// Puts former bytes back where a core image was written.
    pub fn give_back_core(&self, plan: &Embedding, before: &Room) -> Result<()> {
        let what = "give the sectors of GRUB's core image back";
        let bytes = before.get(plan.sectors()).context(what)?;
        self.write(plan.sector * MBR_SIZE as u64, bytes)
            .context(what)
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
