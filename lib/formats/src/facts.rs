//! What the launcher read about a machine, as values. Nothing in here was decided yet.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::accounts::Accounts;
use crate::boot_path::EfiFacts;
use crate::filesystems::{self, Contents};
use crate::hooks::Hooks;
use crate::identity::OldIdentity;
use crate::keep::KeepPath;
use crate::listening::Listener;
use crate::measure::Measure;
use crate::network::{Gateway, Network};
use crate::overlay::Overlay;

mod array;
mod condition;
mod features;
mod logical;
mod root_identity;
mod root_type;
mod subvolume;
mod volume;
mod written;
pub use array::{Array, ArrayIdentity, Guids, MemberIdentity};
pub use condition::{
    Bind, Condition, DiskHealth, Health, Layer, MountWishes, OutsideLinks, Started, Swap,
    WipedTargets,
};
pub use features::{BtrfsFeatures, Ext4Features, XfsFeatures};
pub use logical::{LogicalVolume, PhysicalVolume, Segment};
pub use root_identity::RootIdentity;
pub use root_type::RootType;
pub use subvolume::{BtrfsFacts, BtrfsRoom, NestedSubvolume, QuotaLimit, Subvolume, SubvolumeTree};
pub use volume::{RootPlace, Volume, VolumeKind, LINEAR};
pub use written::{Home, OpenDirectory, Place, Weight, Written};

/// Everything that `plan` and the checks look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// `uname -n`.
    pub hostname: String,
    /// `uname -m`.
    pub architecture: String,
    /// `uname -r`.
    pub kernel: String,
    /// The old OS.
    pub os: OsRelease,
    /// What runs as PID 1.
    pub init: InitSystem,
    /// Whether the machine was started by UEFI or by a BIOS.
    pub firmware: Firmware,
    /// Virtualisation in which this kernel is a guest that cannot be reinstalled: `lxc`, `docker`…
    pub container: Option<String>,
    /// Memory.
    pub memory: Memory,
    /// Kernel command line of the old OS.
    pub cmdline: String,
    /// Active consoles, in the kernel's order (`/sys/class/tty/console/active`).
    pub consoles: Vec<String>,
    /// State of kexec.
    pub kexec: Kexec,
    /// Whether the boot loader can be made to start something else once, or why not.
    pub boot_entry: Result<(), String>,
    /// Whether PID 1 may be traced.
    pub ptrace: Ptrace,
    /// The root filesystem; `None` where it is neither on a plain partition of a plain disk nor on a mirror of
    /// such.
    pub root: Option<Root>,
    /// Why `root` is `None`.
    pub root_unknown: Option<String>,
    /// Other mounted filesystems with a device or a server behind them.
    pub mounts: Vec<Mount>,
    /// Those of them that are of ext4 or XFS and on a block device, in the order in which they were mounted.
    #[serde(default)]
    pub filesystems: Vec<MountedFilesystem>,
    /// Swap areas in use, by path.
    pub swaps: Vec<String>,
    /// Each path that is to be kept, looked at on the machine.
    pub kept: Vec<Kept>,
    /// The network, as the kernel has it, with the evidence of where it came from.
    pub network: Network,
    /// What the old OS's configuration says beside that, and the new OS's will not: commands, local
    /// resolvers.
    pub network_notes: Vec<String>,
    /// Every gateway of it, asked.
    pub gateways: Vec<Gateway>,
    /// The accounts, or why they cannot be read.
    pub accounts: Result<Accounts, String>,
    /// Names, keys and mounts.
    pub identity: OldIdentity,
    /// Every array of the kernel's own RAID that is running.
    #[serde(default)]
    pub arrays: Vec<Array>,
    /// Kernel drivers that the root disk hangs on, by module name with `_` for `-`.
    pub root_drivers: Vec<String>,
    /// Hardware watchdogs that are running, by name.
    pub watchdogs: Vec<String>,
    /// Where the image is, if that is a filesystem that will be unmounted before it is done with.
    pub image_on: Option<String>,
    /// Another run that is in progress, by id.
    pub other_run: Option<String>,
    /// What listens to the outside, or why that cannot be read.
    #[serde(default = "unread")]
    pub listening: Result<Vec<Listener>, String>,
    /// What is written on the root filesystem beside what is kept.
    #[serde(default)]
    pub written: Written,
    /// How UEFI starts this machine, or would.
    #[serde(default)]
    pub efi: EfiFacts,
    /// The condition that the machine is in.
    #[serde(default)]
    pub condition: Condition,
    /// Files of the operator's for this machine.
    #[serde(default)]
    pub overlay: Option<Overlay>,
    /// The operator's programs, as the old OS has them.
    #[serde(default)]
    pub hooks: Hooks,
    /// Why one of those that are called in the old OS would not be, a line each.
    #[serde(default)]
    pub unfit_hooks: Vec<String>,
}

/// Facts that are older than the question.
fn unread() -> Result<Vec<Listener>, String> {
    Err("it was not asked".to_owned())
}

/// The parts of os-release(5) that are shown or decided on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OsRelease {
    /// `ID`.
    pub id: String,
    /// `VERSION_ID`.
    pub version_id: String,
    /// `PRETTY_NAME`.
    pub pretty_name: String,
}

/// What runs as PID 1 and stops services in their own order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InitSystem {
    /// systemd is running.
    Systemd,
    /// sysvinit, with scripts for each run level.
    Sysvinit,
    /// upstart, with jobs, and sysvinit's scripts beside them.
    Upstart,
    /// Something else, by the name in /proc/1/comm.
    Other(String),
}

/// How the machine was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Firmware {
    /// PC BIOS or its compatibility module.
    Bios,
    /// UEFI.
    Uefi,
}

/// Memory in bytes, from /proc/meminfo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// `MemTotal`.
    pub total: u64,
    /// `MemAvailable`, or what comes nearest on kernels before 3.14.
    pub available: u64,
}

/// State of kexec in the running kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kexec {
    /// `kexec_load` exists, if the kernel was configured with it.
    pub load: bool,
    /// `kexec_file_load` exists (3.17 and later, if configured).
    pub file_load: bool,
    /// `kernel.kexec_load_disabled` is set; it cannot be taken back before a reboot.
    pub disabled: bool,
    /// The lockdown mode in force, if it is not `none`.
    pub lockdown: Option<String>,
    /// Devices that write to memory by themselves (network cards) and whose driver cannot be made
    /// to let go of them.
    #[serde(default)]
    pub unstoppable: Vec<String>,
}

/// What decides whether PID 1 may be traced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ptrace {
    /// `kernel.yama.ptrace_scope`, where the kernel has it.
    pub yama_scope: Option<u32>,
    /// The process that traces PID 1 already, by name and number.
    pub tracer: Option<String>,
    /// PID 1 sees another root directory or other mounts than the launcher: what differs.
    pub other_root: Option<String>,
    /// PID 1 is a program of another word size than the launcher.
    pub narrow: bool,
    /// What the kernel answered when it was asked for PID 1's memory, if that was a refusal: it
    /// decides as it does for ptrace, security modules included.
    pub denied: Option<String>,
}

/// The root filesystem and the partition and disk that it is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// How it is found again in the RAM environment.
    pub identity: RootIdentity,
    /// The partition's device node in the old OS, for people.
    pub device: String,
    /// The disk's device node in the old OS, for people.
    pub disk: String,
    /// A name that udev makes for the disk in every OS (`/dev/disk/by-id/…`), if there is one.
    pub disk_by_id: Option<String>,
    /// Filesystem type as mounted.
    pub fstype: String,
    /// Bytes of the filesystem.
    pub bytes: u64,
    /// Bytes free, root's reserve included.
    pub bytes_free: u64,
    /// Inodes of the filesystem.
    pub inodes: u64,
    /// Inodes free.
    pub inodes_free: u64,
    /// What the superblock says against relying on this filesystem, if anything.
    pub errors: Option<String>,
    /// Other block devices that look the same; the root cannot be told apart from them.
    pub doubles: Vec<String>,
    /// Type of the partition table: `dos`, `gpt`, or what was found instead.
    pub table: String,
    /// Sectors that a BIOS boot loader may lie in: those before the first partition, or those of the
    /// BIOS boot partition of a GUID partition table; 0 where there are none.
    #[serde(alias = "gap_sectors")]
    pub room_sectors: u64,
    /// The loaders of a run fit in there beside the one in use.
    #[serde(alias = "gap_has_room")]
    pub has_room: bool,
    /// Sectors in a row that are free in there once the loader in use is needed no more; at most 160 are
    /// counted.
    #[serde(default)]
    pub room_alone: u64,
    /// The disk's master boot record is GRUB's, with its core image in there.
    pub grub_on_disk: bool,
    /// What a firmware could start from other disks, as `GRUB 2 on /dev/sdb`.
    #[serde(default)]
    pub loaders_elsewhere: Vec<String>,
    /// Further disks that have the whole filesystem, where it is on a mirror: those of the identity's
    /// members behind the first, in their order.
    #[serde(default)]
    pub copies: Vec<RootCopy>,
    /// Disks whose master boot record starts the staged image of a run that was broken off, by their nodes.
    #[serde(default)]
    pub staged_on: Vec<String>,
}

/// A further disk of a mirror that the root filesystem is on, and what boots from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootCopy {
    /// The disk's device node in the old OS, for people.
    pub disk: String,
    /// As [`Root::disk_by_id`].
    pub disk_by_id: Option<String>,
    /// As [`Root::room_sectors`].
    pub room_sectors: u64,
    /// As [`Root::has_room`].
    pub has_room: bool,
    /// As [`Root::grub_on_disk`].
    pub grub_on_disk: bool,
}

/// A mounted filesystem other than the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where it is mounted.
    pub target: String,
    /// What is mounted.
    pub source: String,
    /// Filesystem type.
    pub fstype: String,
    /// It shows a part of the root filesystem a second time.
    pub bind_of_root: bool,
    /// Where what is written to it goes, if it is laid over other directories.
    #[serde(default)]
    pub upper: Option<String>,
    /// The file that it is an image in, for loop devices.
    pub backing_file: Option<String>,
}

impl Mount {
    /// What is in it.
    pub fn contents(&self) -> Contents {
        filesystems::contents(&self.fstype, &self.source)
    }
}

/// A filesystem of ext4 or XFS, mounted from a block device somewhere below the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountedFilesystem {
    /// Where it is mounted.
    pub target: String,
    /// Its device node in the old OS, for people.
    pub device: String,
    /// The device node of its disk in the old OS; empty where there is not one alone.
    pub disk: String,
    /// Its type, as mounted.
    pub fstype: String,
    /// How it is found again in the RAM environment, or why it would not be.
    pub identity: Result<RootIdentity, String>,
    /// Bytes of the filesystem.
    pub bytes: u64,
    /// Bytes free, root's reserve included.
    pub bytes_free: u64,
    /// Inodes of the filesystem.
    pub inodes: u64,
    /// Inodes free.
    pub inodes_free: u64,
    /// What the superblock says against relying on this filesystem, if anything.
    pub errors: Option<String>,
    /// Kernel drivers that it hangs on, as [`Facts::root_drivers`].
    #[serde(default)]
    pub drivers: Vec<String>,
    /// How many members a mirror that it is on lacks, or is still filling.
    #[serde(default)]
    pub missing: u32,
    /// Other block devices that look the same.
    pub doubles: Vec<String>,
    /// Its features, where it is ext4.
    pub ext4: Option<Ext4Features>,
    /// Its features, where it is XFS.
    pub xfs: Option<XfsFeatures>,
    /// Its features, where it is Btrfs.
    #[serde(default)]
    pub btrfs: Option<BtrfsFeatures>,
    /// Its journal is on another device.
    pub journal_elsewhere: bool,
    /// Nothing can be written to it.
    pub read_only: bool,
    /// Other places where it, or a part of it, is mounted too.
    pub shown_again: Vec<String>,
    /// Subvolumes in it, where it is one of the root's own Btrfs.
    #[serde(default)]
    pub nested: Vec<NestedSubvolume>,
}

impl MountedFilesystem {
    /// The subvolume of the root's own Btrfs that it is; what is free there is the root's, too. `None` for a
    /// filesystem of its own.
    pub fn subvolume(&self) -> Option<&Subvolume> {
        self.identity.as_ref().ok()?.subvolume.as_ref()
    }
}

/// A path of the keep list, as found on the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The path.
    pub path: KeepPath,
    /// What is there, or why it cannot be kept.
    pub found: Result<Measure, Unkept>,
}

/// Why there is no measure of a path that is to be kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unkept {
    /// In what way; what is to be done depends on it.
    pub way: UnkeptWay,
    /// In words.
    pub why: String,
}

impl fmt::Display for Unkept {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.why)
    }
}

/// In what way a path cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnkeptWay {
    /// There is nothing of that name.
    Missing,
    /// What is meant is somewhere else: the path leads through a link or a mount.
    Elsewhere,
    /// What is meant is on a mount at the path or above it that the wipe does not touch.
    Mounted,
    /// It is there and could not be read.
    Unread,
    /// There was no time for it. Nothing speaks against it.
    Unasked,
}
