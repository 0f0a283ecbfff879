//! Installing the boot loader from the new OS.
//!
//! GRUB's own tools make the core image and the configuration, in a chroot with few capabilities.
//! Where it goes is ours: it is put beside the one in use, on every boot path, and read back from the disk.
//! That the machine starts it is left to the end of the run, when everything else is on the disk.

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::{Context, Result};
use bootpath::grub::{new_core, terminal};
use formats::boot_path::BootPath;
use formats::facts::{RootIdentity, Subvolume};
use formats::journal::Phase;
use storage::freeze;
use tree::Gate;

use crate::ram::kernel_filesystems;
use crate::root::target::{self, TARGET};
use crate::run::behind::inspect::BootableRoot;
use crate::run::behind::new_loader::{NewLoader, Platform, BIOS, BOOT_IMAGE, UEFI};
use crate::run::behind::unpack::UnpackedRoot;
use crate::run::behind::{access, arrays, carry, chroot, hooks, host_keys, inspect, locales};
use crate::run::boot_paths::{self, AllBeside};
use crate::run::data::Run;
use crate::run::journal_file;

const FONTS: &str = "/boot/grub/fonts";
/// Where grub-mkconfig reads settings from, beside its own file.
const SETTINGS: &str = "/etc/default/grub.d";
/// For a root on a logical volume: an initrd of Debian's puts together the volume that the command line names by
/// group and volume, and none for a UUID. GRUB's own programs do this by themselves where they may ask the
/// device-mapper, which they may not here.
const BY_NAME: &str = "GRUB_DISABLE_LINUX_UUID=true\nGRUB_DISABLE_LINUX_PARTUUID=true\n";

impl UnpackedRoot {
    /// Carries the identity over, installs the loader, and checks that the result will boot.
    pub fn carry_and_install_loader(self) -> Result<BootableRoot> {
        let UnpackedRoot(mut run, counts) = self;
        let mut recorder = std::mem::take(&mut run.recorder);
        let obstructed = recorder.retrying("carry", || {
            journal_file::record(&run.plan.run, Phase::Carry)?;
            carry::carry(&run)
        })?;
        let called = hooks::call(&run, &mut recorder);
        let loader = recorder.retrying("loader", || {
            journal_file::record(&run.plan.run, Phase::Loader)?;
            install(&run)
        })?;
        let after = recorder.retrying("check", || inspect::inspect(&run, &loader))?;
        run.recorder = recorder;
        Ok(BootableRoot {
            run,
            counts,
            after,
            loader,
            obstructed,
            called,
        })
    }
}

fn install(run: &Run) -> Result<AllBeside> {
    let root = Path::new(TARGET);
    kernel_filesystems::unmount_from(root).context("clear what an earlier attempt mounted")?;
    kernel_filesystems::mount_into(root)
        .context("mount the kernel's filesystems for the new OS")?;
    let made = make_files(run);
    // The mounts must go whatever happened: the kept tree is measured next.
    kernel_filesystems::unmount_from(root).context("take the kernel's filesystems away again")?;
    made?;
    target::sync()?;
    // It is of no effect before the switch, the last thing of all.
    AllBeside::put(boot_paths::of(&run.plan, &run.root)?, &NewLoader)
}

/// Everything of the loader that is a file.
fn make_files(run: &Run) -> Result<()> {
    let (root, keep) = (Path::new(TARGET), &run.plan.keep);
    let gate = target::gate(&run.plan)?;
    host_keys::generate_missing(&run.plan, &gate)?;
    access::prove(&run.plan, &gate)?;
    locales::generate(&run.plan);
    make_core(run, &gate, &BIOS)?;
    if has_path(run, |path| matches!(path, BootPath::Uefi(_))) {
        make_core(run, &gate, &UEFI)?;
    }
    copy_font(&gate)?;
    chroot::run(
        root,
        keep,
        "grub-editenv",
        &["/boot/grub/grubenv", "create"],
        b"",
    )?;
    write_hardware_parameters(run, &gate)?;
    name_disk_for_updates(run);
    name_root(run)?;
    arrays::tell_of_root(run)?;
    if run.plan.root.logical.is_some() {
        gate.make_directories(SETTINGS)?;
        let path = format!("{SETTINGS}/zz-reroot-root.cfg");
        gate.write(&path, BY_NAME.as_bytes(), 0o644)?;
    }
    settle(run);
    chroot::run(
        root,
        keep,
        "grub-mkconfig",
        &["-o", "/boot/grub/grub.cfg"],
        b"",
    )?;
    Ok(())
}

/// grub-mkconfig has GRUB's own code read the disk, which knows no journal, past the kernel's filesystem. What
/// XFS has written lately is in its place only behind a freeze, and the kernel may have cached what was there
/// before. Where this fails GRUB says what it did not find.
fn settle(run: &Run) {
    let device = &run.root.device;
    let settled = freeze::settle(Path::new(TARGET)).and_then(|()| {
        let device = fs::File::open(device)?;
        syscalls::block::forget_cached(device.as_fd())
    });
    if let Err(e) = settled {
        log::warn!(
            "loader: put everything on {} into its place: {e}",
            device.display()
        );
    }
}

fn has_path(run: &Run, is_it: impl Fn(&BootPath) -> bool) -> bool {
    let copies = run.plan.copies.iter().flat_map(|copy| &copy.boot_paths);
    run.plan.boot_paths.iter().chain(copies).any(is_it)
}

/// What GRUB has before the paths of the root's files.
fn prefix(root: &RootIdentity) -> &str {
    root.subvolume.as_ref().map_or("", Subvolume::prefix)
}

/// GRUB's modules for a platform, and its core image.
fn make_core(run: &Run, gate: &Gate, platform: &Platform) -> Result<()> {
    copy_modules(gate, platform)?;
    let search = new_core::commands(&run.plan.root.fs_uuid, prefix(&run.plan.root));
    let config = format!("{}/load.cfg", platform.installed);
    gate.write(&config, search.as_bytes(), 0o644)?;
    let core = format!("{}/{}", platform.installed, platform.core);
    let mut arguments = vec![
        "-O",
        platform.name,
        "-d",
        platform.source,
        "-o",
        &core,
        "-p",
        "/boot/grub",
        "-c",
        &config,
    ];
    arguments.extend(platform.modules);
    arguments.extend(new_core::modules_of(&run.plan.root));
    let there = |module: &&&str| target::at(&format!("{}/{module}.mod", platform.source)).exists();
    arguments.extend(platform.more.iter().filter(there));
    let (root, keep) = (Path::new(TARGET), &run.plan.keep);
    chroot::run(root, keep, "grub-mkimage", &arguments, b"").map(drop)
}

/// What `/etc/default/grub` is told beside the image's own. The kernel takes a console's options from its
/// first mention, and for /dev/console, where an emergency shell is, the last one: so the machine's consoles
/// are named before and behind the image's.
fn settings(hardware: &[String], consoles: &[String]) -> String {
    if hardware.is_empty() && consoles.is_empty() {
        return String::new();
    }
    let console = |c: &String| format!("console={c}");
    let first = consoles.iter().map(console).map(|word| word + " ");
    let last = hardware.iter().cloned().chain(consoles.iter().map(console));
    let last = last.map(|word| format!(" {word}"));
    let mut text = format!(
        "GRUB_CMDLINE_LINUX=\"{}$GRUB_CMDLINE_LINUX{}\"\n",
        first.collect::<String>(),
        last.collect::<String>()
    );
    if !consoles.is_empty() {
        text.push_str(&terminal::settings(consoles));
    }
    text
}

/// Parameters that the machine has because of its hardware go into the new OS's own settings, so
/// that its next kernel has them too.
fn write_hardware_parameters(run: &Run, gate: &Gate) -> Result<()> {
    let plan = &run.plan;
    let text = settings(&plan.hardware_parameters, &plan.consoles);
    if text.is_empty() {
        return Ok(());
    }
    gate.make_directories(SETTINGS)?;
    let path = format!("{SETTINGS}/zz-reroot-hardware.cfg");
    Ok(gate.write(&path, text.as_bytes(), 0o644)?)
}

/// The disks that a BIOS starts, by the names that the new OS has for them.
fn disks_with_a_loader(run: &Run) -> Vec<String> {
    let plan = &run.plan;
    let by_bios = |paths: &[BootPath]| paths.iter().any(|path| !matches!(path, BootPath::Uefi(_)));
    let first = plan.boot_paths.is_empty() || by_bios(&plan.boot_paths);
    let copies = plan.copies.iter();
    let copies = copies.map(|copy| (by_bios(&copy.boot_paths), copy.disk_by_id.clone()));
    std::iter::once((first, plan.disk_by_id.clone()))
        .chain(copies)
        .zip(&run.root.disks)
        .filter(|((is_started, _), _)| *is_started)
        .filter_map(|((_, by_id), node)| {
            by_id.or_else(|| Some(node.as_ref()?.display().to_string()))
        })
        .collect()
}

/// The new OS's next GRUB update installs to the disks that debconf names; without one it stops
/// and asks, unless it is told that there is none. Failing here costs the operator that question, so it is no reason to hold.
fn name_disk_for_updates(run: &Run) {
    let disks = disks_with_a_loader(run);
    let answer = if disks.is_empty() {
        "grub-pc grub-pc/install_devices multiselect \n\
         grub-pc grub-pc/install_devices_empty boolean true\n"
            .to_owned()
    } else {
        let disks = disks.join(", ");
        format!("grub-pc grub-pc/install_devices multiselect {disks}\n")
    };
    if let Err(e) = chroot::run(
        Path::new(TARGET),
        &run.plan.keep,
        "debconf-set-selections",
        &[],
        answer.as_bytes(),
    ) {
        log::warn!("tell GRUB's package which disk to update: {e:#}");
    }
}

/// grub-mkconfig writes `root=UUID=…` only where udev's name of that UUID exists, and grub-probe calls a device
/// of the device-mapper by its name in `/dev/mapper`; here is no udev.
/// /dev is the kernel's own, so the new OS sees the links as well.
fn name_root(run: &Run) -> Result<()> {
    let root = &run.plan.root;
    link(run, &Path::new("/dev/disk/by-uuid").join(&root.fs_uuid))?;
    match &root.logical {
        Some(volume) => link(run, &Path::new("/dev/mapper").join(&volume.name)),
        None => Ok(()),
    }
}

/// A name of the root's device.
fn link(run: &Run, link: &Path) -> Result<()> {
    let directory = link.parent().unwrap_or(Path::new("/dev"));
    fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
    match std::os::unix::fs::symlink(&run.root.device, link) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(e).with_context(|| format!("link {}", link.display()))
        }
        _ => Ok(()),
    }
}

/// Its modules, and the image of its boot sector: a start that has nothing to do but the last switch finds all that it
/// needs on the root, for `/usr` may be on a filesystem of its own, which is not put together for that. The root is synced
/// behind this.
fn copy_modules(gate: &Gate, platform: &Platform) -> Result<()> {
    let from = target::at(platform.source);
    gate.make_directories(platform.installed)?;
    let entries = fs::read_dir(&from).with_context(|| format!("list {}", from.display()))?;
    for entry in entries {
        let source = entry
            .with_context(|| format!("list {}", from.display()))?
            .path();
        let is_module = source.extension().is_some_and(|e| e == "mod" || e == "lst");
        if is_module || source.ends_with(BOOT_IMAGE) {
            let name = source.file_name().unwrap_or_default().to_string_lossy();
            copy(gate, &source, &format!("{}/{name}", platform.installed))?;
        }
    }
    Ok(())
}

fn copy_font(gate: &Gate) -> Result<()> {
    let font = target::at("/usr/share/grub/unicode.pf2");
    if font.exists() {
        gate.make_directories(FONTS)?;
        copy(gate, &font, &format!("{FONTS}/unicode.pf2"))?;
    }
    Ok(())
}

fn copy(gate: &Gate, from: &Path, to: &str) -> Result<()> {
    let bytes = fs::read(from).with_context(|| format!("read {}", from.display()))?;
    Ok(gate.write_unsynced(to, &bytes, 0o644)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_consoles_stand_before_and_behind_the_images() {
        let list = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        assert_eq!(settings(&[], &[]), "");
        assert_eq!(
            settings(&list(&["hpet=disable"]), &[]),
            "GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX hpet=disable\"\n"
        );
        assert_eq!(
            settings(&list(&["irqpoll"]), &list(&["tty0", "ttyS1,57600n8"])),
            "GRUB_CMDLINE_LINUX=\"console=tty0 console=ttyS1,57600n8 $GRUB_CMDLINE_LINUX irqpoll console=tty0 \
             console=ttyS1,57600n8\"\nGRUB_TERMINAL=\"console serial\"\n\
             GRUB_SERIAL_COMMAND=\"serial --unit=1 --speed=57600\"\n"
        );
    }
}
