//! Whether every disk of a mirrored root starts the new OS. One that was not there when the run switched its disks
//! starts the staged image still, and needs what is staged.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{ensure, Context, Result};
use bootpath::grub::embed;
use bootpath::room::Room;
use bootpath::uefi::survey;
use formats::boot_path::BootPath;
use formats::plan::Plan;
use storage::root;

/// GRUB's core image, as the run has made it.
const CORE: &str = "boot/grub/i386-pc/core.img";
/// The same for UEFI.
const CORE_EFI: &str = "boot/grub/x86_64-efi/core.efi";

/// In words, each disk of the plan's that does not, or that cannot be asked.
pub fn left(at: &Path, plan: &Plan) -> Vec<String> {
    let Some(array) = &plan.root.array else {
        return Vec::new();
    };
    let disks = match root::find_members(array) {
        Ok(disks) => disks,
        Err(e) => return vec![format!("the mirror's disks cannot be found: {e}")],
    };
    // Disks that started nothing before start nothing now.
    let copies = plan.copies.iter().map(|copy| &copy.boot_paths[..]);
    let paths = std::iter::once(&plan.boot_paths[..]).chain(copies);
    let disks = array.members.iter().zip(disks).zip(paths);
    disks
        .filter(|(_, paths)| !paths.is_empty())
        .filter_map(|((member, found), paths)| match found {
            None => Some(format!("{} is not there", member.words())),
            Some(partition) => {
                let node = partition.disk.node();
                let mut paths = paths.iter();
                let why = paths.find_map(|path| starts_the_new_os(at, &node, path).err())?;
                Some(format!("{}: {why:#}", node.display()))
            }
        })
        .collect()
}

fn starts_the_new_os(at: &Path, disk: &Path, path: &BootPath) -> Result<()> {
    if let BootPath::Uefi(file) = path {
        let core = fs::read(at.join(CORE_EFI)).context("read the new OS's loader for UEFI")?;
        let found = survey::holds(disk, file, &core);
        let starts = found.with_context(|| format!("read {file}"))?;
        ensure!(starts, "{file} is not the new OS's GRUB");
        return Ok(());
    }
    let core = fs::read(at.join(CORE)).context("read the new OS's core image")?;
    let room = File::open(disk)
        .and_then(|disk| Room::read(&disk))
        .context("read its sectors for boot loaders")?;
    ensure!(
        embed::is_in_use(&room, &core),
        "it does not start the new OS's GRUB"
    );
    Ok(())
}
