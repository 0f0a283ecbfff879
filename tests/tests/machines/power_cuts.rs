//! Power cuts: one run through the boot loader, on a disk as clouds have it, is recorded write by write,
//! and the disk is made again as it was at the moments that matter. Each time the machine is switched
//! on again it must end in the old OS, if that was before the commit point, or in the new one, with what
//! is kept untouched.

use anyhow::{ensure, Context, Result};
use reroot_tests::cloud_disk::{DISK_GUID, ROOT_GUID, ROOT_START};
use reroot_tests::confirmed;
use reroot_tests::evidence::{self, Evidence};
use reroot_tests::images::small_trixie;
use reroot_tests::moments::{block_of_payload, half, Moments};
use reroot_tests::old_server::{cloud_server, old_server, Firmware};
use reroot_tests::power::{recorded, Recording, Write};
use reroot_tests::reinstall::{self, reinstall, start, wait_for_new_os, LIMIT};
use reroot_tests::shop_data::KEPT;
use reroot_tests::snapshot::running_old_server;
use reroot_tests::vm::{Machine, USUAL_MEMORY_MIB};

use crate::cuts::{DECISION, SWITCHED, TAKEN_UP};

/// Switches a disk on and waits for the old OS, which must have everything.
fn expect_old(
    recording: &mut Recording,
    writes: &[Write],
    (name, count): (&str, usize),
    before: &[Evidence],
) -> Result<Machine> {
    println!("cut {name}: after write {count} of {}", writes.len());
    let cut = recording.disk_after(name, writes, count, |_| false)?;
    let mut machine = cut.boot(USUAL_MEMORY_MIB)?;
    machine.wait_for_old_ssh()?;
    is_old(&machine, before)?;
    Ok(machine)
}

pub fn is_old(machine: &Machine, before: &[Evidence]) -> Result<()> {
    let os = machine.expect("cat /etc/os-release")?;
    ensure!(os.contains("VERSION_CODENAME=bullseye"), "{os}");
    assert_eq!(evidence::gather(machine, &KEPT)?, before);
    machine.expect("systemctl is-system-running --wait; systemctl is-active ssh nginx && dpkg --verify base-files bash nginx-light")?;
    Ok(())
}

/// Switches a disk on and waits until the init has taken the run up.
fn expect_taken_up(
    recording: &mut Recording,
    writes: &[Write],
    (name, count): (&str, usize),
    lost: impl Fn(usize) -> bool,
) -> Result<Machine> {
    println!("cut {name}: after write {count} of {}", writes.len());
    let cut = recording.disk_after(name, writes, count, lost)?;
    let mut machine = cut.boot(USUAL_MEMORY_MIB)?;
    let patience = machine.patience(DECISION);
    machine.wait_for_line(TAKEN_UP, patience)?;
    Ok(machine)
}

/// Waits for the new OS, which must be whole, and confirm that it is.
pub fn expect_new(machine: &mut Machine, before: &[Evidence]) -> Result<()> {
    wait_for_new_os(machine)?;
    is_new(machine, before)
}

pub fn is_new(machine: &Machine, before: &[Evidence]) -> Result<()> {
    let os = machine.expect("cat /etc/os-release")?;
    ensure!(os.contains("VERSION_CODENAME=trixie"), "{os}");
    assert_eq!(evidence::gather(machine, &KEPT)?, before);
    confirmed::assert_passed(machine)?;
    machine.expect("dpkg --audit")?;
    Ok(())
}

#[test]
#[ignore = "as on a tiny machine, with all of Debian around it: make prove"]
fn a_power_cut_at_any_moment_ends_in_the_old_os_or_the_new_one() -> Result<()> {
    let image = small_trixie()?;
    let server = cloud_server()?;
    let (mut machine, mut recording) = recorded(server.clone(), "boot-entry", USUAL_MEMORY_MIB)?;
    // GRUB as its own program puts it there, with codes that mend it behind it.
    machine.expect("grub-install /dev/vda && sync")?;
    let before = evidence::gather(&machine, &KEPT)?;
    let listing = machine.expect(evidence::EVERYTHING)?;
    let payload = block_of_payload(&image)?;
    reinstall(&mut machine, &image, "--entry boot")?;
    is_new(&machine, &before)?;
    let plan = machine.expect("cat /var/log/reroot/*/plan.json")?;
    ensure!(
        plan.contains(DISK_GUID) && plan.contains(ROOT_GUID),
        "{plan}"
    );
    machine.expect("mountpoint /boot/efi")?;
    let log = machine.expect("cat /var/log/reroot/*/launch.log")?;
    drop(machine);

    let writes = recording.writes()?;
    let at = Moments::find(Firmware::Bios, &recording, &writes, &payload)?;

    // Some of it is staged, services are up, GRUB knows nothing of it yet.
    let armed = at.armed.context("GRUB was told nothing")?;
    let half_staged = usize::midpoint(at.staging, armed);
    expect_old(&mut recording, &writes, ("staging", half_staged), &before)?;

    // The RAM environment starts, and does not come up: its initramfs is damaged. One reset later the
    // old OS is back.
    let cut = recording.disk_after("damaged", &writes, armed + 1, |_| false)?;
    let sector = sector_of("initramfs at sector ", &log)?;
    cut.overwrite((ROOT_START + sector) * 512 + (64 << 10), &vec![0; 1 << 20])?;
    let mut machine = cut.boot(USUAL_MEMORY_MIB)?;
    let patience = machine.patience(DECISION);
    machine.wait_for_line("Kernel panic - not syncing", patience)?;
    let mut machine = machine.cut_power()?.boot(&server, USUAL_MEMORY_MIB)?;
    machine.wait_for_old_ssh()?;
    is_old(&machine, &before)?;
    drop(machine);

    // It comes up and finds the staged payload damaged: it gives back what it has of GRUB's.
    let cut = recording.disk_after("undone", &writes, armed + 1, |_| false)?;
    let places = recording.places_of(&writes[..armed], &payload)?;
    ensure!(!places.is_empty(), "the payload was not staged");
    for place in places {
        cut.overwrite(place, &[0; 4096])?;
    }
    let mut machine = cut.boot(USUAL_MEMORY_MIB)?;
    let patience = machine.patience(LIMIT);
    machine.wait_for_line("rebooting into the old OS", patience)?;
    machine.wait_for_old_ssh()?;
    is_old(&machine, &before)?;
    assert_eq!(machine.expect(evidence::EVERYTHING)?, listing);
    machine.expect("! grep -qs reroot_ /boot/grub/grubenv && test -s /.reroot/*/init.log")?;
    drop(machine);

    // The journal says committed, the record does not yet.
    expect_old(
        &mut recording,
        &writes,
        ("before-commit", at.committed),
        &before,
    )?;
    let moments = [
        ("committed", at.committed + 1),
        ("wipe", usize::midpoint(at.wipe, at.unpack)),
    ];
    for moment in moments {
        expect_taken_up(&mut recording, &writes, moment, |_| false)?;
    }
    // Half of what was not flushed is lost, too.
    let middle = usize::midpoint(at.unpack, at.carry);
    let mut machine = expect_taken_up(&mut recording, &writes, ("unpack", middle), half)?;
    expect_new(&mut machine, &before)?;
    drop(machine);
    for moment in [
        ("carry", at.carry + 2),
        ("loader", usize::midpoint(at.loader, at.switched)),
    ] {
        expect_taken_up(&mut recording, &writes, moment, |_| false)?;
    }
    // Nothing is missing but the last sector; then nothing at all.
    let cut = recording.disk_after("before-switch", &writes, at.switched, |_| false)?;
    let mut machine = cut.boot(USUAL_MEMORY_MIB)?;
    let patience = machine.patience(DECISION);
    machine.wait_for_line(SWITCHED, patience)?;
    expect_new(&mut machine, &before)?;
    drop(machine);
    let cut = recording.disk_after("switched", &writes, at.switched + 1, |_| false)?;
    let mut machine = cut.boot(USUAL_MEMORY_MIB)?;
    machine.wait_for_ssh()?;
    is_new(&machine, &before)?;
    updates_its_loader(&machine)?;
    if std::env::var_os("REROOT_PROVE").is_some() {
        let mut machine = machine.cut_power()?.boot(&server, USUAL_MEMORY_MIB)?;
        machine.wait_for_ssh()?;
        is_new(&machine, &before)?;
    }
    Ok(())
}

/// GRUB's package installs it anew as an update does, without a question, where a firmware finds it.
fn updates_its_loader(machine: &Machine) -> Result<()> {
    machine.expect("DEBIAN_FRONTEND=noninteractive dpkg-reconfigure grub-pc && sync")?;
    // The record names the partition's first sector, and there is what grub-install made, but for the
    // block list at the end of its first sector.
    machine.expect(
        "set -e
         test $(od -An -t u8 -j 92 -N 8 /dev/vda) = $(cat /sys/class/block/vda14/start)
         cmp -i 1024 -n 16384 /dev/vda14 /boot/grub/i386-pc/core.img",
    )?;
    Ok(())
}

/// The number behind a text.
fn sector_of(text: &str, log: &str) -> Result<u64> {
    let at = log.find(text).with_context(|| format!("{text}: {log}"))? + text.len();
    let digits: String = log[at..].chars().take_while(char::is_ascii_digit).collect();
    digits.parse().context("a sector's number")
}

/// Whichever entry a run began with: its power is cut while the old OS is being removed.
#[test]
#[ignore = "taken up as after the boot loader's entry: make prove"]
fn a_run_that_began_with_kexec_is_taken_up_through_the_staged_image() -> Result<()> {
    let image = small_trixie()?;
    let mut machine = running_old_server("kexec-cut", USUAL_MEMORY_MIB)?;
    let before = evidence::gather(&machine, &KEPT)?;
    let _started = start(&machine, &image, "--kexec-call load --payload disk")?;
    let patience = machine.patience(reinstall::LIMIT);
    machine.wait_for_line("reroot: wipe: begins", patience)?;
    let server = old_server()?;
    let mut machine = machine.cut_power()?.boot(&server, USUAL_MEMORY_MIB)?;
    let patience = machine.patience(DECISION);
    machine.wait_for_line(TAKEN_UP, patience)?;
    expect_new(&mut machine, &before)
}
