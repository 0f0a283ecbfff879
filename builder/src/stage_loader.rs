//! The boot loader for the time in which a machine has neither the old OS nor the new one: a GRUB core
//! image that loads the staged kernel and initramfs by their sectors.
//!
//! The payload's own GRUB makes it. It waits in the initramfs: when it is needed nothing can be made
//! any more. What differs from machine to machine are its commands, and those are put into it there
//! (`bootpath::grub::core_image`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{ensure, Context, Result};
use bootpath::grub::{core_image, embed, new_core, staged};
use bootpath::uefi::beside;
use formats::facts::RootType;
use formats::tools::{GRUB_EFI, LVM};
use plan::subvolumes::LONGEST_PATH;
use storage::mbr::MBR_SIZE;

use crate::inside::run_inside;
use crate::progress::step;

/// What the core image can do: read the disk, load Linux, wait.
const MODULES: &str = "biosdisk linux boot echo sleep reboot";
/// The same for UEFI, where GRUB has the disk from the firmware. It must not know partition tables: what
/// it then takes for its root is the whole disk, as on a BIOS.
const MODULES_EFI: &str = "linux boot echo sleep reboot";

/// Where they are, in the new root.
const GRUB: &str = "usr/lib/grub/i386-pc";
const GRUB_FOR_UEFI: &str = "usr/lib/grub/x86_64-efi";

/// A file of the initramfs: its path and its bytes.
pub type LoaderFile = (String, Vec<u8>);

/// What it is called in the directory that both sides see.
const CORE: &str = "stage.img";
const CORE_EFI: &str = "stage.efi";
const COMMANDS: &str = "stage.cfg";
const NEW_COMMANDS: &str = "new.cfg";
/// Every machine's is as long.
const ANY_UUID: &str = "00000000-0000-0000-0000-000000000000";
/// Sectors that the path of a subvolume takes at most, which is in the core image with the commands.
const SECTORS_FOR_PATH: u64 = LONGEST_PATH.div_ceil(MBR_SIZE) as u64;

/// The new OS's own for a root on such a filesystem, made to see how large it is.
fn new_core_of(filesystem: RootType, logical: bool) -> String {
    let on = if logical { "lvm-" } else { "" };
    format!("new-{on}{}.img", filesystem.name())
}

/// What was made.
pub struct Made {
    /// For the initramfs.
    pub files: Vec<LoaderFile>,
    /// Sectors that the new OS's own core image will take, by the root's filesystem, as far as its GRUB has
    /// a module for that.
    pub new_core_sectors: BTreeMap<&'static str, u64>,
    /// The same for a root on a logical volume.
    pub lvm_core_sectors: BTreeMap<String, u64>,
}

/// Makes `loader/boot.img` and `loader/stage.img` with the GRUB of the new root, and `loader/stage.efi`
/// where that has one for UEFI.
pub fn make(root: &Path) -> Result<Made> {
    let progress = step("making the boot loader for the staged image");
    let for_uefi = root.join(GRUB_FOR_UEFI).join("moddep.lst").exists();
    let has = |module: &str| root.join(GRUB).join(format!("{module}.mod")).exists();
    let filesystems = RootType::ALL.into_iter().filter(|f| has(f.grub_module()));
    // For each filesystem, on a partition and on a logical volume.
    let roots: Vec<(RootType, bool)> = filesystems
        .flat_map(|filesystem| [(filesystem, false), (filesystem, true)])
        // Btrfs is taken on a partition alone.
        .filter(|(filesystem, logical)| !logical || has(LVM) && *filesystem != RootType::Btrfs)
        .collect();
    let work = tempfile::tempdir().context("make a directory for GRUB's images")?;
    let shown = work.path().join("made");
    fs::create_dir(&shown).context("make a directory for GRUB's images")?;
    fs::write(shown.join(COMMANDS), core_image::placeholder()).context("write GRUB's commands")?;
    fs::write(shown.join(NEW_COMMANDS), new_core::commands(ANY_UUID, ""))
        .context("write GRUB's commands")?;
    let script = work.path().join("script");
    fs::write(&script, script_for(&shown, for_uefi, &roots))
        .context("write the script that makes GRUB's images")?;
    run_inside(root, &script, &[&shown], &progress)
        .context("make GRUB's images with the new root's grub-mkimage")?;
    let boot = root.join(GRUB).join("boot.img");
    let boot = fs::read(&boot).with_context(|| format!("read {}", boot.display()))?;
    let core = fs::read(shown.join(CORE)).with_context(|| format!("read {CORE}"))?;
    check(&boot, &core).with_context(|| format!("check {CORE} of the new root's GRUB"))?;
    let mut done = format!("{} sectors", core.len().div_ceil(MBR_SIZE));
    let mut files = vec![
        ("loader/boot.img".to_owned(), boot),
        (format!("loader/{CORE}"), core),
    ];
    if for_uefi {
        let core = fs::read(shown.join(CORE_EFI)).with_context(|| format!("read {CORE_EFI}"))?;
        check_efi(&core).with_context(|| format!("check {CORE_EFI} of the new root's GRUB"))?;
        let _ = write!(done, ", {} KiB for UEFI", core.len() >> 10);
        files.push((format!("loader/{CORE_EFI}"), core));
    }
    progress.done(&done);
    let sectors = |filesystem: RootType, logical: bool| -> Result<u64> {
        let name = new_core_of(filesystem, logical);
        let made = fs::metadata(shown.join(&name)).with_context(|| format!("look at {name}"))?;
        let for_path = match filesystem {
            RootType::Btrfs => SECTORS_FOR_PATH,
            RootType::Ext4 | RootType::Xfs => 0,
        };
        Ok(made.len().div_ceil(MBR_SIZE as u64) + for_path)
    };
    let mut made = Made {
        files,
        new_core_sectors: BTreeMap::new(),
        lvm_core_sectors: BTreeMap::new(),
    };
    for (filesystem, logical) in roots {
        let (name, takes) = (filesystem.name(), sectors(filesystem, logical)?);
        if logical {
            made.lvm_core_sectors.insert(name.to_owned(), takes);
        } else {
            made.new_core_sectors.insert(name, takes);
        }
    }
    Ok(made)
}

fn script_for(shown: &Path, for_uefi: bool, roots: &[(RootType, bool)]) -> String {
    let mut script = format!(
        "#!/bin/sh\nset -eu\ncd '/run/reroot-shown{}'\n",
        shown.display()
    );
    let mut make = |platform: &str, from: &str, to: &str, modules: &str| {
        let _ = writeln!(
            script,
            "grub-mkimage -O {platform} -d /{from} -p {} -c {COMMANDS} -o {to} {modules}",
            staged::PREFIX
        );
    };
    make("i386-pc", GRUB, CORE, MODULES);
    if for_uefi {
        make(GRUB_EFI, GRUB_FOR_UEFI, CORE_EFI, MODULES_EFI);
    }
    for (filesystem, logical) in roots {
        let _ = writeln!(
            script,
            "grub-mkimage -O i386-pc -d /{GRUB} -p /boot/grub -c {NEW_COMMANDS} -o {} {} {}",
            new_core_of(*filesystem, *logical),
            new_core::MODULES.join(" "),
            new_core::modules_for(*filesystem, *logical).join(" ")
        );
    }
    script
}

/// The same for UEFI.
fn check_efi(core: &[u8]) -> Result<()> {
    core_image::with_commands_efi(core, "boot\n").context("commands cannot be put into it")?;
    ensure!(
        core.len() <= beside::LOADER_MAX,
        "it has {} bytes, machines are asked for room for {}",
        core.len(),
        beside::LOADER_MAX
    );
    Ok(())
}

/// What a machine will do with it must work with it; better known here than there.
fn check(boot: &[u8], core: &[u8]) -> Result<()> {
    let core =
        core_image::with_commands(core, "boot\n").context("commands cannot be put into it")?;
    // Commands that do not compress at all take as much more.
    let sectors = (core.len() + core_image::COMMANDS).div_ceil(MBR_SIZE) as u64;
    ensure!(
        sectors <= embed::STAGE_SECTORS_MAX,
        "it takes up to {sectors} sectors, machines are asked for room for {}",
        embed::STAGE_SECTORS_MAX
    );
    let room = embed::empty_room(embed::STAGE_SECTORS_MAX as usize);
    embed::plan(&room, boot, &core).context("it cannot be embedded")?;
    Ok(())
}
