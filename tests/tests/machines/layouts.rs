//! Every row of the table of disks: a tiny machine on it becomes one with the new OS, with everything that
//! it keeps as it was, or is refused with nothing changed. On some of them the power is cut
//! (`cuts.rs`).

use std::path::Path;

use anyhow::{Context, Result};
use reroot_tests::evidence;
use reroot_tests::images::tiny as tiny_image;
use reroot_tests::old_server::Firmware;
use reroot_tests::refusals::refusals;
use reroot_tests::reinstall::{reinstall, start, IMAGE_ON_MACHINE, LIMIT};
use reroot_tests::shop_data::KEPT;
use reroot_tests::tiny::layouts::{layout, Kind, Layout, GROUP, LAYOUTS};
use reroot_tests::tiny::{self, MEMORY_MIB};
use reroot_tests::vm::Machine;

use crate::cuts::{
    cut_at_the_commit, cut_at_the_switches, cut_everywhere, cut_in_the_wipe, cut_in_the_wipe_by,
    expect_new, started_by, DECISION, TAKEN_UP,
};
use crate::tiny_machine::{boot_files, fill_subvolumes, is_new, is_on, subvolumes_beside};

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn a_root_on_a_primary_partition_of_a_master_boot_record() -> Result<()> {
    cut_at_the_commit(row("mbr-primary")?)
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn a_root_on_a_logical_partition() -> Result<()> {
    reinstalled(row("mbr-logical")?, "--entry kexec --payload disk")
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn power_cuts_with_a_root_on_a_logical_partition() -> Result<()> {
    cut_at_the_commit(row("mbr-logical")?)
}

#[test]
fn a_first_partition_at_sector_63() -> Result<()> {
    reinstalled(row("mbr-sector-63")?, "--entry kexec --payload disk")
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn power_cuts_with_a_first_partition_at_sector_63() -> Result<()> {
    cut_at_the_commit(row("mbr-sector-63")?)
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn a_guid_partition_table_with_a_bios_boot_partition() -> Result<()> {
    reinstalled(row("gpt-bios-boot")?, "--entry kexec")
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn power_cuts_with_a_guid_partition_table_with_a_bios_boot_partition() -> Result<()> {
    cut_at_the_commit(row("gpt-bios-boot")?)
}

#[test]
fn a_disk_as_clouds_have_it() -> Result<()> {
    cut_everywhere(row("gpt-cloud")?)
}

#[test]
#[ignore = "as with /boot apart: make prove"]
fn a_disk_as_clouds_have_it_that_uefi_starts() -> Result<()> {
    reinstalled_by_uefi(row("gpt-cloud")?)
}

#[test]
#[ignore = "as by UEFI: make prove"]
fn a_disk_as_clouds_have_it_with_boot_apart() -> Result<()> {
    reinstalled(row("gpt-boot-apart")?, "--entry kexec --payload disk")
}

#[test]
#[ignore = "as on a logical volume: make prove"]
fn a_disk_as_clouds_have_it_with_boot_apart_that_uefi_starts() -> Result<()> {
    reinstalled_by_uefi(row("gpt-boot-apart")?)
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn power_cuts_at_the_switches_with_boot_apart_that_uefi_starts() -> Result<()> {
    cut_at_the_switches(row("gpt-boot-apart")?, Firmware::Uefi)
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn a_root_on_xfs_on_a_primary_partition_of_a_master_boot_record() -> Result<()> {
    cut_at_the_commit(row("xfs-mbr")?)
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn a_root_on_xfs_as_clouds_have_it() -> Result<()> {
    cut_everywhere(row("xfs-cloud")?)
}

#[test]
#[ignore = "as by UEFI: make prove"]
fn a_root_on_xfs_as_clouds_have_it_that_uefi_starts() -> Result<()> {
    reinstalled_by_uefi(row("xfs-cloud")?)
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn power_cuts_at_the_switches_with_a_root_on_xfs_that_uefi_starts() -> Result<()> {
    cut_at_the_switches(row("xfs-cloud")?, Firmware::Uefi)
}

#[test]
#[ignore = "as by UEFI: make prove"]
fn a_root_on_a_subvolume_of_btrfs() -> Result<()> {
    reinstalled(row("btrfs-cloud")?, "--entry kexec --payload disk")
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn a_power_cut_with_a_root_on_a_subvolume_of_btrfs() -> Result<()> {
    cut_in_the_wipe(row("btrfs-cloud")?)
}

#[test]
#[ignore = "as on ext4: make prove"]
fn a_root_on_a_subvolume_of_btrfs_that_uefi_starts() -> Result<()> {
    reinstalled_by_uefi(row("btrfs-cloud")?)
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn a_power_cut_with_a_root_on_a_subvolume_of_btrfs_that_uefi_starts() -> Result<()> {
    cut_in_the_wipe_by(row("btrfs-cloud")?, Firmware::Uefi)
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn power_cuts_at_the_switches_with_a_root_on_a_subvolume_of_btrfs() -> Result<()> {
    cut_at_the_switches(row("btrfs-cloud")?, Firmware::Bios)
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn power_cuts_at_the_switches_with_a_root_on_a_subvolume_of_btrfs_that_uefi_starts() -> Result<()> {
    cut_at_the_switches(row("btrfs-cloud")?, Firmware::Uefi)
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn a_system_in_subvolumes_of_btrfs_with_snapshots() -> Result<()> {
    reinstalled(row("btrfs-snapshots")?, "--entry kexec --payload disk")
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn a_system_in_subvolumes_of_btrfs_with_snapshots_that_uefi_starts() -> Result<()> {
    reinstalled_by_uefi(row("btrfs-snapshots")?)
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn a_power_cut_with_a_system_in_subvolumes_of_btrfs() -> Result<()> {
    cut_in_the_wipe(row("btrfs-snapshots")?)
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn power_cuts_at_the_switches_with_a_system_in_subvolumes_of_btrfs() -> Result<()> {
    cut_at_the_switches(row("btrfs-snapshots")?, Firmware::Bios)
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn power_cuts_at_the_switches_with_a_system_in_subvolumes_of_btrfs_that_uefi_starts() -> Result<()>
{
    cut_at_the_switches(row("btrfs-snapshots")?, Firmware::Uefi)
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn a_root_on_a_subvolume_of_btrfs_by_taking_over_pid_1() -> Result<()> {
    reinstalled(row("btrfs-cloud")?, "--entry takeover --payload disk")
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn a_system_in_subvolumes_of_btrfs_by_taking_over_pid_1() -> Result<()> {
    reinstalled(row("btrfs-snapshots")?, "--entry takeover --payload disk")
}

#[test]
#[ignore = "as by UEFI: make prove"]
fn a_root_on_a_logical_volume() -> Result<()> {
    reinstalled(row("lvm-boot-apart")?, "--entry kexec")
}

#[test]
fn a_root_on_a_logical_volume_that_uefi_starts() -> Result<()> {
    reinstalled_by_uefi(row("lvm-boot-apart")?)
}

#[test]
#[ignore = "as with power cuts: make prove"]
fn a_system_on_filesystems_of_its_own() -> Result<()> {
    reinstalled(row("gpt-var-apart")?, "--entry kexec --payload disk")
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn a_root_on_a_logical_volume_by_taking_over_pid_1() -> Result<()> {
    reinstalled(row("lvm-boot-apart")?, "--entry takeover --payload disk")
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn a_power_cut_with_a_root_on_a_logical_volume() -> Result<()> {
    cut_in_the_wipe(row("lvm-boot-apart")?)
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn power_cuts_at_the_switches_with_a_root_on_a_logical_volume_that_uefi_starts() -> Result<()> {
    cut_at_the_switches(row("lvm-boot-apart")?, Firmware::Uefi)
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn a_root_on_xfs_on_a_logical_volume_of_two_partitions() -> Result<()> {
    reinstalled(row("lvm-xfs-mbr")?, "--entry kexec --payload disk")
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn a_power_cut_with_a_root_on_xfs_on_a_logical_volume() -> Result<()> {
    cut_in_the_wipe(row("lvm-xfs-mbr")?)
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn power_cuts_at_the_switches_with_a_root_on_xfs_on_a_logical_volume() -> Result<()> {
    cut_at_the_switches(row("lvm-xfs-mbr")?, Firmware::Bios)
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn a_root_on_xfs_on_a_logical_volume_that_uefi_starts() -> Result<()> {
    reinstalled_by_uefi(row("lvm-xfs-gpt")?)
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn power_cuts_at_the_switches_with_a_root_on_xfs_on_a_logical_volume_that_uefi_starts() -> Result<()>
{
    cut_at_the_switches(row("lvm-xfs-gpt")?, Firmware::Uefi)
}

#[test]
#[ignore = "as on partitions of its own: make prove"]
fn a_system_on_logical_volumes_beside_the_root() -> Result<()> {
    reinstalled(row("gpt-lvm-beside")?, "--entry kexec --payload disk")
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn a_power_cut_with_a_system_on_logical_volumes_beside_the_root() -> Result<()> {
    cut_in_the_wipe(row("gpt-lvm-beside")?)
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn the_whole_system_on_logical_volumes() -> Result<()> {
    reinstalled(row("lvm-var-apart")?, "--entry kexec --payload disk")
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn a_power_cut_with_the_whole_system_on_logical_volumes() -> Result<()> {
    cut_in_the_wipe(row("lvm-var-apart")?)
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn power_cuts_with_a_system_on_filesystems_of_its_own() -> Result<()> {
    cut_everywhere(row("gpt-var-apart")?)
}

#[test]
fn every_row_of_the_table_has_a_test() {
    for layout in LAYOUTS {
        let call = format!("(row(\"{}\")?", layout.name);
        assert!(include_str!("layouts.rs").contains(&call), "{call}");
    }
}

/// The row of this name, which has to be there.
pub fn row(name: &str) -> Result<&'static Layout> {
    layout(name).with_context(|| format!("no row {name}"))
}

/// A machine on this disk becomes one with the new OS.
fn reinstalled(layout: &Layout, arguments: &str) -> Result<()> {
    let image = tiny_image()?;
    let mut machine = tiny::boot(layout, layout.name)?;
    is_on(layout, &machine, tiny::OLD)?;
    fill_subvolumes(layout, &machine)?;
    let before = evidence::gather(&machine, &KEPT)?;
    let boot = boot_files(layout, &machine)?;
    let beside = subvolumes_beside(layout, &machine)?;
    reinstall(&mut machine, &image, arguments)?;
    is_new(layout, &machine, &before)?;
    assert_eq!(boot_files(layout, &machine)?, boot);
    assert_eq!(subvolumes_beside(layout, &machine)?, beside);
    Ok(())
}

/// A machine that UEFI started becomes one with the new OS, and both firmwares start that.
fn reinstalled_by_uefi(layout: &'static Layout) -> Result<()> {
    let image = tiny_image()?;
    let by_bios = tiny::server(layout)?;
    let by_uefi = started_by(layout, Firmware::Uefi)?;
    let mut machine = Machine::boot(&by_uefi, "tiny-uefi", MEMORY_MIB)?;
    machine.wait_for_old_ssh()?;
    is_on(layout, &machine, tiny::OLD)?;
    fill_subvolumes(layout, &machine)?;
    let before = evidence::gather(&machine, &KEPT)?;
    let boot = boot_files(layout, &machine)?;
    let beside = subvolumes_beside(layout, &machine)?;
    if layout
        .volumes
        .iter()
        .any(|volume| volume.kind == Kind::Root)
    {
        refused_while_its_root_is_kept_back(&machine, &image)?;
    }
    reinstall(&mut machine, &image, "--entry kexec --payload disk")?;
    is_new(layout, &machine, &before)?;
    assert_eq!(boot_files(layout, &machine)?, boot);
    assert_eq!(subvolumes_beside(layout, &machine)?, beside);
    machine.expect(
        "set -e
         test -d /sys/firmware/efi
         test -s /boot/efi/EFI/BOOT/BOOTX64.EFI
         test -z \"$(find /boot/efi -iname '*.rer')\"
         umount /boot/efi
         sync",
    )?;
    let mut machine = machine.cut_power()?.boot(&by_bios, MEMORY_MIB)?;
    machine.wait_for_ssh()?;
    machine.expect("test ! -d /sys/firmware/efi")?;
    is_new(layout, &machine, &before)
}

/// The new OS's initrd activates whole groups, and passes by what is activated by its own name alone.
fn refused_while_its_root_is_kept_back(machine: &Machine, image: &Path) -> Result<()> {
    machine.copy_to(image, IMAGE_ON_MACHINE)?;
    let skip = |word: &str| {
        machine.expect(&format!(
            "lvm lvchange --setactivationskip {word} {GROUP}/root"
        ))
    };
    assert_eq!(refusals(machine, "")?, [""; 0]);
    skip("y")?;
    // And of a root that is not taken nothing says what was booted.
    assert_eq!(refusals(machine, "")?, ["root", "booted"]);
    skip("n")?;
    Ok(())
}

/// The power goes while one filesystem after the other is wiped, and once more while all of them are filled.
#[test]
fn power_cuts_in_the_wipe_and_the_unpack_of_several_filesystems() -> Result<()> {
    let layout = row("gpt-var-apart")?;
    let image = tiny_image()?;
    let mut machine = tiny::boot(layout, "apart-cut")?;
    machine.expect("mkdir /opt/old /var/old && cd /opt/old && seq 3000 | xargs touch && cd /var/old && seq 3000 | xargs touch")?;
    let before = evidence::gather(&machine, &KEPT)?;
    let _started = start(&machine, &image, "--kexec-call load --payload disk")?;
    let patience = machine.patience(LIMIT);
    machine.wait_for_line("reroot: wipe: begins", patience)?;
    let server = tiny::server(layout)?;
    let mut machine = machine.cut_power()?.boot(&server, MEMORY_MIB)?;
    let patience = machine.patience(DECISION);
    machine.wait_for_line(TAKEN_UP, patience)?;
    let patience = machine.patience(LIMIT);
    machine.wait_for_line("reroot: unpack: begins", patience)?;
    let mut machine = machine.cut_power()?.boot(&server, MEMORY_MIB)?;
    let patience = machine.patience(DECISION);
    machine.wait_for_line(TAKEN_UP, patience)?;
    expect_new(layout, &mut machine, &before)?;
    machine.expect("! ls -d /opt/old /var/old 2>/dev/null")?;
    Ok(())
}

/// Whichever entry a run began with: its power is cut while the old OS is being removed.
#[test]
#[ignore = "as on several filesystems: make prove"]
fn a_run_that_began_with_kexec_is_taken_up_through_the_staged_image() -> Result<()> {
    cut_in_the_wipe(row("mbr-primary")?)
}
