//! The network as a writer wants it: link by link, with what belongs to each.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::draft::Draft;
use super::names::{self, Names};
use formats::network::{
    Address, Bond, Link, LinkKind, Mac, Network, Origin, Prefix, Route, RouteKind, Rule, Stack,
};

/// The main routing table.
pub(super) const MAIN: u32 = 254;

/// The kernel's scope of what is reached on the link itself.
pub(super) const SCOPE_LINK: u8 = 253;

/// A network, link by link: carriers come before what they carry.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) network: &'a Network,
    pub(super) stack: &'a Stack,
    pub(super) links: Vec<LinkView<'a>>,
}

/// A link with everything that belongs to it.
#[derive(Debug)]
pub(super) struct LinkView<'a> {
    pub(super) link: &'a Link,
    /// Its name in the new OS, if that is known.
    pub(super) name: Option<&'a str>,
    /// Static addresses, those of IPv4 first.
    pub(super) addresses: Vec<&'a Address>,
    /// Static routes, those without a gateway first: they may lead to the others' gateways.
    pub(super) routes: Vec<&'a Route>,
    pub(super) rules: Vec<&'a Rule>,
    /// Slaves of a bond, ports of a bridge.
    pub(super) members: Vec<&'a Link>,
    /// VLANs that it carries.
    pub(super) vlans: Vec<&'a Link>,
    /// Name servers that are written on it.
    pub(super) servers: Vec<IpAddr>,
    /// Search domains that are written on it.
    pub(super) search: Vec<&'a str>,
    /// It is the primary slave of its bond.
    pub(super) primary: bool,
    /// Its master is a bond.
    pub(super) bonded: bool,
}

impl<'a> View<'a> {
    pub(super) fn new(
        network: &'a Network,
        stack: &'a Stack,
        names: &'a Names,
        draft: &mut Draft,
    ) -> View<'a> {
        let mut links: Vec<LinkView<'a>> = in_order(network, draft)
            .into_iter()
            .map(|link| LinkView::new(link, network, names))
            .collect();
        let anchor = anchor(&links, network);
        place_routes(&mut links, network, anchor, draft);
        place_rules(&mut links, network, anchor, draft);
        View {
            network,
            stack,
            links,
        }
    }

    /// Where in the list the link is that carries what belongs to no link.
    pub(super) fn anchor(&self) -> usize {
        anchor(&self.links, self.network)
    }

    /// The new name of a link by its old one, if it is known.
    pub(super) fn name_of(&self, old: &str) -> Option<&'a str> {
        self.links
            .iter()
            .find(|view| view.link.name == old)
            .and_then(|view| view.name)
    }

    /// The links that a rule is for, by a dialect's words for where packets come in and go out. A
    /// link that is not known keeps its old name.
    pub(super) fn rule_links<'r>(
        &self,
        rule: &'r Rule,
        [iif, oif]: [&'static str; 2],
    ) -> impl Iterator<Item = (&'static str, &'r str)>
    where
        'a: 'r,
    {
        let name = |old: &'r Option<String>| {
            let old = old.as_deref()?;
            Some(self.name_of(old).unwrap_or(old))
        };
        let links = [(iif, name(&rule.iif)), (oif, name(&rule.oif))];
        links
            .into_iter()
            .filter_map(|(word, link)| Some((word, link?)))
    }

    /// Whether a program of the payload may be relied on.
    pub(super) fn has(&self, program: &str) -> bool {
        self.stack.programs.iter().any(|p| p == program)
    }
}

impl<'a> LinkView<'a> {
    fn new(link: &'a Link, network: &'a Network, names: &'a Names) -> LinkView<'a> {
        let mut addresses: Vec<&Address> = link
            .addresses
            .iter()
            .filter(|a| a.origin == Origin::Static)
            .collect();
        addresses.sort_by_key(|a| a.ip.is_ipv6());
        let master = network
            .links
            .iter()
            .find(|other| Some(&other.name) == link.master.as_ref());
        let bond = master.and_then(|master| match &master.kind {
            LinkKind::Bond(bond) => Some(bond),
            _ => None,
        });
        LinkView {
            link,
            name: names.get(&link.name).and_then(Option::as_deref),
            addresses,
            routes: Vec::new(),
            rules: Vec::new(),
            members: network
                .links
                .iter()
                .filter(|other| other.master.as_ref() == Some(&link.name))
                .collect(),
            vlans: network
                .links
                .iter()
                .filter(|other| {
                    matches!(&other.kind, LinkKind::Vlan { parent, .. } if *parent == link.name)
                })
                .collect(),
            servers: Vec::new(),
            search: Vec::new(),
            primary: bond.is_some_and(|bond| bond.primary.as_ref() == Some(&link.name)),
            bonded: bond.is_some(),
        }
    }

    pub(super) fn is_physical(&self) -> bool {
        self.link.kind == LinkKind::Physical
    }

    /// The MAC address that a physical link is bound by.
    pub(super) fn hardware(&self) -> Option<Mac> {
        names::hardware(self.link)
    }

    /// The MAC address that it has to be given, because it would not have it by itself.
    pub(super) fn given_mac(&self, network: &Network) -> Option<Mac> {
        let mac = self.link.mac?;
        let by_itself = match &self.link.kind {
            // Slaves of a bond take on the bond's.
            LinkKind::Physical if self.bonded => Some(mac),
            LinkKind::Physical => self.link.permanent_mac.or(Some(mac)),
            LinkKind::Vlan { parent, .. } => network
                .links
                .iter()
                .find(|link| link.name == *parent)
                .and_then(|link| link.mac),
            _ => None,
        };
        (by_itself != Some(mac)).then_some(mac)
    }

    /// The MTU, where it must be said.
    pub(super) fn mtu(&self) -> Option<u32> {
        let said = self.link.mtu != 1500
            || matches!(self.link.kind, LinkKind::Bond(_) | LinkKind::Vlan { .. });
        // What a DHCP server gave it gives again, and may change.
        (said && self.link.mtu > 0 && !self.link.dhcp_client.gives_mtu).then_some(self.link.mtu)
    }

    /// It is set up and has no cable: nobody must wait for it.
    pub(super) fn is_unplugged(&self) -> bool {
        self.link.up && !self.link.carrier && self.link.master.is_none()
    }

    pub(super) fn has_v4(&self) -> bool {
        self.addresses.iter().any(|a| a.ip.is_ipv4())
    }

    pub(super) fn has_v6(&self) -> bool {
        self.addresses.iter().any(|a| a.ip.is_ipv6())
    }

    /// Temporary addresses (RFC 8981) are in use on it.
    pub(super) fn privacy(&self) -> bool {
        self.link.addresses.iter().any(|a| a.temporary)
    }

    /// Nothing of IP is on it: it carries others, or is merely up.
    pub(super) fn is_bare(&self) -> bool {
        self.addresses.is_empty()
            && self.link.dhcp4.is_none()
            && self.link.dhcp6.is_none()
            && self.link.router.is_none()
    }

    /// Whether an address goes with a route to its prefix: by the kernel's making, or by a route
    /// that a program made in the kernel's stead.
    pub(super) fn has_prefix_route(&self, address: &Address, network: &Network) -> bool {
        !address.no_prefix_route
            || address.prefix == bits(address.ip)
            || network
                .routes
                .iter()
                .any(|route| is_prefix_route(route, self.link, address))
    }

    /// Whether the gateway of a route is in the prefix of a static address of the link.
    pub(super) fn covers(&self, gateway: IpAddr) -> bool {
        self.addresses.iter().any(|a| {
            contains(a.ip, a.prefix, gateway)
                || a.peer.is_some_and(|p| contains(p, a.prefix, gateway))
        })
    }
}

/// The kernel's own words for the times of a bond, in the order of [`times`].
pub(super) const KERNEL_TIMES: [&str; 4] = ["miimon", "updelay", "downdelay", "arp_interval"];

/// The times of a bond that are set, in milliseconds, by a dialect's words for them: between looks at
/// carriers, before a slave that came up is used, before one that went down is not, between ARP
/// probes.
pub(super) fn times(
    bond: &Bond,
    words: [&'static str; 4],
) -> impl Iterator<Item = (&'static str, u32)> {
    let times = [bond.miimon, bond.updelay, bond.downdelay, bond.arp_interval];
    words.into_iter().zip(times).filter(|(_, time)| *time != 0)
}

/// How many bits an address of the family has.
pub(super) fn bits(ip: IpAddr) -> u8 {
    if ip.is_ipv4() {
        32
    } else {
        128
    }
}

/// Whether `ip` is in the prefix of `bits` bits around `base`.
pub(super) fn contains(base: IpAddr, bits: u8, ip: IpAddr) -> bool {
    network_of(base, bits) == network_of(ip, bits) && base.is_ipv4() == ip.is_ipv4()
}

/// An address with the bits behind the prefix cleared.
pub(super) fn network_of(ip: IpAddr, bits: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX
                .checked_shl(32 - u32::from(bits.min(32)))
                .unwrap_or(0);
            IpAddr::V4((u32::from(ip) & mask).into())
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX
                .checked_shl(128 - u32::from(bits.min(128)))
                .unwrap_or(0);
            IpAddr::V6((u128::from(ip) & mask).into())
        }
    }
}

/// The broadcast address that goes with an address by itself; /31 and /32 have none.
pub(super) fn default_broadcast(address: &Address) -> Option<IpAddr> {
    let IpAddr::V4(ip) = address.ip else {
        return None;
    };
    let host = u32::MAX.checked_shr(u32::from(address.prefix)).unwrap_or(0);
    (address.prefix <= 30 && address.peer.is_none())
        .then(|| IpAddr::V4((u32::from(ip) | host).into()))
}

/// The broadcast address, where it must be said.
pub(super) fn odd_broadcast(address: &Address) -> Option<IpAddr> {
    address
        .broadcast
        .filter(|given| Some(*given) != default_broadcast(address))
}

/// The metric, where it is not the kernel's own choice.
pub(super) fn metric(route: &Route) -> Option<u32> {
    let own = if route.destination.ip.is_ipv6() && route.metric == 1024 {
        0
    } else {
        route.metric
    };
    (own != 0).then_some(own)
}

/// The destination with the bits behind the prefix cleared: configuration files want it so.
pub(super) fn destination(route: &Route) -> Prefix {
    Prefix {
        ip: network_of(route.destination.ip, route.destination.bits),
        bits: route.destination.bits,
    }
}

/// The word for a route that drops packets.
pub(super) fn dropping(kind: RouteKind) -> Option<&'static str> {
    match kind {
        RouteKind::Unicast => None,
        RouteKind::Blackhole => Some("blackhole"),
        RouteKind::Unreachable => Some("unreachable"),
        RouteKind::Prohibit => Some("prohibit"),
    }
}

/// The label of an address as it will be: it begins with the link's name, and changes with it.
pub(super) fn label(link: &LinkView<'_>, address: &Address, draft: &mut Draft) -> Option<String> {
    let old = address.label.as_ref()?;
    if *old == link.link.name {
        return None;
    }
    let suffix = old.strip_prefix(link.link.name.as_str());
    let new = link
        .name
        .zip(suffix)
        .map(|(name, suffix)| format!("{name}{suffix}"));
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-:".contains(&b);
    let fits = new.filter(|new| new.len() <= 15 && new.bytes().all(plain));
    if fits.is_none() {
        draft.note(format!(
            "{}: the label {old:?} of {} is not carried",
            link.link.name, address.ip
        ));
    }
    fits
}

/// Whether the route is the one to the prefix of an address.
fn is_prefix_route(route: &Route, link: &Link, address: &Address) -> bool {
    route.kind == RouteKind::Unicast
        && route.gateway.is_none()
        && route.table == MAIN
        && route.link.as_ref() == Some(&link.name)
        && route.destination.bits == address.prefix
        && contains(address.ip, address.prefix, route.destination.ip)
}

/// Links in an order in which each comes after what it is made of.
fn in_order<'a>(network: &'a Network, draft: &mut Draft) -> Vec<&'a Link> {
    let by_name: BTreeMap<&str, &Link> = network
        .links
        .iter()
        .map(|link| (link.name.as_str(), link))
        .collect();
    let mut placed: Vec<&Link> = Vec::new();
    let mut waiting: Vec<&Link> = network.links.iter().collect();
    while !waiting.is_empty() {
        let (ready, later): (Vec<&Link>, Vec<&Link>) = waiting.iter().partition(|link| {
            let parent = match &link.kind {
                LinkKind::Vlan { parent, .. } => Some(parent),
                _ => None,
            };
            !waiting.iter().any(|other| {
                parent == Some(&other.name) || other.master.as_ref() == Some(&link.name)
            })
        });
        if ready.is_empty() {
            let names: Vec<&str> = later.iter().map(|link| link.name.as_str()).collect();
            draft.refuse(format!("{}: they are made of each other", names.join(", ")));
            return placed;
        }
        placed.extend(ready);
        waiting = later;
    }
    for link in &placed {
        let parent = match &link.kind {
            LinkKind::Vlan { parent, .. } => Some(parent),
            _ => None,
        };
        for other in parent.into_iter().chain(&link.master) {
            if !by_name.contains_key(other.as_str()) {
                draft.refuse(format!(
                    "{:?}: it belongs to {other:?}, which does not come along",
                    link.name
                ));
            }
        }
    }
    placed
}

/// The link that carries what belongs to no link: the one with the default route.
fn anchor(links: &[LinkView<'_>], network: &Network) -> usize {
    let default = network
        .routes
        .iter()
        .filter(|route| route.destination.is_default() && route.table == MAIN)
        .min_by_key(|route| (route.destination.ip.is_ipv6(), route.metric))
        .and_then(|route| route.link.as_ref())
        .and_then(|name| links.iter().position(|view| view.link.name == *name));
    default
        .or_else(|| links.iter().position(|view| view.link.dhcp4.is_some()))
        .or_else(|| links.iter().position(|view| !view.is_bare()))
        .unwrap_or(0)
}

fn place_routes<'a>(
    links: &mut [LinkView<'a>],
    network: &'a Network,
    anchor: usize,
    draft: &mut Draft,
) {
    for route in &network.routes {
        if route.origin != Origin::Static {
            continue;
        }
        let place = match &route.link {
            None if route.kind == RouteKind::Unicast => None,
            None => Some(anchor),
            // The loopback is what the kernel shows for IPv6 routes that drop packets.
            Some(name) if name == "lo" && route.kind != RouteKind::Unicast => Some(anchor),
            Some(name) => links.iter().position(|view| view.link.name == *name),
        };
        let Some(view) = place.and_then(|place| links.get_mut(place)) else {
            draft.refuse(format!(
                "route to {}: its link {:?} does not come along",
                route.destination,
                route.link.as_deref().unwrap_or("")
            ));
            continue;
        };
        let family = route.destination.ip.is_ipv6();
        let others = [route.gateway, route.source];
        if others.iter().flatten().any(|ip| ip.is_ipv6() != family) {
            draft.refuse(format!(
                "route to {}: its gateway or source is of the other address family",
                route.destination
            ));
        }
        // The route to an address's own prefix comes with the address.
        let implied = route.protocol == 2
            && view
                .addresses
                .iter()
                .any(|address| is_prefix_route(route, view.link, address));
        if !implied {
            view.routes.push(route);
        }
    }
    for view in links {
        view.routes
            .sort_by_key(|route| (route.destination.ip.is_ipv6(), route.gateway.is_some()));
    }
}

fn place_rules<'a>(
    links: &mut [LinkView<'a>],
    network: &'a Network,
    anchor: usize,
    draft: &mut Draft,
) {
    for rule in &network.rules {
        let place = links
            .iter()
            .position(|view| {
                view.routes.iter().any(|route| {
                    route.table == rule.table
                        && route.table != MAIN
                        && route.destination.ip.is_ipv6() == rule.ipv6
                })
            })
            .unwrap_or(anchor);
        for name in [&rule.iif, &rule.oif].into_iter().flatten() {
            if name != "lo" && !network.links.iter().any(|link| link.name == *name) {
                draft.refuse(format!(
                    "rule {}: its link {name:?} does not come along",
                    rule.priority
                ));
            }
        }
        let ends = [rule.from, rule.to];
        if ends
            .iter()
            .flatten()
            .any(|end| end.ip.is_ipv6() != rule.ipv6)
        {
            draft.refuse(format!(
                "rule {}: its addresses are of the other address family",
                rule.priority
            ));
        }
        match links.get_mut(place) {
            Some(view) => view.rules.push(rule),
            None => draft.refuse(format!("rule {}: there is no link", rule.priority)),
        }
    }
}
