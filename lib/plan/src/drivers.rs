//! What drives this machine: which of it the image and the payload lack.

use formats::facts::Facts;
use formats::manifest::Manifest;
use formats::network::{LinkKind, Network};
use formats::plan::NetworkPlan;

/// Whether a link is of some kind.
type IsKind = fn(&LinkKind) -> bool;

/// Modules for links that are no hardware.
const LINK_MODULES: [(&str, IsKind); 3] = [
    ("bonding", |kind| matches!(kind, LinkKind::Bond(_))),
    ("8021q", |kind| matches!(kind, LinkKind::Vlan { .. })),
    ("bridge", |kind| matches!(kind, LinkKind::Bridge { .. })),
];

/// Modules that bonds, VLANs and bridges of the network need, by name.
pub fn link_modules(network: &Network) -> Vec<&'static str> {
    LINK_MODULES
        .iter()
        .filter(|(_, is)| network.links.iter().any(|link| is(&link.kind)))
        .map(|(name, _)| *name)
        .collect()
}

/// Drivers that the network needs and the image does not have.
pub fn missing_network_drivers(network: &NetworkPlan, manifest: &Manifest) -> Vec<String> {
    let there = |name: &str| manifest.kernel.drivers.iter().any(|d| d == name);
    let links = link_modules(&network.network)
        .into_iter()
        .map(str::to_owned);
    network
        .drivers
        .iter()
        .cloned()
        .chain(links)
        .filter(|name| !there(name))
        .collect()
}

/// Drivers that the network needs and the payload does not have. Images of releases that did not
/// look say nothing.
pub fn network_drivers_missing_in_payload(
    network: &NetworkPlan,
    manifest: &Manifest,
) -> Vec<String> {
    let Some(own) = &manifest.payload_drivers else {
        return Vec::new();
    };
    let links = link_modules(&network.network)
        .into_iter()
        .map(str::to_owned);
    let drivers = network.drivers.iter().cloned().chain(links);
    drivers.filter(|name| !own.has(name)).collect()
}

/// Firmware that drivers of this machine name and the payload lacks, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FirmwareLacks {
    /// None of a driver's files is there, and it does nothing without.
    pub fatal: Vec<String>,
    /// Some are there, or the driver does without.
    pub some: Vec<String>,
}

/// Firmware for the network cards and the root disk.
pub fn firmware(facts: &Facts, manifest: &Manifest) -> FirmwareLacks {
    let mut lacks = FirmwareLacks::default();
    let Some(own) = &manifest.payload_drivers else {
        return lacks;
    };
    let links = facts.network.links.iter();
    let mut drivers: Vec<&str> = links
        .filter_map(|link| link.driver.as_deref())
        .chain(facts.root_drivers.iter().map(String::as_str))
        .collect();
    drivers.sort_unstable();
    drivers.dedup();
    for found in drivers.iter().filter_map(|name| own.firmware_of(name)) {
        let files = found.missing.join(", ");
        if found.is_fatal() {
            lacks.fatal.push(format!(
                "{} needs one of its files, and the new OS has none: {files}",
                found.driver
            ));
        } else if !found.missing.is_empty() {
            lacks
                .some
                .push(format!("{} also names {files}", found.driver));
        }
    }
    lacks
}
