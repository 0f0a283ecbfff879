//! Whether a disk expects to fail: SMART RETURN STATUS of ATA disks (ACS-3, through SAT), the
//! informational exceptions of SCSI disks (SPC-4, log page 2Fh), the health log of `NVMe`. A disk
//! that does not say is not failing. Virtual disks have no health and are left out.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;

use formats::facts::{DiskHealth, Health};
use syscalls::disk;

use crate::block::{self, BlockDevice};

/// A disk that does not answer a question in this time, in milliseconds, is not asked another.
const PATIENCE: u32 = 5000;

/// How a disk is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Language {
    Ata,
    Scsi,
    Nvme,
}

/// The health of every disk of hardware, those of the root first.
pub fn read(root_disks: &[&str]) -> Vec<DiskHealth> {
    let mut disks: Vec<_> = block::all()
        .unwrap_or_default()
        .iter()
        .filter(|d| d.partition.is_none() && !is_removable(d))
        .filter_map(|disk| {
            let vendor = fs::read_to_string(disk.sysfs.join("device/vendor")).unwrap_or_default();
            let language = language(&disk.name, vendor.trim())?;
            let node = disk.node().display().to_string();
            Some(DiskHealth {
                root: root_disks.contains(&node.as_str()),
                health: ask(disk, language)
                    .unwrap_or_else(|e| Health::Unread(format!("it does not answer: {e}"))),
                node,
            })
        })
        .collect();
    disks.sort_by_key(|d| !d.root);
    disks
}

fn is_removable(disk: &BlockDevice) -> bool {
    fs::read_to_string(disk.sysfs.join("removable")).is_ok_and(|t| t.trim() == "1")
}

/// How a disk is asked, by its kernel name and its vendor; `None` where it is no hardware.
fn language(name: &str, vendor: &str) -> Option<Language> {
    if name.starts_with("nvme") {
        Some(Language::Nvme)
    } else if name.starts_with("hd") || (name.starts_with("sd") && vendor == "ATA") {
        Some(Language::Ata)
    } else {
        name.starts_with("sd").then_some(Language::Scsi)
    }
}

fn ask(disk: &BlockDevice, language: Language) -> io::Result<Health> {
    let file = File::open(disk.node())?;
    Ok(match language {
        Language::Ata => {
            let answer = disk::scsi_read(file.as_fd(), &SMART_RETURN_STATUS, &mut [], PATIENCE)?;
            ata(&answer.sense)
        }
        Language::Scsi => {
            let mut page = [0; 64];
            let answer = disk::scsi_read(file.as_fd(), &LOG_SENSE, &mut page, PATIENCE)?;
            if answer.status == 0 && answer.host_status == 0 {
                scsi(&page)
            } else {
                Health::Unread("it has no log of informational exceptions".to_owned())
            }
        }
        Language::Nvme => {
            let mut log = [0; 512];
            disk::nvme_log_page(file.as_fd(), 2, &mut log, PATIENCE)?;
            nvme(&log)
        }
    })
}

/// ATA PASS-THROUGH (16): no data, and the registers back in the sense data whatever comes.
const SMART_RETURN_STATUS: [u8; 16] = [
    0x85, 0x06, 0x20, 0, 0xda, 0, 0, 0, 0, 0, 0x4f, 0, 0xc2, 0, 0xb0, 0,
];
/// LOG SENSE, cumulative values, page 2Fh, 64 bytes.
const LOG_SENSE: [u8; 10] = [0x4d, 0, 0x6f, 0, 0, 0, 0, 0, 64, 0];

/// The registers after SMART RETURN STATUS: cylinder 4Fh C2h is good, F4h 2Ch is not.
fn ata(sense: &[u8]) -> Health {
    let registers = match sense.first().map(|b| b & 0x7f) {
        // Descriptors: the one of type 9 has the registers.
        Some(0x72 | 0x73) => descriptor(sense, 9).and_then(|d| Some((*d.get(9)?, *d.get(11)?))),
        // Fixed: the registers are in the command-specific information.
        Some(0x70 | 0x71) => sense.get(10).copied().zip(sense.get(11).copied()),
        _ => None,
    };
    match registers {
        Some((0x4f, 0xc2)) => Health::Good,
        Some((0xf4, 0x2c)) => {
            Health::Failing("by SMART, a threshold is exceeded: it expects to fail".to_owned())
        }
        _ => Health::Unread("it does not answer SMART RETURN STATUS".to_owned()),
    }
}

fn descriptor(sense: &[u8], kind: u8) -> Option<&[u8]> {
    let mut rest = sense.get(8..)?;
    loop {
        let length = 2 + usize::from(*rest.get(1)?);
        let this = rest.get(..length)?;
        if this[0] == kind {
            return Some(this);
        }
        rest = &rest[length..];
    }
}

/// Additional sense code that says: failure prediction threshold exceeded.
const ASC_FAILURE_PREDICTED: u8 = 0x5d;

fn scsi(page: &[u8]) -> Health {
    let is_page = page.first().is_some_and(|b| b & 0x3f == 0x2f);
    // A header of four bytes, then the parameter with code 0: four bytes, and the sense codes.
    match page.get(8..10) {
        Some([ASC_FAILURE_PREDICTED, qualifier]) if is_page => Health::Failing(format!(
            "it predicts its failure (sense code 5d/{qualifier:02x})"
        )),
        Some(_) if is_page && page[4..6] == [0, 0] && page[7] >= 2 => Health::Good,
        _ => Health::Unread("it has no log of informational exceptions".to_owned()),
    }
}

/// Bits of the critical warning, as the `NVMe` specification has them.
const NVME_WARNINGS: [(u8, &str); 6] = [
    (0x01, "its spare blocks run out"),
    (0x02, "its temperature is out of bounds"),
    (0x04, "it has become unreliable"),
    (0x08, "it can only be read any more"),
    (0x10, "the backup of its memory has failed"),
    (0x20, "its persistent memory can only be read any more"),
];

fn nvme(log: &[u8]) -> Health {
    let warning = log.first().copied().unwrap_or_default();
    let said: Vec<_> = NVME_WARNINGS
        .iter()
        .filter(|(bit, _)| warning & bit != 0)
        .map(|(_, what)| *what)
        .collect();
    if said.is_empty() {
        Health::Good
    } else {
        Health::Failing(said.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registers(mid: u8, high: u8) -> Vec<u8> {
        // As libata answers with CK_COND: recovered error, ATA pass-through information available.
        let mut sense = vec![0x72, 0x01, 0x00, 0x1d, 0, 0, 0, 14];
        sense.extend([9, 12, 0, 0, 0, 0, 0, 0, 0, mid, 0, high, 0, 0x50]);
        sense
    }

    #[test]
    fn ata_disks_tell_by_two_registers() {
        assert_eq!(ata(&registers(0x4f, 0xc2)), Health::Good);
        assert!(matches!(ata(&registers(0xf4, 0x2c)), Health::Failing(_)));
        let fixed = [0x70, 0, 1, 0, 0x50, 0, 0, 10, 0, 0, 0xf4, 0x2c];
        assert!(matches!(ata(&fixed), Health::Failing(_)));
        for sense in [
            &[][..],
            &[0x72, 5, 0x20, 0, 0, 0, 0, 0],
            &[0x72, 1, 0, 0x1d, 0, 0, 0, 14, 9, 12, 0],
            &registers(0, 0),
        ] {
            assert!(matches!(ata(sense), Health::Unread(_)), "{sense:x?}");
        }
    }

    #[test]
    fn scsi_disks_tell_by_a_sense_code() {
        let page = |asc, ascq| [0x2f, 0, 0, 8, 0, 0, 3, 4, asc, ascq, 38, 0];
        assert_eq!(scsi(&page(0, 0)), Health::Good);
        assert!(matches!(scsi(&page(0x5d, 0x10)), Health::Failing(_)));
        assert!(matches!(scsi(&[0; 64]), Health::Unread(_)));
        assert!(matches!(scsi(&[]), Health::Unread(_)));
    }

    #[test]
    fn nvme_disks_tell_by_a_byte() {
        assert_eq!(nvme(&[0; 512]), Health::Good);
        let mut log = [0; 512];
        log[0] = 0x0c;
        assert_eq!(
            nvme(&log),
            Health::Failing("it has become unreliable, it can only be read any more".into())
        );
    }

    #[test]
    fn disks_are_asked_in_their_own_language() {
        for (name, vendor, expected) in [
            ("sda", "ATA", Some(Language::Ata)),
            ("hda", "", Some(Language::Ata)),
            ("sdb", "SEAGATE", Some(Language::Scsi)),
            ("nvme0n1", "", Some(Language::Nvme)),
            ("vda", "0x1af4", None),
            ("xvda", "", None),
            ("md0", "", None),
            ("loop0", "", None),
        ] {
            assert_eq!(language(name, vendor), expected, "{name}");
        }
    }
}
