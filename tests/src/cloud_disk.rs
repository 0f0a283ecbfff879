//! The disk of a cloud's server, as Debian's and Ubuntu's images for clouds have it: a GUID partition table,
//! in which the root is number 1 and comes last, behind the BIOS boot partition (14) and the EFI system
//! partition (15), which is mounted. A BIOS starts it as well as UEFI, which finds `\EFI\BOOT\BOOTX64.EFI`.
//!
//! Written part by part at its offset, as the disk in `disk.rs` is. core.img is at the start of partition
//! 14.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use formats::facts::RootType;

use crate::by_hand;
use crate::command::run;

/// The first sector of the root's partition.
pub const ROOT_START: u64 = 73_728;
const ROOT_SECTORS: u64 = DISK_SECTORS - ROOT_START - 2048;
const DISK_SECTORS: u64 = 4 << 21;
const SECTOR: u64 = 512;
const BIOS_BOOT_START: u64 = 2048;
const BIOS_BOOT_SECTORS: u64 = 6144;
/// The first sector of the EFI system partition.
pub const EFI_START: u64 = 8192;
/// Its sectors.
pub const EFI_SECTORS: u64 = ROOT_START - EFI_START;

/// GUID of the disk.
pub const DISK_GUID: &str = "7265726f-6f74-4d0b-9c36-d1f1c6a0be12";
/// GUID of the root's partition.
pub const ROOT_GUID: &str = "7265726f-6f74-4d0b-9c36-d1f1c6a0be01";
/// GUID of the EFI system partition, by which it is mounted.
pub const EFI_GUID: &str = "7265726f-6f74-4d0b-9c36-d1f1c6a0be15";

/// Makes a bootable disk at `to` from the tree, whose `/boot/grub/i386-pc` holds boot.img and core.img.
pub fn make(tree: &Path, root_uuid: &str, to: &Path) -> Result<()> {
    let raw = to.with_extension("raw");
    let file = File::create_new(&raw).with_context(|| format!("create {}", raw.display()))?;
    file.set_len(DISK_SECTORS * SECTOR)
        .context("size the disk")?;
    let esp = efi_partition(tree, root_uuid, &to.with_extension("efi"))?;
    let root_offset = ROOT_START * SECTOR;
    run(Command::new("mkfs.ext4")
        .args(["-q", "-F", "-U", root_uuid, "-O", "^orphan_file", "-E"])
        .arg(format!("offset={root_offset},lazy_itable_init=0"))
        .arg("-d")
        .arg(tree)
        .arg(&raw)
        .arg(format!("{}k", ROOT_SECTORS / 2)))?;
    file.write_all_at(&esp, EFI_START * SECTOR)
        .context("write the EFI system partition")?;
    partition(&raw)?;

    by_hand::embed_grub(&file, tree, BIOS_BOOT_START, BIOS_BOOT_SECTORS)?;
    drop(file);
    by_hand::into_qcow2(&raw, to)
}

/// The EFI system partition, made at `at`. GRUB's modules go into the tree.
fn efi_partition(tree: &Path, root_uuid: &str, at: &Path) -> Result<Vec<u8>> {
    let core = by_hand::grub_for_uefi(tree, root_uuid, "/boot", &[RootType::Ext4.grub_module()])?;
    let file = File::create_new(at).with_context(|| format!("create {}", at.display()))?;
    file.set_len(EFI_SECTORS * SECTOR)
        .context("size the EFI system partition")?;
    run(Command::new("mkfs.fat")
        .args(["-F", "16", "-n", "UEFI"])
        .arg(at))?;
    by_hand::put_onto_fat(&core, at)?;
    let bytes = fs::read(at).with_context(|| format!("read {}", at.display()))?;
    fs::remove_file(at).with_context(|| format!("remove {}", at.display()))?;
    Ok(bytes)
}

fn partition(raw: &Path) -> Result<()> {
    let script = format!(
        "label: gpt\nlabel-id: {DISK_GUID}\n\
         14: start={BIOS_BOOT_START}, size={BIOS_BOOT_SECTORS}, \
         type=21686148-6449-6E6F-744E-656564454649\n\
         15: start={EFI_START}, size={EFI_SECTORS}, uuid={EFI_GUID}, \
         type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B\n\
         1: start={ROOT_START}, size={ROOT_SECTORS}, uuid={ROOT_GUID}, \
         type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709\n"
    );
    by_hand::partition(raw, &script)
}
