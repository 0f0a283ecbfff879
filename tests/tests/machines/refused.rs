//! Everything that must be refused is refused, and the machine is as it was.
//!
//! One machine serves all cases, one after another: each makes the machine or the image unfit,
//! asks for `go`, and puts things right again. What must not change is compared over the whole
//! filesystem, change times included.

use std::time::{Duration, Instant};

use anyhow::{ensure, Context, Result};
use formats::trailer::{PartKind, TRAILER_SIZE};
use reroot_tests::crafted::trailer_of;
use reroot_tests::disk::Disk;
use reroot_tests::images::small_trixie;
use reroot_tests::old_server::old_server;
use reroot_tests::reinstall::{IMAGE_ON_MACHINE, KEEP};
use reroot_tests::snapshot::running_old_server;
use reroot_tests::vm::{Machine, USUAL_MEMORY_MIB};

#[path = "refused/conditions.rs"]
mod conditions;

/// Everything on the root filesystem but the image itself and what a running system writes of
/// its own accord: logs of logins, seeds, leases.
const LISTING: &str = r"LC_ALL=C find / -xdev \
    \( -path /root/new.reroot -o -path /var/log -o -path /var/lib/dhcp -o -path /var/lib/systemd \
       -o -path /var/tmp -o -path /tmp -o -path /root -o -path /etc/mtab -o -path /dev -o -path /proc -o -path /sys -o -path /run \) -prune -o \
    -printf '%p %i %y %m %n %U %G %s %T@ %C@ %l\n' | sort";

/// Asks for `go`, which must be refused with one of `statuses` and change nothing.
fn refused(machine: &Machine, case: &str, arguments: &str, statuses: &[i32]) -> Result<()> {
    let script = format!(
        "cat /proc/sys/kernel/random/boot_id >/tmp/boot; {LISTING} >/tmp/before
         {IMAGE_ON_MACHINE} go --yes {KEEP} {arguments} >/tmp/said 2>&1; status=$?
         {LISTING} >/tmp/after; cat /tmp/said; echo
         diff /tmp/before /tmp/after || echo CHANGED
         cmp /tmp/boot /proc/sys/kernel/random/boot_id || echo REBOOTED
         exit $status"
    );
    let answer = machine
        .ssh(&script)
        .with_context(|| format!("{case}: go"))?;
    println!(
        "{case}: exit {}\n{}{}",
        answer.status, answer.stdout, answer.stderr
    );
    ensure!(
        statuses.contains(&answer.status),
        "{case}: exit status {} is none of {statuses:?}",
        answer.status
    );
    ensure!(
        !answer.stdout.trim().is_empty(),
        "{case}: refused without a word"
    );
    for trace in ["CHANGED", "REBOOTED"] {
        ensure!(
            !answer.stdout.contains(trace),
            "{case}: {trace}\n{}",
            answer.stdout
        );
    }
    Ok(())
}

#[test]
fn an_unfit_machine_or_image_is_refused_and_nothing_changes() -> Result<()> {
    let image = small_trixie()?;
    let mut machine = running_old_server("refused", USUAL_MEMORY_MIB)?;
    machine.copy_to(&image, IMAGE_ON_MACHINE)?;
    let check = machine.ssh(&format!("{IMAGE_ON_MACHINE} check {KEEP}"))?;
    ensure!(
        check.status == 0,
        "a fit machine is refused:\n{}{}",
        check.stdout,
        check.stderr
    );

    keep_paths(&machine)?;
    damaged_images(&machine, &std::fs::read(&image)?)?;
    two_disks_with_one_identity(&mut machine)?;
    too_little_memory(&machine)?;
    too_little_space(&machine)?;
    conditions::conditions(&mut machine)?;

    let check = machine.ssh(&format!("{IMAGE_ON_MACHINE} check {KEEP}"))?;
    ensure!(
        check.status == 0,
        "a case left the machine unfit:\n{}{}",
        check.stdout,
        check.stderr
    );
    conditions::errors_of_the_root(&machine)
}

fn keep_paths(machine: &Machine) -> Result<()> {
    machine.expect("ln -s /srv/shop /srv/link && ln -s /srv /opt/srv-link")?;
    for (case, path) in [
        ("an absent keep path", "/srv/absent"),
        ("a relative keep path", "srv/shop"),
        ("a keep path with ..", "/srv/../etc"),
        ("a keep path that is a symbolic link", "/srv/link"),
        ("a keep path through a symbolic link", "/opt/srv-link/shop"),
    ] {
        refused(machine, case, &format!("--keep {path}"), &[1, 2])?;
    }
    machine.expect("rm /srv/link /opt/srv-link")?;
    Ok(())
}

/// The wipe frees what the old OS takes, but the image's parts are loaded before it.
fn too_little_space(machine: &Machine) -> Result<()> {
    // Root may use the reserved blocks, so they are filled too.
    machine.expect(
        "fallocate -l $(($(stat -f -c '%f * %S' /) / 1048576 - 30))M /srv/shop/full && sync",
    )?;
    refused(machine, "too little space", "", &[1])?;
    machine.expect("rm /srv/shop/full && sync")?;
    Ok(())
}

fn damaged_images(machine: &Machine, image: &[u8]) -> Result<()> {
    let trailer = trailer_of(image)?;
    let middle = |kind: PartKind| {
        let part = trailer.part(kind);
        part.offset + part.length / 2
    };
    let end = image.len() as u64;
    for (case, at, statuses) in [
        // Neither the kernel nor the program looks at this byte of the ELF header.
        ("a flipped byte in the header", 12, &[1][..]),
        ("a flipped byte in the header's magic", 1, &[126, 127, 2]),
        (
            "a flipped byte in the kernel",
            middle(PartKind::Kernel),
            &[1],
        ),
        (
            "a flipped byte in the initramfs",
            middle(PartKind::Initramfs),
            &[1],
        ),
        (
            "a flipped byte in the payload",
            middle(PartKind::Payload),
            &[1],
        ),
        (
            "a flipped byte in the manifest",
            middle(PartKind::Manifest),
            &[1],
        ),
        (
            "a flipped byte in the trailer's table",
            end - TRAILER_SIZE as u64 + 40,
            &[1],
        ),
        ("a flipped byte in the trailer's digest", end - 1, &[1]),
    ] {
        let byte = image[at as usize];
        write_byte(machine, at, byte ^ 1)?;
        refused(machine, case, "", statuses)?;
        write_byte(machine, at, byte)?;
    }

    machine.expect(&format!("truncate -s -4096 {IMAGE_ON_MACHINE}"))?;
    refused(machine, "an image cut short", "", &[1])?;
    let tail = machine.file("tail");
    std::fs::write(&tail, &image[image.len() - 4096..])?;
    machine.copy_to(&tail, "/root/tail")?;
    machine.expect(&format!(
        "cat /root/tail >> {IMAGE_ON_MACHINE} && rm /root/tail"
    ))?;
    Ok(())
}

/// Overwrites one byte of the image on the machine.
fn write_byte(machine: &Machine, at: u64, byte: u8) -> Result<()> {
    machine.expect(&format!(
        "printf '\\{byte:03o}' | dd of={IMAGE_ON_MACHINE} bs=1 seek={at} conv=notrunc status=none"
    ))?;
    Ok(())
}

/// A clone of the disk, plugged in: the root's UUID now names two filesystems.
fn two_disks_with_one_identity(machine: &mut Machine) -> Result<()> {
    let clone = Disk::over(&old_server()?.disk, &machine.file("clone.qcow2"))?;
    machine.plug_in(&clone, "clone")?;
    machine
        .expect("for i in $(seq 100); do [ -e /dev/vdb1 ] && exit 0; sleep 0.1; done; exit 1")?;
    machine.expect("udevadm settle")?;
    refused(machine, "a second disk with the root's identity", "", &[1])?;
    machine.unplug("clone")?;
    let deadline = Instant::now() + machine.patience(Duration::from_secs(10));
    while machine.ssh("[ -e /dev/vdb ]")?.status == 0 {
        ensure!(Instant::now() < deadline, "the unplugged disk does not go");
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

/// Memory that others hold is not there for the image. A file in memory stands for them.
fn too_little_memory(machine: &Machine) -> Result<()> {
    let hold = |leave: u32| {
        machine.expect(&format!(
            "available=$(awk '/^MemAvailable/ {{ print int($2 / 1024) }}' /proc/meminfo); \
             mount -o remount,size=100% /dev/shm; \
             head -c $((available - {leave}))M /dev/zero >/dev/shm/held"
        ))
    };
    // kexec_load takes the image once: some 250 MiB with the payload, 60 MiB without.
    hold(150)?;
    refused(
        machine,
        "too little memory for the payload",
        "--payload ram",
        &[1],
    )?;
    machine.expect("rm /dev/shm/held")?;
    hold(30)?;
    refused(machine, "too little memory", "", &[1])?;
    machine.expect("rm /dev/shm/held")?;
    Ok(())
}
