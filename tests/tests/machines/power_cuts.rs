//! Power cuts of Debian's own servers: one run through the boot loader, on a disk as clouds have it, is
//! recorded write by write, and the disk is made again as it was at the moments after which Debian's
//! userspace has its part. Each time the machine is switched on again it must end in the old OS, if that
//! was before the commit point, or in the new one, with what is kept untouched. Every moment of a run is
//! tried in `layouts.rs`, on tiny machines.

use std::time::Duration;

use anyhow::{ensure, Result};
use reroot_tests::cloud_disk::{DISK_GUID, ROOT_GUID};
use reroot_tests::confirmed;
use reroot_tests::evidence::{self, Evidence};
use reroot_tests::images::small_trixie;
use reroot_tests::moments::{block_of_payload, half, Moments};
use reroot_tests::old_server::cloud_server;
use reroot_tests::power::{recorded, Recording, Write};
use reroot_tests::reinstall::{reinstall, LIMIT};
use reroot_tests::shop_data::KEPT;
use reroot_tests::vm::{Machine, USUAL_MEMORY_MIB};

/// How long a boot may take on real hardware until the init has found out where it is.
pub const DECISION: Duration = Duration::from_secs(30);

/// What a run left on the console when it goes on behind the commit point.
pub const TAKEN_UP: &str = "it is taken up from the wipe on";

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
    let patience = machine.patience(LIMIT);
    machine.wait_for_line("reroot: rebooting into the new OS", patience)?;
    machine.wait_for_ssh()?;
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
fn a_power_cut_ends_in_debian_11_or_in_debian_13() -> Result<()> {
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
    drop(machine);

    let writes = recording.writes()?;
    let at = Moments::find(&recording, &writes, &payload)?;

    // The RAM environment comes up and finds the staged payload damaged: it gives back what it has of
    // GRUB's.
    let cut = recording.disk_after("undone", &writes, at.armed + 1, |_| false)?;
    let places = recording.places_of(&writes[..at.armed], &payload)?;
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
    machine.expect("test ! -e /boot/grub/grubenv && test -s /.reroot/*/init.log")?;
    drop(machine);

    // Half of what was not flushed is lost, too.
    let middle = usize::midpoint(at.unpack, at.carry);
    let mut machine = expect_taken_up(&mut recording, &writes, ("unpack", middle), half)?;
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
