//! The programs of a payload that a machine's disks need: what they know, and which are there.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::facts::{RootIdentity, RootType};

/// What the builder found in the payload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tools {
    /// When the payload's kernel was made, in seconds since 1970: by its file's time.
    pub kernel_time: u64,
    /// Version of the package `e2fsprogs`.
    pub e2fsprogs: Option<String>,
    /// Version of the package that GRUB is from.
    pub grub: Option<String>,
    /// The incompatible features of ext4 that GRUB refuses, by the code of its `ext2.mod`.
    pub grub_refuses: Option<u32>,
    /// The platforms that GRUB is there for, as it calls them: `i386-pc`, `x86_64-efi`.
    pub grub_platforms: Vec<String>,
    /// Sectors (512 bytes) that GRUB's core image of the new OS takes where a BIOS starts it.
    pub grub_core_sectors: Option<u64>,
    /// What is there for a root on XFS; `None` where its GRUB does not read one, or the builder did not look.
    pub xfs: Option<XfsTools>,
    /// What is there for a root on Btrfs; `None` where its GRUB does not read one, or the builder did not look.
    pub btrfs: Option<BtrfsTools>,
    /// As [`Tools::grub_core_sectors`], with what reads logical volumes in the core image as well, by the name
    /// of the root's filesystem; none where its GRUB does not read them, or the builder did not look.
    pub lvm_core_sectors: BTreeMap<String, u64>,
    /// Those of [`PROGRAMS`] that are there.
    pub programs: Vec<String>,
}

/// What a payload has for a root on XFS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct XfsTools {
    /// The incompatible features that GRUB refuses, by the code of its `xfs.mod`.
    pub grub_refuses: Option<u32>,
    /// As [`Tools::grub_core_sectors`], with this filesystem in the core image.
    pub grub_core_sectors: Option<u64>,
    /// `xfs_repair` is there, and in the RAM environment.
    pub repair: bool,
}

/// What a payload has for a root on Btrfs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BtrfsTools {
    /// As [`Tools::grub_core_sectors`], with this filesystem in the core image and the longest path of a
    /// subvolume.
    pub grub_core_sectors: Option<u64>,
    /// `btrfs` is there, and in the RAM environment.
    pub repair: bool,
}

/// Programs without which the new OS cannot put a device of some kind together at boot: the kind,
/// as in [`crate::facts::Layer`], and the program.
pub const PROGRAMS: [(&str, &str); 4] = [
    ("LVM", LVM),
    ("md", MDADM),
    ("multipath", "multipathd"),
    ("bcache", "bcache-super-show"),
];

/// The kernel's modules for what the parts of logical volumes take, by the layer. The last one is the kernel's own
/// since Linux 6.9. What checks pools first, `thin_check` and `cache_check`, lvm does without.
const MODULES: [(&str, &str); 11] = [
    ("LVM thin", "dm_thin_pool"),
    ("LVM thin-pool", "dm_thin_pool"),
    ("LVM cache", "dm_cache"),
    ("LVM writecache", "dm_writecache"),
    ("LVM raid", "dm_raid"),
    ("LVM mirror", "dm_mirror"),
    ("LVM snapshot", "dm_snapshot"),
    ("LVM snapshot-origin", "dm_snapshot"),
    ("LVM snapshot-merge", "dm_snapshot"),
    ("LVM integrity", "dm_integrity"),
    ("LVM vdo", "dm_vdo"),
];

/// The program of [`PROGRAMS`] that puts arrays together.
pub const MDADM: &str = "mdadm";
/// The program of [`PROGRAMS`] that puts logical volumes together; GRUB's module for them has the same name.
pub const LVM: &str = "lvm";

/// What of an initrd has a program of [`PROGRAMS`] put together all that is mounted there, `/usr` as well as the root: the
/// program, and how the paths of such files end, of which one is enough. LVM: udev's rule for a group that is complete
/// (Debian from 12 on), or the script that is called for each device that is waited for, by its name (Debian up to
/// 11, Ubuntu). md: udev's rule for each member, or the script for what is waited for.
pub const FOR_ALL_MOUNTS: [(&str, [&str; 2]); 2] = [
    (
        LVM,
        ["/udev/rules.d/69-lvm.rules", "scripts/local-block/lvm2"],
    ),
    (
        MDADM,
        [
            "/udev/rules.d/64-md-raid-assembly.rules",
            "scripts/local-block/mdadm",
        ],
    ),
];

/// GRUB's name for UEFI of 64 bits.
pub const GRUB_EFI: &str = "x86_64-efi";

impl Tools {
    /// Whether the payload has a boot loader for UEFI.
    pub fn boots_by_uefi(&self) -> bool {
        self.grub_platforms
            .iter()
            .any(|platform| platform == GRUB_EFI)
    }

    /// Sectors that GRUB's core image of the new OS takes for a root of this type.
    pub fn core_sectors(&self, filesystem: RootType) -> Option<u64> {
        match filesystem {
            RootType::Ext4 => self.grub_core_sectors,
            RootType::Xfs => self.xfs.as_ref()?.grub_core_sectors,
            RootType::Btrfs => self.btrfs.as_ref()?.grub_core_sectors,
        }
    }

    /// Sectors that it takes for a certain root.
    pub fn core_sectors_of(&self, root: &RootIdentity) -> Option<u64> {
        match root.logical {
            Some(_) => self.lvm_core_sectors.get(root.filesystem.name()).copied(),
            None => self.core_sectors(root.filesystem),
        }
    }

    /// What reads the root in the new OS.
    pub fn readers<'a>(&'a self, kernel: &'a str) -> Readers<'a> {
        Readers {
            kernel,
            e2fsprogs: self.e2fsprogs.as_deref(),
            grub: self.grub.as_deref(),
            grub_refuses: self.grub_refuses,
            grub_refuses_xfs: self.xfs.as_ref().and_then(|xfs| xfs.grub_refuses),
        }
    }

    /// Whether the new OS has a program of [`PROGRAMS`].
    pub fn has(&self, program: &str) -> bool {
        self.programs.iter().any(|name| name == program)
    }

    /// What the new OS lacks to put a device together that has these layers; `has_module` says which modules its
    /// kernel has.
    pub fn lacks(&self, kinds: &[String], has_module: impl Fn(&str) -> bool) -> Vec<String> {
        let mut lacks = Vec::new();
        for kind in kinds {
            let program = PROGRAMS.iter().find(|(k, _)| k == kind);
            let module = MODULES.iter().find(|(k, _)| k == kind);
            if let Some((_, program)) = program.filter(|(_, program)| !self.has(program)) {
                lacks.push(format!("{kind}: the image has no {program}"));
            }
            if let Some((_, module)) = module.filter(|(_, module)| !has_module(module)) {
                lacks.push(format!("{kind}: its kernel has no {module}"));
            }
            if program.is_none() && module.is_none() {
                // Its key and /etc/crypttab stay behind.
                lacks.push(format!("{kind}: the new OS is not told how to open it"));
            }
        }
        lacks
    }
}

/// The programs of the new OS that have to read the root; `None` where the version is not known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Readers<'a> {
    /// `uname -r` of the kernel.
    pub kernel: &'a str,
    /// Version of the package that e2fsck is from.
    pub e2fsprogs: Option<&'a str>,
    /// Version of the package that GRUB is from.
    pub grub: Option<&'a str>,
    /// The incompatible features that this very GRUB refuses, read from its code. Distributions
    /// give older releases newer knowledge, so this goes before the version.
    pub grub_refuses: Option<u32>,
    /// The same of XFS.
    pub grub_refuses_xfs: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_missing_for_each_layer() {
        let tools = Tools {
            programs: vec!["lvm".into()],
            ..Tools::default()
        };
        let kinds = |kinds: &[&str]| kinds.iter().map(ToString::to_string).collect::<Vec<_>>();
        let lacks = |layers: &[&str]| tools.lacks(&kinds(layers), |module| module == "dm_raid");
        assert_eq!(lacks(&["LVM"]), [""; 0]);
        assert_eq!(lacks(&["LVM", "LVM raid"]), [""; 0]);
        assert_eq!(lacks(&["LVM", "md"]), ["md: the image has no mdadm"]);
        assert_eq!(
            lacks(&["LUKS"]),
            ["LUKS: the new OS is not told how to open it"]
        );
        assert_eq!(
            lacks(&["LVM", "LVM thin", "LVM thin-pool", "LVM vdo"]),
            [
                "LVM thin: its kernel has no dm_thin_pool",
                "LVM thin-pool: its kernel has no dm_thin_pool",
                "LVM vdo: its kernel has no dm_vdo",
            ]
        );
        assert_eq!(
            lacks(&["LVM something"]),
            ["LVM something: the new OS is not told how to open it"]
        );
    }
}
