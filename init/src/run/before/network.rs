//! Proving the network before the commit point: the machine's own addresses are brought up in the
//! RAM environment, and every gateway that answered the old OS must answer here. A machine whose
//! hardware this kernel cannot drive is found out while the old OS is still whole.
//!
//! The network stays up afterwards: the machine can be pinged while it is being reinstalled, and a
//! rescue shell has it.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{bail, Context, Result};
use formats::network::Gateway;
use formats::plan::Plan;
use machine::patience::Patience;
use network::{bring_up, probe, BroughtUp};
use plan::drivers;

use crate::ram::commit_point;
use crate::run::before::drivers::Drivers;
use crate::run::order::Order;

/// How long hardware may take to appear: drivers that load firmware take seconds.
const HARDWARE: Duration = Duration::from_secs(30);
/// How long a gateway may take to answer: switches that run a spanning tree forward after 30 s.
const GATEWAY: Duration = Duration::from_mins(1);

/// Brings the network up and asks the gateways.
pub fn prove(plan: &Plan, drivers: &Drivers) -> Result<()> {
    if !plan.network.proved {
        log::warn!("network: not tried, as the plan says");
        return Ok(());
    }
    match try_prove(plan, drivers) {
        // What was proved before the commit point is no reason to stop behind it.
        Err(e) if commit_point::is_passed() => {
            log::warn!("network: {e:#}; going on, for the commit point is passed");
            Ok(())
        }
        other => other,
    }
}

fn try_prove(plan: &Plan, drivers: &Drivers) -> Result<()> {
    let links = bring_up_all(plan, drivers)?;
    ask_gateways(&plan.network.gateways, &links)
}

/// Brings it up for whoever wants to get in, where no step has done so. Nothing is proved by it.
pub fn raise(order: &Order) -> Result<()> {
    let drivers =
        Drivers::load(&order.manifest, &order.plan.root).context("load drivers for the network")?;
    bring_up_all(&order.plan, &drivers).map(drop)
}

fn bring_up_all(plan: &Plan, drivers: &Drivers) -> Result<Vec<BroughtUp>> {
    let network = &plan.network.network;
    drivers
        .load_named(&drivers::link_modules(network))
        .context("load the modules for bonds, VLANs and bridges")?;
    let mut patience = Patience::new(HARDWARE);
    let mut waiting_for = None;
    let links = loop {
        drivers.load_for_hardware()?;
        match bring_up(network) {
            Ok(links) => break links,
            // Hardware may still appear; a kernel that does not know what it is asked for will not
            // learn it.
            Err(e) if e.is_lasting() || patience.is_over() => {
                return Err(e).context("bring up the network in the RAM environment");
            }
            Err(e) => {
                let said = e.to_string();
                if waiting_for.as_ref() != Some(&said) {
                    log::info!("network: waiting: {said}");
                    waiting_for = Some(said);
                }
                sleep(Duration::from_millis(500));
            }
        }
    };
    for link in &links {
        log::info!("network: {} is up as {}", link.old, link.now);
    }
    Ok(links)
}

fn ask_gateways(gateways: &[Gateway], links: &[BroughtUp]) -> Result<()> {
    let mut silent = Vec::new();
    for gateway in gateways.iter().filter(|g| g.answers) {
        let link = links
            .iter()
            .find(|l| l.old == gateway.link)
            .with_context(|| format!("gateway {}: {} is not up", gateway.address, gateway.link))?;
        if probe(&link.now, gateway.address, GATEWAY)
            .with_context(|| format!("ask gateway {}", gateway.address))?
        {
            log::info!("network: gateway {} answers", gateway.address);
        } else {
            silent.push(format!("{} on {}", gateway.address, gateway.link));
        }
    }
    if !silent.is_empty() {
        bail!(
            "gateways that answered the old OS do not answer here within {} s: {}",
            GATEWAY.as_secs(),
            silent.join(", ")
        );
    }
    Ok(())
}
