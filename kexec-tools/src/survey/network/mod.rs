//! The network of the machine: what the kernel has, explained by the old OS's files.

mod files;

use std::time::Duration;

use anyhow::{Context, Result};
use formats::network::{Gateway, Network};
use identity::network::old::{decide, not_called, unplugged, Evidence};
use machine::patience::stretched;
use machine::processes::Process;
use network::{gateways, probe_all};

/// How long a gateway may take to answer. The kernel asks three times, a second apart.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads it, with the evidence of where each address, route and name server came from; and what the
/// old OS's files say that no configuration of the new one will.
pub fn read(processes: &[Process]) -> Result<(Network, Vec<String>)> {
    let mut network = network::read().context("ask the kernel")?;
    let found = files::old_files();
    let clients = files::running_clients(processes);
    let evidence = Evidence::from_files(&found, &clients);
    decide(&mut network, &evidence);
    let mut notes = unplugged(&network, &evidence);
    notes.extend(not_called(&network, &evidence));
    notes.splice(..0, evidence.notes);
    Ok((network, notes))
}

/// Every gateway, probed.
pub fn probe_gateways(network: &Network) -> Vec<Gateway> {
    probe_all(
        &gateways(network),
        &|link| Some(link.to_owned()),
        stretched(PATIENCE),
    )
}
