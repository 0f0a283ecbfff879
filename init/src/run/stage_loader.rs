//! Making the staged image what the machine boots, from the commit point until the new OS's loader
//! is in place: after a power cut the run is then taken up.
//!
//! The loader has in it where kernel and initramfs are. It goes into free sectors beside the one in
//! use, and is of no effect until the master boot record is switched.

use anyhow::{ensure, Context, Result};
use bootpath::grub::embed::Embedding;
use bootpath::grub::{core_image, embed, staged as configuration};
use bootpath::room::Room;
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
    /// The master boot record and the sectors for boot loaders, as they were.
    pub before: Room,
}

impl StageLoader {
    /// Plans it. Reads only.
    pub fn plan(run: &Run) -> Result<StageLoader> {
        let disk = Disk::open(&run.root)?;
        let before = disk.room()?;
        let embedding = embed::plan(&before, &boot_sectors::stage_boot()?, &core(&run.plan)?)
            .context("embed the staged image's loader")?;
        Ok(StageLoader {
            disk,
            embedding,
            before,
        })
    }

    /// Writes all of it but the switch.
    pub fn write(&self) -> Result<()> {
        self.disk.write_core(&self.embedding)
    }

    /// Takes it back: the old OS goes on. What stays is of no effect, so failing is told and no more.
    pub fn undo(&self) {
        if let Err(e) = self.disk.give_back_core(&self.embedding, &self.before) {
            log::warn!("take the staged image's loader back: {e:#}");
        }
    }

    /// Switches the master boot record to it.
    pub fn switch(&self) -> Result<()> {
        self.disk.switch(&self.embedding)
    }
}

/// The core image that loads what is staged for this plan: the same bytes each time.
fn core(plan: &Plan) -> Result<Vec<u8>> {
    let commands = configuration::commands(&read(plan)?, plan.root.start, &plan.cmdline)?;
    core_image::with_commands(&boot_sectors::stage_core()?, &commands)
        .context("tell the staged image's loader where it is")
}

/// Whether the machine would start it, and by it what is staged.
pub fn is_in_use(plan: &Plan, root: &MountedRoot) -> Result<bool> {
    Ok(embed::is_in_use(&Disk::open(root)?.room()?, &core(plan)?))
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
