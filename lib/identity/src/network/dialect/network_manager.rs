//! `NetworkManager`'s keyfiles: nm-settings-keyfile(5), nm-settings(5).
//!
//! What the payload has is told by its systemd: 245 came with `NetworkManager` 1.18 or newer in the
//! distributions that have both, 249 with 1.36.

use std::fmt::{Display, Write as _};
use std::net::IpAddr;

use super::checks;
use super::client::{self, Identifier};
use super::draft::{Draft, HEADER};
use super::resolver;
use super::view::{self, LinkView, View};
use formats::dhcp::Octets;
use formats::network::{Address, Bond, LinkKind, Origin, Route, Rule};

/// The systemd that came with the `NetworkManager` that first had something.
mod since {
    /// 1.18: policy rules, onlink gateways of both families, tables.
    pub(super) const ANY: u32 = 245;
    /// 1.36: routes that drop packets.
    pub(super) const ROUTE_TYPE: u32 = 249;
    /// 1.52, tried: no client identifier.
    pub(super) const NO_IDENTIFIER: u32 = 257;
}

/// Seconds that the ports of a new bridge learn for.
const KERNEL_FORWARD_DELAY: u32 = 15;

const SETTINGS: &str = "/etc/NetworkManager/conf.d/90-reroot.conf";

pub(super) fn write(view: &View<'_>, draft: &mut Draft) {
    if view.stack.systemd < since::ANY {
        draft.refuse(format!(
            "NetworkManager that comes with a systemd before {} (here {}) is not written for",
            since::ANY,
            view.stack.systemd
        ));
        return;
    }
    // An interface that had no configuration gets none of NetworkManager's making.
    let mut settings =
        format!("{HEADER}[main]\nno-auto-default=*\n\n[keyfile]\nunmanaged-devices=none\n");
    let global = needs_global_servers(view);
    if global {
        global_servers(view, &mut settings, draft);
    }
    draft.file(SETTINGS, 0o644, settings);
    for link in &view.links {
        let text = keyfile(view, link, global, draft);
        draft.file(
            format!(
                "/etc/NetworkManager/system-connections/reroot-{}.nmconnection",
                link.link.name
            ),
            0o600,
            text,
        );
    }
}

/// Whether a server is of a family that its link has not: a connection cannot name it then.
fn needs_global_servers(view: &View<'_>) -> bool {
    view.links.iter().any(|link| {
        link.servers.iter().any(|server| {
            let method = if server.is_ipv4() {
                method4(link)
            } else {
                method6(link)
            };
            !takes_servers(method)
        })
    })
}

fn global_servers(view: &View<'_>, settings: &mut String, draft: &mut Draft) {
    if !resolver::is_static(view.network) {
        draft.refuse(
            "name servers: some come by DHCP, others are of an address family that no connection \
             has; NetworkManager cannot mix them",
        );
    }
    let dns = &view.network.dns;
    let commas = |texts: Vec<String>| texts.join(",");
    let servers = dns
        .servers
        .iter()
        .filter(|server| server.origin == Origin::Static)
        .map(|server| server.address.to_string())
        .collect();
    settings.push_str("\n[global-dns]\n");
    for (key, values) in [("searches", &dns.search), ("options", &dns.options)] {
        if !values.is_empty() {
            let _ = writeln!(settings, "{key}={}", commas(values.clone()));
        }
    }
    let _ = write!(
        settings,
        "\n[global-dns-domain-*]\nservers={}\n",
        commas(servers)
    );
}

fn takes_servers(method: &str) -> bool {
    ["auto", "manual", "dhcp"].contains(&method)
}

fn method4(link: &LinkView<'_>) -> &'static str {
    if link.link.dhcp4.is_some() {
        "auto"
    } else if link.has_v4() {
        "manual"
    } else {
        "disabled"
    }
}

fn method6(link: &LinkView<'_>) -> &'static str {
    if link.link.router.is_some() {
        "auto"
    } else if link.link.dhcp6.is_some() {
        "dhcp"
    } else if link.has_v6() {
        "manual"
    } else {
        "link-local"
    }
}

fn keyfile(view: &View<'_>, link: &LinkView<'_>, global: bool, draft: &mut Draft) -> String {
    let own = link.link;
    let mut file = Keyfile {
        text: HEADER.to_owned(),
    };
    connection(link, &mut file);
    ethernet(view, link, &mut file);
    match &own.kind {
        LinkKind::Bond(bond) => bond_section(view, bond, &mut file),
        LinkKind::Vlan { parent, id } => {
            file.section("vlan");
            file.key("id", id);
            file.key("flags", 1);
            let carrier = view.links.iter().find(|other| other.link.name == *parent);
            if let Some(carrier) = carrier {
                file.key("parent", uuid(carrier));
            }
        }
        LinkKind::Bridge { stp, forward_delay } => {
            file.section("bridge");
            file.key("stp", stp);
            if *stp {
                if !(2..=30).contains(forward_delay) {
                    draft.refuse(format!(
                        "{}: NetworkManager has no forward delay of {forward_delay} s",
                        own.name
                    ));
                }
                file.key("forward-delay", forward_delay);
            } else if *forward_delay != KERNEL_FORWARD_DELAY {
                // It sets none then, whatever the file says.
                draft.note(format!(
                    "{}: its ports learn for {KERNEL_FORWARD_DELAY} s before they forward, not \
                     {forward_delay} s: NetworkManager leaves the kernel's own delay",
                    own.name
                ));
            }
        }
        LinkKind::Physical | LinkKind::Other(_) => {}
    }
    if own.master.is_some() {
        return file.text;
    }
    file.section("ipv4");
    file.key("method", method4(link));
    if own.dhcp4.is_some() {
        let id = match client::identifier(own) {
            Identifier::Unknown | Identifier::Mac => "mac".to_owned(),
            Identifier::Nothing if view.stack.systemd >= since::NO_IDENTIFIER => "none".to_owned(),
            Identifier::Nothing => {
                client::cannot(own, "NetworkManager", draft);
                "mac".to_owned()
            }
            Identifier::Duid(iaid, duid) => Octets::of_duid(iaid, &duid).to_string(),
            Identifier::Other(id) => id.to_string(),
        };
        file.key("dhcp-client-id", id);
        file.optional("route-metric", own.dhcp_metric);
    }
    family(view, link, false, global, &mut file, draft);
    file.section("ipv6");
    let method = method6(link);
    file.key("method", method);
    file.key("addr-gen-mode", "eui64");
    file.optional("token", own.token.filter(|_| own.router.is_some()));
    file.key("ip6-privacy", if link.privacy() { 2 } else { 0 });
    if own.dhcp6.is_some() {
        file.optional("dhcp-duid", own.dhcp_client.duid.as_ref());
        file.optional("dhcp-iaid", own.dhcp_client.iaid);
    }
    family(view, link, true, global, &mut file, draft);
    file.text
}

fn connection(link: &LinkView<'_>, file: &mut Keyfile) {
    let own = link.link;
    file.section("connection");
    file.key("id", &own.name);
    file.key("uuid", uuid(link));
    file.key(
        "type",
        match own.kind {
            LinkKind::Bond(_) => "bond",
            LinkKind::Vlan { .. } => "vlan",
            LinkKind::Bridge { .. } => "bridge",
            LinkKind::Physical | LinkKind::Other(_) => "ethernet",
        },
    );
    if !link.is_physical() {
        file.key("interface-name", &own.name);
    }
    if !own.up {
        file.key("autoconnect", false);
    }
    if let Some(master) = &own.master {
        file.key("master", master);
        file.key("slave-type", if link.bonded { "bond" } else { "bridge" });
    }
}

fn ethernet(view: &View<'_>, link: &LinkView<'_>, file: &mut Keyfile) {
    let hardware = link.hardware().filter(|_| link.is_physical());
    let given = link.given_mac(view.network);
    if hardware.is_none() && given.is_none() && link.mtu().is_none() {
        return;
    }
    file.section("ethernet");
    file.optional("mac-address", hardware);
    file.optional("cloned-mac-address", given);
    file.optional("mtu", link.mtu());
}

fn bond_section(view: &View<'_>, bond: &Bond, file: &mut Keyfile) {
    file.section("bond");
    file.key("mode", &bond.mode);
    for (key, milliseconds) in view::times(bond, view::KERNEL_TIMES) {
        file.key(key, milliseconds);
    }
    if !bond.arp_targets.is_empty() {
        file.key(
            "arp_ip_target",
            resolver::words(&bond.arp_targets).replace(' ', ","),
        );
    }
    file.optional("lacp_rate", bond.lacp_rate.as_ref());
    file.optional("xmit_hash_policy", bond.xmit_hash_policy.as_ref());
    let primary = bond.primary.as_deref().and_then(|old| view.name_of(old));
    file.optional("primary", primary);
}

/// Addresses, routes, rules and name servers of one family.
fn family(
    view: &View<'_>,
    link: &LinkView<'_>,
    ipv6: bool,
    global: bool,
    file: &mut Keyfile,
    draft: &mut Draft,
) {
    let is_own = |ip: IpAddr| ip.is_ipv6() == ipv6;
    let addresses = link.addresses.iter().filter(|a| is_own(a.ip));
    for (number, address) in (1..).zip(addresses) {
        check_address(view, link, address, draft);
        file.key(
            &format!("address{number}"),
            format!("{}/{}", address.ip, address.prefix),
        );
    }
    let routes = link.routes.iter().filter(|r| is_own(r.destination.ip));
    for (number, route) in (1..).zip(routes) {
        write_route(view, link, number, route, file, draft);
    }
    let rules = link.rules.iter().filter(|rule| rule.ipv6 == ipv6);
    for (number, rule) in (1..).zip(rules) {
        file.key(&format!("routing-rule{number}"), rule_text(view, rule));
    }
    if global {
        return;
    }
    let method = if ipv6 { method6(link) } else { method4(link) };
    let servers = link.servers.iter().copied().filter(|ip| is_own(*ip));
    file.list("dns", servers);
    // They belong to the link, and are said once.
    let says = takes_servers(method) && !(ipv6 && takes_servers(method4(link)));
    if says {
        file.list("dns-search", &link.search);
    }
    if says && !link.servers.is_empty() {
        file.list("dns-options", &view.network.dns.options);
    }
    let asks = if ipv6 {
        link.link.dhcp6.is_some() || link.link.router.is_some()
    } else {
        link.link.dhcp4.is_some()
    };
    if asks && resolver::is_static(view.network) {
        file.key("ignore-auto-dns", true);
    }
}

fn check_address(view: &View<'_>, link: &LinkView<'_>, address: &Address, draft: &mut Draft) {
    checks::address(view, link, address, "NetworkManager", draft);
    if let Some(label) = view::label(link, address, draft) {
        let at = format!("{}: {}/{}", link.link.name, address.ip, address.prefix);
        draft.note(format!(
            "{at}: NetworkManager has no labels: {label:?} is not carried"
        ));
    }
}

fn write_route(
    view: &View<'_>,
    link: &LinkView<'_>,
    number: usize,
    route: &Route,
    file: &mut Keyfile,
    draft: &mut Draft,
) {
    let to = view::destination(route);
    // Without a metric the route would get the device's own, 100 or more.
    let metric = view::metric(route).unwrap_or(if to.ip.is_ipv6() { 1024 } else { 0 });
    let gateway = route
        .gateway
        .map_or(String::new(), |gateway| gateway.to_string());
    file.key(
        &format!("route{number}"),
        format!("{to},{gateway},{metric}"),
    );
    let mut options: Vec<String> = Vec::new();
    if route.onlink {
        options.push("onlink=true".to_owned());
    }
    if let Some(kind) = view::dropping(route.kind) {
        if view.stack.systemd < since::ROUTE_TYPE {
            draft.refuse(format!(
                "{}: route to {to}: NetworkManager of this age has no routes that drop packets",
                link.link.name
            ));
        }
        options.push(format!("type={kind}"));
    } else if route.gateway.is_none() && to.ip.is_ipv4() && route.scope != view::SCOPE_LINK {
        draft.note(format!(
            "{}: the route to {to} has the scope `link` in the new system",
            link.link.name
        ));
    }
    if let Some(source) = route.source {
        options.push(format!("src={source}"));
    }
    if route.table != view::MAIN {
        options.push(format!("table={}", route.table));
    }
    if let Some(mtu) = route.mtu {
        options.push(format!("mtu={mtu}"));
    }
    if !options.is_empty() {
        file.key(&format!("route{number}_options"), options.join(","));
    }
}

fn rule_text(view: &View<'_>, rule: &Rule) -> String {
    let mut text = format!("priority {}", rule.priority);
    let any = if rule.ipv6 { "::/0" } else { "0.0.0.0/0" };
    match (rule.from, rule.to) {
        (None, None) => {
            let _ = write!(text, " from {any}");
        }
        (from, to) => {
            for (word, end) in [("from", from), ("to", to)] {
                if let Some(end) = end {
                    let _ = write!(text, " {word} {end}");
                }
            }
        }
    }
    for (word, link) in view.rule_links(rule, ["iif", "oif"]) {
        let _ = write!(text, " {word} {link}");
    }
    if let Some((mark, mask)) = rule.fwmark {
        let _ = write!(text, " fwmark {mark:#x}/{mask:#x}");
    }
    let _ = write!(text, " table {}", rule.table);
    text
}

/// A UUID (RFC 9562, version 8) that is the same whenever the same link is written.
fn uuid(link: &LinkView<'_>) -> String {
    let mac = link.hardware().map_or(String::new(), |mac| mac.to_string());
    let mut hasher = blake3::Hasher::new_derive_key("reroot 2026 NetworkManager connection");
    hasher.update(link.link.name.as_bytes());
    hasher.update(b"\0");
    hasher.update(mac.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex: String = bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

struct Keyfile {
    text: String,
}

impl Keyfile {
    fn section(&mut self, name: &str) {
        if self.text != HEADER {
            self.text.push('\n');
        }
        let _ = writeln!(self.text, "[{name}]");
    }

    fn key(&mut self, key: &str, value: impl Display) {
        let _ = writeln!(self.text, "{key}={value}");
    }

    fn optional(&mut self, key: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.key(key, value);
        }
    }

    /// A list, if there is something in it.
    fn list(&mut self, key: &str, values: impl IntoIterator<Item = impl Display>) {
        let mut list = String::new();
        for value in values {
            let _ = write!(list, "{value};");
        }
        if !list.is_empty() {
            self.key(key, list);
        }
    }
}
