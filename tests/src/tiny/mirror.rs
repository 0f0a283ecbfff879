//! Tiny machines whose root is on a mirror of two disks, as hosts of dedicated servers make them: a row each.
//!
//! The guest that makes disks puts the arrays together; GRUB is put on both disks, and the machine that starts
//! from it runs grub-install on each.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use formats::facts::RootType;

use super::disk::{made_apart, mounted_uuid, pack, ROOT_UUID, SWAP_UUID};
use super::layouts::{Kind, Partition, Table, DISK_SECTORS};
use super::maker::maker;
use super::{tree, MEMORY_MIB, OLD};
use crate::additions::Additions;
use crate::base::{digest, forget_others, say};
use crate::by_hand;
use crate::command::run;
use crate::disk::Disk;
use crate::old_server::{only_kernel, Firmware, OldServer};
use crate::power::{Cut, Recording};
use crate::vm::{self, Machine, PoweredOff, Start};
use crate::{lock, paths};

const SECTOR: u64 = 512;
const MIB: u64 = 2048;
const THIRD_START: u64 = 720 * MIB;
const SWAP_START: u64 = 900 * MIB;
/// The serial numbers of the EFI system partitions, as mount takes them.
const EFI_UUIDS: [&str; 2] = ["7265-7201", "7265-7202"];
const END: u64 = DISK_SECTORS - MIB;
/// The second disk, in the directory of its machine.
const SECOND: &str = "second.qcow2";

/// What a third mirror is for, behind those of the root and of swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Third {
    /// There is none.
    Nothing,
    /// Mounted at /var.
    Var,
    /// Mounted at /boot, which GRUB starts from.
    Boot,
}

/// Two disks with the root on a mirror, and swap on another.
#[derive(Debug, Clone, Copy)]
pub struct Mirror {
    /// A name for files and output.
    pub name: &'static str,
    /// Who makes such disks.
    pub made_by: &'static str,
    /// The partition table of each.
    pub table: Table,
    /// Version of the arrays' metadata.
    pub metadata: &'static str,
    /// Number of the root's partition; that of swap is the next.
    pub root: u32,
    /// Where the root's partition begins on each disk.
    pub starts: [u64; 2],
    /// Whether UEFI starts them, by an EFI system partition on each, number 1.
    pub by_uefi: bool,
    /// What is on a third mirror.
    pub third: Third,
}

impl Mirror {
    /// How many arrays there are.
    pub fn arrays(&self) -> usize {
        2 + usize::from(self.has_third())
    }

    fn has_third(&self) -> bool {
        self.third != Third::Nothing
    }

    /// What starts them.
    pub fn firmware(&self) -> Firmware {
        if self.by_uefi {
            Firmware::Uefi
        } else {
            Firmware::Bios
        }
    }

    /// The UUID of the filesystem on the third mirror.
    pub fn third_uuid(&self) -> String {
        mounted_uuid(self.root + 2)
    }

    /// GRUB's module for the arrays.
    fn module(&self) -> &'static str {
        match self.metadata {
            "0.90" => "mdraid09",
            _ => "mdraid1x",
        }
    }

    /// Where the root's partitions end.
    fn root_end(&self) -> u64 {
        if self.has_third() {
            THIRD_START
        } else {
            SWAP_START
        }
    }

    /// What fstab says of filesystems beside the root, swap and /boot.
    fn mounted(&self) -> String {
        let mut lines = Vec::new();
        if self.third == Third::Var {
            lines.push(format!("UUID={} /var ext4 nodev 0 2", self.third_uuid()));
        }
        if self.by_uefi {
            let [first, second] = EFI_UUIDS;
            lines.push(format!("UUID={first} /boot/efi vfat umask=0077,nofail 0 0"));
            lines.push(format!(
                "UUID={second} /boot/efi2 vfat umask=0077,nofail 0 0"
            ));
        }
        lines.join("\n")
    }
}

/// Every pair of disks that a tiny machine can have.
pub const MIRRORS: &[Mirror] = &[
    Mirror {
        name: "raid1-mbr",
        made_by: "Hetzner's installimage with a BIOS; the second disk was replaced by another and partitioned by hand",
        table: Table::Mbr,
        metadata: "1.2",
        root: 1,
        starts: [MIB, 3 * MIB],
        by_uefi: false,
        third: Third::Nothing,
    },
    Mirror {
        name: "raid1-gpt",
        made_by: "OVH's installer and Debian's with a BIOS, on disks with a GUID partition table",
        table: Table::Gpt,
        metadata: "1.0",
        root: 2,
        starts: [2 * MIB, 2 * MIB],
        by_uefi: false,
        third: Third::Nothing,
    },
    Mirror {
        name: "raid1-boot-apart",
        made_by: "Hetzner's installimage with a BIOS, as it is called without wishes: swap, /boot and the root, each on a \
                  mirror; with the metadata that GRUB's first releases read",
        table: Table::Gpt,
        metadata: "0.90",
        root: 2,
        starts: [2 * MIB, 2 * MIB],
        by_uefi: false,
        third: Third::Boot,
    },
    Mirror {
        name: "raid1-uefi",
        made_by: "OVH's installer and Debian's with UEFI: an EFI system partition on each disk, which is no mirror",
        table: Table::Gpt,
        metadata: "1.2",
        root: 2,
        starts: [65 * MIB, 67 * MIB],
        by_uefi: true,
        third: Third::Var,
    },
];

/// The row of this name, which has to be there.
pub fn row(name: &str) -> Result<&'static Mirror> {
    let row = MIRRORS.iter().find(|mirror| mirror.name == name);
    row.with_context(|| format!("no row {name}"))
}

/// The old server on such disks: the first is its own.
#[derive(Debug, Clone)]
pub struct MirrorServer {
    /// With the first disk.
    pub server: OldServer,
    /// The qcow2 file of the second.
    pub second: PathBuf,
}

impl MirrorServer {
    /// Booted, with both disks.
    pub fn boot(&self, name: &str) -> Result<Machine> {
        let directory = vm::directory(name)?;
        let at = |name: &str| directory.path().join(name);
        let first = Disk::over(&self.server.disk, &at("disk.qcow2"))?;
        let second = Disk::over(&self.second, &at(SECOND))?;
        let additions = with(second);
        let start = Start::Boot;
        let mut machine =
            Machine::start(&self.server, directory, first, MEMORY_MIB, start, additions)?;
        machine.wait_for_old_ssh()?;
        Ok(machine)
    }
}

/// A server on such disks, booted, with everything recorded that it writes to each of them.
pub fn recorded(server: &MirrorServer, name: &str) -> Result<(Machine, [Recording; 2])> {
    let directory = vm::directory(name)?;
    let at = |name: &str| directory.path().join(name);
    let first = Disk::over(&server.server.disk, &at("disk.qcow2"))?;
    let second = Disk::over(&server.second, &at(SECOND))?;
    let second_server = OldServer {
        disk: server.second.clone(),
        ..server.server.clone()
    };
    let recordings = [
        Recording::begun(server.server.clone(), &format!("{name}-first"))?,
        Recording::begun(second_server, &format!("{name}-second"))?,
    ];
    let mut additions = with(second);
    let [of_first, of_second] = &recordings;
    additions.recording = Some(of_first.log().to_owned());
    additions.recording_of_further = Some(of_second.log().to_owned());
    let start = Start::Boot;
    let mut machine = Machine::start(
        &server.server,
        directory,
        first,
        MEMORY_MIB,
        start,
        additions,
    )?;
    machine.wait_for_old_ssh()?;
    Ok((machine, recordings))
}

/// Switches a machine on with disks whose machine lost its power; the firmware starts the first of them.
pub fn switched_on(first: Cut, second: Option<Cut>) -> Result<Machine> {
    let second = second.map(Cut::into_disk).transpose()?;
    let (mut additions, layers) = match second {
        Some((disk, layers)) => (with(disk), Some(layers)),
        None => (Additions::default(), None),
    };
    additions.layers = layers;
    first.boot_with(MEMORY_MIB, additions)
}

/// Which disks a machine is switched on with; the one that its firmware starts comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disks {
    /// Both, the first is started.
    Both,
    /// Both, the second is started.
    Swapped,
    /// The first alone.
    First,
    /// The second alone.
    Second,
}

/// Switches a machine on with a disk whose machine lost its power, and with the one that another machine had alone
/// meanwhile; the firmware starts the former.
pub fn joined(first: Cut, second: Machine) -> Result<Machine> {
    let PoweredOff {
        disk, directory, ..
    } = second.cut_power()?;
    let mut additions = with(disk);
    additions.layers = Some(directory);
    first.boot_with(MEMORY_MIB, additions)
}

/// Cuts the power of a machine with two disks and switches it on again with these.
pub fn switched_on_again(machine: Machine, server: &MirrorServer, disks: Disks) -> Result<Machine> {
    let mut off = machine.cut_power()?;
    let first = off.disk.beside("disk.qcow2");
    let second = off.disk.beside(SECOND);
    let (disk, further) = match disks {
        Disks::Both => (first, Some(second)),
        Disks::Swapped => (second, Some(first)),
        Disks::First => (first, None),
        Disks::Second => (second, None),
    };
    off.disk = disk;
    let additions = further.map_or_else(Additions::default, with);
    off.boot_with(&server.server, MEMORY_MIB, additions)
}

fn with(disk: Disk) -> Additions {
    Additions {
        disks: vec![disk],
        ..Additions::default()
    }
}

/// The old server on such disks, made if it is not there yet.
pub fn server(mirror: &Mirror) -> Result<MirrorServer> {
    let tarball = tree(OLD)?;
    let key = digest(&[
        &tarball.display().to_string(),
        &super::key()?,
        &format!("{mirror:?}"),
        include_str!("mirror.rs"),
    ]);
    let prefix = format!("tiny-server-{}-", mirror.name);
    let name = format!("{prefix}{key}");
    let directory = paths::base().join(&name);
    let made = |directory: &Path| MirrorServer {
        server: OldServer {
            disk: directory.join("first.qcow2"),
            kernel: directory.join("vmlinuz"),
            directory: directory.to_owned(),
            firmware: mirror.firmware(),
        },
        second: directory.join(SECOND),
    };
    let _lock = lock::exclusive(&paths::base().join(format!("tiny-{}.lock", mirror.name)))?;
    if directory.exists() {
        return Ok(made(&directory));
    }
    say(&format!("making the tiny server {}", mirror.name));
    let scratch = tempfile::tempdir_in(paths::base()).context("create a scratch directory")?;
    let (tree, to) = (scratch.path().join("tree"), scratch.path().join("made"));
    fs::create_dir(&to).context("create the disks' directory")?;
    let boot = match mirror.third {
        Third::Boot => mirror.third_uuid(),
        Third::Nothing | Third::Var => String::new(),
    };
    super::old_tree(
        &tree,
        &tarball,
        &[
            ("ROOT_TYPE", RootType::Ext4.name()),
            ("GRUB_MODULE", &format!("ext2 {}", mirror.module())),
            ("ROOT_UUID", ROOT_UUID),
            ("BOOT_UUID", &boot),
            ("SWAP_UUID", SWAP_UUID),
            ("MOUNTED", &mirror.mounted()),
        ],
    )?;
    if mirror.by_uefi {
        for directory in ["boot/efi", "boot/efi2"] {
            fs::create_dir(tree.join(directory)).context("make a mount point")?;
        }
    }
    fs::copy(only_kernel(&tree)?, to.join("vmlinuz")).context("copy the kernel")?;
    let by_hand = MirrorServer {
        server: OldServer {
            disk: to.join("first-by-hand.qcow2"),
            ..made(&to).server
        },
        second: to.join("second-by-hand.qcow2"),
    };
    if mirror.by_uefi {
        // Nothing mends it: its file is whole.
        make(&tree, mirror, scratch.path(), &made(&to))?;
        fs::rename(&to, &directory).with_context(|| format!("name {}", directory.display()))?;
        forget_others(&name, &prefix);
        return Ok(made(&directory));
    }
    make(&tree, mirror, scratch.path(), &by_hand)?;
    install_grub(&by_hand, &made(&to))?;
    for disk in [&by_hand.server.disk, &by_hand.second] {
        fs::remove_file(disk).context("remove what was made by hand")?;
    }
    fs::rename(&to, &directory).with_context(|| format!("name {}", directory.display()))?;
    forget_others(&name, &prefix);
    Ok(made(&directory))
}

/// Partitions both disks, embeds GRUB, and has the guest make the arrays and what is on them.
fn make(tree: &Path, mirror: &Mirror, scratch: &Path, to: &MirrorServer) -> Result<()> {
    let raw = [scratch.join("a.raw"), scratch.join("b.raw")];
    let efi = mirror
        .by_uefi
        .then(|| by_hand::grub_for_uefi(tree, ROOT_UUID, "/boot", &["ext2", mirror.module()]));
    let efi = efi.transpose()?;
    for ((raw, start), number) in raw.iter().zip(mirror.starts).zip(1..) {
        let disk = File::create_new(raw).with_context(|| format!("create {}", raw.display()))?;
        disk.set_len(DISK_SECTORS * SECTOR)
            .context("size the disk")?;
        by_hand::partition(raw, &table(mirror, start, number))
            .context("write the partition table")?;
        if let Some(core) = &efi {
            let serial = EFI_UUIDS[number as usize - 1].replace('-', "");
            let partition = Partition {
                number: 1,
                start: MIB,
                sectors: 64 * MIB,
                kind: Kind::Esp,
            };
            made_apart(&disk, &partition, |file| {
                run(Command::new("mkfs.vfat").args(["-i", &serial]).arg(file))?;
                by_hand::put_onto_fat(core, file)
            })?;
            continue;
        }
        let (at, room) = match mirror.table {
            Table::Mbr => (1, start - 1),
            Table::Gpt => (MIB, MIB),
        };
        by_hand::embed_grub(&disk, tree, at, room).context("install GRUB")?;
    }
    let archive = scratch.join("tree.tar");
    pack(tree, &archive)?;
    let Mirror {
        metadata, root: n, ..
    } = mirror;
    let (swap, third) = (n + 1, n + 2);
    let create = "mdadm --create --run --assume-clean --level=1 --raid-devices=2 --homehost=shop1";
    let mounted = match mirror.third {
        Third::Nothing => None,
        Third::Var => Some("/mnt/var"),
        Third::Boot => Some("/mnt/boot"),
    };
    let on_third = mounted.map_or_else(String::new, |at| {
        let uuid = mirror.third_uuid();
        format!(
            "{create} --metadata={metadata} /dev/md2 /dev/vdb{third} /dev/vdc{third}
             mkfs.ext4 -q -U {uuid} -E lazy_itable_init=0,lazy_journal_init=0 /dev/md2
             mkdir {at}
             mount /dev/md2 {at}"
        )
    });
    let script = format!(
        "{create} --metadata={metadata} /dev/md0 /dev/vdb{n} /dev/vdc{n}
         {create} --metadata={metadata} /dev/md1 /dev/vdb{swap} /dev/vdc{swap}
         mkswap -U {SWAP_UUID} /dev/md1
         mkfs.ext4 -q -U {ROOT_UUID} -E lazy_itable_init=0,lazy_journal_init=0 /dev/md0
         mount /dev/md0 /mnt
         {on_third}
         tar --numeric-owner --xattrs '--xattrs-include=*' --acls -xpf /dev/vdd -C /mnt
         umount -R /mnt
         mdadm --stop /dev/md*"
    );
    maker()?.run(&script, &[&raw[0], &raw[1], &archive])?;
    by_hand::into_qcow2(&raw[0], &to.server.disk)?;
    by_hand::into_qcow2(&raw[1], &to.second)
}

fn table(mirror: &Mirror, start: u64, disk: u32) -> String {
    let mut script = match mirror.table {
        Table::Mbr => format!("label: dos\nlabel-id: 0x7265726{disk:x}\n"),
        Table::Gpt => {
            let mut script =
                format!("label: gpt\nlabel-id: 7265726F-6F74-4D0B-9C36-D1F1C6A0BE0{disk}\n");
            let (size, kind) = if mirror.by_uefi {
                (64 * MIB, "C12A7328-F81F-11D2-BA4B-00A0C93EC93B")
            } else {
                (MIB, "21686148-6449-6E6F-744E-656564454649")
            };
            let _ = writeln!(script, "1: start={MIB}, size={size}, type={kind}");
            script
        }
    };
    let kind = match mirror.table {
        Table::Mbr => "fd",
        Table::Gpt => "A19D880F-05FC-4D3B-A006-743F0F84911E",
    };
    let parts = [
        (mirror.root, start, mirror.root_end()),
        (mirror.root + 1, SWAP_START, END),
        (mirror.root + 2, THIRD_START, SWAP_START),
    ];
    for (number, start, end) in parts.into_iter().take(mirror.arrays()) {
        let size = end - start;
        let _ = writeln!(script, "{number}: start={start}, size={size}, type={kind}");
    }
    script
}

/// Has GRUB's own program put it on both disks. `to` is where the disks go after that.
fn install_grub(by_hand: &MirrorServer, to: &MirrorServer) -> Result<()> {
    let machine = by_hand.boot("tiny-grub")?;
    machine.expect("for disk in a b; do grub-install --no-floppy /dev/vd$disk; done 2>&1")?;
    machine.expect(
        "swapoff -a; mount -o remount,ro / && sync && sleep 1 && cat /proc/mdstat && \
         cat /sys/block/md*/md/array_state",
    )?;
    let off = machine.cut_power()?;
    for (from, to) in [
        (off.disk.beside("disk.qcow2"), &to.server.disk),
        (off.disk.beside(SECOND), &to.second),
    ] {
        run(Command::new("qemu-img")
            .args(["convert", "-O", "qcow2"])
            .arg(from.path())
            .arg(to))?;
    }
    Ok(())
}
