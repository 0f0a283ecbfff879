//! Which links come along, and what speaks against a network as a whole.
//!
//! Programs make links for themselves when they start: bridges of containers, tunnels, pairs of
//! `veth`. They make them again if they are installed again; written as configuration they would
//! be in those programs' way. What is left out is always said.

use std::net::IpAddr;

use formats::counted::first_of;
use formats::network::{Link, LinkKind, Network, Route};

/// Tables that are asked without a rule of the operator's: local, main, default.
const KERNEL_TABLES: [u32; 3] = [255, 254, 253];

/// `RT_TABLE_MAIN`.
const MAIN: u32 = 254;

/// Routes of a link that are named before the rest is counted.
const SHOWN: usize = 3;

/// The kernel's words for links that this project cannot make, in words for people.
const KINDS: [(&str, &str); 14] = [
    ("veth", "one end of a container's cable"),
    ("tun", "a tunnel of a program"),
    ("tap", "a tunnel of a program"),
    ("wireguard", "a WireGuard tunnel"),
    ("ppp", "a point-to-point link of a program"),
    ("dummy", "a dummy"),
    ("vxlan", "a VXLAN tunnel"),
    ("macvlan", "a MACVLAN"),
    ("ipvlan", "an IPVLAN"),
    ("openvswitch", "a port of Open vSwitch"),
    ("team", "a team of links"),
    ("vrf", "a routing domain"),
    ("ifb", "a queueing device"),
    ("sit", "an IPv6-in-IPv4 tunnel"),
];

/// The network without what no configuration accounts for and what cannot be made again, and what
/// was left out, one line each with the reason.
pub fn select(network: &Network) -> (Network, Vec<String>) {
    let mut kept = network.clone();
    let (mut left, mut gone) = (Vec::new(), Vec::new());
    // Leaving one out can take the ground from another: a VLAN's parent, a bridge's only port.
    while let Some((at, reason)) = kept
        .links
        .iter()
        .enumerate()
        .find_map(|(at, link)| Some((at, reason(link, &kept)?)))
    {
        let link = kept.links.remove(at);
        left.push(format!("{}: {reason}", link.name));
        gone.push(link.name);
    }
    for link in &mut kept.links {
        if let Some(master) = link.master.take_if(|m| gone.contains(m)) {
            left.push(format!(
                "{}: it belongs to {master} no more, which does not come along",
                link.name
            ));
        }
        if let LinkKind::Bond(bond) = &mut link.kind {
            bond.primary.take_if(|p| gone.contains(p));
        }
    }
    prune(&mut kept, &mut left);
    (kept, left)
}

/// Why a link does not come along.
fn reason(link: &Link, network: &Network) -> Option<String> {
    let mut members = network
        .links
        .iter()
        .filter(|l| l.master.as_ref() == Some(&link.name));
    match &link.kind {
        LinkKind::Physical => {
            let carries = network
                .links
                .iter()
                .any(|l| matches!(&l.kind, LinkKind::Vlan { parent, .. } if *parent == link.name));
            let idle = !link.up
                && link.addresses.is_empty()
                && !link.configured
                && link.master.is_none()
                && !carries;
            idle.then(|| "has no configuration: it is down and has no address".to_owned())
        }
        LinkKind::Bond(_) => (!link.configured && members.next().is_none()).then(|| {
            "a bond without links that no configuration names; the kernel's module makes it again"
                .to_owned()
        }),
        LinkKind::Bridge { .. } => {
            let real = members.any(|m| !matches!(m.kind, LinkKind::Other(_)));
            (!link.configured && !real).then(|| {
                "a bridge that no configuration names; the program that makes it makes it again"
                    .to_owned()
            })
        }
        LinkKind::Vlan { parent, .. } => {
            let there = network.links.iter().any(|l| l.name == *parent);
            (!there).then(|| format!("a VLAN of {parent}, which does not come along"))
        }
        LinkKind::Other(kind) => Some(other(link, kind)),
    }
}

fn other(link: &Link, kind: &str) -> String {
    let what = KINDS.iter().find(|(word, _)| *word == kind).map_or_else(
        || format!("a link of the kind `{kind}`"),
        |(_, w)| (*w).to_owned(),
    );
    let addresses: Vec<String> = link
        .addresses
        .iter()
        .filter(|a| is_global(a.ip, a.scope))
        .map(|a| format!("{}/{}", a.ip, a.prefix))
        .collect();
    if addresses.is_empty() {
        format!("{what}; the program that makes it makes it again")
    } else {
        format!(
            "{what}; it does not come along, nor does {}",
            addresses.join(", ")
        )
    }
}

fn is_global(ip: IpAddr, scope: u8) -> bool {
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.segments()[0] & 0xffc0 == 0xfe80,
    };
    scope < 253 && !link_local && !ip.is_loopback()
}

/// Takes out routes, rules and name servers that hang on what is gone.
fn prune(network: &mut Network, left: &mut Vec<String>) {
    let links = &network.links;
    let there = |name: Option<&String>| name.is_none_or(|n| links.iter().any(|l| l.name == *n));
    let (routes, gone): (Vec<Route>, _) = network
        .routes
        .drain(..)
        .partition(|r| there(r.link.as_ref()));
    let mut over: Vec<(&str, Vec<String>)> = Vec::new();
    for route in &gone {
        let link = route.link.as_deref().unwrap_or_default();
        let what = match route.table {
            MAIN => route.destination.to_string(),
            table => format!("{} in table {table}", route.destination),
        };
        match over.iter_mut().find(|(name, _)| *name == link) {
            Some((_, known)) => known.push(what),
            None => over.push((link, vec![what])),
        }
    }
    left.extend(over.iter().map(|(link, routes)| {
        format!(
            "{link}: with it go the routes to {}",
            first_of(routes, SHOWN)
        )
    }));
    network.routes = routes;
    network.rules.retain(|rule| {
        let what = format!("rule {} that looks up table {}", rule.priority, rule.table);
        let gone = [&rule.iif, &rule.oif]
            .into_iter()
            // Rules may name the loopback, which is not among the links.
            .find(|n| n.as_deref() != Some("lo") && !there(n.as_ref()));
        if let Some(Some(name)) = gone {
            left.push(format!("{what}: {name} does not come along"));
            return false;
        }
        let filled = KERNEL_TABLES.contains(&rule.table)
            || network
                .routes
                .iter()
                .any(|r| r.table == rule.table && r.destination.ip.is_ipv6() == rule.ipv6);
        if !filled {
            left.push(format!("{what}: nothing fills that table"));
        }
        filled
    });
    network.dns.servers.retain(|server| {
        let stays = there(server.link.as_ref());
        if let (false, Some(name)) = (stays, &server.link) {
            left.push(format!(
                "name server {}: {name} does not come along",
                server.address
            ));
        }
        stays
    });
}

/// What speaks against carrying a network along, as code and finding. Takes the network as it was
/// read, before [`select`]: what that leaves out is looked at here.
///
/// - `network-unsaid`: the kernel has something that these values cannot say.
/// - `network-macs`: two links that nothing tells apart.
/// - `network-dns`: the old OS named name servers ([`formats::network::Dns::read_from`] is not empty) and
///   none that the new one could ask was found.
/// - `network-kind`: a link that does not come along although the machine is reached by it.
pub fn unfit(network: &Network) -> Vec<(&'static str, String)> {
    let (kept, _) = select(network);
    let mut findings: Vec<(&'static str, String)> = network
        .unsaid
        .iter()
        .map(|what| ("network-unsaid", what.clone()))
        .collect();
    let physical: Vec<&Link> = kept
        .links
        .iter()
        .filter(|l| l.kind == LinkKind::Physical)
        .collect();
    for (at, one) in physical.iter().enumerate() {
        for two in &physical[at + 1..] {
            findings.extend(alike(one, two).map(|text| ("network-macs", text)));
        }
    }
    if kept.dns.servers.is_empty() && !network.dns.read_from.is_empty() {
        findings.push((
            "network-dns",
            format!(
                "{} name name servers, but none that can be asked from outside this machine",
                network.dns.read_from.join(", ")
            ),
        ));
    }
    findings.extend(
        network
            .links
            .iter()
            .filter_map(|link| Some(("network-kind", relied_on(link, network)?))),
    );
    findings
}

/// Two links with one MAC address that neither the place of the hardware nor the driver tells
/// apart.
fn alike(one: &Link, two: &Link) -> Option<String> {
    let mac = |l: &Link| l.permanent_mac.or(l.mac);
    let differ = |a: &Option<String>, b: &Option<String>| a.is_some() && b.is_some() && a != b;
    let same = mac(one).filter(|m| Some(*m) == mac(two))?;
    let apart = differ(&one.bus, &two.bus) || differ(&one.driver, &two.driver);
    (!apart).then(|| {
        format!(
            "{} and {} both have the MAC address {same}, and neither bus nor driver tells them \
             apart",
            one.name, two.name
        )
    })
}

/// Why the machine needs a link that cannot be made again.
fn relied_on(link: &Link, network: &Network) -> Option<String> {
    let LinkKind::Other(kind) = &link.kind else {
        return None;
    };
    let mut routes = network
        .routes
        .iter()
        .filter(|r| r.link.as_ref() == Some(&link.name));
    let name = &link.name;
    // Without its default route the machine is lost, whoever made the link.
    if routes
        .clone()
        .any(|r| r.destination.is_default() && r.table == MAIN)
    {
        return Some(format!(
            "the default route goes over {name}, a link of the kind `{kind}`, which does not come \
             along"
        ));
    }
    if !link.configured {
        return None;
    }
    if let Some(address) = link.addresses.iter().find(|a| is_global(a.ip, a.scope)) {
        return Some(format!(
            "{name}, a link of the kind `{kind}`, has {}/{} and does not come along",
            address.ip, address.prefix
        ));
    }
    let route = routes.find(|r| r.gateway.is_some())?;
    Some(format!(
        "the route to {} goes over {name}, a link of the kind `{kind}`, which does not come along",
        route.destination
    ))
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
