//! Plans from facts, by table.

use super::*;

#[test]
fn consoles_keep_their_order_and_the_machines_last_one_stays_last() {
    let lists = |a: &[&str]| a.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    for (machine, image, expected) in [
        (
            &["tty0", "ttyS0"][..],
            &["tty0", "ttyS0,115200"][..],
            "console=tty0 console=ttyS0,115200",
        ),
        (
            &["ttyS0", "tty0"],
            &["tty0", "ttyS0,115200"],
            "console=ttyS0,115200 console=tty0",
        ),
        (&["hvc0"], &["tty0"], "console=tty0 console=hvc0"),
        (&[], &["tty0"], "console=tty0"),
        (&["ttyS1"], &[], "console=ttyS1"),
    ] {
        let line = ram_cmdline(&lists(machine), &lists(image), &[]);
        assert!(line.contains(expected), "{machine:?} {image:?}: {line}");
        assert!(line.contains("rootfstype=ramfs"), "{line}");
    }
}

#[test]
fn space_counts_what_is_kept_and_what_is_staged() {
    let space = |there, needed| Space {
        bytes_needed: needed,
        bytes_there: there,
        inodes_needed: 10,
        inodes_there: 10,
    };
    assert_eq!(space(100, 100).lack(), None);
    assert!(space(99, 100).lack().is_some());
    let inodes = Space {
        inodes_there: 9,
        ..space(100, 100)
    };
    assert!(inodes.lack().is_some_and(|l| l.contains("inodes")));
}

#[test]
fn memory_is_enough_only_for_both_peaks() {
    let peak = MemoryPeak {
        load: 100,
        ram: 200,
    };
    for (total, available, expected) in [(200, 100, true), (199, 100, false), (200, 99, false)] {
        assert_eq!(memory_suffices(peak, Memory { total, available }), expected);
    }
}

#[test]
fn parameters_for_the_hardware_are_kept_and_others_are_not() {
    for (cmdline, expected) in [
        (
            "BOOT_IMAGE=/vmlinuz root=UUID=1 ro quiet pci=nomsi,noaer nomodeset",
            &["pci=nomsi,noaer", "nomodeset"][..],
        ),
        (
            "nvme_core.default_ps_max_latency_us=0 init=/bin/sh",
            &["nvme_core.default_ps_max_latency_us=0"],
        ),
        ("pci=$(reboot) acpi=off;x", &[]),
        ("", &[]),
    ] {
        assert_eq!(hardware_parameters(cmdline), expected, "{cmdline}");
    }
}

#[test]
fn a_plan_says_where_the_firmware_may_not_read_the_new_kernel() {
    const GIB: u64 = 1 << 21;
    let root = |end: u64| RootIdentity {
        fs_uuid: String::new(),
        disk_signature: 1,
        partition: 1,
        start: 2048,
        sectors: end - 2048,
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
