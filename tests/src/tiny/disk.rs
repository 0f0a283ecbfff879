//! Makes the disk of a row of the table from a tree: partition table, filesystems, GRUB.
//!
//! Everything is written at its offset, so that neither loop partitions nor a device mapper is needed; what is on
//! logical volumes is made by a guest that has one.
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

use super::layouts::{Kind, Layout, Partition, Table, Volume, DISK_SECTORS, GROUP};
use super::maker::maker;
use super::subvolumes;
use crate::by_hand;
use crate::command::run;

const SECTOR: u64 = 512;
/// UUIDs of the filesystems on every disk; one machine has one of them.
pub const ROOT_UUID: &str = "7265726f-6f74-4d0b-9c36-d1f1c6a0be21";
/// Of the swap partition.
pub const SWAP_UUID: &str = "7265726f-6f74-4d0b-9c36-d1f1c6a0be22";
/// Of the filesystem of `/boot`.
pub const BOOT_UUID: &str = "7265726f-6f74-4d0b-9c36-d1f1c6a0be23";
/// Of the filesystem of `/home`.
pub const HOME_UUID: &str = "7265726f-6f74-4d0b-9c36-d1f1c6a0be24";
/// Of a filesystem that is mounted beside these, by the number of its partition, or of its logical volume.
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
        (BOOT_UUID, String::new())
    } else {
        (ROOT_UUID, format!("{}/boot", layout.subvolume()))
    };
    let efi = layout.of_kind(Kind::Esp).next();
    let efi = efi
        .map(|_| by_hand::grub_for_uefi(tree, uuid, &boot, &[layout.root.grub_module()]))
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
    parts(&[Kind::Esp, Kind::Swap])?;
    if !layout.volumes.is_empty() {
        drop(disk);
        by_guest(&raw, layout, tree).context("have a guest make the logical volumes")?;
        return by_hand::into_qcow2(&raw, to);
    }
    parts(&[Kind::Boot])?;
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
            Kind::Physical => ("8e", "E6D6D379-F507-44C2-A23C-238F2A3DF928"),
            Kind::Home => ("83", "933AC7E1-2EB4-4F13-B844-0E14E2AEF915"),
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
            let features = xfs_features(layout);
            made_apart(disk, part, |file| {
                run(Command::new("mkfs.xfs")
                    .args(["-q", "-m", &format!("uuid={uuid},{features}")])
                    .arg(file))?;
                copy_into(&from, file)
            })?;
        }
        Kind::Root if filesystem == RootType::Btrfs => {
            made_apart(disk, part, |file| {
                run(Command::new("mkfs.btrfs")
                    .args(["-q", "-U", &uuid])
                    .arg(file))?;
                subvolumes::fill(layout.subvolumes, &from, file)
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
        Kind::BiosBoot | Kind::Extended | Kind::Physical | Kind::Home => {}
    }
    Ok(())
}

/// The GUID partition tables of today's images have the newer features, the records those of RHEL 7.
fn xfs_features(layout: &Layout) -> &'static str {
    match layout.table {
        Table::Gpt => "bigtime=1,inobtcount=1,reflink=1",
        Table::Mbr => "bigtime=0,inobtcount=0,reflink=0",
    }
}

/// Packs the tree into an archive that the guest unpacks.
pub(super) fn pack(tree: &Path, to: &Path) -> Result<()> {
    run(Command::new("tar")
        .args(["--numeric-owner", "--xattrs", "--xattrs-include=*"])
        .args(["--acls", "-cf"])
        .arg(to)
        .arg("-C")
        .arg(tree)
        .arg("."))
    .map(drop)
}

/// Makes volume group, logical volumes and every filesystem that the tree is on, and copies the tree there.
fn by_guest(raw: &Path, layout: &Layout, tree: &Path) -> Result<()> {
    let archive = tempfile::NamedTempFile::new().context("make a temporary file")?;
    pack(tree, archive.path())?;
    maker()?
        .run(&script(layout), &[raw, archive.path()])
        .map(drop)
}

/// What the guest does: the disk is its second, the tree's archive its third.
fn script(layout: &Layout) -> String {
    let mut script = String::new();
    let physical: Vec<String> = layout
        .of_kind(Kind::Physical)
        .map(|part| format!("/dev/vdb{}", part.number))
        .collect();
    let physical = physical.join(" ");
    let _ = writeln!(
        script,
        "pvcreate -q {physical}\nvgcreate -q {GROUP} {physical}"
    );
    for volume in layout.volumes {
        let Volume { name, mib, .. } = volume;
        let first = mib.first().copied().unwrap_or(0);
        let _ = writeln!(script, "lvcreate -q -y -W n -n {name} -L {first}m {GROUP}");
    }
    for Volume { name, mib, .. } in layout.volumes {
        for more in mib.iter().skip(1) {
            let _ = writeln!(script, "lvextend -q -L +{more}m {GROUP}/{name}");
        }
    }
    let mut make = |kind: Kind, device: &str, number: u32| {
        let mounted = mounted_uuid(number);
        let (at, uuid, filesystem) = match kind {
            Kind::Root => ("", ROOT_UUID, layout.root),
            Kind::Boot => ("/boot", BOOT_UUID, layout.root),
            Kind::Home => ("/home", HOME_UUID, layout.root),
            Kind::Mounted(at, filesystem, _) => (at, &mounted[..], filesystem),
            _ => {
                let _ = writeln!(script, "mkswap -U {SWAP_UUID} {device}");
                return;
            }
        };
        let at = format!("/mnt{at}");
        let _ = match filesystem {
            RootType::Ext4 => writeln!(
                script,
                "mkfs.ext4 -q -U {uuid} -E lazy_itable_init=0 {device}"
            ),
            RootType::Xfs => writeln!(
                script,
                "mkfs.xfs -q -m uuid={uuid},{} {device}",
                xfs_features(layout)
            ),
            // No row has one there.
            RootType::Btrfs => writeln!(script, "false"),
        };
        let _ = writeln!(script, "mkdir -p {at}\nmount {device} {at}");
    };
    for part in layout.of_kind(Kind::Root) {
        make(Kind::Root, &format!("/dev/vdb{}", part.number), part.number);
    }
    for (number, volume) in (128..).zip(layout.volumes) {
        make(
            volume.kind,
            &format!("/dev/{GROUP}/{}", volume.name),
            number,
        );
    }
    for part in layout.of_kind(Kind::Boot) {
        make(Kind::Boot, &format!("/dev/vdb{}", part.number), part.number);
    }
    let _ = writeln!(
        script,
        "tar --numeric-owner --xattrs '--xattrs-include=*' --acls -xpf /dev/vdc -C /mnt\n\
         umount -R /mnt\nlvs -o lv_name,seg_start,seg_size,devices --segments {GROUP}\n\
         vgchange -q -an {GROUP}"
    );
    script
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
pub(super) fn made_apart(
    disk: &File,
    part: &Partition,
    make: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
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
