//! The harness itself: a saved machine comes back, its disk can be read, its power can be cut.

use std::time::Duration;

use anyhow::{ensure, Result};
use reroot_tests::old_server::old_server;
use reroot_tests::snapshot::running_old_server;
use reroot_tests::vm::USUAL_MEMORY_MIB;

#[test]
fn a_saved_old_server_is_back_with_its_data_and_its_disk_can_be_read() -> Result<()> {
    let machine = running_old_server("harness", USUAL_MEMORY_MIB)?;
    assert!(machine.expect("cat /etc/os-release")?.contains("bullseye"));
    assert_eq!(machine.expect("findmnt -no FSTYPE /")?.trim(), "ext4");
    assert_eq!(machine.ssh("exit 7")?.status, 7);
    machine.expect("echo written > /srv/shop/written && sync")?;

    let off = machine.cut_power()?;
    let disk = off.disk.look_into()?;
    assert_eq!(
        std::fs::read_to_string(disk.path("/srv/shop/written"))?,
        "written\n"
    );
    Ok(())
}

#[test]
fn a_machine_whose_power_was_cut_boots_again_and_hears_what_is_typed() -> Result<()> {
    let machine = running_old_server("power-cut", USUAL_MEMORY_MIB)?;
    machine.expect("echo synced > /srv/shop/synced && sync")?;
    let mut machine = machine
        .cut_power()?
        .boot(&old_server()?, USUAL_MEMORY_MIB)?;
    machine.wait_for_ssh()?;
    assert_eq!(machine.expect("cat /srv/shop/synced")?, "synced\n");

    let limit = machine.patience(Duration::from_secs(20));
    machine.wait_for_line("shop1 login:", limit)?;
    let said = machine.asked_on_console("echo the answer is $((6 * 7))")?;
    ensure!(said.contains("the answer is 42"), "{said}");
    Ok(())
}
