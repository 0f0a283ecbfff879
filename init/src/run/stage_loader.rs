//! Making the staged image what the machine boots, from the commit point until the new OS's loader
//! is in place: after a power cut the run is then taken up.
//!
//! The loader has in it where kernel and initramfs are. It is put beside the one in use, and is of no
//! effect until that is switched.

use std::fs::File;
use std::path::Path;

use anyhow::{ensure, Context, Result};
use bootpath::grub::{core_image, staged as configuration};
use formats::facts::RootIdentity;
use formats::plan::Plan;
use formats::staged::{Staged, StagedFile};
use storage::block::SECTOR;
use storage::{direct, extents};

use crate::root::run_directory;
use crate::run::boot_path::{self, Loader};
use crate::run::boot_paths::{self, AllBeside};
use crate::run::data::{MountedRoot, Run};
use crate::run::staged_file;

/// Where it is in the initramfs.
const LOADER: &str = "/loader";

/// The loader that loads what is staged for a plan: the same bytes each time.
struct StageLoader {
    staged: Staged,
    root: RootIdentity,
    cmdline: String,
}

impl StageLoader {
    fn of(plan: &Plan) -> Result<StageLoader> {
        Ok(StageLoader {
            staged: staged_file::read(plan)?,
            root: plan.root.clone(),
            cmdline: plan.cmdline.clone(),
        })
    }

    /// Where what is staged lies on one of the plan's disks.
    fn commands(&self, disk: usize) -> Result<String> {
        Ok(configuration::commands(
            &self.staged,
            &self.root,
            disk,
            &self.cmdline,
        )?)
    }
}

impl Loader for StageLoader {
    fn bios(&self, disk: usize) -> Result<(Vec<u8>, Vec<u8>)> {
        let core = core_image::with_commands(&part("stage.img")?, &self.commands(disk)?)
            .context("tell the staged image's loader where it is")?;
        Ok((part("boot.img")?, core))
    }

    fn uefi(&self, disk: usize) -> Result<Vec<u8>> {
        core_image::with_commands_efi(&part("stage.efi")?, &self.commands(disk)?)
            .context("tell the staged image's loader where it is")
    }
}

fn part(name: &str) -> Result<Vec<u8>> {
    boot_path::read(&Path::new(LOADER).join(name))
}

/// Puts it beside the loader in use, on every path.
pub fn put_beside(run: &Run) -> Result<AllBeside> {
    let paths = boot_paths::of(&run.plan, &run.root)?;
    AllBeside::put(paths, &StageLoader::of(&run.plan)?)
}

/// Makes every path start it that does not.
pub fn switch_remaining(run: &Run) -> Result<()> {
    let loader = StageLoader::of(&run.plan)?;
    let mut remaining = Vec::new();
    for path in boot_paths::of(&run.plan, &run.root)? {
        if !path.starts(&loader)? {
            remaining.push(path);
        }
    }
    // What the path in use starts may not be whole any more: it comes first.
    let loader = AllBeside::put(remaining, &loader)?;
    loader.switch_in_use()?;
    loader.switch_others()
}

/// Whether the machine would start it by the path in use, and by it what is staged.
pub fn is_in_use(plan: &Plan, root: &MountedRoot) -> Result<bool> {
    let in_use = boot_paths::in_use(plan, root)?;
    in_use.map_or(Ok(false), |path| path.starts(&StageLoader::of(plan)?))
}

/// Makes every path that starts it start the old OS again, whose loader was not touched.
pub fn switch_back(plan: &Plan, root: &MountedRoot) -> Result<()> {
    let loader = StageLoader::of(plan)?;
    let before = |name: &str| boot_path::read(&run_directory::at(plan, name));
    for path in boot_paths::of(plan, root)? {
        path.switch_back(&loader, &before)
            .with_context(|| format!("switch {} back", path.name()))?;
    }
    Ok(())
}

/// Compares what the loader will read, sector by sector, with what the launcher staged; gives what
/// that was.
pub fn verify(plan: &Plan, root: &MountedRoot) -> Result<Staged> {
    let staged = staged_file::read(plan)?;
    for (name, file) in [("kernel", &staged.kernel), ("initramfs", &staged.initramfs)] {
        lies_there(&run_directory::at(plan, name), file)
            .and_then(|()| compare(plan, root, file))
            .with_context(|| format!("check the staged {name}"))?;
    }
    Ok(staged)
}

/// The bytes alone do not say that they are the file's still: a program that puts files together elsewhere
/// (`xfs_fsr`, `e4defrag`) leaves them, and the wipe would give their place to somebody else.
fn lies_there(path: &Path, file: &StagedFile) -> Result<()> {
    let opened = File::open(path).with_context(|| format!("open {}", path.display()))?;
    let found = extents::place(&opened).with_context(|| format!("place {}", path.display()))?;
    ensure!(
        found == file.offset,
        "{} lies at {found} of the filesystem, and was staged at {}: it was moved",
        path.display(),
        file.offset
    );
    Ok(())
}

/// On each disk that is there, where the loader reads it: past the filesystem, and past what is below that.
fn compare(plan: &Plan, root: &MountedRoot, file: &StagedFile) -> Result<()> {
    let disks = root.disks.iter().enumerate();
    for (disk, node) in disks.filter_map(|(disk, node)| Some((disk, node.as_deref()?))) {
        let sector = plan.root.on_disk(disk, file.offset, file.length);
        let sector = sector.context("it does not lie together on the disk")?;
        let found = direct::digest(node, sector * SECTOR, file.length)
            .with_context(|| format!("read {} at sector {sector}", node.display()))?;
        ensure!(
            found == file.digest,
            "{} bytes at sector {sector} of {} have digest {found}, expected {}",
            file.length,
            node.display(),
            file.digest
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use formats::Digest;

    use super::*;

    #[test]
    fn a_staged_file_that_was_moved_is_not_taken_for_itself() {
        // A filesystem with places, which the one of the temporary directory need not be.
        let directory = tempfile::tempdir_in(".").unwrap();
        let path = directory.path().join("kernel");
        std::fs::write(&path, vec![1; 1 << 14]).unwrap();
        let opened = File::open(&path).unwrap();
        opened.sync_all().unwrap();
        let offset = extents::place(&opened).unwrap();
        let staged = |offset| StagedFile {
            offset,
            length: 1 << 14,
            digest: Digest::of(b""),
        };
        lies_there(&path, &staged(offset)).unwrap();
        let error = lies_there(&path, &staged(offset + 4096)).unwrap_err();
        assert!(error.to_string().contains("it was moved"), "{error}");
    }
}
