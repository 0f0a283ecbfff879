//! ifupdown: interfaces(5), with the commands of iproute2 for whatever it has no words for.
//!
//! A command that fails makes ifup fail: what could not be set up is seen. Links are made with
//! `ip` rather than by the hooks of ifenslave, vlan and bridge-utils, which need not be there.

use std::fmt::Write as _;

use super::client::{self, Identifier};
use super::draft::{Draft, HEADER};
use super::view::{self, LinkView, View};
use super::{resolver, tuning};
use formats::dhcp::Octets;
use formats::network::{Address, Bond, Link, LinkKind, Mac, Resolver, Route, Rule};

const INTERFACES: &str = "/etc/network/interfaces";

/// Clients of DHCP that ifupdown runs, in its order of preference.
const CLIENTS: [&str; 3] = ["dhclient", "udhcpc", "dhcpcd"];

pub(super) fn write(view: &View<'_>, draft: &mut Draft) {
    if !view.has("ip") {
        draft.refuse("ifupdown: the new system has no `ip` to set links up with");
    }
    let mut text = format!("{HEADER}\nauto lo\niface lo inet loopback\n");
    for link in &view.links {
        let Some(name) = link.name else {
            draft.refuse(format!(
                "{}: its name in the new system is not known",
                link.link.name
            ));
            continue;
        };
        // Whoever waits for what is `auto` would wait for a cable.
        if link.is_unplugged() && link.is_physical() {
            let _ = write!(text, "\nallow-hotplug {name}\n");
        } else if link.link.up {
            let _ = write!(text, "\nauto {name}\n");
        } else {
            draft.note(format!(
                "{name}: it is down, and stays so until `ifup {name}`"
            ));
            text.push('\n');
        }
        check_vlan(view, link, draft);
        for stanza in stanzas(view, link, name, draft) {
            text.push_str(&stanza.text);
        }
    }
    draft.file(INTERFACES, 0o644, text);
    keep_resolv_conf(view, draft);
}

/// Refuses VLANs whose names say something else than what they are: ifupdown makes `bond0.5` the
/// VLAN 5 of bond0 by itself, whatever the stanza says.
fn check_vlan(view: &View<'_>, link: &LinkView<'_>, draft: &mut Draft) {
    let LinkKind::Vlan { parent, id } = &link.link.kind else {
        return;
    };
    let Some((carrier, number)) = link.link.name.rsplit_once('.') else {
        return;
    };
    let exists = view.links.iter().any(|other| other.name == Some(carrier));
    let says = number.bytes().all(|b| b.is_ascii_digit());
    let is = view.name_of(parent) == Some(carrier) && number.parse() == Ok(*id);
    if exists && says && !is {
        draft.refuse(format!(
            "{}: it is VLAN {id} of {parent}, and ifupdown would go by its name",
            link.link.name
        ));
    }
}

/// A stanza: one family and method.
struct Stanza {
    text: String,
}

impl Stanza {
    fn new(name: &str, method: &str) -> Stanza {
        Stanza {
            text: format!("iface {name} {method}\n"),
        }
    }

    fn say(&mut self, line: impl AsRef<str>) {
        let _ = writeln!(self.text, "    {}", line.as_ref());
    }
}

/// The stanzas of a link: what makes it, static addresses, routes and rules, then DHCP.
fn stanzas(view: &View<'_>, link: &LinkView<'_>, name: &str, draft: &mut Draft) -> Vec<Stanza> {
    let mut stanzas: Vec<Stanza> = Vec::new();
    for address in &link.addresses {
        let plain = is_plain(view, link, address);
        if plain || stanzas.is_empty() {
            let family = if address.ip.is_ipv4() {
                "inet"
            } else {
                "inet6"
            };
            let method = if plain { "static" } else { "manual" };
            let mut stanza = Stanza::new(name, &format!("{family} {method}"));
            if stanzas.is_empty() {
                begin(view, link, name, &mut stanza);
            }
            if plain {
                static_address(link, address, &mut stanza);
            } else {
                stanza.say(format!("up ip link set dev {name} up"));
            }
            stanzas.push(stanza);
        }
        if !plain {
            let command = address_command(view, link, address, name, draft);
            if let Some(stanza) = stanzas.last_mut() {
                stanza.say(command);
            }
        }
    }
    let commands = tuning::commands(view, link.link, name);
    let more = !link.routes.is_empty() || !link.rules.is_empty() || !commands.is_empty();
    if stanzas.is_empty() && (link.link.dhcp4.is_none() || more) {
        let mut stanza = Stanza::new(name, "inet manual");
        begin(view, link, name, &mut stanza);
        stanza.say(format!("up ip link set dev {name} up"));
        stanzas.push(stanza);
    }
    if let Some(stanza) = stanzas.last_mut() {
        for route in &link.routes {
            stanza.say(format!("up ip {}", route_command(route, name)));
        }
        for rule in &link.rules {
            stanza.say(rule_command(view, rule, "up", "add"));
            stanza.say(rule_command(view, rule, "down", "delete"));
        }
        for command in &commands {
            stanza.say(command);
        }
        if view.stack.resolver == Resolver::Resolvconf {
            if !link.servers.is_empty() {
                stanza.say(format!(
                    "dns-nameservers {}",
                    resolver::words(&link.servers)
                ));
            }
            if !link.search.is_empty() {
                stanza.say(format!("dns-search {}", link.search.join(" ")));
            }
        }
        if is_made(link) {
            stanza.say(unmake(name));
        }
    }
    dhcp(view, link, name, &mut stanzas, draft);
    stanzas
}

/// Whether ifupdown has words for an address.
fn is_plain(view: &View<'_>, link: &LinkView<'_>, address: &Address) -> bool {
    address
        .label
        .as_ref()
        .is_none_or(|label| *label == link.link.name)
        && (address.scope == 0 || address.ip.is_ipv6())
        && address
            .peer
            .is_none_or(|_| address.ip.is_ipv4() && address.prefix == 32)
        && link.has_prefix_route(address, view.network)
}

fn static_address(link: &LinkView<'_>, address: &Address, stanza: &mut Stanza) {
    stanza.say(format!("address {}/{}", address.ip, address.prefix));
    if address.ip.is_ipv6() {
        // Its own default would undo what was set before.
        let accept = u8::from(link.link.router.is_some());
        stanza.say(format!("accept_ra {accept}"));
        stanza.say(format!("autoconf {accept}"));
    }
    if address.ip.is_ipv6() && link.is_unplugged() {
        // Whether somebody else has it nobody can tell without a cable.
        stanza.say("dad-attempts 0");
    }
    if let Some(broadcast) = view::odd_broadcast(address) {
        stanza.say(format!("broadcast {broadcast}"));
    }
    if let Some(peer) = address.peer {
        stanza.say(format!("pointopoint {peer}"));
    }
}

fn address_command(
    view: &View<'_>,
    link: &LinkView<'_>,
    address: &Address,
    name: &str,
    draft: &mut Draft,
) -> String {
    let mut command = String::from("up ip address replace ");
    match address.peer {
        Some(peer) => {
            let _ = write!(command, "{} peer {peer}/{}", address.ip, address.prefix);
        }
        None => {
            let _ = write!(command, "{}/{}", address.ip, address.prefix);
        }
    }
    if let Some(broadcast) = address.broadcast {
        let _ = write!(command, " broadcast {broadcast}");
    }
    if address.scope != 0 && address.ip.is_ipv4() {
        let _ = write!(command, " scope {}", address.scope);
    }
    let _ = write!(command, " dev {name}");
    if let Some(label) = view::label(link, address, draft) {
        let _ = write!(command, " label {label}");
    }
    if !link.has_prefix_route(address, view.network) {
        command.push_str(" noprefixroute");
    }
    command
}

/// Commands that make the link, or make it what it was, before it has addresses.
fn begin(view: &View<'_>, link: &LinkView<'_>, name: &str, stanza: &mut Stanza) {
    let mac = link.given_mac(view.network);
    let address = mac.map_or(String::new(), |mac| format!(" address {mac}"));
    let absent = format!("pre-up [ -e /sys/class/net/{name} ] || ip link add");
    match &link.link.kind {
        LinkKind::Bond(bond) => {
            let options = bond_options(view, bond);
            stanza.say(format!("{absent} dev {name}{address} type bond{options}"));
            for member in &link.members {
                let Some(slave) = view.name_of(&member.name) else {
                    continue;
                };
                stanza.say(format!("pre-up ip link set dev {slave} down"));
                stanza.say(format!("pre-up ip link set dev {slave} master {name}"));
            }
        }
        LinkKind::Vlan { parent, id } => {
            let carrier = view.name_of(parent).unwrap_or(parent);
            // For the hooks that make VLANs of links whose names end in a number.
            stanza.say(format!("vlan-raw-device {carrier}"));
            stanza.say(format!(
                "{absent} link {carrier} name {name}{address} type vlan id {id}"
            ));
        }
        LinkKind::Bridge { stp, forward_delay } => {
            stanza.say(format!("{absent} dev {name}{address} type bridge"));
            let settings = format!("/sys/class/net/{name}/bridge");
            // In hundredths of a second.
            let delay = u64::from(*forward_delay) * 100;
            stanza.say(format!("pre-up echo {delay} > {settings}/forward_delay"));
            stanza.say(format!(
                "pre-up echo {} > {settings}/stp_state",
                u8::from(*stp)
            ));
            for member in &link.members {
                let Some(port) = view.name_of(&member.name) else {
                    continue;
                };
                stanza.say(format!("pre-up ip link set dev {port} master {name}"));
            }
        }
        LinkKind::Physical => {
            if let Some(mac) = mac {
                stanza.say(format!("pre-up ip link set dev {name} address {mac}"));
            }
        }
        LinkKind::Other(_) => {}
    }
    if let Some(mtu) = link.mtu() {
        stanza.say(format!("pre-up ip link set dev {name} mtu {mtu}"));
    }
    if link.link.master.is_none() {
        router_advertisements(link, name, stanza);
    }
}

/// Whether to listen to routers: the kernel's own default is to do so.
fn router_advertisements(link: &LinkView<'_>, name: &str, stanza: &mut Stanza) {
    let settings = format!("/proc/sys/net/ipv6/conf/{name}");
    let accept = u8::from(link.link.router.is_some());
    let mut set = |key: &str, value: u8| {
        stanza.say(format!(
            "pre-up [ ! -e {settings}/{key} ] || echo {value} > {settings}/{key}"
        ));
    };
    set("accept_ra", accept);
    set("autoconf", accept);
    if link.privacy() {
        set("use_tempaddr", 2);
    }
    if let Some(token) = link.link.token.filter(|_| accept == 1) {
        stanza.say(format!("pre-up ip token set {token} dev {name}"));
    }
}

/// Unless ifupdown has deleted it: it does so with VLANs that it can tell by their names.
fn unmake(name: &str) -> String {
    format!("post-down [ ! -e /sys/class/net/{name} ] || ip link delete dev {name}")
}

fn is_made(link: &LinkView<'_>) -> bool {
    matches!(
        link.link.kind,
        LinkKind::Bond(_) | LinkKind::Vlan { .. } | LinkKind::Bridge { .. }
    )
}

fn bond_options(view: &View<'_>, bond: &Bond) -> String {
    let mut options = format!(" mode {}", bond.mode);
    for (option, milliseconds) in view::times(bond, view::KERNEL_TIMES) {
        let _ = write!(options, " {option} {milliseconds}");
    }
    if !bond.arp_targets.is_empty() {
        let targets = resolver::words(&bond.arp_targets).replace(' ', ",");
        let _ = write!(options, " arp_ip_target {targets}");
    }
    for (option, value) in [
        ("lacp_rate", bond.lacp_rate.as_deref()),
        ("xmit_hash_policy", bond.xmit_hash_policy.as_deref()),
        (
            "primary",
            bond.primary.as_deref().and_then(|old| view.name_of(old)),
        ),
    ] {
        if let Some(value) = value {
            let _ = write!(options, " {option} {value}");
        }
    }
    options
}

fn route_command(route: &Route, name: &str) -> String {
    let family = if route.destination.ip.is_ipv6() {
        "-6"
    } else {
        "-4"
    };
    let mut command = format!("{family} route replace ");
    if let Some(kind) = view::dropping(route.kind) {
        let _ = write!(command, "{kind} {}", view::destination(route));
    } else {
        let _ = write!(command, "{}", view::destination(route));
        if let Some(gateway) = route.gateway {
            let _ = write!(command, " via {gateway}");
        }
        let _ = write!(command, " dev {name}");
        if route.onlink {
            command.push_str(" onlink");
        }
        if route.gateway.is_none() && route.destination.ip.is_ipv4() {
            let _ = write!(command, " scope {}", route.scope);
        }
        if let Some(source) = route.source {
            let _ = write!(command, " src {source}");
        }
    }
    if let Some(metric) = view::metric(route) {
        let _ = write!(command, " metric {metric}");
    }
    if route.table != view::MAIN {
        let _ = write!(command, " table {}", route.table);
    }
    if let Some(mtu) = route.mtu {
        let _ = write!(command, " mtu {mtu}");
    }
    command
}

fn rule_command(view: &View<'_>, rule: &Rule, when: &str, verb: &str) -> String {
    let family = if rule.ipv6 { "-6" } else { "-4" };
    let mut command = format!("{when} ip {family} rule {verb} priority {}", rule.priority);
    match rule.from {
        Some(from) => {
            let _ = write!(command, " from {from}");
        }
        None => command.push_str(" from all"),
    }
    if let Some(to) = rule.to {
        let _ = write!(command, " to {to}");
    }
    for (key, link) in view.rule_links(rule, ["iif", "oif"]) {
        let _ = write!(command, " {key} {link}");
    }
    if let Some((mark, mask)) = rule.fwmark {
        let _ = write!(command, " fwmark {mark}/{mask}");
    }
    let _ = write!(command, " table {}", rule.table);
    command
}

fn dhcp(
    view: &View<'_>,
    link: &LinkView<'_>,
    name: &str,
    stanzas: &mut Vec<Stanza>,
    draft: &mut Draft,
) {
    let client = CLIENTS.into_iter().find(|client| view.has(client));
    if link.link.dhcp4.is_some() {
        let Some(client) = client else {
            draft.refuse(format!(
                "{name}: DHCP, for which the new system has none of {}",
                CLIENTS.join(", ")
            ));
            return;
        };
        let asked = asked(link.link, client, draft);
        let method = if matches!(asked, Asked::Command(_)) {
            "inet manual"
        } else {
            "inet dhcp"
        };
        let mut stanza = Stanza::new(name, method);
        if stanzas.is_empty() {
            begin(view, link, name, &mut stanza);
        }
        match &asked {
            Asked::Plain => {}
            Asked::Nameless => stanza.say("client no"),
            Asked::Duid(duid) => {
                let leases = format!("/var/lib/dhcp/dhclient.{name}.leases");
                draft.file(leases, 0o644, client::dhclient_leases(duid));
            }
            Asked::Command(id) if client == "dhclient" => {
                own_dhclient(link, name, id, &mut stanza, draft);
            }
            Asked::Command(id) if client == "dhcpcd" => own_dhcpcd(link, name, id, &mut stanza),
            Asked::Command(id) => own_udhcpc(link, name, id, &mut stanza),
        }
        if let Some(metric) = link.link.dhcp_metric {
            if !matches!(asked, Asked::Command(_)) {
                stanza.say(format!("metric {metric}"));
            }
        }
        if stanzas.is_empty() && is_made(link) {
            stanza.say(unmake(name));
        }
        stanzas.push(stanza);
    }
    if link.link.dhcp6.is_some() {
        if !view.has("dhclient") {
            draft.refuse(format!(
                "{name}: DHCPv6, for which ifupdown runs dhclient alone"
            ));
        }
        dhclient6(link.link, name, draft);
        let mut stanza = Stanza::new(name, "inet6 dhcp");
        stanza.say(format!(
            "accept_ra {}",
            u8::from(link.link.router.is_some())
        ));
        stanzas.push(stanza);
    }
}

/// How a client of IPv4 is told what to call itself.
enum Asked {
    /// It does so by itself.
    Plain,
    /// dhclient, not to send a name.
    Nameless,
    /// dhclient, by the DUID among its leases; it puts the end of the MAC address before that.
    Duid(Octets),
    /// By a command of one's own, with these bytes: ifupdown has no words for it.
    Command(Octets),
}

fn asked(link: &Link, client: &str, draft: &mut Draft) -> Asked {
    let by_mac = link.mac.map(Octets::of_mac);
    match (client, client::identifier(link)) {
        // Asked by the MAC address alone, dhclient sends no identifier.
        ("dhclient", Identifier::Unknown | Identifier::Nothing) => Asked::Nameless,
        ("dhclient", Identifier::Duid(iaid, duid)) if Some(iaid) == link.mac.map(Mac::end) => {
            Asked::Duid(duid)
        }
        ("udhcpc", Identifier::Nothing) => Asked::Command(Octets::default()),
        ("udhcpc", Identifier::Unknown | Identifier::Mac) => Asked::Plain,
        ("dhcpcd", Identifier::Unknown | Identifier::Nothing) => {
            if link.dhcp_client.identifier.is_some() {
                client::cannot(link, "dhcpcd", draft);
            }
            Asked::Command(by_mac.unwrap_or_default())
        }
        (_, id) => {
            let id = match id {
                Identifier::Duid(iaid, duid) => Octets::of_duid(iaid, &duid),
                Identifier::Other(id) => id,
                _ => by_mac.unwrap_or_default(),
            };
            Asked::Command(id)
        }
    }
}

/// dhclient with settings of its own, which begin with those of the payload.
fn own_dhclient(
    link: &LinkView<'_>,
    name: &str,
    id: &Octets,
    stanza: &mut Stanza,
    draft: &mut Draft,
) {
    let settings = format!("/etc/dhcp/reroot-{name}.conf");
    let metric = link.link.dhcp_metric;
    let metric = metric.map_or(String::new(), |m| format!(" -e IF_METRIC={m}"));
    let files = format!(
        "-cf {settings} -pf /run/dhclient.{name}.pid -lf /var/lib/dhcp/dhclient.{name}.leases {name}"
    );
    stanza.say(format!("up dhclient -4 -v{metric} {files}"));
    stanza.say(format!("down dhclient -4 -v -r {files}"));
    draft.file(
        settings,
        0o644,
        format!(
            "{HEADER}include \"/etc/dhcp/dhclient.conf\";\ninterface \"{name}\" {{\n    send \
             dhcp-client-identifier {id};\n}}\n"
        ),
    );
}

/// dhcpcd for IPv4 alone: left to itself it answers routers in the kernel's stead, gives the machine
/// other addresses of their prefixes, and asks for IPv6 by DHCP although the old OS did not.
fn own_dhcpcd(link: &LinkView<'_>, name: &str, id: &Octets, stanza: &mut Stanza) {
    let metric = link.link.dhcp_metric;
    let metric = metric.map_or(String::new(), |m| format!(" -m {m}"));
    stanza.say(format!("up dhcpcd -4{metric} -I {id} {name}"));
    stanza.say(format!("down dhcpcd -4 -k {name}"));
}

fn own_udhcpc(link: &LinkView<'_>, name: &str, id: &Octets, stanza: &mut Stanza) {
    let own = if id.0.is_empty() {
        "-C".to_owned()
    } else {
        format!("-x 0x3d:{}", id.hex())
    };
    let metric = link.link.dhcp_metric;
    let metric = metric.map_or(String::new(), |m| format!("IF_METRIC={m} "));
    let pid = format!("/run/udhcpc.{name}.pid");
    stanza.say(format!("up {metric}udhcpc -n -p {pid} -i {name} {own}"));
    stanza.say(format!("down [ ! -e {pid} ] || kill $(cat {pid})"));
}

/// dhclient's DUID for IPv6, among its leases.
fn dhclient6(link: &Link, name: &str, draft: &mut Draft) {
    let Some(duid) = &link.dhcp_client.duid else {
        return;
    };
    let leases = format!("/var/lib/dhcp/dhclient6.{name}.leases");
    draft.file(leases, 0o644, client::dhclient_leases(duid));
    let iaid = link.dhcp_client.iaid;
    if iaid.is_some() && iaid != link.mac.map(Mac::end) {
        draft.note(format!(
            "{name}: dhclient takes the end of the MAC address for its IAID: a server of DHCPv6 \
             that goes by the IAID gives another address"
        ));
    }
}

/// Keeps clients of DHCP from writing over name servers that are all static.
fn keep_resolv_conf(view: &View<'_>, draft: &mut Draft) {
    let asks = view.links.iter().any(|link| link.link.dhcp4.is_some());
    let has_static = view.links.iter().any(|link| !link.servers.is_empty());
    if !asks || !has_static || view.stack.resolver != Resolver::File {
        return;
    }
    match CLIENTS.into_iter().find(|client| view.has(client)) {
        Some("dhclient") => draft.file(
            "/etc/dhcp/dhclient-enter-hooks.d/reroot",
            0o644,
            format!("{HEADER}make_resolv_conf() {{ :; }}\n"),
        ),
        Some("dhcpcd") => draft.file(
            "/etc/dhcpcd.enter-hook",
            0o644,
            format!("{HEADER}skip_hooks=\"$skip_hooks resolv.conf\"\n"),
        ),
        _ => draft.note("the client of DHCP may write over /etc/resolv.conf"),
    }
}
