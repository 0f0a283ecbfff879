//! Boot paths: what a firmware starts, by what identifies it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A way in which a firmware starts the root's disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BootPath {
    /// A BIOS: the master boot record, and a core image between it and the first partition.
    BiosGap,
    /// A BIOS: the master boot record, and a core image in the BIOS boot partition.
    BiosPartition,
    /// UEFI: a file on the EFI system partition.
    Uefi(EfiFile),
}

impl fmt::Display for BootPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BootPath::BiosGap => {
                out.write_str("BIOS, master boot record and the sectors behind it")
            }
            BootPath::BiosPartition => {
                out.write_str("BIOS, master boot record and BIOS boot partition")
            }
            BootPath::Uefi(file) => write!(out, "UEFI, {file}"),
        }
    }
}

/// A boot loader's file that a firmware starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EfiFile {
    /// The partition that it is on.
    pub partition: EfiPartition,
    /// Its path there, with slashes: `/EFI/BOOT/BOOTX64.EFI`.
    pub path: String,
    /// The firmware's variable that names it, as `Boot0003 (debian)`; `None` where the firmware goes by
    /// the name that is the same for all.
    pub variable: Option<String>,
}

impl fmt::Display for EfiFile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match &self.variable {
            Some(variable) => variable.as_str(),
            None => "no variable, the fallback file",
        };
        write!(
            out,
            "{} on partition {} ({how})",
            self.path.replace('/', "\\"),
            self.partition.number
        )
    }
}

/// An EFI system partition of the root's disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EfiPartition {
    /// Number, from 1.
    pub number: u32,
    /// Its own GUID, as `blkid` prints it.
    pub guid: String,
    /// First sector (512 bytes) on the disk.
    pub start: u64,
    /// Sectors.
    pub sectors: u64,
}

/// What was found out about UEFI.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EfiFacts {
    /// Bits of a firmware that is UEFI: 64 or 32.
    pub bits: Option<u32>,
    /// The files by which a UEFI firmware starts this disk: the one in use first, where the machine
    /// was started by UEFI.
    pub files: Vec<EfiFile>,
    /// Why it is not known which file started the machine, where UEFI did.
    pub unknown: Option<String>,
    /// Why a run's loaders do not fit beside the files.
    pub no_room: Option<String>,
    /// Whose the file in use is, where it is neither GRUB nor shim.
    pub other_loader: Option<String>,
    /// Files that a firmware could start from this disk and that are neither, with whose they are: they
    /// are left as they are.
    pub others: Vec<String>,
    /// What is left as it is because it cannot be told what it starts.
    pub left: Vec<String>,
    /// Files that start the staged image of a run that was broken off.
    pub staged: Vec<String>,
    /// The same of each further disk of a mirrored root, in their order; what is said of the firmware alone is
    /// not said again.
    pub copies: Vec<EfiFacts>,
}
