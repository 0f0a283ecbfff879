//! Roots on a mirror of two disks: a tiny machine on each pair of the table becomes one with the new OS, which
//! either disk starts alone; a run whose power was cut is taken up by either disk.

use anyhow::{ensure, Context, Result};
use reroot_tests::confirmed;
use reroot_tests::evidence::{self, Evidence};
use reroot_tests::images::tiny as tiny_image;
use reroot_tests::reinstall::{reinstall, start, LIMIT};
use reroot_tests::shop_data::KEPT;
use reroot_tests::tiny::mirror::{self, switched_on_again, Disks, Mirror, MIRRORS};
use reroot_tests::tiny::{self, WHOLE};
use reroot_tests::vm::Machine;

use crate::layouts::{DECISION, TAKEN_UP};

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
fn every_pair_of_the_table_has_a_test() {
    for mirror in MIRRORS {
        let call = format!("(row(\"{}\")?", mirror.name);
        assert!(include_str!("mirrors.rs").contains(&call), "{call}");
    }
}

fn row(name: &str) -> Result<&'static Mirror> {
    let row = MIRRORS.iter().find(|mirror| mirror.name == name);
    row.with_context(|| format!("no row {name}"))
}

/// What is true of a machine with such disks, whichever OS it has and however many disks.
fn is_on(machine: &Machine, codename: &str, disks: &str) -> Result<()> {
    let os = machine.expect("cat /etc/os-release")?;
    ensure!(os.contains(&format!("VERSION_CODENAME={codename}")), "{os}");
    machine.expect(WHOLE).context("the OS is not whole")?;
    let found = machine.expect("cat /proc/mdstat /proc/mounts /proc/swaps")?;
    ensure!(
        found.matches(disks).count() == 2,
        "no two of {disks}: {found}"
    );
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

fn is_new(machine: &Machine, before: &[Evidence], disks: &str) -> Result<()> {
    is_on(machine, tiny::NEW, disks)?;
    assert_eq!(evidence::gather(machine, &KEPT)?, before);
    confirmed::assert_passed(machine)
}

const BOTH: &str = "[2/2] [UU]";
const ONE: &str = "[2/1]";

/// A machine on these disks becomes one with the new OS, and starts it from each disk alone.
fn started_by_either_disk(mirror: &Mirror, arguments: &str) -> Result<()> {
    let image = tiny_image()?;
    let server = mirror::server(mirror)?;
    let mut machine = server.boot(mirror.name)?;
    is_on(&machine, tiny::OLD, BOTH)?;
    let before = evidence::gather(&machine, &KEPT)?;
    reinstall(&mut machine, &image, arguments)?;
    is_new(&machine, &before, BOTH)?;
    // The new OS's own configuration names both arrays.
    machine
        .expect("test $(grep -c ^ARRAY /etc/mdadm/mdadm.conf) = 2 && test ! -e /.reroot && sync")?;
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
        is_new(&machine, &before, ONE)?;
    }
    Ok(())
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
    let patience = machine.patience(LIMIT);
    machine.wait_for_line("reroot: rebooting into the new OS", patience)?;
    machine.wait_for_ssh()?;
    if disks == Disks::Swapped {
        return is_new(&machine, &before, BOTH);
    }
    is_on(&machine, tiny::NEW, ONE)?;
    assert_eq!(evidence::gather(&machine, &KEPT)?, before);
    confirmed::assert_agrees(&machine)?;
    // The disk that is away starts what is staged, should it come back.
    machine.expect("test -s /.reroot/*/kernel").map(drop)
}
