//! How far a BIOS reads its disks, as it told the kernel at boot: `/sys/firmware/edd` (BIOS Enhanced
//! Disk Drive Services, interrupt 13h, function 48h). GRUB reads no sector beyond what that call says.
//!
//! The kernel asks at its own start and only with `CONFIG_EDD`; after a kexec there may be nothing.

use std::fs;
use std::path::Path;

/// A disk as the BIOS has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Drive {
    /// Signature of its master boot record.
    signature: Option<u32>,
    /// Sectors by function 48h; 0 where it does not say.
    sectors: u64,
    /// Sectors by cylinders, heads and sectors of function 08h; 0 where it does not say.
    legacy: u64,
    /// It reads by the number of the sector (function 42h).
    by_number: bool,
}

/// How many sectors the firmware reads of the disk with this signature. `None` where it does not say,
/// or where it says it of several disks with that signature. Disks with a GUID partition table have
/// none as a rule, and then nothing says which of them it speaks of.
pub fn reach(signature: u32) -> Option<u64> {
    reach_in(Path::new("/sys/firmware/edd"), signature)
}

fn reach_in(directory: &Path, signature: u32) -> Option<u64> {
    let entries = fs::read_dir(directory).ok()?;
    let drives: Vec<Drive> = entries
        .flatten()
        .map(|entry| drive(&entry.path()))
        .collect();
    decide(&drives, signature)
}

fn drive(directory: &Path) -> Drive {
    // The kernel leaves out what the BIOS did not say.
    let text = |name: &str| fs::read_to_string(directory.join(name)).unwrap_or_default();
    let number = |name: &str| text(name).trim().parse().unwrap_or(0u64);
    let signature = text("mbr_signature");
    let hexadecimal = signature.trim().trim_start_matches("0x");
    // The first two are the highest numbers and not counts.
    let cylinders = number("legacy_max_cylinder") + 1;
    let heads = number("legacy_max_head") + 1;
    Drive {
        signature: u32::from_str_radix(hexadecimal, 16).ok(),
        sectors: number("sectors"),
        legacy: cylinders * heads * number("legacy_sectors_per_track"),
        by_number: text("extensions").contains("Fixed disk access"),
    }
}

fn decide(drives: &[Drive], signature: u32) -> Option<u64> {
    if signature == 0 {
        return None;
    }
    let mut same = drives.iter().filter(|d| d.signature == Some(signature));
    let drive = same.next()?;
    if same.next().is_some() {
        return None;
    }
    let sectors = if drive.by_number {
        drive.sectors
    } else {
        drive.legacy
    };
    (sectors > 0).then_some(sectors)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel shows for a disk of 1.5 TB on a BIOS that counts to 2^28.
    fn edd(drives: &[(&str, &[(&str, &str)])]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, files) in drives {
            let drive = directory.path().join(name);
            fs::create_dir(&drive).unwrap();
            for (name, text) in *files {
                fs::write(drive.join(name), text).unwrap();
            }
        }
        directory
    }

    const OLD: &[(&str, &str)] = &[
        (
            "extensions",
            "Fixed disk access\nEnhanced Disk Drive support\n",
        ),
        ("mbr_signature", "0x0002a7f3\n"),
        ("sectors", "268435455\n"),
        ("legacy_max_cylinder", "1022\n"),
        ("legacy_max_head", "254\n"),
        ("legacy_sectors_per_track", "63\n"),
    ];

    #[test]
    fn the_disk_is_found_by_its_signature_and_says_how_far_it_is_read() {
        let other: &[(&str, &str)] = &[("mbr_signature", "0xdeadbeef\n"), ("sectors", "99\n")];
        let found = edd(&[("int13_dev80", OLD), ("int13_dev81", other)]);
        let reach = |signature| reach_in(found.path(), signature);
        assert_eq!(reach(0x0002_a7f3), Some(268_435_455));
        // It does not read by number, and says no geometry.
        assert_eq!(reach(0xdead_beef), None);
        assert_eq!(reach(0x1234), None);
        assert_eq!(reach_in(&found.path().join("absent"), 0x0002_a7f3), None);
    }

    #[test]
    fn a_disk_without_a_signature_is_told_from_no_other() {
        let none: &[(&str, &str)] = &[("mbr_signature", "0x00000000\n"), OLD[0], OLD[2]];
        let found = edd(&[("int13_dev80", none)]);
        assert_eq!(reach_in(found.path(), 0), None);
    }

    #[test]
    fn a_bios_without_the_call_reads_by_cylinders() {
        let found = edd(&[("int13_dev80", &OLD[1..])]);
        let expected = 1023 * 255 * 63;
        assert_eq!(reach_in(found.path(), 0x0002_a7f3), Some(expected));
    }

    #[test]
    fn two_disks_with_one_signature_say_nothing() {
        let found = edd(&[("int13_dev80", OLD), ("int13_dev81", OLD)]);
        assert_eq!(reach_in(found.path(), 0x0002_a7f3), None);
    }
}
