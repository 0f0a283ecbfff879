//! Makes the disk of a row of the table from a tree: partition table, filesystems, GRUB.
//!
//! Everything is written at its offset, so that neither loop partitions nor a device mapper is needed.
//! GRUB's images go where grub-install puts them, boot.img's first 440 bytes into sector 0, core.img into
//! the gap or the BIOS boot partition; the machine that starts from it runs grub-install itself.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read, Write as _};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{ensure, Context, Result};

use super::layouts::{Kind, Layout, Partition, Table, DISK_SECTORS};
use crate::command::{explain, run};

const SECTOR: u64 = 512;
/// boot.img is code up to here; then come the disk's signature and the partition table.
const BOOT_CODE: usize = 440;
/// Where boot.img has the first sector of the core image.
const KERNEL_SECTOR: usize = 0x5c;
/// Where grub-install replaces two bytes for hard disks.
const DRIVE_CHECK: usize = 0x66;
/// Where the core image has its own second sector.
const BLOCK_LIST: usize = 0x1f4;

/// UUIDs of the filesystems on every disk; one machine has one of them.
pub const ROOT_UUID: &str = "7265726f-6f74-4d0b-9c36-d1f1c6a0be21";
/// Of the swap partition.
pub const SWAP_UUID: &str = "7265726f-6f74-4d0b-9c36-d1f1c6a0be22";
/// The EFI system partition's serial number, as mount takes it.
pub const ESP_UUID: &str = "7265-726F";

/// Makes the disk at `to`, a qcow2 file, from the tree, whose `/boot/grub/i386-pc` has boot.img and
/// core.img.
pub fn make(tree: &Path, layout: &Layout, to: &Path) -> Result<()> {
    let raw = to.with_extension("raw");
    let disk = File::create_new(&raw).with_context(|| format!("create {}", raw.display()))?;
    disk.set_len(DISK_SECTORS * SECTOR)
        .context("size the disk")?;
    partition(&raw, layout).context("write the partition table")?;
    for part in layout.partitions {
        fill(&raw, &disk, part, tree)
            .with_context(|| format!("make partition {} of {}", part.number, layout.name))?;
    }
    install_grub(&disk, layout, tree).context("install GRUB")?;
    drop(disk);
    run(Command::new("qemu-img")
        .args(["convert", "-O", "qcow2"])
        .arg(&raw)
        .arg(to))?;
    fs::remove_file(&raw).with_context(|| format!("remove {}", raw.display()))
}

fn partition(raw: &Path, layout: &Layout) -> Result<()> {
    let mut script = match layout.table {
        Table::Mbr => "label: dos\nlabel-id: 0x7265726f\n".to_owned(),
        Table::Gpt => "label: gpt\nlabel-id: 7265726F-6F74-4D0B-9C36-D1F1C6A0BE12\n".to_owned(),
    };
    for part in layout.partitions {
        let (mbr, gpt) = match part.kind {
            Kind::Root => ("83", "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"),
            Kind::BiosBoot => ("", "21686148-6449-6E6F-744E-656564454649"),
            Kind::Esp => ("ef", "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"),
            Kind::Swap => ("82", "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F"),
            Kind::Extended => ("5", ""),
        };
        let kind = if layout.table == Table::Mbr { mbr } else { gpt };
        let Partition {
            number,
            start,
            sectors,
            ..
        } = part;
        let _ = writeln!(
            script,
            "{number}: start={start}, size={sectors}, type={kind}"
        );
    }
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

fn fill(raw: &Path, disk: &File, part: &Partition, tree: &Path) -> Result<()> {
    let offset = part.start * SECTOR;
    match part.kind {
        Kind::Root => {
            run(Command::new("mkfs.ext4")
                .args(["-q", "-F", "-U", ROOT_UUID, "-O", "^orphan_file"])
                .args(["-J", "size=16", "-E"])
                .arg(format!(
                    "hash_seed={ROOT_UUID},offset={offset},lazy_itable_init=0"
                ))
                .arg("-d")
                .arg(tree)
                .arg(raw)
                .arg(format!("{}k", part.sectors / 2)))?;
        }
        Kind::Swap => {
            made_apart(disk, part, |file| {
                run(Command::new("mkswap")
                    .args(["-q", "-U", SWAP_UUID])
                    .arg(file))
                .map(drop)
            })?;
        }
        Kind::Esp => {
            made_apart(disk, part, |file| {
                run(Command::new("mkfs.vfat")
                    .args(["-i", &ESP_UUID.replace('-', "")])
                    .arg(file))
                .map(drop)
            })?;
        }
        Kind::BiosBoot | Kind::Extended => {}
    }
    Ok(())
}

/// For programs that know no offset: makes a file of the partition's size and copies it to its place.
fn made_apart(disk: &File, part: &Partition, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let mut file = tempfile::NamedTempFile::new().context("make a temporary file")?;
    file.as_file().set_len(part.sectors * SECTOR)?;
    make(file.path())?;
    let mut at = part.start * SECTOR;
    let mut block = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut block)?;
        if read == 0 {
            return Ok(());
        }
        if block[..read].iter().any(|&byte| byte != 0) {
            disk.write_all_at(&block[..read], at)?;
        }
        at += read as u64;
    }
}

fn install_grub(disk: &File, layout: &Layout, tree: &Path) -> Result<()> {
    let (at, room) = layout.room_for_loaders();
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
