//! Making the staged image what the machine boots, from the commit point until the new OS's loader
//! is in place: after a power cut the run is then taken up.
//!
//! The boot block tells the loader where kernel and initramfs are, the loader goes into free sectors
//! beside the one in use, and neither is of any effect until the master boot record is switched.

use anyhow::{ensure, Context, Result};
use bootpath::grub::embed;
use bootpath::grub::embed::Embedding;
use bootpath::grub::staged as configuration;
use formats::plan::Plan;
use formats::staged::{Staged, StagedFile};
use formats::Document;
use storage::direct;

use crate::root::run_directory;
use crate::run::boot_sectors::{self, Disk};
use crate::run::data::{MountedRoot, Run};

/// The loader, planned for this disk, and what is where it goes.
pub struct StageLoader {
    disk: Disk,
    embedding: Embedding,
    boot_block: [u8; configuration::SIZE],
    /// The sectors before the first partition, as they were.
    pub gap_before: Vec<u8>,
    /// The boot block as it was.
    pub boot_block_before: [u8; configuration::SIZE],
}

impl StageLoader {
    /// Plans it. Reads only.
    pub fn plan(run: &Run) -> Result<StageLoader> {
        let (plan, root) = (&run.plan, &run.root);
        let staged = read(plan)?;
        let disk = Disk::open(root)?;
        let gap_before = disk.gap()?;
        let boot_block_before = disk.boot_block(&plan.root)?;
        ensure!(
            configuration::may_be_replaced(
                &boot_block_before,
                !embed::sectors_in_use(&gap_before).is_empty()
            ),
            "the boot block of the root's partition holds a boot loader that may be in use"
        );
        let core = boot_sectors::stage_core(&plan.root)?;
        let embedding = embed::plan(&gap_before, &boot_sectors::stage_boot()?, &core)
            .context("embed the staged image's loader")?;
        Ok(StageLoader {
            disk,
            embedding,
            boot_block: configuration::boot_block(&staged, &plan.cmdline)?,
            gap_before,
            boot_block_before,
        })
    }

    /// Writes all of it but the switch. The root must be mounted read-only.
    pub fn write(&self, run: &Run) -> Result<()> {
        let root = &run.plan.root;
        self.disk
            .write_boot_block(&run.root, root, &self.boot_block)?;
        self.disk.write_core(&self.embedding)
    }

    /// Takes it back: the old OS goes on. What stays is of no effect, so failing is told and no more.
    pub fn undo(&self, run: &Run) {
        let root = &run.plan.root;
        let core = self.disk.give_back_core(&self.embedding, &self.gap_before);
        let block = self
            .disk
            .write_boot_block(&run.root, root, &self.boot_block_before);
        for result in [core, block] {
            if let Err(e) = result {
                log::warn!("take the staged image's loader back: {e:#}");
            }
        }
    }

    /// Switches the master boot record to it.
    pub fn switch(&self) -> Result<()> {
        self.disk.switch(&self.embedding)
    }
}

/// Whether the boot block leads to what is staged.
pub fn leads_to_staged(plan: &Plan, root: &MountedRoot) -> Result<bool> {
    let expected = configuration::boot_block(&read(plan)?, &plan.cmdline)?;
    Ok(Disk::open(root)?.boot_block(&plan.root)? == expected)
}

/// Compares what the loader will read, sector by sector, with what the launcher staged; gives what
/// that was.
pub fn verify(plan: &Plan, root: &MountedRoot) -> Result<Staged> {
    let staged = read(plan)?;
    for (name, file) in [("kernel", &staged.kernel), ("initramfs", &staged.initramfs)] {
        compare(root, file).with_context(|| format!("check the staged {name}"))?;
    }
    Ok(staged)
}

fn read(plan: &Plan) -> Result<Staged> {
    let path = run_directory::at(plan, Staged::FILE);
    let what = || format!("read {}", path.display());
    let staged = Staged::from_json(&std::fs::read(&path).with_context(what)?).with_context(what)?;
    ensure!(
        staged.run == plan.run,
        "{} is of run {}",
        path.display(),
        staged.run
    );
    Ok(staged)
}

fn compare(root: &MountedRoot, file: &StagedFile) -> Result<()> {
    let found = direct::digest(&root.device, file.offset, file.length)
        .with_context(|| format!("read {} at {}", root.device.display(), file.offset))?;
    ensure!(
        found == file.digest,
        "{} bytes at {} of {} have digest {found}, expected {}",
        file.length,
        file.offset,
        root.device.display(),
        file.digest
    );
    Ok(())
}
