//! The harness itself: a machine with several network cards is reached from the other side of them.

use std::process::Command;
use std::time::Duration;

use anyhow::{ensure, Result};
use reroot_tests::outside::{Card, Outside};
use reroot_tests::static_server::{
    running_static_server, ADDRESS, ADDRESS6, CARDS, INSIDE, PROVIDER, VLAN_ADDRESS,
};
use reroot_tests::vm::USUAL_MEMORY_MIB;

#[test]
fn a_namespace_goes_with_its_owner() -> Result<()> {
    let names = || -> Result<String> {
        let output = Command::new("ip").args(["netns", "list"]).output()?;
        Ok(String::from_utf8(output.stdout)?)
    };
    // No process has this number: the kernel's limit is 4194304.
    let dead = "reroot-4999999-0";
    ensure!(Command::new("ip")
        .args(["netns", "add", dead])
        .status()?
        .success());
    let own = format!("reroot-{}-", std::process::id());
    let card = Card {
        slot: 6,
        mac: "52:54:00:00:00:06",
        tap: "one",
        vlan: None,
    };
    let outside = Outside::new(&[card])?;
    let during = names()?;
    ensure!(during.contains(&own), "{during}");
    ensure!(!during.contains(dead), "{during}");
    drop(outside);
    Ok(())
}

#[test]
fn a_server_with_a_bond_and_a_vlan_answers_on_every_address() -> Result<()> {
    let machine = running_static_server("cards", USUAL_MEMORY_MIB)?;
    let outside = machine.outside()?;
    let limit = machine.patience(Duration::from_secs(5));
    for address in [ADDRESS, ADDRESS6, VLAN_ADDRESS] {
        ensure!(outside.pings(address, limit)?, "{address} does not answer");
    }
    assert_eq!(
        outside.neighbour(ADDRESS, PROVIDER)?.as_deref(),
        Some(CARDS[0].mac)
    );
    let bond = outside.neighbour(VLAN_ADDRESS, INSIDE)?.unwrap_or_default();
    ensure!(
        CARDS[1..].iter().any(|card| card.mac == bond),
        "the bond answers as {bond}"
    );
    ensure!(outside.host_keys(ADDRESS)?.len() == 3);
    machine.expect("findmnt -no FSTYPE /data && swapon --show=NAME --noheadings | grep vd")?;
    let failed = machine.expect("systemctl --failed --no-legend --plain")?;
    ensure!(failed.trim().is_empty(), "failed units: {failed}");
    Ok(())
}
