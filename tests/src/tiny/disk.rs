//! Makes the disk of a row of the table from a tree: partition table, filesystems, GRUB.
//!
//! Everything is written at its offset, so that neither loop partitions nor a device mapper is needed.
//! GRUB is put into the gap or the BIOS boot partition, and the machine that starts from it runs grub-install
//! itself; GRUB for UEFI is put onto the EFI system partition, if there is one.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use formats::facts::RootType;

use super::layouts::{Kind, Layout, Partition, Table, DISK_SECTORS};
use crate::by_hand;
use crate::command::run;

const SECTOR: u64 = 512;
/// UUIDs of the filesystems on every disk; one machine has one of them.
pub const ROOT_UUID: &str = "7265726f-6f74-4d0b-9c36-d1f1c6a0be21";
/// Of the swap partition.
pub const SWAP_UUID: &str = "7265726f-6f74-4d0b-9c36-d1f1c6a0be22";
/// Of the filesystem of `/boot`.
pub const BOOT_UUID: &str = "7265726f-6f74-4d0b-9c36-d1f1c6a0be23";
/// Of a filesystem that is mounted beside these, by the number of its partition.
pub fn mounted_uuid(number: u32) -> String {
    format!("7265726f-6f74-4d0b-9c36-d1f1c6a0bf{number:02x}")
}
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
    // On a filesystem of its own /boot is the top for GRUB.
    let boot_apart = layout.of_kind(Kind::Boot).next().is_some();
    let (uuid, boot) = if boot_apart {
        (BOOT_UUID, "")
    } else {
        (ROOT_UUID, "/boot")
    };
    let efi = layout.of_kind(Kind::Esp).next();
    let efi = efi
        .map(|_| by_hand::grub_for_uefi(tree, uuid, boot, layout.root))
        .transpose()?;
    let (at, room) = layout.room_for_loaders();
    by_hand::embed_grub(&disk, tree, at, room).context("install GRUB")?;
    let parts = |kinds: &[Kind]| -> Result<()> {
        let parts = layout.partitions.iter();
        for part in parts.filter(|part| kinds.contains(&part.kind)) {
            fill(&raw, &disk, part, layout, tree, efi.as_deref())
                .with_context(|| format!("make partition {} of {}", part.number, layout.name))?;
        }
        Ok(())
    };
    parts(&[Kind::Boot, Kind::Esp, Kind::Swap])?;
    if boot_apart {
        let boot = tree.join("boot");
        fs::remove_dir_all(&boot).context("take what is on its own filesystem from the root")?;
        fs::create_dir(&boot).context("make the mount point")?;
    }
    // What is mounted in another one first: it takes its part out of the tree.
    for (part, at, ..) in layout.mounted().rev() {
        parts(&[part.kind])?;
        let place = tree.join(at.trim_start_matches('/'));
        fs::remove_dir_all(&place).context("take what is on its own filesystem from the tree")?;
        fs::create_dir(&place).context("make the mount point")?;
    }
    parts(&[Kind::Root])?;
    drop(disk);
    by_hand::into_qcow2(&raw, to)
}

fn partition(raw: &Path, layout: &Layout) -> Result<()> {
    let mut script = match layout.table {
        Table::Mbr => "label: dos\nlabel-id: 0x7265726f\n".to_owned(),
        Table::Gpt => "label: gpt\nlabel-id: 7265726F-6F74-4D0B-9C36-D1F1C6A0BE12\n".to_owned(),
    };
    for part in layout.partitions {
        let (mbr, gpt) = match part.kind {
            Kind::Root => ("83", "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"),
            Kind::Mounted(..) => ("83", "0FC63DAF-8483-4772-8E79-3D69D8477DE4"),
            Kind::Boot => ("83", "BC13C2FF-59E6-4262-A352-B275FD6F7172"),
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
    by_hand::partition(raw, &script)
}

/// `efi` is GRUB's file for UEFI, where there is a partition for it.
fn fill(
    raw: &Path,
    disk: &File,
    part: &Partition,
    layout: &Layout,
    tree: &Path,
    efi: Option<&Path>,
) -> Result<()> {
    let offset = part.start * SECTOR;
    // In MiB; a small filesystem would have none left for anything else.
    let journal = if part.sectors < 200 << 11 { 4 } else { 16 };
    let (uuid, from, filesystem) = match part.kind {
        Kind::Boot => (BOOT_UUID.to_owned(), tree.join("boot"), RootType::Ext4),
        Kind::Mounted(at, filesystem, _) => {
            let from = tree.join(at.trim_start_matches('/'));
            (mounted_uuid(part.number), from, filesystem)
        }
        _ => (ROOT_UUID.to_owned(), tree.to_owned(), layout.root),
    };
    match part.kind {
        Kind::Root | Kind::Mounted(..) if filesystem == RootType::Xfs => {
            // The GUID partition tables of today's images have the newer features, the records those of RHEL 7.
            let features = match layout.table {
                Table::Gpt => "bigtime=1,inobtcount=1,reflink=1",
                Table::Mbr => "bigtime=0,inobtcount=0,reflink=0",
            };
            made_apart(disk, part, |file| {
                run(Command::new("mkfs.xfs")
                    .args(["-q", "-m", &format!("uuid={uuid},{features}")])
                    .arg(file))?;
                copy_into(&from, file)
            })?;
        }
        Kind::Root | Kind::Boot | Kind::Mounted(..) => {
            run(Command::new("mkfs.ext4")
                .args(["-q", "-F", "-U", &uuid, "-O", "^orphan_file"])
                .args(["-J", &format!("size={journal}"), "-E"])
                .arg(format!(
                    "hash_seed={ROOT_UUID},offset={offset},lazy_itable_init=0"
                ))
                .arg("-d")
                .arg(from)
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
                    .arg(file))?;
                efi.map_or(Ok(()), |core| by_hand::put_onto_fat(core, file))
            })?;
        }
        Kind::BiosBoot | Kind::Extended => {}
    }
    Ok(())
}

/// Copies a tree onto the XFS in a file, mounted where nobody else sees it; every disk has the same UUID.
fn copy_into(tree: &Path, file: &Path) -> Result<()> {
    let at = tempfile::tempdir().context("make a mount point")?;
    let script = "mount -o loop,nouuid \"$2\" \"$3\" && cp -a \"$1\"/. \"$3\" && umount \"$3\"";
    run(Command::new("unshare")
        .args(["--mount", "sh", "-ec", script, "sh"])
        .args([tree, file, at.path()]))
    .map(drop)
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
