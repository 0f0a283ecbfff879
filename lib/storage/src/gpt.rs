//! GUID partition tables (UEFI specification, 5.3), as far as a BIOS boot partition is to be found
//! in one: GRUB's room on such a disk where the firmware is a BIOS.

/// Type of a BIOS boot partition, as its bytes are on disk: they spell `Hah!IdontNeedEFI`.
const BIOS_BOOT: &[u8; 16] = b"Hah!IdontNeedEFI";
const SIGNATURE: &[u8; 8] = b"EFI PART";

/// Bytes from the start of the disk that hold header and entries, with sectors of 512 bytes.
pub const HEAD: usize = 34 * 512;

/// Sectors of the first BIOS boot partition; `None` where there is none, or no such table.
pub fn bios_boot_sectors(head: &[u8]) -> Option<u64> {
    let header = head.get(512..1024)?;
    if &header[..8] != SIGNATURE {
        return None;
    }
    let u32_at = |at: usize| {
        u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    let entries = u64::from(u32_at(72)) | u64::from(u32_at(76)) << 32;
    let (count, size) = (u32_at(80) as usize, u32_at(84) as usize);
    if size < 128 {
        return None;
    }
    let start = usize::try_from(entries).ok()?.checked_mul(512)?;
    (0..count).find_map(|n| {
        let at = start.checked_add(n.checked_mul(size)?)?;
        let entry = head.get(at..at.checked_add(48)?)?;
        let lba = |at: usize| Some(u64::from_le_bytes(entry[at..at + 8].try_into().ok()?));
        let is_it = &entry[..16] == BIOS_BOOT;
        is_it.then(|| Some(lba(40)?.checked_sub(lba(32)?)?.saturating_add(1)))?
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    /// A table that sfdisk writes on a file.
    fn table(script: &str) -> Vec<u8> {
        let disk = tempfile::NamedTempFile::new().unwrap();
        disk.as_file().set_len(64 << 20).unwrap();
        let mut sfdisk = Command::new("sfdisk")
            .args(["--quiet", "--no-reread", "--no-tell-kernel"])
            .arg(disk.path())
            .stdin(Stdio::piped())
            .spawn()
            .expect("sfdisk (package fdisk)");
        sfdisk
            .stdin
            .take()
            .unwrap()
            .write_all(script.as_bytes())
            .unwrap();
        assert!(sfdisk.wait().unwrap().success());
        let mut head = std::fs::read(disk.path()).unwrap();
        head.truncate(HEAD);
        head
    }

    #[test]
    fn finds_the_bios_boot_partition_of_real_tables() {
        let with = "label: gpt\nstart=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649\n\
            type=0FC63DAF-8483-4772-8E79-3D69D8477DE4\n";
        assert_eq!(bios_boot_sectors(&table(with)), Some(2048));
        let without = "label: gpt\ntype=0FC63DAF-8483-4772-8E79-3D69D8477DE4\n";
        assert_eq!(bios_boot_sectors(&table(without)), None);
        assert_eq!(bios_boot_sectors(&table("label: dos\ntype=83\n")), None);
    }

    #[test]
    fn what_is_cut_or_lies_is_no_table() {
        let mut head = table("label: gpt\nsize=2048, type=21686148-6449-6E6F-744E-656564454649\n");
        assert_eq!(bios_boot_sectors(&head), Some(2048));
        assert_eq!(bios_boot_sectors(&head[..1000]), None);
        head[512 + 72..512 + 88].fill(0xff);
        assert_eq!(bios_boot_sectors(&head), None);
    }
}
