//! The condition that a machine is in: what may be different tomorrow, and is looked at again right
//! before services are stopped.

use serde::{Deserialize, Serialize};

use super::features::{Ext4Features, XfsFeatures};
use super::subvolume::BtrfsFacts;
use super::volume::RootPlace;
use crate::counted::counted;
use crate::measure::Occupied;

/// Everything that the checks of a machine's condition look at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Condition {
    /// What the machine is to Xen, if it has to do with it: `PV`, `HVM`, `PVH`, `control domain`.
    pub xen: Option<String>,
    /// The hypervisor, where it is another one that matters to the choice of an entry.
    #[serde(default)]
    pub hypervisor: Option<String>,
    /// Secure Boot is in force; `None` where the firmware does not say.
    pub secure_boot: Option<bool>,
    /// Why it cannot be told whether it is.
    pub secure_boot_unread: Option<String>,
    /// A kernel is loaded that is started when this one crashes.
    pub crash_kernel: bool,
    /// The time of day, in seconds since 1970.
    pub clock: u64,
    /// The root is mounted so that nothing can be written to it.
    pub root_read_only: bool,
    /// Features of the root filesystem, where it is ext4.
    pub root_features: Option<Ext4Features>,
    /// Features of the root filesystem, where it is XFS.
    pub root_xfs: Option<XfsFeatures>,
    /// What is known of the root filesystem, where it is Btrfs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_btrfs: Option<BtrfsFacts>,
    /// The root's journal is on another device.
    pub root_journal_elsewhere: bool,
    /// The health of every disk, as it tells itself; the root's comes first.
    pub disks: Vec<DiskHealth>,
    /// What is known of how the running kernel was started.
    pub started: Started,
    /// The loader in the root disk's master boot record, where it is a known one other than GRUB 2.
    pub other_loader: Option<String>,
    /// Sectors (512 bytes) of the root's disk that the BIOS says it reads; `None` where it does not.
    pub firmware_reach: Option<u64>,
    /// Mounts that do not answer, by where they are.
    pub silent_mounts: Vec<String>,
    /// What is exported by NFS, as `path to clients`.
    pub exports: Vec<String>,
    /// Signs that a package manager is in the middle of something, or was left there.
    pub packages: Vec<String>,
    /// Processes that no signal can end at the moment, as `name (pid)`.
    pub stuck: Vec<String>,
    /// Processes of nobody's service that have files on the root open for writing.
    pub sessions: Vec<String>,
    /// Swap areas in use.
    pub swaps: Vec<Swap>,
    /// Places where a part of the root filesystem is shown a second time.
    pub binds: Vec<Bind>,
    /// Files in the kept trees that have names outside of them too; `None` where there were too
    /// many to tell.
    pub outside_links: Option<OutsideLinks>,
    /// Symbolic links in the kept trees that lead to what is wiped.
    pub wiped_targets: WipedTargets,
    /// What the wipe spares beside the kept paths takes: [`crate::keep::SPARED`].
    pub spared: Occupied,
    /// Mounts and swap areas with layers between them and their disks.
    pub layers: Vec<Layer>,
    /// What the root filesystem is on, whether it can be reinstalled there or not; `None` where facts
    /// are older than the question.
    pub root_place: Option<RootPlace>,
    /// Other operating systems in the boot loader's menu, by title.
    pub other_systems: Vec<String>,
    /// What the operator wishes to become of filesystems beside the root.
    pub mount_wishes: MountWishes,
}

/// What the operator wishes to become of mounted filesystems, by where they are mounted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MountWishes {
    /// They are the system's: wiped together with the root.
    pub wipe: Vec<String>,
    /// They are data: left alone, and mounted again.
    pub keep: Vec<String>,
}

/// How the running kernel was started, by its own word.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Started {
    /// `kernel.bootloader_type`: the number that its loader gave it, and in the low four bits the
    /// loader's version. Linux boot protocol, `type_of_loader`.
    pub loader: Option<u32>,
    /// `BOOT_IMAGE=` on its command line: the kernel's file, as its loader calls it.
    pub image: Option<String>,
    /// There is a file of that name on the root filesystem, or on a partition of the same disk that is mounted
    /// at `/boot`.
    pub image_on_root: bool,
}

/// A disk and what it tells about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskHealth {
    /// Its device node.
    pub node: String,
    /// The root filesystem is on it.
    pub root: bool,
    /// What it says.
    pub health: Health,
}

/// What a disk says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It expects to go on.
    Good,
    /// It expects to fail, or has failed in part; in words.
    Failing(String),
    /// It does not say, and why.
    Unread(String),
}

/// A swap area in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swap {
    /// The device or file.
    pub path: String,
    /// It is a file.
    pub file: bool,
    /// Bytes that are swapped out to it.
    pub used: u64,
}

/// A part of the root filesystem that is shown at a second place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// What is shown, as a path of the root filesystem.
    pub shows: String,
    /// Where.
    pub target: String,
}

/// Files in kept trees with names outside of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutsideLinks {
    /// How many files.
    pub files: u64,
    /// One of them.
    pub example: String,
}

/// Symbolic links in kept trees to what is not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WipedTargets {
    /// How many lead to something that is wiped.
    pub links: u64,
    /// The first of them, as `link → target`, fit to be shown.
    pub examples: Vec<String>,
    /// How many lead into directories whose like every OS has, such as /usr.
    pub of_the_os: u64,
}

impl WipedTargets {
    /// All of it on one line; nothing where there is nothing to tell.
    pub fn told(&self) -> Option<String> {
        let os = counted(
            self.of_the_os,
            "leads into a directory of the OS",
            "lead into directories of the OS",
        );
        let more = self.links.saturating_sub(self.examples.len() as u64);
        let more = if more > 0 {
            format!(", and {more} more")
        } else {
            String::new()
        };
        match (self.links, self.of_the_os) {
            (0, 0) => None,
            (0, _) => Some(format!(
                "symbolic links: {os}, where it works if the new OS has the like"
            )),
            (links, os_links) => Some(format!(
                "{} to what is wiped: {}{more}{}",
                counted(links, "symbolic link leads", "symbolic links lead"),
                self.examples.join(", "),
                if os_links > 0 {
                    format!("; {os}")
                } else {
                    String::new()
                }
            )),
        }
    }
}

/// A mount or swap area that has layers between it and its disks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Where it is mounted; `none` for swap.
    pub target: String,
    /// The device.
    pub source: String,
    /// Kinds of the layers, top first: `LVM`, `LUKS`, `multipath`, `md`, `bcache`.
    pub kinds: Vec<String>,
}
