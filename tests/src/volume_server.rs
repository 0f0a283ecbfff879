//! Old servers with all of Debian around them, on disks with logical volumes and mirrors: a row each.
//!
//! The tiny machines show what becomes of such disks. Here Debian's own initramfs, its packages of GRUB, systemd and its
//! generator of mounts decide whether a server comes back. The guest that makes disks puts volumes and arrays
//! together and unpacks the tree on them; GRUB's own programs install it, in the machine that starts from it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, Context, Result};

use crate::additions::Additions;
use crate::base::{digest, forget_others, say};
use crate::by_hand;
use crate::command::run;
use crate::disk::Disk;
use crate::old_server::{self, only_kernel, Firmware, OldServer, ROOT_UUID, SUITE};
use crate::tiny::maker::maker;
use crate::vm::{self, Machine, Start, USUAL_MEMORY_MIB};
use crate::{debian, lock, paths, shop_data};

const SCRIPT: &str = include_str!("volume_server.sh");
const MIB: u64 = 2048;
const DISK_SECTORS: u64 = 4 << 21;
/// Of the filesystem of `/boot`, where it has one.
const BOOT_UUID: &str = "4f3c1a52-93d7-4e0b-8c36-d1f1c6a0be12";
/// The EFI system partition's serial number, as mount takes it.
const EFI_UUID: &str = "4F3C-1A15";
/// Puts GRUB for UEFI where a firmware looks that no variable tells otherwise.
const PUT_EFI: &str = "mkdir -p /mnt/boot/efi/EFI/BOOT
    cp /mnt/boot/grub/x86_64-efi/core.efi /mnt/boot/efi/EFI/BOOT/BOOTX64.EFI";
/// Of a Debian in emulation, whose devices take their time.
const PATIENT: &str = "x-systemd.device-timeout=30min";

/// A server's disks.
#[derive(Debug, Clone, Copy)]
pub struct VolumeDisks {
    /// A name for files and output.
    pub name: &'static str,
    /// Who makes such disks.
    pub made_by: &'static str,
    /// How many there are, each with the same partitions.
    disks: u32,
    /// sfdisk's lines behind that of the BIOS boot partition, which is number 1 and the second MiB.
    partitions: &'static str,
    /// Whether there is an EFI system partition, which is mounted at /mnt/boot/efi when the tree is unpacked. Then UEFI
    /// starts the server, by the file that is the same for all.
    efi: bool,
    /// What the guest does before the tree is unpacked at /mnt. The disks are /dev/vdb and on.
    make: &'static str,
    /// What it does behind that.
    leave: &'static str,
    /// Lines of fstab.
    fstab: &'static str,
    /// Lines of mdadm.conf.
    arrays: &'static str,
    /// Whether /boot is on a filesystem of its own.
    boot_apart: bool,
    /// What GRUB names as the root.
    root: &'static str,
}

/// Every row. `@ROOT@` and the like are put in.
pub const VOLUME_DISKS: &[VolumeDisks] = &[
    VolumeDisks {
        name: "mirror",
        made_by: "hosts of dedicated servers with a BIOS: two disks, root with /boot and swap each on a mirror",
        disks: 2,
        partitions: "2: start=4096, size=7864320, type=A19D880F-05FC-4D3B-A006-743F0F84911E\n\
                     3: start=7868416, size=262144, type=A19D880F-05FC-4D3B-A006-743F0F84911E\n",
        efi: false,
        make: "create='mdadm --create --run --assume-clean --level=1 --raid-devices=2 --metadata=1.2 --homehost=shop1'
               $create --uuid=@ARRAY@0 /dev/md0 /dev/vdb2 /dev/vdc2
               $create --uuid=@ARRAY@1 /dev/md1 /dev/vdb3 /dev/vdc3
               mkswap -U @SWAP@ /dev/md1
               mkfs.ext4 -q -U @ROOT@ /dev/md0
               mount /dev/md0 /mnt",
        leave: "mdadm --stop /dev/md0 /dev/md1",
        fstab: "UUID=@ROOT@ / ext4 errors=remount-ro 0 1\n\
                UUID=@SWAP@ none swap sw,@PATIENT@ 0 0",
        arrays: "ARRAY /dev/md0 metadata=1.2 UUID=@ARRAY@0 name=shop1:0\n\
                 ARRAY /dev/md1 metadata=1.2 UUID=@ARRAY@1 name=shop1:1",
        boot_apart: false,
        root: "UUID=@ROOT@",
    },
    VolumeDisks {
        name: "usr-apart",
        made_by: "careful administrators: /usr on a partition of its own, without devices",
        disks: 1,
        partitions: "2: start=4096, size=3145728, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4\n\
                     3: start=3149824, size=4194304, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4\n\
                     4: start=7344128, size=1042432, type=0657FD6D-A4AB-43C4-84E5-0933C84B4F4F\n",
        efi: false,
        make: "mkfs.ext4 -q -U @ROOT@ /dev/vdb2
               mkfs.ext4 -q -U @USR@ /dev/vdb3
               mkswap -U @SWAP@ /dev/vdb4
               mount /dev/vdb2 /mnt
               mkdir /mnt/usr
               mount /dev/vdb3 /mnt/usr",
        leave: "",
        fstab: "UUID=@ROOT@ / ext4 errors=remount-ro 0 1\n\
                UUID=@USR@ /usr ext4 nodev 0 2\n\
                UUID=@SWAP@ none swap sw,@PATIENT@ 0 0",
        arrays: "",
        boot_apart: false,
        root: "UUID=@ROOT@",
    },
    VolumeDisks {
        name: "logical-usr",
        made_by: "Ubuntu Server's installer on a machine with UEFI, and a careful administrator: /boot, a group with root, \
                  /usr and swap",
        disks: 1,
        partitions: "2: start=4096, size=131072, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B\n\
                     3: start=135168, size=524288, type=0FC63DAF-8483-4772-8E79-3D69D8477DE4\n\
                     4: start=659456, size=7727104, type=E6D6D379-F507-44C2-A23C-238F2A3DF928\n",
        efi: true,
        make: "modprobe -a vfat nls_cp437 nls_ascii nls_utf8
               pvcreate -q /dev/vdb4
               vgcreate -q shop-vg /dev/vdb4
               for volume in root:1400 usr:1900 swap:128; do
                   lvcreate -q -y -W n -n ${volume%:*} -L ${volume#*:}m shop-vg
               done
               mkfs.ext4 -q -U @ROOT@ /dev/shop-vg/root
               mkfs.ext4 -q -U @USR@ /dev/shop-vg/usr
               mkfs.ext4 -q -U @BOOT@ /dev/vdb3
               mkfs.vfat -i @SERIAL@ /dev/vdb2
               mkswap -U @SWAP@ /dev/shop-vg/swap
               mount /dev/shop-vg/root /mnt
               mkdir /mnt/usr /mnt/boot
               mount /dev/shop-vg/usr /mnt/usr
               mount /dev/vdb3 /mnt/boot
               mkdir /mnt/boot/efi
               mount /dev/vdb2 /mnt/boot/efi",
        leave: "vgchange -q -an shop-vg",
        fstab: "/dev/mapper/shop--vg-root / ext4 errors=remount-ro 0 1\n\
                /dev/mapper/shop--vg-usr /usr ext4 defaults 0 2\n\
                UUID=@BOOT@ /boot ext4 defaults,@PATIENT@ 0 2\n\
                UUID=@EFI@ /boot/efi vfat umask=0077,@PATIENT@ 0 1\n\
                /dev/mapper/shop--vg-swap none swap sw,@PATIENT@ 0 0",
        arrays: "",
        boot_apart: true,
        root: "/dev/mapper/shop--vg-root",
    },
    VolumeDisks {
        name: "mirrored-usr",
        made_by: "careful administrators of dedicated servers with a BIOS: root, /usr and swap each on a mirror",
        disks: 2,
        partitions: "2: start=4096, size=3145728, type=A19D880F-05FC-4D3B-A006-743F0F84911E\n\
                     3: start=3149824, size=4194304, type=A19D880F-05FC-4D3B-A006-743F0F84911E\n\
                     4: start=7344128, size=1042432, type=A19D880F-05FC-4D3B-A006-743F0F84911E\n",
        efi: false,
        make: "create='mdadm --create --run --assume-clean --level=1 --raid-devices=2 --metadata=1.2 --homehost=shop1'
               $create --uuid=@ARRAY@0 /dev/md0 /dev/vdb2 /dev/vdc2
               $create --uuid=@ARRAY@1 /dev/md1 /dev/vdb3 /dev/vdc3
               $create --uuid=@ARRAY@2 /dev/md2 /dev/vdb4 /dev/vdc4
               mkfs.ext4 -q -U @ROOT@ /dev/md0
               mkfs.ext4 -q -U @USR@ /dev/md1
               mkswap -U @SWAP@ /dev/md2
               mount /dev/md0 /mnt
               mkdir /mnt/usr
               mount /dev/md1 /mnt/usr",
        leave: "mdadm --stop /dev/md0 /dev/md1 /dev/md2",
        fstab: "UUID=@ROOT@ / ext4 errors=remount-ro 0 1\n\
                UUID=@USR@ /usr ext4 defaults 0 2\n\
                UUID=@SWAP@ none swap sw,@PATIENT@ 0 0",
        arrays: "ARRAY /dev/md0 metadata=1.2 UUID=@ARRAY@0 name=shop1:0\n\
                 ARRAY /dev/md1 metadata=1.2 UUID=@ARRAY@1 name=shop1:1\n\
                 ARRAY /dev/md2 metadata=1.2 UUID=@ARRAY@2 name=shop1:2",
        boot_apart: false,
        root: "UUID=@ROOT@",
    },
];

/// Puts in what every row has the same.
fn put_in(text: &str) -> String {
    [
        ("@ROOT@", ROOT_UUID),
        ("@BOOT@", BOOT_UUID),
        ("@USR@", "4f3c1a52-93d7-4e0b-8c36-d1f1c6a0be13"),
        ("@SWAP@", "4f3c1a52-93d7-4e0b-8c36-d1f1c6a0be14"),
        ("@ARRAY@", "4f3c1a52:93d74e0b:8c36d1f1:c6a0bf0"),
        ("@EFI@", EFI_UUID),
        ("@SERIAL@", &EFI_UUID.replace('-', "")),
        ("@PATIENT@", PATIENT),
    ]
    .iter()
    .fold(text.to_owned(), |text, (name, value)| {
        text.replace(name, value)
    })
}

/// The row of this name, which has to be there.
pub fn row(name: &str) -> Result<&'static VolumeDisks> {
    let row = VOLUME_DISKS.iter().find(|row| row.name == name);
    row.with_context(|| format!("no row {name}"))
}

/// An old server on such disks: the first is its own.
#[derive(Debug, Clone)]
pub struct VolumeServer {
    /// With its first disk.
    pub server: OldServer,
    /// The qcow2 file of the second, where there is one.
    second: Option<PathBuf>,
}

/// The disks' files in the directory of a machine.
const OF_MACHINE: [&str; 2] = ["disk.qcow2", "second.qcow2"];
/// Their names in the server's directory, where GRUB's own programs have been at work.
const NAMES: [&str; 2] = ["first.qcow2", "second.qcow2"];
/// Before that.
const BY_HAND: [&str; 2] = ["first-by-hand.qcow2", "second-by-hand.qcow2"];

impl VolumeServer {
    fn at(directory: &Path, row: &VolumeDisks, names: [&str; 2]) -> Self {
        Self {
            server: OldServer {
                disk: directory.join(names[0]),
                kernel: directory.join("vmlinuz"),
                directory: directory.to_owned(),
                firmware: if row.efi {
                    Firmware::Uefi
                } else {
                    Firmware::Bios
                },
            },
            second: (row.disks == 2).then(|| directory.join(names[1])),
        }
    }

    fn files(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.server.disk).chain(&self.second)
    }

    /// The same machine, started by this firmware.
    #[must_use]
    pub fn started_by(mut self, firmware: Firmware) -> Self {
        self.server.firmware = firmware;
        self
    }

    /// Booted, with all of its disks.
    pub fn boot(&self, name: &str) -> Result<Machine> {
        let directory = vm::directory(name)?;
        let over = |(from, to): (&PathBuf, &str)| Disk::over(from, &directory.path().join(to));
        let disks = self.files().zip(OF_MACHINE).map(over);
        let mut disks = disks.collect::<Result<Vec<_>>>()?;
        let first = disks.remove(0);
        let additions = Additions {
            disks,
            ..Additions::default()
        };
        let start = Start::Boot;
        let memory = USUAL_MEMORY_MIB;
        let mut machine = Machine::start(&self.server, directory, first, memory, start, additions)?;
        machine.wait_for_old_ssh()?;
        Ok(machine)
    }

    /// Cuts the power of such a machine and switches it on again with these of its disks, by number; the firmware starts
    /// the first of them. Its OS is waited for.
    pub fn switched_on_again(&self, machine: Machine, disks: &[usize]) -> Result<Machine> {
        let mut machine = self.cut(machine, disks)?;
        machine.wait_for_ssh()?;
        Ok(machine)
    }

    /// The same, and nothing is waited for.
    pub fn cut(&self, machine: Machine, disks: &[usize]) -> Result<Machine> {
        let mut off = machine.cut_power()?;
        let of_machine = |number: &usize| off.disk.beside(OF_MACHINE[*number]);
        let mut disks: Vec<Disk> = disks.iter().map(of_machine).collect();
        off.disk = disks.remove(0);
        let additions = Additions {
            disks,
            ..Additions::default()
        };
        off.boot_with(&self.server, USUAL_MEMORY_MIB, additions)
    }
}

/// The old server on such disks, made if it is not there yet: minutes.
pub fn server(row: &VolumeDisks) -> Result<VolumeServer> {
    let public_key = fs::read_to_string(old_server::ssh_key()?.with_extension("pub"))
        .context("read the public half of the tests' ssh key")?;
    let packages = packages();
    let key = digest(&[
        &debian::key(SUITE, &packages),
        &public_key,
        old_server::SCRIPT,
        SCRIPT,
        &format!("{row:?}"),
        include_str!("shop_data.rs"),
        include_str!("by_hand.rs"),
    ]);
    let prefix = format!("volume-server-{}-", row.name);
    let name = format!("{prefix}{key}");
    let directory = paths::base().join(&name);
    let _lock = lock::exclusive(&paths::base().join("volume-server.lock"))?;
    if directory.exists() {
        return Ok(VolumeServer::at(&directory, row, NAMES));
    }
    if !rustix::process::geteuid().is_root() {
        bail!("making the old server's disks needs root; run `make test` or `make prove`");
    }
    let tarball = debian::tarball(SUITE, &packages, "volume-server-tree-")?;
    say(&format!("making the old server on {}", row.name));
    let scratch = tempfile::tempdir_in(paths::base()).context("create a scratch directory")?;
    let (tree, made) = (scratch.path().join("tree"), scratch.path().join("made"));
    fs::create_dir(&tree).context("create the tree's directory")?;
    fs::create_dir(&made).context("create the disks' directory")?;
    debian::unpack(&tarball, &tree)?;
    let (boot, boot_uuid) = if row.boot_apart {
        ("", BOOT_UUID)
    } else {
        ("/boot", ROOT_UUID)
    };
    run(
        debian::script_in(&tree, &format!("{}\n{SCRIPT}", old_server::SCRIPT))
            .env("ROOT_UUID", ROOT_UUID)
            .env("ROOT_KEY", public_key.trim())
            .env("FSTAB", put_in(row.fstab))
            .env("ARRAYS", put_in(row.arrays))
            .env("BOOT", boot)
            .env("BOOT_UUID", boot_uuid)
            .env("ROOT", put_in(row.root)),
    )?;
    shop_data::fill(&tree, old_server::owners(&tree)?)?;
    fs::copy(only_kernel(&tree)?, made.join("vmlinuz")).context("copy the kernel")?;
    let by_hand = VolumeServer::at(&made, row, BY_HAND);
    make(row, &tree, scratch.path(), &by_hand)
        .with_context(|| format!("make the disks of {}", row.name))?;
    install_grub(&by_hand, &VolumeServer::at(&made, row, NAMES))
        .with_context(|| format!("have GRUB install itself on {}", row.name))?;
    for disk in by_hand.files() {
        fs::remove_file(disk).context("remove what was made by hand")?;
    }
    fs::rename(&made, &directory).with_context(|| format!("name {}", directory.display()))?;
    forget_others(&name, &prefix);
    Ok(VolumeServer::at(&directory, row, NAMES))
}

/// Those of the old server, and what its disks need.
fn packages() -> Vec<&'static str> {
    let more = ["efibootmgr", "grub-efi-amd64-bin", "lvm2", "mdadm"];
    old_server::PACKAGES.iter().copied().chain(more).collect()
}

/// Partitions the disks, embeds GRUB, and has the guest make everything else.
fn make(row: &VolumeDisks, tree: &Path, scratch: &Path, to: &VolumeServer) -> Result<()> {
    let (boot, boot_uuid) = if row.boot_apart {
        ("", BOOT_UUID)
    } else {
        ("/boot", ROOT_UUID)
    };
    let efi = row
        .efi
        .then(|| by_hand::grub_for_uefi(tree, boot_uuid, boot, &["ext2"]));
    efi.transpose()?;
    let mut disks = Vec::new();
    for number in 1..=row.disks {
        let raw = scratch.join(format!("{number}.raw"));
        let disk = File::create_new(&raw).with_context(|| format!("create {}", raw.display()))?;
        disk.set_len(DISK_SECTORS * 512).context("size the disk")?;
        let table = format!(
            "label: gpt\nlabel-id: 7265726F-6F74-4D0B-9C36-D1F1C6A0BE2{number}\n\
             1: start={MIB}, size={MIB}, type=21686148-6449-6E6F-744E-656564454649\n{}",
            row.partitions
        );
        by_hand::partition(&raw, &table).context("write the partition table")?;
        by_hand::embed_grub(&disk, tree, MIB, MIB).context("install GRUB")?;
        disks.push(raw);
    }
    let archive = scratch.join("tree.tar");
    run(Command::new("tar")
        .args(["--numeric-owner", "--xattrs", "--xattrs-include=*"])
        .args(["--acls", "-cf"])
        .arg(&archive)
        .arg("-C")
        .arg(tree)
        .arg("."))?;
    let last = if row.disks == 2 {
        "/dev/vdd"
    } else {
        "/dev/vdc"
    };
    let script = format!(
        "{}\n\
         tar --numeric-owner --xattrs '--xattrs-include=*' --acls -xpf {last} -C /mnt\n\
         {}\numount -R /mnt\n{}\n",
        put_in(row.make),
        if row.efi { PUT_EFI } else { "" },
        row.leave
    );
    let attached: Vec<&Path> = disks
        .iter()
        .chain([&archive])
        .map(PathBuf::as_path)
        .collect();
    maker()?.run(&script, &attached)?;
    for (raw, file) in disks.iter().zip(to.files()) {
        by_hand::into_qcow2(raw, file)?;
    }
    Ok(())
}

/// Has GRUB's own programs put it on every disk, and write its configuration. `to` is where the disks go after that.
fn install_grub(by_hand: &VolumeServer, to: &VolumeServer) -> Result<()> {
    let machine = by_hand.boot("volume-grub")?;
    let disks = if by_hand.second.is_some() { "a b" } else { "a" };
    machine.expect(&format!(
        "for disk in {disks}; do grub-install --target=i386-pc /dev/vd$disk || exit 1; done 2>&1"
    ))?;
    if by_hand.server.firmware == Firmware::Uefi {
        // The file that is the same for all as well: what was made by hand is of this machine's GRUB.
        machine.expect(
            "for where in --no-nvram --removable; do
                 grub-install --target=x86_64-efi --efi-directory=/boot/efi $where || exit 1
             done 2>&1",
        )?;
    }
    machine.expect("update-grub 2>&1")?;
    at_rest(&machine)?;
    let off = machine.cut_power()?;
    for (name, to) in OF_MACHINE.iter().zip(to.files()) {
        run(Command::new("qemu-img")
            .args(["convert", "-O", "qcow2"])
            .arg(off.disk.beside(name).path())
            .arg(to))?;
    }
    Ok(())
}

/// Everything is on the disks, and mounted for reading alone: arrays are clean.
fn at_rest(machine: &Machine) -> Result<()> {
    machine.expect(
        "swapoff -a
         sync
         echo u >/proc/sysrq-trigger
         for second in $(seq 30); do
             grep -q ' / ext4 ro' /proc/mounts && break
             sleep 1
         done
         sleep 2
         grep -q ' / ext4 ro' /proc/mounts &&
             ! cat /sys/block/md*/md/array_state 2>/dev/null | grep -v -E 'clean|readonly|read-auto'",
    )?;
    Ok(())
}
