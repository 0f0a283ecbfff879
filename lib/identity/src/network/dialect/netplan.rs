//! netplan, rendered for systemd-networkd: netplan(5).
//!
//! What the payload has is told by its systemd, with which netplan's versions came out. Every text
//! is quoted: `no`, `1e3` and `5:30` are names and values in YAML.

use std::fmt::Write as _;

use super::checks;
use super::client;
use super::draft::{Draft, HEADER};
use super::view::{self, LinkView, View};
use super::{names, resolver, tuning};
use formats::network::{Address, Bond, Link, LinkKind, Route, Rule};

const FILE: &str = "/etc/netplan/90-reroot.yaml";

/// The systemd that came with the netplan that first had a key.
mod since {
    /// netplan 0.101: the MTU of a route, labels of addresses.
    pub(super) const ROUTE_MTU: u32 = 246;
    pub(super) const LABEL: u32 = 246;
    pub(super) const ACTIVATION: u32 = 248;
    /// netplan 0.100: the end of addresses of routers' prefixes.
    pub(super) const TOKEN: u32 = 246;
    /// netplan 0.104: addresses without a cable.
    pub(super) const IGNORE_CARRIER: u32 = 249;
    /// systemd's own: the section's name.
    pub(super) const DHCPV4: u32 = 243;
    /// systemd's own: a route waits for the one that leads to its gateway.
    pub(super) const ORDERED: u32 = 243;
}

/// Kinds of links, by netplan's words.
const KINDS: [&str; 4] = ["ethernets", "bonds", "vlans", "bridges"];

pub(super) fn write(view: &View<'_>, draft: &mut Draft) {
    let mut yaml = Yaml {
        text: format!("{HEADER}network:\n  version: 2\n  renderer: networkd\n"),
    };
    for kind in KINDS {
        let links: Vec<&LinkView<'_>> = view
            .links
            .iter()
            .filter(|link| kind_of(&link.link.kind) == kind)
            .collect();
        if links.is_empty() {
            continue;
        }
        yaml.line(1, format!("{kind}:"));
        for link in links {
            yaml.line(2, format!("{}:", quoted(&link.link.name)));
            definition(view, link, &mut yaml, draft);
        }
    }
    draft.file(FILE, 0o600, yaml.text);
}

fn kind_of(kind: &LinkKind) -> &'static str {
    match kind {
        LinkKind::Physical | LinkKind::Other(_) => "ethernets",
        LinkKind::Bond(_) => "bonds",
        LinkKind::Vlan { .. } => "vlans",
        LinkKind::Bridge { .. } => "bridges",
    }
}

fn definition(view: &View<'_>, link: &LinkView<'_>, yaml: &mut Yaml, draft: &mut Draft) {
    let name = &link.link.name;
    match &link.link.kind {
        LinkKind::Physical => {
            if let Some(mac) = link.hardware() {
                yaml.line(3, "match:");
                yaml.line(4, format!("macaddress: \"{mac}\""));
            }
            if let Some(new) = link.name.filter(|new| !names::is_kernels(new)) {
                yaml.line(3, format!("set-name: {}", quoted(new)));
            }
        }
        LinkKind::Bond(bond) => {
            members(link, yaml);
            bond_parameters(bond, yaml);
        }
        LinkKind::Vlan { parent, id } => {
            yaml.line(3, format!("id: {id}"));
            yaml.line(3, format!("link: {}", quoted(parent)));
        }
        LinkKind::Bridge { stp, forward_delay } => {
            members(link, yaml);
            check_bridge(link, draft);
            yaml.line(3, "parameters:");
            yaml.line(4, format!("stp: {stp}"));
            yaml.line(4, format!("forward-delay: {forward_delay}"));
        }
        LinkKind::Other(_) => {}
    }
    if let Some(mac) = link.given_mac(view.network) {
        yaml.line(3, format!("macaddress: \"{mac}\""));
    }
    if let Some(mtu) = link.mtu() {
        yaml.line(3, format!("mtu: {mtu}"));
    }
    if !link.link.up {
        if view.stack.systemd >= since::ACTIVATION {
            yaml.line(3, "activation-mode: manual");
        } else {
            draft.refuse(format!(
                "{name}: it is down, and netplan of this age brings it up"
            ));
        }
    }
    let carries = link.link.master.is_some() || !link.vlans.is_empty();
    if link.is_bare() && !carries || link.is_unplugged() {
        yaml.line(3, "optional: true");
    }
    if link.is_unplugged()
        && !link.addresses.is_empty()
        && view.stack.systemd >= since::IGNORE_CARRIER
    {
        // The old OS had its addresses all the same.
        yaml.line(3, "ignore-carrier: true");
    }
    dynamic(view, link, yaml, draft);
    if !link.addresses.is_empty() {
        yaml.line(3, "addresses:");
    }
    for address in &link.addresses {
        write_address(view, link, address, yaml, draft);
    }
    if !link.servers.is_empty() || !link.search.is_empty() {
        yaml.line(3, "nameservers:");
        yaml.list(4, "addresses", &link.servers);
        yaml.list(4, "search", &link.search);
    }
    if !link.routes.is_empty() {
        yaml.line(3, "routes:");
    }
    for route in &link.routes {
        write_route(view, link, route, yaml, draft);
    }
    if !link.rules.is_empty() {
        yaml.line(3, "routing-policy:");
    }
    for rule in &link.rules {
        write_rule(rule, yaml, draft);
    }
}

/// Refuses a bridge whose MTU the kernel would change as its ports join: it follows the smallest of
/// theirs, unless it was set on the bridge once that was there, which netplan does not do.
fn check_bridge(link: &LinkView<'_>, draft: &mut Draft) {
    let smallest = link.members.iter().map(|member| member.mtu).min();
    if smallest.is_some_and(|mtu| mtu != link.link.mtu) {
        draft.refuse(format!(
            "{}: netplan cannot keep a bridge's MTU ({}) that is not the smallest of its ports'",
            link.link.name, link.link.mtu
        ));
    }
}

/// DHCP and router advertisements.
fn dynamic(view: &View<'_>, link: &LinkView<'_>, yaml: &mut Yaml, draft: &mut Draft) {
    let own = link.link;
    yaml.line(3, format!("dhcp4: {}", own.dhcp4.is_some()));
    yaml.line(3, format!("dhcp6: {}", own.dhcp6.is_some()));
    let needs_ra = own.dhcp6.is_some() && own.router.is_none();
    if needs_ra {
        draft.note(format!(
            "{}: DHCPv6 begins with a router's advertisement, so these are accepted",
            own.name
        ));
    }
    yaml.line(
        3,
        format!("accept-ra: {}", own.router.is_some() || needs_ra),
    );
    if own.master.is_some() {
        yaml.line(3, "link-local: []");
    }
    if let Some(token) = own.token.filter(|_| own.router.is_some()) {
        if view.stack.systemd < since::TOKEN {
            draft.refuse(format!(
                "{}: its addresses of routers' prefixes end in {token}; netplan of this age has no \
                 words for that",
                own.name
            ));
        }
        yaml.line(3, format!("ipv6-address-token: \"{token}\""));
    }
    if link.privacy() {
        yaml.line(3, "ipv6-privacy: true");
    }
    let static_servers = resolver::is_static(view.network);
    let mut names = client::networkd(own, view.stack.systemd, draft);
    if own.dhcp4.is_some() {
        // netplan has no more words for it than these; its own file of networkd's is added to.
        if names.v4.iter().any(|(_, value)| value == "mac") {
            yaml.line(3, "dhcp-identifier: mac");
        }
        names.v4.remove(0);
    }
    added(&names, view, own, draft);
    let metric = own.dhcp_metric.filter(|_| own.dhcp4.is_some());
    if own.dhcp4.is_some() && (static_servers || metric.is_some()) {
        yaml.line(3, "dhcp4-overrides:");
        if let Some(metric) = metric {
            yaml.line(4, format!("route-metric: {metric}"));
        }
        if static_servers {
            yaml.line(4, "use-dns: false");
        }
    }
    if own.dhcp6.is_some() && static_servers {
        yaml.line(3, "dhcp6-overrides:");
        yaml.line(4, "use-dns: false");
    }
}

/// What netplan's file for networkd gets beside itself.
fn added(names: &client::Keys, view: &View<'_>, link: &Link, draft: &mut Draft) {
    let v4 = if view.stack.systemd >= since::DHCPV4 {
        "DHCPv4"
    } else {
        "DHCP"
    };
    let sections = [(v4, &names.v4), ("DHCPv6", &names.v6)];
    let mut text = HEADER.to_owned();
    for (section, keys) in sections.iter().filter(|(_, keys)| !keys.is_empty()) {
        let gap = if text == HEADER { "" } else { "\n" };
        let _ = writeln!(text, "{gap}[{section}]");
        for (key, value) in *keys {
            let _ = writeln!(text, "{key}={value}");
        }
    }
    text += &tuning::neighbour_sections(view.network, link, view.stack);
    if text != HEADER {
        let directory = format!("/etc/systemd/network/10-netplan-{}.network.d", link.name);
        draft.file(format!("{directory}/90-reroot.conf"), 0o644, text);
    }
}

fn write_address(
    view: &View<'_>,
    link: &LinkView<'_>,
    address: &Address,
    yaml: &mut Yaml,
    draft: &mut Draft,
) {
    checks::address(view, link, address, "netplan", draft);
    let label = view::label(link, address, draft);
    let own = quoted(&format!("{}/{}", address.ip, address.prefix));
    match label {
        Some(label) if view.stack.systemd >= since::LABEL => {
            yaml.line(4, format!("- {own}:"));
            yaml.line(6, format!("label: {}", quoted(&label)));
        }
        Some(label) => {
            let at = format!("{}: {}/{}", link.link.name, address.ip, address.prefix);
            draft.note(format!(
                "{at}: netplan of this age has no labels: {label:?}"
            ));
            yaml.line(4, format!("- {own}"));
        }
        None => yaml.line(4, format!("- {own}")),
    }
}

fn write_route(
    view: &View<'_>,
    link: &LinkView<'_>,
    route: &Route,
    yaml: &mut Yaml,
    draft: &mut Draft,
) {
    let to = view::destination(route);
    yaml.line(4, format!("- to: \"{to}\""));
    if let Some(kind) = view::dropping(route.kind) {
        yaml.line(5, format!("type: {kind}"));
    } else if let Some(gateway) = route.gateway {
        yaml.line(5, format!("via: \"{gateway}\""));
        let early =
            view.stack.systemd < since::ORDERED && gateway.is_ipv4() && !link.covers(gateway);
        if route.onlink || early {
            yaml.line(5, "on-link: true");
        }
    } else {
        yaml.line(5, "scope: link");
        if route.destination.ip.is_ipv4() && route.scope != view::SCOPE_LINK {
            draft.note(format!(
                "{}: the route to {to} has the scope `link` in the new system",
                link.link.name
            ));
        }
    }
    if let Some(source) = route.source {
        yaml.line(5, format!("from: \"{source}\""));
    }
    if let Some(metric) = view::metric(route) {
        yaml.line(5, format!("metric: {metric}"));
    }
    if route.table != view::MAIN {
        yaml.line(5, format!("table: {}", route.table));
    }
    if let Some(mtu) = route.mtu {
        if view.stack.systemd < since::ROUTE_MTU {
            draft.refuse(format!(
                "{}: route to {to}: netplan of this age has no MTU of routes",
                link.link.name
            ));
        }
        yaml.line(5, format!("mtu: {mtu}"));
    }
}

fn write_rule(rule: &Rule, yaml: &mut Yaml, draft: &mut Draft) {
    let at = format!("rule {}", rule.priority);
    if rule.iif.is_some() || rule.oif.is_some() {
        draft.refuse(format!("{at}: netplan has no rules for links"));
    }
    // It wants one end to be named.
    let any = match (rule.from, rule.to, rule.ipv6) {
        (None, None, false) => Some("0.0.0.0/0".to_owned()),
        (None, None, true) => Some("::/0".to_owned()),
        (from, _, _) => from.map(|from| from.to_string()),
    };
    yaml.line(4, format!("- priority: {}", rule.priority));
    yaml.line(5, format!("table: {}", rule.table));
    if let Some(from) = any {
        yaml.line(5, format!("from: \"{from}\""));
    }
    if let Some(to) = rule.to {
        yaml.line(5, format!("to: \"{to}\""));
    }
    if let Some((mark, mask)) = rule.fwmark {
        if mask != u32::MAX {
            draft.refuse(format!("{at}: netplan has no masks of firewall marks"));
        }
        yaml.line(5, format!("mark: {mark}"));
    }
}

fn members(link: &LinkView<'_>, yaml: &mut Yaml) {
    let names: Vec<&str> = link.members.iter().map(|m| m.name.as_str()).collect();
    yaml.list(3, "interfaces", &names);
}

fn bond_parameters(bond: &Bond, yaml: &mut Yaml) {
    yaml.line(3, "parameters:");
    yaml.line(4, format!("mode: {}", quoted(&bond.mode)));
    for (key, value) in [
        ("lacp-rate", &bond.lacp_rate),
        ("transmit-hash-policy", &bond.xmit_hash_policy),
        ("primary", &bond.primary),
    ] {
        if let Some(value) = value {
            yaml.line(4, format!("{key}: {}", quoted(value)));
        }
    }
    let keys = [
        "mii-monitor-interval",
        "up-delay",
        "down-delay",
        "arp-interval",
    ];
    for (key, milliseconds) in view::times(bond, keys) {
        yaml.line(4, format!("{key}: {milliseconds}"));
    }
    yaml.list(4, "arp-ip-targets", &bond.arp_targets);
}

/// A text in YAML's double quotes.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

struct Yaml {
    text: String,
}

impl Yaml {
    fn line(&mut self, depth: usize, line: impl AsRef<str>) {
        let _ = writeln!(self.text, "{}{}", "  ".repeat(depth), line.as_ref());
    }

    /// A list, if there is something in it.
    fn list<T: ToString>(&mut self, depth: usize, key: &str, values: &[T]) {
        if values.is_empty() {
            return;
        }
        let values: Vec<String> = values.iter().map(|v| quoted(&v.to_string())).collect();
        self.line(depth, format!("{key}: [{}]", values.join(", ")));
    }
}
