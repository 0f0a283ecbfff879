//! Roots on a mirror of two disks: a tiny machine on each pair of the table becomes one with the new OS, which
//! either disk starts alone; a run whose power was cut is taken up by either disk.

use std::path::Path;

use anyhow::{ensure, Context, Result};
use reroot_tests::confirmed;
use reroot_tests::evidence::{self, Evidence};
use reroot_tests::images::tiny as tiny_image;
use reroot_tests::moments::Switches;
use reroot_tests::old_server::OldServer;
use reroot_tests::power::Cut;
use reroot_tests::refusals::refusals;
use reroot_tests::reinstall::{reinstall, start, wait_for_new_os, IMAGE_ON_MACHINE, LIMIT};
use reroot_tests::shop_data::KEPT;
use reroot_tests::tiny::mirror::{
    self, row, switched_on_again, Disks, Mirror, MirrorServer, Third, MIRRORS,
};
use reroot_tests::tiny::{self, WHOLE};
use reroot_tests::vm::Machine;

use crate::cuts::{DECISION, TAKEN_UP};
use crate::tiny_machine::files_of_boot;

#[test]
fn a_mirror_on_disks_with_a_master_boot_record() -> Result<()> {
    started_by_either_disk(row("raid1-mbr")?, "--entry kexec --payload disk")
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn a_mirror_by_taking_over_pid_1() -> Result<()> {
    started_by_either_disk(row("raid1-mbr")?, "--entry takeover --payload disk")
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn a_mirror_on_disks_with_a_guid_partition_table() -> Result<()> {
    started_by_either_disk(row("raid1-gpt")?, "--entry kexec --payload disk")
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn a_mirror_with_boot_on_another() -> Result<()> {
    started_by_either_disk(row("raid1-boot-apart")?, "--entry kexec --payload disk")
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn a_mirror_with_boot_on_another_by_taking_over_pid_1() -> Result<()> {
    started_by_either_disk(row("raid1-boot-apart")?, "--entry takeover --payload disk")
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn a_mirror_that_uefi_starts_by_taking_over_pid_1() -> Result<()> {
    started_by_either_disk(row("raid1-uefi")?, "--entry takeover --payload disk")
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn a_run_on_a_mirror_that_uefi_starts_is_taken_up() -> Result<()> {
    taken_up(row("raid1-uefi")?, Disks::Second)
}

/// A disk is gone before the run begins.
#[test]
#[ignore = "minutes more than make test has: make prove"]
fn a_mirror_that_lacks_a_disk_is_refused_and_taken_where_that_is_forced() -> Result<()> {
    let mirror = row("raid1-mbr")?;
    let image = tiny_image()?;
    let server = mirror::server(mirror)?;
    let machine = server.boot("mirror-degraded")?;
    machine.expect("sync")?;
    let mut machine = switched_on_again(machine, &server, Disks::First)?;
    machine.wait_for_old_ssh()?;
    is_on(mirror, &machine, tiny::OLD, ONE)?;
    machine.copy_to(&image, IMAGE_ON_MACHINE)?;
    assert_eq!(refusals(&machine, "")?, ["root-degraded"]);
    let before = evidence::gather(&machine, &KEPT)?;
    let arguments = "--entry kexec --payload disk --force root-degraded";
    reinstall(&mut machine, &image, arguments)?;
    is_new(mirror, &machine, &before, ONE)?;
    machine.expect("sync")?;
    machine = switched_on_again(machine, &server, Disks::First)?;
    machine.wait_for_ssh()?;
    is_new(mirror, &machine, &before, ONE)
}

/// Both disks start the staged image, nothing is wiped yet, and the one that decides is away: the other one leads back to
/// the old OS, which is in use then. The first comes back, and leads there too.
#[test]
#[ignore = "minutes more than make test has: make prove"]
fn a_commit_that_was_taken_back_is_not_taken_up_by_a_disk_that_comes_back() -> Result<()> {
    let mirror = row("raid1-mbr")?;
    let image = tiny_image()?;
    let server = mirror::server(mirror)?;
    let (mut machine, [mut first, mut second]) = mirror::recorded(&server, "mirror-back")?;
    is_on(mirror, &machine, tiny::OLD, BOTH)?;
    let before = evidence::gather(&machine, &KEPT)?;
    let begun = [first.writes()?.len(), second.writes()?.len()];
    reinstall(&mut machine, &image, "--entry kexec --payload disk")?;
    drop(machine);
    let writes = [first.writes()?, second.writes()?];
    let firmware = server.server.firmware;
    let of_first = Switches::of(firmware, &first, &writes[0], begun[0])?;
    let of_second = Switches::of(firmware, &second, &writes[1], begun[1])?;
    let at = [of_first.committed + 1, of_second.committed + 1];
    let one = first.disk_after("back-first", &writes[0], at[0], |_| false)?;
    let two = second.disk_after("back-second", &writes[1], at[1], |_| false)?;

    let mut machine = mirror::switched_on(two, None)?;
    let patience = machine.patience(LIMIT);
    machine.wait_for_line("leads back here if it comes back", patience)?;
    machine.wait_for_old_ssh()?;
    is_on(mirror, &machine, tiny::OLD, ONE)?;
    assert_eq!(evidence::gather(&machine, &KEPT)?, before);
    machine.expect("echo used >/srv/since && test -s /.reroot/*/kernel && sync")?;

    let mut machine = mirror::joined(one, machine)?;
    let patience = machine.patience(LIMIT);
    machine.wait_for_line("rebooting into the old OS", patience)?;
    machine.wait_for_old_ssh()?;
    machine.expect("grep -q used /srv/since && rm /srv/since")?;
    is_os(&machine, tiny::OLD)?;
    machine.expect("grep -q '\\[2/1\\] \\[_U\\]' /proc/mdstat")?;
    machine.expect("! test -e /.reroot/*/kernel").map(drop)
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn a_run_on_a_mirror_is_taken_up_by_either_disk() -> Result<()> {
    taken_up(row("raid1-mbr")?, Disks::Swapped)?;
    taken_up(row("raid1-mbr")?, Disks::Second)
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn a_run_on_a_mirror_is_taken_up_by_its_first_disk_alone() -> Result<()> {
    taken_up(row("raid1-gpt")?, Disks::First)
}

#[test]
#[ignore = "as with a master boot record: make prove"]
fn a_mirror_that_uefi_starts() -> Result<()> {
    started_by_either_disk(row("raid1-uefi")?, "--entry kexec --payload disk")
}

/// The first disk of the array has nothing that a firmware could start: the other one's file is the only path.
#[test]
#[ignore = "minutes more than make test has: make prove"]
fn a_mirror_of_which_uefi_starts_the_second_disk_alone() -> Result<()> {
    let mirror = row("raid1-uefi")?;
    let image = tiny_image()?;
    let server = mirror::server(mirror)?;
    // The firmware starts what is the second one for the array.
    let server = MirrorServer {
        second: server.server.disk.clone(),
        server: OldServer {
            disk: server.second.clone(),
            ..server.server
        },
    };
    let mut machine = server.boot("mirror-one-efi")?;
    machine.expect("rm -r /boot/efi/EFI && sync")?;
    is_on(mirror, &machine, tiny::OLD, BOTH)?;
    let before = evidence::gather(&machine, &KEPT)?;
    reinstall(&mut machine, &image, "--entry kexec --payload disk")?;
    is_new(mirror, &machine, &before, BOTH)?;
    machine.expect("test ! -e /.reroot && test ! -e /boot/efi/EFI")?;
    let plan = machine.expect("cat /var/log/reroot/*/plan.json")?;
    let plan: serde_json::Value = serde_json::from_str(&plan).context("read the plan")?;
    assert_eq!(plan["disk"], "/dev/vda");
    assert_eq!(plan["copies"][0]["disk"], "/dev/vdb");
    ensure!(
        plan["boot_paths"].to_string().contains("BOOTX64.EFI")
            && plan["copies"][0]["boot_paths"] == serde_json::json!([]),
        "{plan}"
    );
    machine = switched_on_again(machine, &server, Disks::First)?;
    machine.wait_for_ssh()?;
    is_new(mirror, &machine, &before, ONE)
}

/// Between the switches of two disks each of them starts something whole.
#[test]
#[ignore = "minutes more than make test has: make prove"]
fn power_cuts_between_the_switches_of_a_mirrors_disks_that_uefi_starts() -> Result<()> {
    cut_between(row("raid1-uefi")?)
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn power_cuts_between_the_switches_of_a_mirrors_disks() -> Result<()> {
    cut_between(row("raid1-mbr")?)
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn power_cuts_between_the_switches_of_a_mirrors_disks_with_boot_on_another() -> Result<()> {
    cut_between(row("raid1-boot-apart")?)
}

#[test]
#[ignore = "minutes more than make test has: make prove"]
fn power_cuts_between_the_switches_of_a_mirrors_disks_with_a_guid_partition_table() -> Result<()> {
    cut_between(row("raid1-gpt")?)
}

#[test]
fn every_pair_of_the_table_has_a_test() {
    for mirror in MIRRORS {
        let call = format!("(row(\"{}\")?", mirror.name);
        assert!(include_str!("mirrors.rs").contains(&call), "{call}");
    }
}

/// The OS of this name, whole.
fn is_os(machine: &Machine, codename: &str) -> Result<()> {
    let os = machine.expect("cat /etc/os-release")?;
    ensure!(os.contains(&format!("VERSION_CODENAME={codename}")), "{os}");
    machine.expect(WHOLE).context("the OS is not whole")?;
    Ok(())
}

/// What is true of a machine with such disks, whichever OS it has and however many disks.
fn is_on(mirror: &Mirror, machine: &Machine, codename: &str, disks: &str) -> Result<()> {
    is_os(machine, codename)?;
    let found = machine.expect("cat /proc/mdstat /proc/mounts /proc/swaps")?;
    let arrays = mirror.arrays();
    ensure!(
        found.matches(disks).count() == arrays,
        "not {arrays} of {disks}: {found}"
    );
    if mirror.third == Third::Var {
        machine.expect("grep -q '^/dev/md[^ ]* /var ext4 rw,nodev' /proc/mounts")?;
    }
    if mirror.by_uefi {
        machine.expect(
            "set -e
             test -d /sys/firmware/efi
             test -s /boot/efi/EFI/BOOT/BOOTX64.EFI || test -s /boot/efi2/EFI/BOOT/BOOTX64.EFI",
        )?;
    }
    ensure!(
        found
            .lines()
            .any(|line| line.starts_with("/dev/md") && line.contains(" / ext4 rw")),
        "{found}"
    );
    let swap = found.lines().last().unwrap_or_default();
    ensure!(swap.starts_with("/dev/md"), "{found}");
    Ok(())
}

fn is_new(mirror: &Mirror, machine: &Machine, before: &[Evidence], disks: &str) -> Result<()> {
    is_on(mirror, machine, tiny::NEW, disks)?;
    machine
        .expect("! ls /opt/of-the-old-os /var/of-the-old-os /var/log/of-the-old-os 2>/dev/null")?;
    assert_eq!(evidence::gather(machine, &KEPT)?, before);
    confirmed::assert_passed(machine)
}

/// What is on the filesystem of `/boot`, where it is on a mirror of its own: nothing of it is touched.
fn boot_files(mirror: &Mirror, machine: &Machine) -> Result<Option<String>> {
    let has = mirror.third == Third::Boot;
    let device = format!("$(findfs UUID={})", mirror.third_uuid());
    has.then(|| files_of_boot(machine, &device)).transpose()
}

const BOTH: &str = "[2/2] [UU]";
const ONE: &str = "[2/1]";

/// As Hetzner's installer makes it: a firmware takes each half for a plain FAT.
fn refused_with_efi_on_a_mirror(machine: &Machine, image: &Path) -> Result<()> {
    machine.copy_to(image, IMAGE_ON_MACHINE)?;
    assert_eq!(refusals(machine, "")?, [""; 0]);
    machine.expect(
        "umount /boot/efi2 && MDADM_NO_UDEV=1 mdadm --create --run --level=1 --raid-devices=2 --metadata=1.0 \
         /dev/md9 missing /dev/vdb1 2>&1",
    )?;
    assert_eq!(refusals(machine, "")?, ["firmware"]);
    machine
        .expect("mdadm --stop /dev/md9 && mdadm --zero-superblock /dev/vdb1 && mount /boot/efi2")?;
    Ok(())
}

/// A machine on these disks becomes one with the new OS, and starts it from each disk alone.
fn started_by_either_disk(mirror: &Mirror, arguments: &str) -> Result<()> {
    let image = tiny_image()?;
    let server = mirror::server(mirror)?;
    let mut machine = server.boot(mirror.name)?;
    is_on(mirror, &machine, tiny::OLD, BOTH)?;
    if mirror.by_uefi {
        refused_with_efi_on_a_mirror(&machine, &image)?;
    }
    let before = evidence::gather(&machine, &KEPT)?;
    let boot = boot_files(mirror, &machine)?;
    reinstall(&mut machine, &image, arguments)?;
    is_new(mirror, &machine, &before, BOTH)?;
    assert_eq!(boot_files(mirror, &machine)?, boot);
    // The new OS's own configuration names both arrays.
    machine.expect(&format!(
        "test $(grep -c ^ARRAY /etc/mdadm/mdadm.conf) = {} && test ! -e /.reroot && sync",
        mirror.arrays()
    ))?;
    if mirror.by_uefi {
        machine.expect(
            "grep -q ' /boot/efi2 vfat ' /proc/mounts && test -z \"$(find /boot/efi /boot/efi2 -iname '*.rer')\"",
        )?;
    }
    let check = "echo check >/sys/block/$1/md/sync_action; \
                 while ! grep -q idle /sys/block/$1/md/sync_action; do sleep 1; done; cat /sys/block/$1/md/mismatch_cnt";
    let root = machine.expect("sed -n 's,^/dev/\\(md[0-9]*\\) / .*,\\1,p' /proc/mounts")?;
    let differ = machine.expect(&format!("set {}; {check}", root.trim()))?;
    ensure!(
        differ.trim() == "0",
        "{differ} sectors of the mirror differ"
    );
    for disks in [Disks::Second, Disks::First] {
        println!("{}: {disks:?}", mirror.name);
        machine.expect("sync")?;
        machine = switched_on_again(machine, &server, disks)?;
        machine.wait_for_ssh()?;
        is_new(mirror, &machine, &before, ONE)?;
    }
    Ok(())
}

fn cut_between(mirror: &Mirror) -> Result<()> {
    let image = tiny_image()?;
    let server = mirror::server(mirror)?;
    let (mut machine, [mut first, mut second]) = mirror::recorded(&server, "mirror-cuts")?;
    is_on(mirror, &machine, tiny::OLD, BOTH)?;
    let before = evidence::gather(&machine, &KEPT)?;
    let begun = [first.writes()?.len(), second.writes()?.len()];
    reinstall(&mut machine, &image, "--entry kexec --payload disk")?;
    is_new(mirror, &machine, &before, BOTH)?;
    drop(machine);
    let writes = [first.writes()?, second.writes()?];
    let firmware = server.server.firmware;
    let of_first = Switches::of(firmware, &first, &writes[0], begun[0])?;
    let of_second = Switches::of(firmware, &second, &writes[1], begun[1])?;
    // Of the first disk before a switch, of the second behind its own.
    let mut disks = |name: &str, at: [usize; 2]| -> Result<[Cut; 2]> {
        println!("cut {name}: after writes {at:?}");
        let [one, two] = ["first", "second"].map(|disk| format!("{name}-{disk}"));
        Ok([
            first.disk_after(&one, &writes[0], at[0], |_| false)?,
            second.disk_after(&two, &writes[1], at[1], |_| false)?,
        ])
    };
    let before_commit = [of_first.committed, of_second.committed + 1];
    // By the first disk, which decides: the old OS, and the second disk is seen to start the staged image still.
    let [one, two] = disks("by-first", before_commit)?;
    let mut machine = mirror::switched_on(one, Some(two))?;
    machine.wait_for_old_ssh()?;
    is_on(mirror, &machine, tiny::OLD, BOTH)?;
    assert_eq!(evidence::gather(&machine, &KEPT)?, before);
    machine.copy_to(&image, IMAGE_ON_MACHINE)?;
    assert_eq!(refusals(&machine, "")?, ["boot-staged"]);
    drop(machine);
    // By the second: it goes back.
    let [one, two] = disks("by-second", before_commit)?;
    let mut machine = mirror::switched_on(two, Some(one))?;
    let patience = machine.patience(DECISION);
    machine.wait_for_line("what every path that is there starts again", patience * 3)?;
    machine.wait_for_old_ssh()?;
    is_on(mirror, &machine, tiny::OLD, BOTH)?;
    assert_eq!(evidence::gather(&machine, &KEPT)?, before);
    drop(machine);
    let committed = [of_first.committed + 1, of_second.committed + 1];
    let [one, two] = disks("committed", committed)?;
    let mut machine = mirror::switched_on(two, Some(one))?;
    let patience = machine.patience(DECISION);
    machine.wait_for_line(TAKEN_UP, patience * 3)?;
    drop(machine);
    // The second starts the new OS, the first the staged image still.
    let between = [of_first.switched, of_second.switched + 1];
    let [one, two] = disks("new-by-first", between)?;
    let mut machine = mirror::switched_on(one, Some(two))?;
    let patience = machine.patience(DECISION);
    machine.wait_for_line("the run was broken off behind its last phase", patience * 3)?;
    machine.wait_for_ssh()?;
    is_new(mirror, &machine, &before, BOTH)?;
    drop(machine);
    let [one, two] = disks("new-by-second", between)?;
    let mut machine = mirror::switched_on(two, Some(one))?;
    machine.wait_for_ssh()?;
    is_on(mirror, &machine, tiny::NEW, BOTH)?;
    assert_eq!(evidence::gather(&machine, &KEPT)?, before);
    confirmed::assert_agrees(&machine)?;
    // The first disk starts the staged image, which is there for that.
    machine.expect("test -s /.reroot/*/kernel").map(drop)
}

/// The power is cut while the old OS is being removed, and the machine is switched on with other disks.
fn taken_up(mirror: &Mirror, disks: Disks) -> Result<()> {
    println!("{}: {disks:?}", mirror.name);
    let image = tiny_image()?;
    let server = mirror::server(mirror)?;
    let mut machine = server.boot(mirror.name)?;
    // So that the wipe is not over before it is seen.
    machine.expect("mkdir /opt/old && cd /opt/old && seq 5000 | xargs touch")?;
    let before = evidence::gather(&machine, &KEPT)?;
    let _started = start(&machine, &image, "--kexec-call load --payload disk")?;
    let patience = machine.patience(LIMIT);
    machine.wait_for_line("reroot: wipe: begins", patience)?;
    let mut machine = switched_on_again(machine, &server, disks)?;
    let patience = machine.patience(DECISION);
    machine.wait_for_line(TAKEN_UP, patience * 3)?;
    wait_for_new_os(&mut machine)?;
    if disks == Disks::Swapped {
        return is_new(mirror, &machine, &before, BOTH);
    }
    is_on(mirror, &machine, tiny::NEW, ONE)?;
    assert_eq!(evidence::gather(&machine, &KEPT)?, before);
    confirmed::assert_agrees(&machine)?;
    // The disk that is away starts what is staged, should it come back.
    machine.expect("test -s /.reroot/*/kernel").map(drop)
}
