//! A machine whose firmware starts signed loaders alone, and has started one: Debian's shim, its signed GRUB, its
//! signed kernel. It is refused, for that reason and no other, and nothing of it is changed.

use anyhow::{ensure, Result};
use reroot_tests::evidence;
use reroot_tests::images::tiny as tiny_image;
use reroot_tests::old_server::{Firmware, OldServer};
use reroot_tests::refusals::refusals;
use reroot_tests::reinstall::{boot_id, IMAGE_ON_MACHINE, KEEP};
use reroot_tests::signed;
use reroot_tests::tiny::disk::ROOT_UUID;
use reroot_tests::tiny::{self, MEMORY_MIB};

use crate::layouts::row;

/// The firmware's variables, what the kernel makes of them, and what shim leaves.
const IS_ON: &str = "set -e
    is() { test \"$(tail -c 1 /sys/firmware/efi/efivars/$1-8be4df61-93ca-11d2-aa0d-00e098032b8c | od -An -t u1 |
        tr -d ' ')\" = $2; }
    is SecureBoot 1
    is SetupMode 0
    test -e /sys/firmware/efi/efivars/MokListRT-605dab50-e046-4300-abb6-3dd810dd8b23
    mount -t securityfs none /sys/kernel/security
    grep -F '[integrity]' /sys/kernel/security/lockdown
    umount /sys/kernel/security";

/// Every file of the EFI system partition, and the first sectors of the disk.
const LOADERS: &str = "cd /boot/efi && find . -type f | sort | xargs sha256sum && \
    dd if=/dev/vda bs=1M count=4 2>/dev/null | sha256sum";

/// The reason, and the way out.
const REFUSED: &[&str] = &[
    "secure-boot",
    "the firmware starts signed loaders only",
    "turn it off in the firmware",
];

#[test]
#[ignore = "a firmware of its own, emulated: make prove"]
fn a_machine_with_secure_boot_is_refused_for_that_alone_and_stays_as_it_is() -> Result<()> {
    let layout = row("gpt-cloud")?;
    let image = tiny_image()?;
    let machine = tiny::boot(layout, "secure-boot")?;
    signed::start_by_them(&machine, tiny::OLD, ROOT_UUID)?;
    let server = OldServer {
        firmware: Firmware::UefiSecure,
        ..tiny::server(layout)?
    };
    let mut machine = machine.cut_power()?.boot(&server, MEMORY_MIB)?;
    machine.wait_for_old_ssh()?;
    println!("{}", machine.expect(IS_ON)?);

    machine.copy_to(&image, IMAGE_ON_MACHINE)?;
    let listing = machine.expect(evidence::EVERYTHING)?;
    let loaders = machine.expect(LOADERS)?;
    let boot = boot_id(&machine)?;
    for entry in ["", "--entry kexec", "--entry takeover", "--entry boot"] {
        assert_eq!(refusals(&machine, entry)?, ["secure-boot"], "{entry}");
    }
    for (command, told) in [
        ("rehearse --yes", REFUSED),
        ("go --yes", REFUSED),
        (
            "go --yes --force secure-boot",
            &["there is no check with this code that may be forced"],
        ),
    ] {
        let said = machine.ssh(&format!("{IMAGE_ON_MACHINE} {command} {KEEP}"))?;
        let text = format!("{}{}", said.stdout, said.stderr);
        println!("{command}: exit {}\n{text}", said.status);
        ensure!(said.status == 1, "{command}: {said:?}");
        for told in told {
            ensure!(
                text.contains(told),
                "{command}: {told:?} is missing in\n{text}"
            );
        }
    }
    assert_eq!(machine.expect(evidence::EVERYTHING)?, listing);
    assert_eq!(machine.expect(LOADERS)?, loaders);
    assert_eq!(boot_id(&machine)?, boot);
    machine.expect("test ! -e /.reroot && test $(cat /sys/kernel/kexec_loaded) = 0")?;
    Ok(())
}
