//! Which boot loader a disk's master boot record is, where it is not GRUB 2's. Told by what each
//! has at fixed places of its first sector; the record of a loader that lives in a partition only
//! starts the active one, so that partition's first sector is looked at too.

use storage::mbr::MBR_SIZE;

/// Names the loader; `None` where it is GRUB 2, or nothing that is known.
pub fn name(record: &[u8], active_partition: Option<&[u8]>) -> Option<String> {
    let record = record.get(..MBR_SIZE)?;
    if let Some(name) = of_sector(record) {
        return (name != GRUB_2).then(|| name.to_owned());
    }
    let starts_active = PLAIN_RECORDS
        .iter()
        .find(|(text, _)| contains(record, text))?;
    let in_partition = active_partition.and_then(|s| of_sector(s.get(..MBR_SIZE)?));
    Some(match in_partition {
        Some(name) => format!("{name} in the active partition"),
        None => starts_active.1.to_owned(),
    })
}

/// Whether the first sector is GRUB 2's.
pub(crate) fn is_grub_2(record: &[u8]) -> bool {
    record.get(..MBR_SIZE).and_then(of_sector) == Some(GRUB_2)
}

/// Whether the first sector is a loader by itself, and not a record that starts a partition.
pub(crate) fn is_loader(record: &[u8]) -> bool {
    record.get(..MBR_SIZE).and_then(of_sector).is_some()
}

const GRUB_2: &str = "GRUB 2";

/// What a boot sector has at an offset, beside `GRUB ` anywhere for the first three.
fn of_sector(sector: &[u8]) -> Option<&'static str> {
    let at = |offset: usize, bytes: &[u8]| sector[offset..].starts_with(bytes);
    if contains(sector, "GRUB ") {
        // The first jump is over a table whose length differs: 0x48 in 0.9x, 0x4c and 0x63 in 1.9x.
        return Some(if at(0, &[0xeb, 0x48]) {
            "GRUB legacy"
        } else {
            GRUB_2
        });
    }
    if at(6, b"LILO") {
        return Some("LILO");
    }
    (at(3, b"EXTLINUX") || at(3, b"SYSLINUX")).then_some("extlinux")
}

/// Records that only start the active partition, by a message in them.
const PLAIN_RECORDS: [(&str, &str); 3] = [
    (
        "Operating system load error",
        "the record of syslinux, which starts the active partition",
    ),
    (
        "Error loading operating system",
        "the record of DOS or Windows, which starts the active partition",
    ),
    (
        "No Bootable partition",
        "a record that starts the active partition",
    ),
];

fn contains(sector: &[u8], text: &str) -> bool {
    sector.windows(text.len()).any(|w| w == text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first sector of stage1 in grub-legacy 0.97-80, without its code.
    const GRUB_LEGACY: &[u8] = b"\xeb\x48\x90\0\0\0GRUB \0Geom\0Hard Disk\0Read\0 Error\0";

    fn file(path: &str, package: &str) -> Vec<u8> {
        std::fs::read(path).unwrap_or_else(|e| panic!("{path}: {e}: apt-get install {package}"))
    }

    fn sector(bytes: &[u8]) -> Vec<u8> {
        let mut sector = bytes.to_vec();
        sector.resize(MBR_SIZE, 0);
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        sector
    }

    #[test]
    fn records_of_packages_are_told_apart() {
        let told = |bytes: &[u8]| name(&sector(bytes), None);
        let grub2 = file("/usr/lib/grub/i386-pc/boot.img", "grub-pc-bin");
        assert_eq!(told(&grub2), None);
        assert_eq!(told(GRUB_LEGACY).as_deref(), Some("GRUB legacy"));
        let syslinux = file("/usr/lib/syslinux/mbr/mbr.bin", "syslinux-common");
        assert!(told(&syslinux).unwrap().contains("syslinux"));
        assert_eq!(told(&[]), None, "an empty record is no loader's");
    }

    /// LILO is in no package any more; its `first.S` has the letters behind a jump and a version,
    /// and extlinux puts its name where DOS has that of the maker.
    #[test]
    fn lilo_and_extlinux_are_told_by_their_documented_marks() {
        let lilo = sector(b"\xfa\xeb\x21\x01\xb4\x01LILO\x18\x06");
        assert_eq!(name(&lilo, None).as_deref(), Some("LILO"));
        let extlinux = sector(b"\xeb\x58\x90EXTLINUX");
        let record = sector(b"Missing operating system.\r\nOperating system load error.\r\n");
        assert_eq!(
            name(&record, Some(&extlinux)).as_deref(),
            Some("extlinux in the active partition")
        );
        assert_eq!(
            name(&record, Some(&sector(GRUB_LEGACY))).as_deref(),
            Some("GRUB legacy in the active partition")
        );
    }
}
