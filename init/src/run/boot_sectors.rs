//! The sectors that a boot loader lives in: those before the first partition, and the boot block of
//! the root's. Written, flushed, and read back from the disk itself.

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{ensure, Context, Result};
use bootpath::gap;
use bootpath::grub::embed;
use bootpath::grub::embed::Embedding;
use bootpath::grub::staged;
use formats::facts::RootIdentity;
use storage::block;
use storage::mbr::MBR_SIZE;

use crate::run::data::MountedRoot;

/// The staged image's loader, in the initramfs.
const LOADER: &str = "/loader";

/// The core image that loads the staged image from this root's partition.
pub fn stage_core(root: &RootIdentity) -> Result<Vec<u8>> {
    read_loader(&format!("stage-{}.img", root.partition))
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

    /// The master boot record and the sectors behind it, from the disk itself.
    pub fn gap(&self) -> Result<Vec<u8>> {
        self.forget()?;
        gap::read(&self.file).context("read the sectors before the first partition")
    }

    /// Writes a core image where the plan has it. The loader in use is not touched.
    pub fn write_core(&self, plan: &Embedding) -> Result<()> {
        self.write(plan.sector * MBR_SIZE as u64, &plan.core)
            .context("write GRUB's core image")
    }

    /// Switches the master boot record, one sector, to a core image that is in its place.
    pub fn switch(&self, plan: &Embedding) -> Result<()> {
        ensure!(
            embed::is_at(&self.gap()?, plan.sector, &plan.core),
            "the core image at sector {} is not what was written there; the record is not switched",
            plan.sector
        );
        self.write(0, &plan.record)
            .context("switch the master boot record")
    }

    /// Puts former bytes back where a core image was written.
    pub fn give_back_core(&self, plan: &Embedding, before: &[u8]) -> Result<()> {
        let start = plan.sector as usize * MBR_SIZE;
        self.write(start as u64, &before[start..start + plan.core.len()])
            .context("give the sectors of GRUB's core image back")
    }

    /// The boot block of the root's partition.
    pub fn boot_block(&self, root: &RootIdentity) -> Result<[u8; staged::SIZE]> {
        self.forget()?;
        let mut block = [0; staged::SIZE];
        self.file
            .read_exact_at(&mut block, root.start * block::SECTOR)
            .context("read the boot block of the root's partition")?;
        Ok(block)
    }

    /// Writes it. Through the partition's own device: ext4 has the block that it is part of in
    /// memory with its superblock, and would write the old bytes back otherwise. The root must be
    /// mounted read-only, so that the superblock is the same in memory and on the disk.
    pub fn write_boot_block(
        &self,
        at: &MountedRoot,
        root: &RootIdentity,
        block: &[u8; staged::SIZE],
    ) -> Result<()> {
        let what = || format!("write the boot block of {}", at.device.display());
        let device = OpenOptions::new()
            .write(true)
            .open(&at.device)
            .with_context(what)?;
        device.write_all_at(block, 0).with_context(what)?;
        device.sync_all().with_context(what)?;
        ensure!(
            self.boot_block(root)? == *block,
            "the disk does not hold what was written to the boot block of {}",
            at.device.display()
        );
        Ok(())
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
