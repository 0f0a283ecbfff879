//! What a machine is to Xen: a guest of one of three kinds, or the control domain that has guests.

use std::fs;

/// `XENFEAT_auto_translated_physmap`: the guest's memory is translated for it, as HVM and PVH have
/// it. A PV guest translates its own.
const AUTO_TRANSLATED: u32 = 1 << 2;

/// Reads it; `None` where Xen has nothing to do with the machine.
pub fn read() -> Option<String> {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    kind(
        &text("/sys/hypervisor/type"),
        &text("/proc/xen/capabilities"),
        &text("/sys/hypervisor/guest_type"),
        &text("/sys/hypervisor/properties/features"),
    )
    .map(str::to_owned)
}

fn kind(hypervisor: &str, capabilities: &str, guest: &str, features: &str) -> Option<&'static str> {
    if capabilities.contains("control_d") {
        return Some("control domain");
    }
    if hypervisor.trim() != "xen" {
        return None;
    }
    // Since Linux 4.13 the kernel says so itself.
    match guest.trim() {
        "PV" => return Some("PV"),
        "HVM" => return Some("HVM"),
        "PVH" => return Some("PVH"),
        _ => {}
    }
    let features = u32::from_str_radix(features.trim(), 16).unwrap_or(0);
    Some(if features & AUTO_TRANSLATED == 0 {
        "PV"
    } else {
        "HVM"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_and_hosts_are_told_apart() {
        for (case, input, expected) in [
            ("bare metal", ("", "", "", ""), None),
            ("KVM", ("kvm\n", "", "", ""), None),
            (
                "EC2 PV, Linux 3.2",
                ("xen\n", "", "", "00000003\n"),
                Some("PV"),
            ),
            (
                "EC2 HVM, Linux 3.13",
                ("xen\n", "", "", "00000705\n"),
                Some("HVM"),
            ),
            (
                "HVM, Linux 5.10",
                ("xen\n", "", "HVM\n", "00000705\n"),
                Some("HVM"),
            ),
            (
                "PV, Linux 5.10",
                ("xen\n", "", "PV\n", "000023c3\n"),
                Some("PV"),
            ),
            (
                "a host",
                ("xen\n", "control_d\n", "PV\n", ""),
                Some("control domain"),
            ),
            (
                "a guest without anything to read",
                ("xen", "", "", ""),
                Some("PV"),
            ),
        ] {
            let (hypervisor, capabilities, guest, features) = input;
            assert_eq!(
                kind(hypervisor, capabilities, guest, features),
                expected,
                "{case}"
            );
        }
    }
}
