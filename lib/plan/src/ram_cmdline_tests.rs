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
