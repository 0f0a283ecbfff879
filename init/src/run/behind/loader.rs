//! Installing the boot loader from the new OS.
//!
//! GRUB's own tools make the core image and the configuration, in a chroot with few capabilities.
//! The embedding is ours: the core image goes beside the one in use and is read back from the disk.
//! That the machine starts it is left to the end of the run, when everything else is on the disk.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use bootpath::grub::embed;
use bootpath::grub::embed::Embedding;
use formats::journal::Phase;
use tree::Gate;

use crate::ram::kernel_filesystems;
use crate::root::target::{self, TARGET};
use crate::run::behind::inspect::BootableRoot;
use crate::run::behind::unpack::UnpackedRoot;
use crate::run::behind::{access, carry, chroot, host_keys, inspect, locales};
use crate::run::boot_sectors::Disk;
use crate::run::data::Run;
use crate::run::journal_file;

/// GRUB's files for a PC BIOS, in the payload.
const SOURCE: &str = "/usr/lib/grub/i386-pc";
/// Where GRUB reads them from.
const INSTALLED: &str = "/boot/grub/i386-pc";
const FONTS: &str = "/boot/grub/fonts";
/// Where grub-mkconfig reads settings from, beside its own file.
const SETTINGS: &str = "/etc/default/grub.d";
/// What the core image must have before it can read anything from the filesystem.
const CORE_MODULES: [&str; 5] = [
    "biosdisk",
    "part_msdos",
    "part_gpt",
    "ext2",
    "search_fs_uuid",
];

impl UnpackedRoot {
    /// Carries the identity over, installs the loader, and checks that the result will boot.
    pub fn carry_and_install_loader(self) -> Result<BootableRoot> {
        let UnpackedRoot(mut run, counts) = self;
        let mut recorder = std::mem::take(&mut run.recorder);
        recorder.retrying("carry", || {
            journal_file::record(&run.plan.run, Phase::Carry)?;
            carry::carry(&run)
        })?;
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
        })
    }
}

fn install(run: &Run) -> Result<Embedding> {
    let root = Path::new(TARGET);
    kernel_filesystems::unmount_from(root).context("clear what an earlier attempt mounted")?;
    kernel_filesystems::mount_into(root)
        .context("mount the kernel's filesystems for the new OS")?;
    let made = make_files(run);
    // The mounts must go whatever happened: the kept tree is measured next.
    kernel_filesystems::unmount_from(root).context("take the kernel's filesystems away again")?;
    made?;
    target::sync()?;
    embed_core(run)
}

/// Everything of the loader that is a file.
fn make_files(run: &Run) -> Result<()> {
    let (root, keep) = (Path::new(TARGET), &run.plan.keep);
    let uuid = &run.plan.root.fs_uuid;
    let gate = target::gate(&run.plan)?;
    host_keys::generate_missing(&run.plan, &gate)?;
    access::prove(&run.plan, &gate)?;
    locales::generate(&run.plan);
    copy_modules(&gate)?;
    let search = format!("search.fs_uuid {uuid} root\nset prefix=($root)/boot/grub\n");
    gate.write(&format!("{INSTALLED}/load.cfg"), search.as_bytes(), 0o644)?;
    let core = format!("{INSTALLED}/core.img");
    let config = format!("{INSTALLED}/load.cfg");
    let mut arguments = vec![
        "-O",
        "i386-pc",
        "-d",
        SOURCE,
        "-o",
        &core,
        "-p",
        "/boot/grub",
        "-c",
        &config,
    ];
    arguments.extend(CORE_MODULES);
    chroot::run(root, keep, "grub-mkimage", &arguments, b"")?;
    chroot::run(
        root,
        keep,
        "grub-editenv",
        &["/boot/grub/grubenv", "create"],
        b"",
    )?;
    write_hardware_parameters(run, &gate)?;
    name_disk_for_updates(run);
    name_root_by_uuid(run)?;
    chroot::run(
        root,
        keep,
        "grub-mkconfig",
        &["-o", "/boot/grub/grub.cfg"],
        b"",
    )?;
    Ok(())
}

/// Parameters that the machine has because of its hardware go into the new OS's own settings, so
/// that its next kernel has them too.
fn write_hardware_parameters(run: &Run, gate: &Gate) -> Result<()> {
    let parameters = run.plan.hardware_parameters.join(" ");
    if parameters.is_empty() {
        return Ok(());
    }
    let text = format!("GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX {parameters}\"\n");
    gate.make_directories(SETTINGS)?;
    let path = format!("{SETTINGS}/zz-reroot-hardware.cfg");
    Ok(gate.write(&path, text.as_bytes(), 0o644)?)
}

/// The new OS's next GRUB update installs to the disk that debconf names; without one it stops
/// and asks. Failing here costs the operator that question, so it is no reason to hold.
fn name_disk_for_updates(run: &Run) {
    let disk = run
        .plan
        .disk_by_id
        .clone()
        .unwrap_or_else(|| run.root.disk.display().to_string());
    let answer = format!("grub-pc grub-pc/install_devices multiselect {disk}\n");
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

/// grub-mkconfig writes `root=UUID=…` only where udev's name of that UUID exists; here is no udev.
/// /dev is the kernel's own, so the new OS sees the link as well.
fn name_root_by_uuid(run: &Run) -> Result<()> {
    let directory = Path::new("/dev/disk/by-uuid");
    let link = directory.join(&run.plan.root.fs_uuid);
    fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
    match std::os::unix::fs::symlink(&run.root.device, &link) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(e).with_context(|| format!("link {}", link.display()))
        }
        _ => Ok(()),
    }
}

/// The root is synced behind this.
fn copy_modules(gate: &Gate) -> Result<()> {
    let from = target::at(SOURCE);
    gate.make_directories(INSTALLED)?;
    let entries = fs::read_dir(&from).with_context(|| format!("list {}", from.display()))?;
    for entry in entries {
        let source = entry
            .with_context(|| format!("list {}", from.display()))?
            .path();
        let wanted = source.extension().is_some_and(|e| e == "mod" || e == "lst");
        if wanted {
            let name = source.file_name().unwrap_or_default().to_string_lossy();
            copy(gate, &source, &format!("{INSTALLED}/{name}"))?;
        }
    }
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

/// Writes the core image beside the one in use, which is the staged image's, and reads it back. It is
/// of no effect before the record is switched, the last thing of all.
fn embed_core(run: &Run) -> Result<Embedding> {
    let read = |path: String| {
        fs::read(target::at(&path)).with_context(|| format!("read {path} of the new OS"))
    };
    let boot = read(format!("{SOURCE}/boot.img"))?;
    let core = read(format!("{INSTALLED}/core.img"))?;
    let disk = Disk::open(&run.root)?;
    let embedding = embed::plan(&disk.room()?, &boot, &core)
        .context("embed GRUB behind the master boot record")?;
    disk.write_core(&embedding)?;
    log::info!("loader: core image at sectors {:?}", embedding.sectors());
    Ok(embedding)
}
