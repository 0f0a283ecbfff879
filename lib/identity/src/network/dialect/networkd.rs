//! systemd-networkd: systemd.network(5), systemd.netdev(5).
//!
//! Which key came with which version is in [`since`]: an older systemd passes over what it does
//! not know, so what it does not know is refused here.

use std::fmt::{Display, Write as _};

use super::client;
use super::draft::{Draft, HEADER};
use super::resolver;
use super::tuning;
use super::view::{self, LinkView, View};
use formats::network::{Address, Bond, LinkKind, Route, Rule};

/// Versions of systemd that keys first appeared in.
mod since {
    pub(super) const ACCEPT_RA: u32 = 231;
    pub(super) const TABLE: u32 = 230;
    pub(super) const STP: u32 = 232;
    pub(super) const ON_LINK: u32 = 234;
    pub(super) const ROUTE_TYPE: u32 = 235;
    pub(super) const RULE: u32 = 235;
    pub(super) const ADDRESS_SCOPE: u32 = 235;
    pub(super) const PRIMARY_SLAVE: u32 = 235;
    pub(super) const WITHOUT_CARRIER: u32 = 235;
    pub(super) const RULE_LINK: u32 = 236;
    pub(super) const REQUIRED: u32 = 236;
    pub(super) const ROUTE_MTU: u32 = 239;
    pub(super) const DHCPV4: u32 = 243;
    pub(super) const FAMILY: u32 = 243;
    /// A route waits for the one that leads to its gateway.
    pub(super) const ORDERED: u32 = 243;
    pub(super) const PERMANENT_MAC: u32 = 245;
    pub(super) const PREFIX_ROUTE: u32 = 245;
    pub(super) const WITHOUT_RA: u32 = 246;
    pub(super) const ACTIVATION: u32 = 248;
    /// `Token=` of `[IPv6AcceptRA]`; `IPv6Token=` of `[Network]` before.
    pub(super) const TOKEN: u32 = 250;
}

pub(super) fn write(view: &View<'_>, draft: &mut Draft) {
    for link in &view.links {
        let name = &link.link.name;
        let writer = Writer {
            view,
            link,
            version: view.stack.systemd,
        };
        if let Some(text) = writer.netdev(draft) {
            draft.file(
                format!("/etc/systemd/network/20-reroot-{name}.netdev"),
                0o644,
                text,
            );
        }
        if let Some(text) = writer.network(draft) {
            draft.file(
                format!("/etc/systemd/network/20-reroot-{name}.network"),
                0o644,
                text,
            );
        }
    }
}

struct Writer<'a> {
    view: &'a View<'a>,
    link: &'a LinkView<'a>,
    version: u32,
}

impl Writer<'_> {
    /// Refuses what the new OS's systemd does not know yet.
    fn since(&self, version: u32, what: &str, draft: &mut Draft) {
        if self.version < version {
            draft.refuse(format!(
                "{}: {what} needs systemd {version}, the new system has {}",
                self.link.link.name, self.version
            ));
        }
    }

    fn netdev(&self, draft: &mut Draft) -> Option<String> {
        let mut text = HEADER.to_owned();
        let kind = match &self.link.link.kind {
            LinkKind::Bond(_) => "bond",
            LinkKind::Vlan { .. } => "vlan",
            LinkKind::Bridge { .. } => "bridge",
            LinkKind::Physical | LinkKind::Other(_) => return None,
        };
        let mut own = Section::new("NetDev");
        own.key("Name", &self.link.link.name);
        own.key("Kind", kind);
        own.optional("MACAddress", self.link.given_mac(self.view.network));
        own.end(&mut text);
        match &self.link.link.kind {
            LinkKind::Bond(bond) => bond_section(bond).end(&mut text),
            LinkKind::Vlan { id, .. } => {
                let mut section = Section::new("VLAN");
                section.key("Id", id);
                section.end(&mut text);
            }
            LinkKind::Bridge { stp, forward_delay } => {
                let mut section = Section::new("Bridge");
                if *stp {
                    self.since(since::STP, "the spanning tree protocol of a bridge", draft);
                }
                if self.version >= since::STP {
                    section.key("STP", yes_no(*stp));
                }
                section.key("ForwardDelaySec", forward_delay);
                section.end(&mut text);
            }
            LinkKind::Physical | LinkKind::Other(_) => {}
        }
        Some(text)
    }

    fn network(&self, draft: &mut Draft) -> Option<String> {
        let link = self.link.link;
        if !link.up && self.version < since::ACTIVATION {
            draft.note(format!("{}: it is down, and not configured", link.name));
            if !self.link.is_bare() {
                draft.refuse(format!(
                    "{}: it is down and has addresses; systemd before {} cannot leave it down",
                    link.name,
                    since::ACTIVATION
                ));
            }
            return None;
        }
        let mut text = HEADER.to_owned();
        self.matched(draft).end(&mut text);
        self.link_section().end(&mut text);
        self.network_section(draft).end(&mut text);
        for address in &self.link.addresses {
            self.address(address, draft).end(&mut text);
        }
        for route in &self.link.routes {
            self.route(route, draft).end(&mut text);
        }
        for rule in &self.link.rules {
            self.rule(rule, draft).end(&mut text);
        }
        self.dhcp(&mut text, draft);
        text += &tuning::neighbour_sections(self.view.network, link, self.view.stack);
        Some(text)
    }

    fn matched(&self, draft: &mut Draft) -> Section {
        let mut section = Section::new("Match");
        if !self.link.is_physical() {
            section.key("Name", &self.link.link.name);
            return section;
        }
        let differs = self.link.link.permanent_mac.is_some()
            && self.link.link.permanent_mac != self.link.link.mac;
        // Slaves show their bond's address once they are in it; the one from which the bond has
        // its own would match for all of them.
        let siblings_differ = self.link.bonded && self.slaves_tell();
        let key = if (differs || siblings_differ) && self.version >= since::PERMANENT_MAC {
            "PermanentMACAddress"
        } else {
            if differs && !self.link.bonded {
                self.since(
                    since::PERMANENT_MAC,
                    "another MAC address than the hardware's",
                    draft,
                );
            }
            "MACAddress"
        };
        section.optional(key, self.link.hardware());
        section.key("Type", "ether");
        section
    }

    /// Whether the kernel tells the hardware's addresses of the slaves of this slave's bond.
    fn slaves_tell(&self) -> bool {
        self.view.links.iter().any(|other| {
            other.link.master == self.link.link.master
                && other.link.permanent_mac.is_some()
                && other.link.permanent_mac != other.link.mac
        })
    }

    fn link_section(&self) -> Section {
        let mut section = Section::new("Link");
        if self.link.is_physical() {
            section.optional("MACAddress", self.link.given_mac(self.view.network));
        }
        section.optional("MTUBytes", self.link.mtu());
        if !self.link.link.up {
            section.key("ActivationPolicy", "manual");
        }
        let carries = self.link.link.master.is_some() || !self.link.vlans.is_empty();
        // Nothing waits for a link that is merely up, or has no cable.
        let idle = self.link.is_bare() && !carries || self.link.is_unplugged();
        if idle && self.version >= since::REQUIRED {
            section.key("RequiredForOnline", "no");
        }
        section
    }

    fn network_section(&self, draft: &mut Draft) -> Section {
        let link = self.link.link;
        let mut section = Section::new("Network");
        let accept_ra = if self.version >= since::ACCEPT_RA {
            "IPv6AcceptRA"
        } else {
            "IPv6AcceptRouterAdvertisements"
        };
        if let Some(master) = &link.master {
            section.key(if self.link.bonded { "Bond" } else { "Bridge" }, master);
            if self.link.primary {
                self.since(since::PRIMARY_SLAVE, "the primary slave of a bond", draft);
                section.key("PrimarySlave", "yes");
            }
            section.key("LinkLocalAddressing", "no");
            section.key(accept_ra, "no");
        } else {
            section.key(
                "DHCP",
                match (link.dhcp4.is_some(), link.dhcp6.is_some()) {
                    (true, true) => "yes",
                    (true, false) => "ipv4",
                    (false, true) => "ipv6",
                    (false, false) => "no",
                },
            );
            let without_ra = link.dhcp6.is_some() && link.router.is_none();
            if without_ra && self.version < since::WITHOUT_RA {
                draft.note(format!(
                    "{}: DHCPv6 begins with a router's advertisement, so these are accepted",
                    link.name
                ));
                section.key(accept_ra, "yes");
            } else {
                section.key(accept_ra, yes_no(link.router.is_some()));
            }
            if let Some(token) = link.token.filter(|_| self.version < since::TOKEN) {
                section.key("IPv6Token", token);
            }
            if self.link.privacy() {
                section.key("IPv6PrivacyExtensions", "yes");
            }
        }
        for vlan in &self.link.vlans {
            section.key("VLAN", &vlan.name);
        }
        let portless = matches!(link.kind, LinkKind::Bridge { .. }) && self.link.members.is_empty();
        if portless && !self.link.is_bare() {
            // It never has a carrier.
            self.since(since::WITHOUT_CARRIER, "a bridge without ports", draft);
            section.key("ConfigureWithoutCarrier", "yes");
        } else if self.link.is_unplugged()
            && !self.link.addresses.is_empty()
            && self.version >= since::WITHOUT_CARRIER
        {
            // The old OS had its addresses all the same.
            section.key("ConfigureWithoutCarrier", "yes");
        }
        for server in &self.link.servers {
            section.key("DNS", server);
        }
        if !self.link.search.is_empty() {
            section.key("Domains", self.link.search.join(" "));
        }
        section
    }

    fn address(&self, address: &Address, draft: &mut Draft) -> Section {
        let mut section = Section::new("Address");
        section.key("Address", format!("{}/{}", address.ip, address.prefix));
        if let Some(peer) = address.peer {
            section.key("Peer", format!("{peer}/{}", address.prefix));
        }
        section.optional("Broadcast", view::odd_broadcast(address));
        if let Some(label) = view::label(self.link, address, draft) {
            section.key("Label", label);
        }
        // The kernel decides on the scope of IPv6 addresses.
        if address.scope != 0 && address.ip.is_ipv4() {
            self.since(since::ADDRESS_SCOPE, "the scope of an address", draft);
            section.key("Scope", address.scope);
        }
        if !self.link.has_prefix_route(address, self.view.network) {
            self.since(
                since::PREFIX_ROUTE,
                "an address without a route to its prefix",
                draft,
            );
            section.key("AddPrefixRoute", "no");
        }
        section
    }

    fn route(&self, route: &Route, draft: &mut Draft) -> Section {
        let mut section = Section::new("Route");
        section.key("Destination", view::destination(route));
        section.optional("Gateway", route.gateway);
        if let Some(gateway) = route.gateway {
            let early =
                self.version < since::ORDERED && gateway.is_ipv4() && !self.link.covers(gateway);
            if route.onlink || early {
                self.since(
                    since::ON_LINK,
                    "a gateway outside the prefixes of the link",
                    draft,
                );
                // Versions since 246 write `GatewayOnLink`, and take this as well.
                section.key("GatewayOnlink", "yes");
            }
        }
        if let Some(kind) = view::dropping(route.kind) {
            self.since(since::ROUTE_TYPE, "a route that drops packets", draft);
            section.key("Type", kind);
        } else if route.gateway.is_none() && route.destination.ip.is_ipv4() {
            section.key(
                "Scope",
                match route.scope {
                    0 => "global".to_owned(),
                    view::SCOPE_LINK => "link".to_owned(),
                    other => other.to_string(),
                },
            );
        }
        section.optional("PreferredSource", route.source);
        section.optional("Metric", view::metric(route));
        if route.table != view::MAIN {
            self.since(since::TABLE, "a routing table other than main", draft);
            section.key("Table", route.table);
        }
        if let Some(mtu) = route.mtu {
            self.since(since::ROUTE_MTU, "the MTU of a route", draft);
            section.key("MTUBytes", mtu);
        }
        section
    }

    fn rule(&self, rule: &Rule, draft: &mut Draft) -> Section {
        self.since(since::RULE, "a policy rule", draft);
        let mut section = Section::new("RoutingPolicyRule");
        section.key("Priority", rule.priority);
        if self.version >= since::FAMILY {
            section.key("Family", if rule.ipv6 { "ipv6" } else { "ipv4" });
        } else if rule.ipv6 && rule.from.is_none() && rule.to.is_none() {
            section.key("From", "::/0");
        }
        section.optional("From", rule.from);
        section.optional("To", rule.to);
        let keys = ["IncomingInterface", "OutgoingInterface"];
        for (key, link) in self.view.rule_links(rule, keys) {
            self.since(since::RULE_LINK, "a rule for a link", draft);
            section.key(key, link);
        }
        if let Some((mark, mask)) = rule.fwmark {
            section.key(
                "FirewallMark",
                if mask == u32::MAX {
                    mark.to_string()
                } else {
                    format!("{mark}/{mask}")
                },
            );
        }
        section.key("Table", rule.table);
        section
    }

    fn dhcp(&self, text: &mut String, draft: &mut Draft) {
        let link = self.link.link;
        let names = client::networkd(link, self.version, draft);
        let split = self.version >= since::DHCPV4;
        let own_servers = resolver::is_static(self.view.network);
        if link.dhcp4.is_some() || !names.v4.is_empty() {
            let mut section = Section::new(if split { "DHCPv4" } else { "DHCP" });
            section.keys(&names.v4);
            section.optional("RouteMetric", link.dhcp_metric);
            if link.dhcp_client.gives_mtu {
                section.key("UseMTU", "yes");
            }
            if own_servers && link.dhcp4.is_some() {
                section.key("UseDNS", "no");
            }
            section.end(text);
        }
        if link.dhcp6.is_some() && split {
            let mut section = Section::new("DHCPv6");
            section.keys(&names.v6);
            if link.router.is_none() && self.version >= since::WITHOUT_RA {
                section.key("WithoutRA", "solicit");
            }
            if own_servers {
                section.key("UseDNS", "no");
            }
            section.end(text);
        }
        if link.router.is_some() && self.version >= since::ACCEPT_RA {
            let mut section = Section::new("IPv6AcceptRA");
            if let Some(token) = link.token.filter(|_| self.version >= since::TOKEN) {
                section.key("Token", format!("static:{token}"));
            }
            if own_servers {
                section.key("UseDNS", "no");
            }
            section.end(text);
        }
    }
}

fn bond_section(bond: &Bond) -> Section {
    let mut section = Section::new("Bond");
    section.key("Mode", &bond.mode);
    section.optional("TransmitHashPolicy", bond.xmit_hash_policy.as_ref());
    section.optional("LACPTransmitRate", bond.lacp_rate.as_ref());
    let keys = [
        "MIIMonitorSec",
        "UpDelaySec",
        "DownDelaySec",
        "ARPIntervalSec",
    ];
    for (key, milliseconds) in view::times(bond, keys) {
        section.key(key, format!("{milliseconds}ms"));
    }
    if !bond.arp_targets.is_empty() {
        section.key("ARPIPTargets", resolver::words(&bond.arp_targets));
    }
    section
}

fn yes_no(yes: bool) -> &'static str {
    if yes {
        "yes"
    } else {
        "no"
    }
}

/// A section of an ini file; one without keys is not written.
struct Section {
    name: &'static str,
    keys: String,
}

impl Section {
    fn new(name: &'static str) -> Section {
        Section {
            name,
            keys: String::new(),
        }
    }

    fn key(&mut self, key: &str, value: impl Display) {
        let _ = writeln!(self.keys, "{key}={value}");
    }

    fn optional(&mut self, key: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.key(key, value);
        }
    }

    fn keys(&mut self, keys: &[(&str, String)]) {
        for (key, value) in keys {
            self.key(key, value);
        }
    }

    fn end(self, text: &mut String) {
        if self.keys.is_empty() {
            return;
        }
        if !text.ends_with("system.\n") {
            text.push('\n');
        }
        let _ = write!(text, "[{}]\n{}", self.name, self.keys);
    }
}
