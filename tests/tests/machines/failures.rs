//! Failures on the way: before the RAM environment the old OS is back as it was, behind the commit
//! point the machine holds and the kept data is whole. Those between are with the identity (a router)
//! and the power cuts (a payload).

use std::path::Path;
use std::time::Duration;

use anyhow::{ensure, Result};
use reroot_tests::crafted::with_manifest;
use reroot_tests::evidence;
use reroot_tests::images::small_trixie;
use reroot_tests::reinstall::{
    start, start_copied, wait, Outcome, IMAGE_ON_MACHINE, LEFT_WHEN_UNDONE, LIMIT,
};
use reroot_tests::shop_data::KEPT;
use reroot_tests::snapshot::running_old_server;
use reroot_tests::vm::{Machine, USUAL_MEMORY_MIB};

/// Starts a reinstallation with the image and gives how the machine came out of it.
fn outcome(machine: &mut Machine, image: &Path, arguments: &str) -> Result<Outcome> {
    let started = start(machine, image, arguments)?;
    let limit = machine.patience(LIMIT);
    wait(machine, started, limit, |line| println!("{line}"))
}

#[test]
fn a_payload_that_does_not_unpack_makes_the_machine_hold_with_the_data_whole() -> Result<()> {
    let mut machine = running_old_server("hold", USUAL_MEMORY_MIB)?;
    let crafted = machine.file("crafted.reroot");
    // One entry is promised that is not there.
    with_manifest(&small_trixie()?, &crafted, |manifest| {
        if let Some(frame) = manifest.payload.frames.first_mut() {
            frame.entries += 1;
            manifest.payload.entries += 1;
        }
    })?;
    let before = evidence::gather(&machine, &KEPT)?;

    // Here as well as anywhere: the kernel's own loader, and the payload in one file with the
    // initramfs. The others go by kexec_load.
    let arguments = "--kexec-call file-load --payload ram";
    let outcome = outcome(&mut machine, &crafted, arguments)?;
    ensure!(matches!(outcome, Outcome::Held(_)), "{outcome:?}");
    // The rescue shell answers: it is asked for a sum, for an echo would show the question.
    let limit = machine.patience(Duration::from_secs(20));
    machine.wait_for_line("reroot rescue #", limit)?;
    let skip = machine.console().len();
    machine.type_on_console("echo answer $((6 * 7))")?;
    machine.wait_for_line_after(skip, "answer 42", limit)?;

    // The same digests as on the old OS, by the same programs, on a machine with this disk.
    let off = machine.cut_power()?;
    let disk = off.disk.look_into()?;
    assert_eq!(evidence::gather_from(&disk, &KEPT)?, before);
    Ok(())
}

/// A loop device on a file of the root is held open by the kernel itself: no process can be ended to
/// make it let go, so the proof that nothing is open must fail, after services were stopped.
#[test]
fn an_old_os_that_does_not_let_go_is_booted_again() -> Result<()> {
    let mut machine = running_old_server("not-let-go", USUAL_MEMORY_MIB)?;
    machine.expect("truncate -s 8M /root/held && losetup -f /root/held")?;
    let before = evidence::gather(&machine, &KEPT)?;
    let listing = machine.expect(evidence::EVERYTHING)?;
    machine.copy_to(&small_trixie()?, IMAGE_ON_MACHINE)?;
    let started = start_copied(&machine, "--payload disk")?;
    let limit = machine.patience(LIMIT);
    let outcome = wait(&mut machine, started, limit, |line| println!("{line}"))?;

    ensure!(outcome == Outcome::Booted, "{outcome:?}");
    machine.expect("systemctl is-system-running --wait; systemctl is-active ssh nginx")?;
    assert_eq!(machine.expect("cat /sys/kernel/kexec_loaded")?.trim(), "0");
    assert_eq!(
        machine
            .expect("findmnt -no FSTYPE,OPTIONS / | grep -c 'ext4 *rw'")?
            .trim(),
        "1"
    );
    assert_eq!(evidence::gather(&machine, &KEPT)?, before);
    assert_eq!(machine.expect(evidence::EVERYTHING)?, listing);
    // What was copied for the run is gone, its log is there.
    let left = machine.expect("cd /.reroot/*-*/ && ls")?;
    assert_eq!(
        left.split_whitespace().collect::<Vec<_>>(),
        LEFT_WHEN_UNDONE
    );
    Ok(())
}
