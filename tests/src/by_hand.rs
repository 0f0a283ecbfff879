//! Steps of making a disk without its own installer: partition table, GRUB, the file's format.
//!
//! GRUB's images go where grub-install puts them: boot.img's first 440 bytes into sector 0, core.img where
//! the disk has room for it. GRUB for UEFI is this machine's, for old servers' packages bring that for a
//! BIOS alone.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{ensure, Context, Result};

use crate::command::{explain, run};

const SECTOR: u64 = 512;
/// boot.img is code up to here; then come the disk's signature and the partition table.
pub(crate) const BOOT_CODE: usize = 440;
/// Where boot.img has the first sector of the core image.
const KERNEL_SECTOR: usize = 0x5c;
/// Where boot.img holds two bytes that grub-install replaces for hard disks (`nop; nop`): without
/// it GRUB trusts a drive number that some firmware gets wrong.
pub(crate) const DRIVE_CHECK: usize = 0x66;
/// Where the core image has its own second sector.
const BLOCK_LIST: usize = 0x1f4;

/// Has sfdisk write the table that this script describes.
pub(crate) fn partition(raw: &Path, script: &str) -> Result<()> {
    let mut command = Command::new("sfdisk");
    command
        .args(["--quiet", "--no-reread", "--no-tell-kernel"])
        .args(["--wipe", "never", "--wipe-partitions", "never"])
        .arg(raw)
        .stdin(Stdio::piped());
    let mut sfdisk = command.spawn().map_err(|error| explain(&command, error))?;
    let mut input = sfdisk.stdin.take().context("sfdisk's input")?;
    input
        .write_all(script.as_bytes())
        .context("tell sfdisk the table")?;
    drop(input);
    let status = sfdisk.wait().context("wait for sfdisk")?;
    ensure!(status.success(), "sfdisk: {status}");
    Ok(())
}

/// Puts GRUB, boot.img and core.img in the tree's `/boot/grub/i386-pc`, on a disk that has `room` sectors
/// for it from sector `at` on.
pub(crate) fn embed_grub(disk: &File, tree: &Path, at: u64, room: u64) -> Result<()> {
    let grub = tree.join("boot/grub/i386-pc");
    let boot = fs::read(grub.join("boot.img")).context("read GRUB's boot.img")?;
    let mut core = fs::read(grub.join("core.img")).context("read GRUB's core.img")?;
    ensure!(
        core.len() as u64 <= room * SECTOR,
        "GRUB's core.img of {} bytes does not fit into {room} sectors",
        core.len()
    );
    core[BLOCK_LIST..BLOCK_LIST + 8].copy_from_slice(&(at + 1).to_le_bytes());
    let mut code = boot[..BOOT_CODE].to_vec();
    code[KERNEL_SECTOR..KERNEL_SECTOR + 8].copy_from_slice(&at.to_le_bytes());
    code[DRIVE_CHECK..DRIVE_CHECK + 2].copy_from_slice(&[0x90, 0x90]);
    disk.write_all_at(&code, 0)
        .context("write the MBR's code")?;
    disk.write_all_at(&core, at * SECTOR)
        .context("write GRUB's core.img")
}

/// GRUB for UEFI on this machine, and in a tree.
const EFI_MODULES: [&str; 2] = ["/usr/lib/grub/x86_64-efi", "boot/grub/x86_64-efi"];

/// Makes GRUB for UEFI, which reads its configuration from the filesystem with this UUID on a GUID partition
/// table, in the tree that will be there, and gives its file. `boot` is where that filesystem has `/boot`, `reads`
/// are the modules that read it.
pub(crate) fn grub_for_uefi(
    tree: &Path,
    uuid: &str,
    boot: &str,
    reads: &[&str],
) -> Result<PathBuf> {
    let [here, there] = EFI_MODULES;
    let modules = tree.join(there);
    run(Command::new("cp").arg("-r").arg(here).arg(&modules))?;
    let config = modules.join("load.cfg");
    let text = format!("search.fs_uuid {uuid} root\nset prefix=($root){boot}/grub\n");
    fs::write(&config, text).context("write GRUB's first commands")?;
    let core = modules.join("core.efi");
    run(Command::new("grub-mkimage")
        .args(["-O", "x86_64-efi", "-p", "/boot/grub", "-c"])
        .arg(&config)
        .arg("-o")
        .arg(&core)
        .args(["part_gpt", "search_fs_uuid"])
        .args(reads))?;
    Ok(core)
}

/// Puts it onto the FAT filesystem in the file `fat`: where a firmware looks that no variable tells
/// otherwise, and where a Debian has it.
pub(crate) fn put_onto_fat(core: &Path, fat: &Path) -> Result<()> {
    run(Command::new("mmd")
        .arg("-i")
        .arg(fat)
        .args(["::/EFI", "::/EFI/BOOT", "::/EFI/debian"]))?;
    for to in ["::/EFI/BOOT/BOOTX64.EFI", "::/EFI/debian/grubx64.efi"] {
        run(Command::new("mcopy").arg("-i").arg(fat).arg(core).arg(to))?;
    }
    Ok(())
}

/// Makes the raw disk a qcow2 file at `to`.
pub(crate) fn into_qcow2(raw: &Path, to: &Path) -> Result<()> {
    run(Command::new("qemu-img")
        .args(["convert", "-O", "qcow2"])
        .arg(raw)
        .arg(to))?;
    fs::remove_file(raw).with_context(|| format!("remove {}", raw.display()))
}
