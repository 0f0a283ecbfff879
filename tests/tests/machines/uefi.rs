//! The disk of a cloud's server that UEFI starts: by the file that is the same for all, with no variable
//! of the firmware's; the same disk starts by a BIOS, too.

use std::fmt::Write as _;

use anyhow::{ensure, Result};
use reroot_tests::cloud_disk::{EFI_GUID, EFI_SECTORS, EFI_START};
use reroot_tests::evidence;
use reroot_tests::images::small_trixie;
use reroot_tests::moments::Switches;
use reroot_tests::old_server::{cloud_server_by_uefi, Firmware, OldServer};
use reroot_tests::power::{recorded, Recording, Write};
use reroot_tests::reinstall::reinstall;
use reroot_tests::shop_data::KEPT;
use reroot_tests::vm::{Machine, USUAL_MEMORY_MIB};

use crate::cuts::{DECISION, SWITCHED, TAKEN_UP};
use crate::power_cuts::{expect_new, is_new, is_old};

/// Nothing of a run stays on the EFI system partition, and nothing is wrong with it.
fn is_tidy(machine: &Machine) -> Result<()> {
    machine.expect("mountpoint /boot/efi && test -s /boot/efi/EFI/BOOT/BOOTX64.EFI")?;
    machine.expect("test -z \"$(find /boot/efi -iname '*.rer')\"")?;
    Ok(())
}

/// Has the firmware start the file of a Debian by a variable, before all others.
fn start_by_a_variable(machine: &Machine) -> Result<()> {
    const VENDOR: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
    let utf16 = |text: &str| -> Vec<u8> {
        let units = text.encode_utf16().chain([0]);
        units.flat_map(u16::to_le_bytes).collect()
    };
    let node = |kind: u8, sub: u8, bytes: &[u8]| {
        let length = (bytes.len() as u16 + 4).to_le_bytes();
        [&[kind, sub, length[0], length[1]], bytes].concat()
    };
    let hex = EFI_GUID.replace('-', "");
    let mut guid = (0..16)
        .map(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16))
        .collect::<Result<Vec<u8>, _>>()?;
    for part in [0..4, 4..6, 6..8] {
        guid[part].reverse();
    }
    let drive = [
        &15u32.to_le_bytes()[..],
        &EFI_START.to_le_bytes(),
        &EFI_SECTORS.to_le_bytes(),
        &guid,
        // By a GUID partition table, and a GUID.
        &[2, 2],
    ]
    .concat();
    let path = [
        node(4, 1, &drive),
        node(4, 4, &utf16("\\EFI\\debian\\grubx64.efi")),
        node(0x7f, 0xff, &[]),
    ]
    .concat();
    let option = [
        &1u32.to_le_bytes()[..],
        &(path.len() as u16).to_le_bytes(),
        &utf16("debian"),
        &path,
    ]
    .concat();
    let order = machine.expect(&format!(
        "od -An -v -t x1 -j 4 /sys/firmware/efi/efivars/BootOrder-{VENDOR}"
    ))?;
    let order = order
        .split_whitespace()
        .map(|byte| u8::from_str_radix(byte, 16));
    let order: Vec<u8> = [0x10, 0]
        .map(Ok)
        .into_iter()
        .chain(order)
        .collect::<Result<_, _>>()?;
    machine.expect(&format!(
        "chattr -i /sys/firmware/efi/efivars/BootOrder-{VENDOR}"
    ))?;
    for (name, value) in [("Boot0010", option), ("BootOrder", order)] {
        // Kept over a start, seen by it and while the OS runs.
        let bytes = [&7u32.to_le_bytes()[..], &value].concat();
        let mut escaped = String::new();
        for byte in bytes {
            write!(escaped, "\\{byte:03o}")?;
        }
        machine.expect(&format!(
            "printf '{escaped}' | dd bs=4096 iflag=fullblock of=/sys/firmware/efi/efivars/{name}-{VENDOR}"
        ))?;
    }
    machine.expect("sync")?;
    Ok(())
}

/// Off and on again.
fn again(machine: Machine, server: &OldServer, firmware: Firmware) -> Result<Machine> {
    let server = OldServer {
        firmware,
        ..server.clone()
    };
    let mut machine = machine.cut_power()?.boot(&server, USUAL_MEMORY_MIB)?;
    machine.wait_for_ssh()?;
    Ok(machine)
}

#[test]
#[ignore = "a firmware of its own, emulated: make prove"]
fn a_clouds_disk_is_reinstalled_by_uefi_and_starts_by_every_way_it_has() -> Result<()> {
    let image = small_trixie()?;
    let server = cloud_server_by_uefi()?;
    let mut machine = Machine::boot(&server, "uefi", USUAL_MEMORY_MIB)?;
    machine.wait_for_ssh()?;
    start_by_a_variable(&machine)?;
    let mut machine = again(machine, &server, Firmware::Uefi)?;
    let before = evidence::gather(&machine, &KEPT)?;
    reinstall(&mut machine, &image, "--entry kexec")?;
    is_new(&machine, &before)?;
    is_tidy(&machine)?;
    let plan = machine.expect("cat /var/log/reroot/*/plan.json")?;
    ensure!(plan.contains("Boot0010 (debian)"), "{plan}");
    machine.expect("test -d /sys/firmware/efi")?;
    machine.expect("test -d /sys/firmware/efi && umount /boot/efi && sync")?;
    let machine = again(machine, &server, Firmware::Bios)?;
    machine.expect("! test -d /sys/firmware/efi")?;
    is_new(&machine, &before)
}

/// A disk after some writes, in a machine with this firmware.
fn cut(
    recording: &mut Recording,
    writes: &[Write],
    (name, count): (&str, usize),
    firmware: Firmware,
) -> Result<Machine> {
    println!(
        "cut {name}: after write {count} of {}, by {firmware:?}",
        writes.len()
    );
    let cut = recording.disk_after(name, writes, count, |_| false)?;
    cut.started_by(firmware).boot(USUAL_MEMORY_MIB)
}

fn is_taken_up(machine: &mut Machine) -> Result<()> {
    let patience = machine.patience(DECISION);
    machine.wait_for_line(TAKEN_UP, patience).map(drop)
}

fn is_switched(machine: &mut Machine) -> Result<()> {
    let patience = machine.patience(DECISION);
    machine.wait_for_line(SWITCHED, patience).map(drop)
}

/// Between two paths, too: whichever firmware starts the disk, it starts something whole.
#[test]
#[ignore = "a firmware of its own, emulated: make prove"]
fn a_power_cut_by_uefi_ends_in_the_old_os_or_the_new_one() -> Result<()> {
    let image = small_trixie()?;
    let server = cloud_server_by_uefi()?;
    let (mut machine, mut recording) = recorded(server, "uefi-cuts", USUAL_MEMORY_MIB)?;
    let before = evidence::gather(&machine, &KEPT)?;
    reinstall(&mut machine, &image, "--entry boot")?;
    is_new(&machine, &before)?;
    drop(machine);

    let writes = recording.writes()?;
    let records: Vec<usize> = (0..writes.len())
        .filter(|&at| writes[at].covers(0))
        .collect();
    let ([beside, new_beside], at) = Switches::of_file(&recording, &writes)?;
    let Switches {
        committed,
        switched,
    } = at;
    let [.., bios_staged, bios_new] = records[..] else {
        anyhow::bail!("the master boot record was written at {records:?}");
    };
    ensure!(
        beside < bios_staged
            && bios_staged < committed
            && committed < new_beside
            && new_beside < bios_new
            && bios_new < switched,
        "the paths were switched in another order: {beside}, {new_beside}, {at:?}, {records:?}"
    );

    for (name, count, firmware) in [
        ("beside", bios_staged, Firmware::Uefi),
        ("beside-bios", bios_staged, Firmware::Bios),
        // The other path starts the staged image; this one decides, and it does not.
        ("other", committed, Firmware::Uefi),
    ] {
        let mut machine = cut(&mut recording, &writes, (name, count), firmware)?;
        machine.wait_for_ssh()?;
        is_old(&machine, &before)?;
    }
    // By the other path it is seen that nothing was decided, and nothing is done.
    let mut machine = cut(
        &mut recording,
        &writes,
        ("other-bios", committed),
        Firmware::Bios,
    )?;
    let patience = machine.patience(DECISION);
    machine.wait_for_line("behind its commit point; the journal has", patience)?;
    machine.wait_for_line("nothing of the old OS was removed", patience)?;
    let by_uefi = cloud_server_by_uefi()?;
    let mut machine = machine.cut_power()?.boot(&by_uefi, USUAL_MEMORY_MIB)?;
    machine.wait_for_ssh()?;
    is_old(&machine, &before)?;
    drop(machine);
    for (name, firmware) in [
        ("committed", Firmware::Uefi),
        ("committed-bios", Firmware::Bios),
    ] {
        let mut machine = cut(&mut recording, &writes, (name, committed + 1), firmware)?;
        is_taken_up(&mut machine)?;
    }
    // One path starts the new OS, the other the staged image still. It is in use by the first meanwhile, and
    // nothing of it goes when the other one starts.
    let mut machine = cut(
        &mut recording,
        &writes,
        ("lived", bios_new + 1),
        Firmware::Bios,
    )?;
    machine.wait_for_ssh()?;
    machine.expect("grep trixie /etc/os-release && systemctl is-system-running --wait")?;
    assert_eq!(evidence::gather(&machine, &KEPT)?, before);
    machine.expect("test -e /.reroot/*/kernel && echo 1 >/root/lived && sync")?;
    let mut machine = machine.cut_power()?.boot(&by_uefi, USUAL_MEMORY_MIB)?;
    is_switched(&mut machine)?;
    machine.wait_for_ssh()?;
    machine.expect("test -d /sys/firmware/efi && grep 1 /root/lived")?;
    is_new(&machine, &before)?;
    drop(machine);
    let mut machine = cut(
        &mut recording,
        &writes,
        ("before-switch", switched),
        Firmware::Uefi,
    )?;
    is_switched(&mut machine)?;
    expect_new(&mut machine, &before)?;
    drop(machine);
    let mut machine = cut(
        &mut recording,
        &writes,
        ("switched", switched + 1),
        Firmware::Uefi,
    )?;
    machine.wait_for_ssh()?;
    is_new(&machine, &before)
}
