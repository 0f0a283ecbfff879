//! How far the firmware reads of the root's disk, and what that means for the new OS.

use formats::facts::RootIdentity;

/// Sectors that a BIOS before 2002 counts to: 28 bits of ATA.
pub const FIRMWARE_LIMIT: u64 = 1 << 28;

/// The run's own files are put where the firmware reads them. Where the new OS puts its kernel and
/// initrd nobody knows before it does, and its next kernel is its own affair.
pub(crate) fn beyond_reach(reach: Option<u64>, root: &RootIdentity) -> Option<String> {
    const UNKNOWN: &str =
        "where the new OS's own kernel and initrd come to lie is not known before";
    let end = root.end();
    match reach {
        Some(reach) if end > reach => Some(format!(
            "{UNKNOWN}: the firmware reads the first {} GiB of the disk, and the root goes to {} GiB",
            reach >> 21,
            end >> 21
        )),
        None if end > FIRMWARE_LIMIT => Some(format!(
            "{UNKNOWN}, nor how far the firmware reads: the root goes to {} GiB of the disk",
            end >> 21
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use formats::facts::RootType;

    use super::*;

    #[test]
    fn a_plan_says_where_the_firmware_may_not_read_the_new_kernel() {
        const GIB: u64 = 1 << 21;
        let root = |end: u64| RootIdentity {
            filesystem: RootType::Ext4,
            fs_uuid: String::new(),
            disk_signature: 1,
            partition: 1,
            start: 2048,
            sectors: end - 2048,
            guids: None,
            array: None,
            logical: None,
            subvolume: None,
        };
        for (reach, end, told) in [
            (Some(128 * GIB), 100 * GIB, None),
            (Some(128 * GIB), 900 * GIB, Some("first 128 GiB")),
            (Some(4000 * GIB), 900 * GIB, None),
            (None, 100 * GIB, None),
            (None, 900 * GIB, Some("root goes to 900 GiB")),
        ] {
            let found = beyond_reach(reach, &root(end));
            match told {
                Some(told) => assert!(
                    found.as_ref().is_some_and(|f| f.contains(told)),
                    "{found:?}"
                ),
                None => assert_eq!(found, None),
            }
        }
    }
}
