//! What no dialect can say, and is refused before any is written.

use super::draft::Draft;
use super::view::{bits, odd_broadcast, LinkView, View};
use formats::network::{Address, Bond, LinkKind, Network, BOND_MODES};

/// Ways of spreading that every dialect knows.
const POLICIES: [&str; 5] = ["layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4"];

/// Refuses what the dialects that have addresses alone cannot say of one: netplan, `NetworkManager`.
pub(super) fn address(
    view: &View<'_>,
    link: &LinkView<'_>,
    address: &Address,
    dialect: &str,
    draft: &mut Draft,
) {
    let lacks = [
        (address.peer.is_some(), "point-to-point addresses"),
        (
            odd_broadcast(address).is_some(),
            "broadcast addresses of one's own",
        ),
        (
            address.scope != 0 && address.ip.is_ipv4(),
            "scopes of addresses",
        ),
        (
            !link.has_prefix_route(address, view.network),
            "addresses without a route to their prefix",
        ),
    ];
    for (_, lack) in lacks.iter().filter(|(asked, _)| *asked) {
        draft.refuse(format!(
            "{}: {}/{}: {dialect} has no {lack}",
            link.link.name, address.ip, address.prefix
        ));
    }
}

/// Refuses what no dialect can say.
pub(super) fn check(view: &LinkView<'_>, network: &Network, draft: &mut Draft) {
    let name = &view.link.name;
    match &view.link.kind {
        LinkKind::Other(kind) => {
            draft.refuse(format!(
                "{name:?}: links of the kind {kind:?} are not written"
            ));
        }
        LinkKind::Vlan { id, .. } if *id > 4094 => {
            draft.refuse(format!("{name:?}: {id} is no number of a VLAN"));
        }
        LinkKind::Bond(bond) => check_bond(name, bond, network, draft),
        _ => {}
    }
    let master = network
        .links
        .iter()
        .find(|other| Some(&other.name) == view.link.master.as_ref());
    if let Some(master) = master {
        if !matches!(master.kind, LinkKind::Bond(_) | LinkKind::Bridge { .. }) {
            draft.refuse(format!(
                "{name:?}: it belongs to {:?}, which is no bond and no bridge",
                master.name
            ));
        }
    }
    if view.link.master.is_some() && !view.is_bare() {
        draft.refuse(format!(
            "{name:?}: it has addresses of its own although it belongs to {:?}",
            view.link.master.as_deref().unwrap_or("")
        ));
    }
    for address in &view.addresses {
        if address.prefix > bits(address.ip) {
            draft.refuse(format!(
                "{name:?}: {}/{} is no address",
                address.ip, address.prefix
            ));
        }
        if address.valid.is_some() {
            draft.note(format!(
                "{name}: {} had a limited lifetime and has none in the new system",
                address.ip
            ));
        }
    }
}

fn check_bond(name: &str, bond: &Bond, network: &Network, draft: &mut Draft) {
    if !BOND_MODES.contains(&bond.mode.as_str()) {
        draft.refuse(format!(
            "{name:?}: bonds of the mode {:?} are not written",
            bond.mode
        ));
    }
    if let Some(policy) = &bond.xmit_hash_policy {
        if !POLICIES.contains(&policy.as_str()) {
            draft.refuse(format!(
                "{name:?}: the hash policy {policy:?} is not written"
            ));
        }
    }
    if let Some(rate) = &bond.lacp_rate {
        if !["slow", "fast"].contains(&rate.as_str()) {
            draft.refuse(format!("{name:?}: {rate:?} is no LACP rate"));
        }
    }
    if let Some(primary) = &bond.primary {
        let is_slave = network
            .links
            .iter()
            .any(|link| link.name == *primary && link.master.as_deref() == Some(name));
        if !is_slave {
            draft.refuse(format!(
                "{name:?}: its primary {primary:?} is none of its slaves"
            ));
        }
    }
    for target in &bond.arp_targets {
        if target.is_ipv6() {
            draft.refuse(format!(
                "{name:?}: probes of {target} by NDP are not written"
            ));
        }
    }
}
