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
use storage::mbr::MBR_SIZE;

use crate::ram::kernel_filesystems;
use crate::root::replace::replace;
use crate::root::target::{self, TARGET};
use crate::run::behind::inspect::BootableRoot;
use crate::run::behind::unpack::UnpackedRoot;
use crate::run::behind::{carry, chroot, host_keys, inspect, locales};
use crate::run::boot_sectors::Disk;
use crate::run::data::Run;
use crate::run::journal_file;

/// GRUB's files for a PC BIOS, in the payload.
const SOURCE: &str = "/usr/lib/grub/i386-pc";
/// Where GRUB reads them from.
const INSTALLED: &str = "/boot/grub/i386-pc";
/// What the core image must have before it can read anything from the filesystem.
const CORE_MODULES: [&str; 4] = ["biosdisk", "part_msdos", "ext2", "search_fs_uuid"];

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
    let root = Path::new(TARGET);
    let uuid = &run.plan.root.fs_uuid;
    host_keys::generate_missing()?;
    locales::generate(&run.plan);
    copy_modules()?;
    let search = format!("search.fs_uuid {uuid} root\nset prefix=($root)/boot/grub\n");
    replace(
        &target::at(INSTALLED).join("load.cfg"),
        search.as_bytes(),
        0o644,
    )?;
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
    chroot::run(root, "grub-mkimage", &arguments, b"")?;
    chroot::run(root, "grub-editenv", &["/boot/grub/grubenv", "create"], b"")?;
    write_hardware_parameters(run)?;
    name_disk_for_updates(run);
    name_root_by_uuid(run)?;
    chroot::run(root, "grub-mkconfig", &["-o", "/boot/grub/grub.cfg"], b"")?;
    Ok(())
}

/// Parameters that the machine has because of its hardware go into the new OS's own settings, so
/// that its next kernel has them too.
fn write_hardware_parameters(run: &Run) -> Result<()> {
    let parameters = run.plan.hardware_parameters.join(" ");
    if parameters.is_empty() {
        return Ok(());
    }
    let directory = target::at("/etc/default/grub.d");
    fs::create_dir_all(&directory).with_context(|| format!("make {}", directory.display()))?;
    let text = format!("GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX {parameters}\"\n");
    replace(
        &directory.join("zz-reroot-hardware.cfg"),
        text.as_bytes(),
        0o644,
    )
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

fn copy_modules() -> Result<()> {
    let (from, to) = (target::at(SOURCE), target::at(INSTALLED));
    fs::create_dir_all(&to).with_context(|| format!("make {}", to.display()))?;
    let entries = fs::read_dir(&from).with_context(|| format!("list {}", from.display()))?;
    for entry in entries {
        let source = entry
            .with_context(|| format!("list {}", from.display()))?
            .path();
        let wanted = source.extension().is_some_and(|e| e == "mod" || e == "lst");
        if wanted {
            let target = to.join(source.file_name().unwrap_or_default());
            fs::copy(&source, &target)
                .with_context(|| format!("copy {} to {}", source.display(), target.display()))?;
        }
    }
    let font = target::at("/usr/share/grub/unicode.pf2");
    if font.exists() {
        let fonts = target::at("/boot/grub/fonts");
        fs::create_dir_all(&fonts).with_context(|| format!("make {}", fonts.display()))?;
        fs::copy(&font, fonts.join("unicode.pf2")).context("copy GRUB's font")?;
    }
    Ok(())
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
    let embedding = embed::plan(&disk.gap()?, &boot, &core)
        .context("embed GRUB behind the master boot record")?;
    disk.write_core(&embedding)?;
    log::info!(
        "loader: core image at sectors {}..{}",
        embedding.sector,
        embedding.sector + (embedding.core.len() / MBR_SIZE) as u64
    );
    Ok(embedding)
}
