use super::*;

#[test]
fn consoles_keep_their_order_and_the_machines_last_one_stays_last() {
    let lists = |a: &[&str]| a.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    for (machine, named, image, expected) in [
        (
            &["tty0", "ttyS0"][..],
            &[][..],
            &["tty0", "ttyS0,115200"][..],
            "console=tty0 console=ttyS0,115200",
        ),
        (
            &["ttyS0", "tty0"],
            &[],
            &["tty0", "ttyS0,115200"],
            "console=ttyS0,115200 console=tty0",
        ),
        // Its operator's line has this speed, whatever an image says.
        (
            &["tty0", "ttyS0"],
            &["tty0", "ttyS0,9600n8r"],
            &["tty0", "ttyS0,115200"],
            "console=tty0 console=ttyS0,9600n8r",
        ),
        (
            &["tty0", "ttyS1"],
            &["ttyS1,115200n8"],
            &["tty0", "ttyS0,115200"],
            "console=ttyS0,115200 console=tty0 console=ttyS1,115200n8",
        ),
        (&["hvc0"], &[], &["tty0"], "console=tty0 console=hvc0"),
        (&[], &[], &["tty0"], "console=tty0"),
        (&["ttyS1"], &[], &[], "console=ttyS1"),
    ] {
        let line = ram_cmdline(&lists(machine), &lists(named), &lists(image), &[]);
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
        (
            "reboot=bios hpet=disable irqpoll hpsa.hpsa_allow_any=1 quiet splash",
            &[
                "reboot=bios",
                "hpet=disable",
                "irqpoll",
                "hpsa.hpsa_allow_any=1",
            ],
        ),
        ("pci=$(reboot) acpi=off;x", &[]),
        ("", &[]),
    ] {
        assert_eq!(hardware_parameters(cmdline), expected, "{cmdline}");
    }
}

#[test]
fn consoles_that_are_named_and_there_are_taken_with_their_options() {
    let active: Vec<String> = ["tty0", "ttyS1"].map(str::to_owned).to_vec();
    for (cmdline, expected) in [
        (
            "console=tty0 console=ttyS1,115200n8 ro",
            &["tty0", "ttyS1,115200n8"][..],
        ),
        ("console=ttyS1,9600 console=tty0", &["ttyS1,9600", "tty0"]),
        // There is no such port.
        ("console=ttyS0,115200 console=tty0", &["tty0"]),
        (
            "console=ttyS1,9600 console=tty0 console=ttyS1,115200",
            &["tty0", "ttyS1,9600"],
        ),
        ("console=ttyS1,$(reboot) console= netconsole=x", &[]),
        ("", &[]),
    ] {
        assert_eq!(named_consoles(cmdline, &active), expected, "{cmdline}");
    }
}

#[test]
fn the_page_has_the_table() {
    let page = include_str!("../../../docs/entries.md");
    for parameter in &HARDWARE_PARAMETERS {
        let row = page
            .lines()
            .find(|line| line.contains(&format!("`{}`", parameter.start)));
        let row = row.unwrap_or_else(|| panic!("{} is not on the page", parameter.start));
        assert!(row.ends_with(&format!("| {} |", parameter.why)), "{row}");
    }
}

#[test]
fn lines_at_which_people_log_in_come_before_what_the_machine_writes_to() {
    let lists = |words: &str| {
        words
            .split(' ')
            .filter(|w| !w.is_empty())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let login = |line: &str, speed| SerialLogin {
        line: line.to_owned(),
        speed,
    };
    for (logins, active, expected) in [
        (vec![], "tty0", "console=ttyS0 console=tty0"),
        (
            vec![login("ttyS1", Some(57_600))],
            "tty0",
            "console=ttyS1,57600n8 console=ttyS0 console=tty0",
        ),
        (
            vec![login("ttyS0", Some(9600)), login("hvc0", None)],
            "tty0",
            "console=ttyS0,9600n8 console=hvc0 console=tty0",
        ),
        // Nothing is known of the machine's own: the image's last one stays that.
        (
            vec![login("ttyS1", None)],
            "",
            "console=ttyS1 console=tty0 console=ttyS0",
        ),
    ] {
        let image = beside(&logins, &lists("tty0 ttyS0"));
        let line = ram_cmdline(&lists(active), &[], &image, &[]);
        assert!(
            line.contains(&format!("panic=30 {expected} loglevel")),
            "{line}"
        );
    }
}
