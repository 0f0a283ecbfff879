//! The disks of the table, each with every firmware that starts it and every entry that is open there: a tiny machine
//! becomes one with the new OS, with everything that it keeps as it was, and its power is cut in every step of a run
//! (`cuts.rs`).

use std::path::Path;

use anyhow::{Context, Result};
use formats::entry::Entry::{self, Boot, Kexec, Takeover};
use reroot_tests::confirmed;
use reroot_tests::evidence;
use reroot_tests::images::tiny as tiny_image;
use reroot_tests::old_server::Firmware::{self, Bios, Uefi};
use reroot_tests::refusals::refusals;
use reroot_tests::reinstall::{reinstall, start, IMAGE_ON_MACHINE, LIMIT};
use reroot_tests::shop_data::KEPT;
use reroot_tests::tiny::layouts::{layout, Kind, Layout, GROUP, LAYOUTS};
use reroot_tests::tiny::{self, MEMORY_MIB};
use reroot_tests::vm::Machine;

use crate::tiny_machine::is_on;

use crate::cuts::{
    cut_in_every_step, cut_while_it_is_wiped, expect_new, started_by, Before, DECISION, TAKEN_UP,
};

/// What is done with a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    /// It is reinstalled, with the payload in memory where there is room for it.
    Reinstalled,
    /// It is reinstalled, with the payload on its disk.
    FromDisk,
    /// It is reinstalled, with the payload on its disk, and the power is cut in every step.
    Cut,
}

use Done::{Cut, FromDisk, Reinstalled};

/// A machine on a disk of the table, and what is done with it.
#[derive(Debug, Clone, Copy)]
struct Case {
    row: &'static str,
    firmware: Firmware,
    entry: Entry,
    done: Done,
}

impl Case {
    fn run(self) -> Result<()> {
        let layout = row(self.row)?;
        match self.done {
            Cut => cut_in_every_step(layout, self.firmware, self.entry),
            Reinstalled => reinstalled(layout, self.firmware, self.entry, ""),
            FromDisk => reinstalled(layout, self.firmware, self.entry, "--payload disk"),
        }
    }
}

/// A test for each line, and all of them as a table.
macro_rules! cases {
    ($($when:ident $name:ident: $row:literal $firmware:ident $entry:ident $done:ident;)*) => {
        const CASES: &[Case] = &[$(cases!(case $row $firmware $entry $done)),*];

        $(cases!($when $name: $row $firmware $entry $done);)*
    };
    (case $row:literal $firmware:ident $entry:ident $done:ident) => {
        Case { row: $row, firmware: $firmware, entry: $entry, done: $done }
    };
    (test $name:ident: $row:literal $firmware:ident $entry:ident $done:ident) => {
        #[test]
        fn $name() -> Result<()> {
            cases!(case $row $firmware $entry $done).run()
        }
    };
    (prove $name:ident: $row:literal $firmware:ident $entry:ident $done:ident) => {
        #[test]
        #[ignore = "minutes more than make test has: make prove"]
        fn $name() -> Result<()> {
            cases!(case $row $firmware $entry $done).run()
        }
    };
}

// Whether `make test` has it; its name; the disk, what starts it, the entry; what is done.
cases! {
    prove mbr_primary_kexec:             "mbr-primary"     Bios Kexec    FromDisk;
    prove mbr_primary_takeover:          "mbr-primary"     Bios Takeover Reinstalled;
    prove mbr_primary_boot_cut:          "mbr-primary"     Bios Boot     Cut;
    prove mbr_logical_kexec:             "mbr-logical"     Bios Kexec    FromDisk;
    prove mbr_logical_takeover:          "mbr-logical"     Bios Takeover Reinstalled;
    prove mbr_logical_boot_cut:          "mbr-logical"     Bios Boot     Cut;
    test  mbr_sector_63_kexec:           "mbr-sector-63"   Bios Kexec    FromDisk;
    prove mbr_sector_63_takeover:        "mbr-sector-63"   Bios Takeover Reinstalled;
    prove mbr_sector_63_boot_cut:        "mbr-sector-63"   Bios Boot     Cut;
    prove gpt_bios_boot_kexec:           "gpt-bios-boot"   Bios Kexec    Reinstalled;
    prove gpt_bios_boot_takeover:        "gpt-bios-boot"   Bios Takeover FromDisk;
    prove gpt_bios_boot_boot_cut:        "gpt-bios-boot"   Bios Boot     Cut;
    prove gpt_cloud_kexec:               "gpt-cloud"       Bios Kexec    Reinstalled;
    prove gpt_cloud_takeover:            "gpt-cloud"       Bios Takeover FromDisk;
    test  gpt_cloud_boot_cut:            "gpt-cloud"       Bios Boot     Cut;
    prove gpt_cloud_uefi_kexec:          "gpt-cloud"       Uefi Kexec    FromDisk;
    prove gpt_cloud_uefi_takeover:       "gpt-cloud"       Uefi Takeover FromDisk;
    prove gpt_cloud_uefi_boot_cut:       "gpt-cloud"       Uefi Boot     Cut;
    prove gpt_boot_apart_kexec:          "gpt-boot-apart"  Bios Kexec    FromDisk;
    prove gpt_boot_apart_takeover_cut:   "gpt-boot-apart"  Bios Takeover Cut;
    prove gpt_boot_apart_uefi_kexec_cut: "gpt-boot-apart"  Uefi Kexec    Cut;
    prove gpt_boot_apart_uefi_takeover:  "gpt-boot-apart"  Uefi Takeover FromDisk;
    prove xfs_mbr_kexec:                 "xfs-mbr"         Bios Kexec    FromDisk;
    prove xfs_mbr_takeover:              "xfs-mbr"         Bios Takeover FromDisk;
    prove xfs_mbr_boot_cut:              "xfs-mbr"         Bios Boot     Cut;
    prove xfs_cloud_kexec:               "xfs-cloud"       Bios Kexec    FromDisk;
    prove xfs_cloud_takeover:            "xfs-cloud"       Bios Takeover FromDisk;
    prove xfs_cloud_boot_cut:            "xfs-cloud"       Bios Boot     Cut;
    prove xfs_cloud_uefi_kexec_cut:      "xfs-cloud"       Uefi Kexec    Cut;
    prove xfs_cloud_uefi_takeover:       "xfs-cloud"       Uefi Takeover FromDisk;
    prove xfs_cloud_uefi_boot:           "xfs-cloud"       Uefi Boot     FromDisk;
    prove btrfs_cloud_kexec_cut:         "btrfs-cloud"     Bios Kexec    Cut;
    prove btrfs_cloud_takeover:          "btrfs-cloud"     Bios Takeover FromDisk;
    prove btrfs_cloud_uefi_kexec:        "btrfs-cloud"     Uefi Kexec    FromDisk;
    prove btrfs_cloud_uefi_takeover_cut: "btrfs-cloud"     Uefi Takeover Cut;
    prove btrfs_snapshots_kexec:         "btrfs-snapshots" Bios Kexec    FromDisk;
    prove btrfs_snapshots_takeover_cut:  "btrfs-snapshots" Bios Takeover Cut;
    prove btrfs_snapshots_uefi_kexec_cut: "btrfs-snapshots" Uefi Kexec   Cut;
    prove btrfs_snapshots_uefi_takeover: "btrfs-snapshots" Uefi Takeover FromDisk;
    prove lvm_boot_apart_kexec_cut:      "lvm-boot-apart"  Bios Kexec    Cut;
    prove lvm_boot_apart_takeover:       "lvm-boot-apart"  Bios Takeover FromDisk;
    test  lvm_boot_apart_uefi_kexec:     "lvm-boot-apart"  Uefi Kexec    FromDisk;
    prove lvm_boot_apart_uefi_takeover_cut: "lvm-boot-apart" Uefi Takeover Cut;
    prove lvm_xfs_mbr_kexec_cut:         "lvm-xfs-mbr"     Bios Kexec    Cut;
    prove lvm_xfs_mbr_takeover:          "lvm-xfs-mbr"     Bios Takeover FromDisk;
    prove lvm_xfs_gpt_kexec:             "lvm-xfs-gpt"     Bios Kexec    FromDisk;
    prove lvm_xfs_gpt_takeover_cut:      "lvm-xfs-gpt"     Bios Takeover Cut;
    prove lvm_xfs_gpt_uefi_kexec_cut:    "lvm-xfs-gpt"     Uefi Kexec    Cut;
    prove lvm_xfs_gpt_uefi_takeover:     "lvm-xfs-gpt"     Uefi Takeover FromDisk;
    prove gpt_var_apart_kexec:           "gpt-var-apart"   Bios Kexec    FromDisk;
    prove gpt_var_apart_takeover:        "gpt-var-apart"   Bios Takeover FromDisk;
    prove gpt_var_apart_boot_cut:        "gpt-var-apart"   Bios Boot     Cut;
    prove lvm_var_apart_kexec_cut:       "lvm-var-apart"   Bios Kexec    Cut;
    prove lvm_var_apart_takeover:        "lvm-var-apart"   Bios Takeover FromDisk;
    prove lvm_var_apart_uefi_kexec_cut:  "lvm-var-apart"   Uefi Kexec    Cut;
    prove lvm_var_apart_uefi_takeover:   "lvm-var-apart"   Uefi Takeover FromDisk;
    prove gpt_lvm_beside_kexec:          "gpt-lvm-beside"  Bios Kexec    FromDisk;
    prove gpt_lvm_beside_takeover:       "gpt-lvm-beside"  Bios Takeover FromDisk;
    prove gpt_lvm_beside_boot_cut:       "gpt-lvm-beside"  Bios Boot     Cut;
}

/// Every disk of the table is reinstalled by each firmware that starts it and each entry that is open there, and by each
/// of these firmwares its power is cut.
#[test]
fn every_row_of_the_table_has_its_cases() {
    for layout in LAYOUTS {
        for firmware in layout.firmwares() {
            let cases: Vec<&Case> = CASES
                .iter()
                .filter(|case| case.row == layout.name && case.firmware == firmware)
                .collect();
            let (name, cut) = (layout.name, cases.iter().filter(|case| case.done == Cut));
            assert_eq!(cut.count(), 1, "{name} by {firmware:?}: power cuts");
            for entry in [Kexec, Takeover, Boot] {
                let count = cases.iter().filter(|case| case.entry == entry).count();
                let expected = usize::from(entry != Boot || layout.can_start_once());
                assert_eq!(count, expected, "{name} by {firmware:?}: {entry:?}");
            }
        }
    }
    for case in CASES {
        let of_row = layout(case.row).is_some_and(|row| row.firmwares().contains(&case.firmware));
        assert!(of_row, "{case:?}");
    }
}

/// The row of this name, which has to be there.
pub fn row(name: &str) -> Result<&'static Layout> {
    layout(name).with_context(|| format!("no row {name}"))
}

/// A machine on this disk becomes one with the new OS, which every firmware starts that the disk has a path for.
fn reinstalled(
    layout: &'static Layout,
    firmware: Firmware,
    entry: Entry,
    payload: &str,
) -> Result<()> {
    let image = tiny_image()?;
    let server = started_by(layout, firmware)?;
    let mut machine = Machine::boot(&server, layout.name, MEMORY_MIB)?;
    machine.wait_for_old_ssh()?;
    let before = Before::of(layout, &machine)?;
    let root_is_logical = layout.volumes.iter().any(|v| v.kind == Kind::Root);
    if root_is_logical && firmware == Uefi {
        refused_while_its_root_is_kept_back(&machine, &image)?;
    }
    let arguments = format!("--entry {} {payload}", entry.name());
    reinstall(&mut machine, &image, &arguments)?;
    for (at, by) in layout.started_by(firmware).into_iter().enumerate() {
        if at > 0 {
            machine.expect("umount /boot/efi && sync")?;
            let server = started_by(layout, by)?;
            machine = machine.cut_power()?.boot(&server, MEMORY_MIB)?;
            machine.wait_for_ssh()?;
        }
        before.is_new(&machine)?;
        let by_uefi = machine.expect("test -d /sys/firmware/efi && echo yes || echo no")?;
        assert_eq!(by_uefi.trim() == "yes", by == Uefi);
        if layout.has(Kind::Esp) {
            machine.expect(
                "test -s /boot/efi/EFI/BOOT/BOOTX64.EFI && test -z \"$(find /boot/efi -iname '*.rer')\"",
            )?;
        }
    }
    Ok(())
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

/// What the rules take for the system's is left alone, and what they take for data is wiped, where the operator says so.
#[test]
#[ignore = "as by the rules: make prove"]
fn what_the_operator_decides_of_filesystems_goes_before_the_rules() -> Result<()> {
    let layout = row("gpt-var-apart")?;
    let image = tiny_image()?;
    let mut machine = tiny::boot(layout, "apart-wishes")?;
    is_on(layout, &machine, tiny::OLD)?;
    let kept = &KEPT[..2];
    let before = evidence::gather(&machine, kept)?;
    let wishes = "--keep-mount /opt --no-keep /home --wipe-mount /home";
    let arguments = format!("--entry kexec --payload disk {wishes}");
    reinstall(&mut machine, &image, &arguments)?;
    is_on(layout, &machine, tiny::NEW)?;
    assert_eq!(evidence::gather(&machine, kept)?, before);
    machine.expect(
        "test -e /opt/of-the-old-os && ! ls /home/left-alone /var/of-the-old-os 2>/dev/null",
    )?;
    confirmed::assert_passed(&machine)
}

/// A machine that runs, and no disk made from its record.
#[test]
#[ignore = "as on several filesystems: make prove"]
fn a_run_that_began_with_kexec_is_taken_up_through_the_staged_image() -> Result<()> {
    cut_while_it_is_wiped(row("mbr-primary")?, Bios)?;
    cut_while_it_is_wiped(row("btrfs-snapshots")?, Uefi)
}
