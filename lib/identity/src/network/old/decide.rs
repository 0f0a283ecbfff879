//! Where addresses, routes and name servers come from. The rules are in docs of each function;
//! what they have in common: an address that somebody configured must never become one that is
//! asked for, so DHCP needs proof and static does not.

use std::net::IpAddr;

use super::dhcp_client;
use super::evidence::Evidence;
use super::hint::{Hint, Tool};
use super::leases::Lease;
use super::name_servers;
use formats::network::{Address, Link, Mac, Network, Origin, Route, RouteKind};
use formats::tuning::Tuning;

/// `RTPROT_*` of routes that tell by themselves where they come from.
const RTPROT_KERNEL: u8 = 2;
const RTPROT_RA: u8 = 9;
const RTPROT_DHCP: u8 = 16;

/// Decides for every link, address, route and name server where it comes from, and says why.
/// Families are decided each for itself.
pub fn decide(network: &mut Network, evidence: &Evidence) {
    let routes = std::mem::take(&mut network.routes);
    for link in &mut network.links {
        decide_link(link, &routes, evidence);
    }
    network.routes = routes;
    for link in &network.links {
        let said = dhcp_client::delegation(link, evidence);
        network.unsaid.extend(said.map(|file| {
            format!(
                "link {}: a prefix that DHCPv6 delegates, to be handed on ({file})",
                link.name
            )
        }));
    }
    for route in &mut network.routes {
        let link = network
            .links
            .iter()
            .find(|l| Some(&l.name) == route.link.as_ref());
        if let Some(link) = link {
            route.origin = route_origin(route, link, evidence);
        } else if route.protocol != RTPROT_KERNEL {
            route.origin = Origin::Static;
        }
    }
    for link in &mut network.links {
        link.dhcp_metric = dhcp_metric(link, &network.routes, evidence);
    }
    network.dns = name_servers::decide(network, evidence);
    network.tuning = tuning(network, evidence);
}

/// Whether the stanza is of a link that is there, and in use. The loopback, which is no link here, always is.
fn is_called(hint: &Hint, network: &Network) -> bool {
    let used = |link: &Link| hint.matches(link) && hint.in_use(link);
    hint.name.as_deref() == Some("lo") || network.links.iter().any(used)
}

fn is_set(tuning: &Tuning, by: &[Tuning]) -> bool {
    by.iter()
        .any(|t| t.link == tuning.link && t.set == tuning.set)
}

/// What commands set that are called.
fn tuning(network: &Network, evidence: &Evidence) -> Vec<Tuning> {
    let mut found: Vec<Tuning> = Vec::new();
    let called = evidence.hints.iter().filter(|h| is_called(h, network));
    for tuning in called.flat_map(|hint| &hint.tuning) {
        // A stanza of each family may say the same.
        if !is_set(tuning, &found) {
            found.push(tuning.clone());
        }
    }
    found
}

/// Commands that nothing calls now, one line each: they stay behind. `network` has been decided about.
pub fn not_called(network: &Network, evidence: &Evidence) -> Vec<String> {
    let all = evidence.hints.iter().flat_map(|hint| &hint.tuning);
    let idle = all.filter(|tuning| !is_set(tuning, &network.tuning));
    let line = |t: &Tuning| {
        format!(
            "{}: this command stays behind, for the stanza is not in use",
            t.by
        )
    };
    let mut found: Vec<String> = idle.map(line).collect();
    found.dedup();
    found
}

/// What files give to links that have no cable, and that the kernel does not have: some systems set
/// addresses up only once there is one. They are told, for nothing of them comes along.
pub fn unplugged(network: &Network, evidence: &Evidence) -> Vec<String> {
    let idle = network.links.iter().filter(|l| l.up && !l.carrier);
    idle.flat_map(|link| {
        let hints = evidence.hints_for(link).into_iter();
        let given = hints.filter(|h| in_force(h, evidence)).flat_map(|h| {
            let missing = h.addresses.iter();
            let missing = missing.filter(|a| !link.addresses.iter().any(|l| l.ip == a.ip));
            missing.map(move |a| {
                format!(
                    "{}: {a} of {}, which has no cable and so not this address: plug it in and \
                     make the plan again, or configure it in the new OS",
                    h.file, link.name
                )
            })
        });
        given.collect::<Vec<_>>()
    })
    .collect()
}

/// What is known about a link before its addresses are looked at.
struct About<'a> {
    hints: Vec<&'a Hint>,
    leases: Vec<&'a Lease>,
    /// The file that says DHCP for IPv4, and the one for IPv6.
    says: [Option<&'a Hint>; 2],
    /// A sign that router advertisements are listened to.
    router: Option<String>,
}

fn decide_link(link: &mut Link, routes: &[Route], evidence: &Evidence) {
    let hints = evidence.hints_for(link);
    link.configured = evidence.names(link);
    let about = About {
        router: router_sign(link, routes, &hints),
        leases: evidence.leases_for(&link.name).collect(),
        says: [|h: &Hint| h.dhcp4, |h: &Hint| h.dhcp6].map(|of_family: fn(&Hint) -> _| {
            let mut hints = hints.iter().copied();
            hints.find(|h| of_family(h) == Some(true) && in_force(h, evidence))
        }),
        hints,
    };
    let decided: Vec<(Origin, String)> = link
        .addresses
        .iter()
        .map(|a| match a.ip {
            IpAddr::V4(_) => origin4(a, link, &about, evidence),
            IpAddr::V6(_) => origin6(a, link, &about, evidence),
        })
        .collect();
    for (address, (origin, why)) in link.addresses.iter_mut().zip(decided) {
        address.origin = origin;
        address.evidence = why;
    }
    settle_made(link);
    link.dhcp4 = dhcp(link, &about, evidence, false);
    link.dhcp6 = dhcp(link, &about, evidence, true);
    link.dhcp_client = dhcp_client::decide(link, evidence);
    link.dhcp_client.gives_mtu = evidence
        .leases_for(&link.name)
        .any(|l| l.mtu == Some(link.mtu) && l.addresses.iter().any(|ip| is_of_dhcp(link, *ip)));
    let advertised = link
        .addresses
        .iter()
        .find(|a| a.origin == Origin::Router)
        .map(|a| format!("{}: {}", a.ip, a.evidence));
    // What the reader of the kernel saw, such as accept_ra, is not taken back.
    link.router = advertised.or(about.router).or_else(|| link.router.take());
}

fn is_of_dhcp(link: &Link, ip: IpAddr) -> bool {
    let mut own = link.addresses.iter();
    own.any(|a| a.ip == ip && a.origin == Origin::Dhcp)
}

/// Addresses of routers' prefixes whose ends are not made from the MAC address (RFC 7217, tokens). How
/// an old OS made them no new one has to know: with one end, whatever the prefix, that is a token.
/// Where every prefix has its own, each is written as it is, beside what routers give.
fn settle_made(link: &mut Link) {
    let end = |a: &Address| match a.ip {
        IpAddr::V6(ip) if a.origin == Origin::Router && a.prefix == 64 && !a.temporary => {
            Some(u128::from(ip) as u64)
        }
        _ => None,
    };
    let by_mac: Vec<u64> = [link.mac, link.permanent_mac]
        .iter()
        .flatten()
        .map(|mac| eui64(*mac))
        .collect();
    let mut ends: Vec<u64> = link.addresses.iter().filter_map(end).collect();
    ends.sort_unstable();
    ends.dedup();
    if ends.iter().all(|e| by_mac.contains(e)) {
        return;
    }
    if let [only] = ends[..] {
        link.token = Some(u128::from(only).into());
        return;
    }
    for address in &mut link.addresses {
        if end(address).is_some_and(|e| !by_mac.contains(&e)) {
            address.origin = Origin::Static;
            address.evidence = format!(
                "{}; its end is not made from the MAC address, and no new system would make it",
                address.evidence
            );
        }
    }
}

/// The end that the kernel makes from a MAC address (RFC 4291, appendix A).
fn eui64(mac: Mac) -> u64 {
    let (maker, number) = mac.0.split_at(3);
    let bytes = maker.iter().chain(&[0xff, 0xfe]).chain(number);
    let end = bytes.fold(0, |end, byte| end << 8 | u64::from(*byte));
    end ^ 2 << 56
}

/// IPv4. A lifetime proves DHCP. An address that lives for ever is DHCP's only if no stanza gives
/// it to the link and either a lease names it, and its client runs or a file says DHCP; or a
/// client runs and a file says DHCP, there is no lease to ask, and the link has no other address.
fn origin4(address: &Address, link: &Link, about: &About, evidence: &Evidence) -> (Origin, String) {
    let name = &link.name;
    if let Some(seconds) = address.valid {
        let why = format!("the kernel drops it in {seconds} s, as only addresses from DHCP");
        return (Origin::Dhcp, why);
    }
    if address.scope == 253 && address.origin == Origin::Kernel {
        return (Origin::Kernel, kept(address, "it is link-local"));
    }
    let lease = about
        .leases
        .iter()
        .find(|l| l.addresses.contains(&address.ip));
    if let Some(hint) = gives(about, address.ip) {
        let but = lease.map_or_else(String::new, |l| {
            format!(", although the lease in {} names it too", l.file)
        });
        return (
            Origin::Static,
            format!("{} gives it to {name}{but}", hint.file),
        );
    }
    let says = about.says[0];
    if let Some(lease) = lease {
        let client = evidence.client_for(name, |client| wrote(client, lease.program));
        return match (client, says) {
            (Some(client), _) => (
                Origin::Dhcp,
                format!(
                    "{} runs for {name} and its lease in {} names it",
                    client.name, lease.file
                ),
            ),
            (None, Some(hint)) => (
                Origin::Dhcp,
                format!(
                    "{} says DHCP for {name} and the lease in {} names it",
                    hint.file, lease.file
                ),
            ),
            (None, None) => (
                Origin::Static,
                format!(
                    "it lives for ever; the lease in {} names it, but no DHCP client runs for \
                     {name} and no file says DHCP for it",
                    lease.file
                ),
            ),
        };
    }
    let leased = about
        .leases
        .iter()
        .any(|l| l.addresses.iter().any(IpAddr::is_ipv4));
    let alone = link.addresses.iter().filter(|a| a.ip.is_ipv4()).count() == 1;
    let client = evidence.client_for(name, |client| !keeps_leases(client));
    match (says, client) {
        (Some(hint), Some(client)) if !leased && alone => (
            Origin::Dhcp,
            format!(
                "{} says DHCP for {name} and {} runs",
                hint.file, client.name
            ),
        ),
        (Some(_), Some(_)) if !leased => (
            Origin::Static,
            format!("it lives for ever, and no lease tells which of {name}'s addresses is DHCP's"),
        ),
        _ if leased => (
            Origin::Static,
            format!("it lives for ever, and the lease of {name} does not name it"),
        ),
        (Some(hint), None) => (
            Origin::Static,
            format!(
                "it lives for ever; {} says DHCP, but no DHCP client runs",
                hint.file
            ),
        ),
        _ => (
            Origin::Static,
            "it lives for ever, and nothing says that DHCP gave it".to_owned(),
        ),
    }
}

/// IPv6. Link-local addresses are the kernel's unless a stanza gives them. Temporary ones and
/// those with a lifetime come from routers or, as single addresses or by a lease, from `DHCPv6`.
fn origin6(address: &Address, link: &Link, about: &About, evidence: &Evidence) -> (Origin, String) {
    let name = &link.name;
    if address.valid.is_none() {
        if let Some(hint) = gives(about, address.ip) {
            return (Origin::Static, format!("{} gives it to {name}", hint.file));
        }
    }
    if is_link_local(address.ip) {
        return if address.generated || address.origin == Origin::Kernel {
            (
                Origin::Kernel,
                kept(address, "the kernel makes it for every link"),
            )
        } else {
            let why = "it is link-local, but not made from the hardware's address";
            (address.origin, kept(address, why))
        };
    }
    if address.temporary {
        let why = "it is temporary, made from a router's advertisement";
        return (Origin::Router, why.to_owned());
    }
    let lease = about
        .leases
        .iter()
        .find(|l| l.addresses.contains(&address.ip));
    let says = about.says[1];
    let Some(seconds) = address.valid else {
        let client =
            lease.and_then(|l| evidence.client_for(name, |client| wrote(client, l.program)));
        return match (lease, client, says) {
            (Some(lease), Some(client), _) => (
                Origin::Dhcp,
                format!(
                    "{} runs for {name} and its lease in {} names it",
                    client.name, lease.file
                ),
            ),
            (Some(lease), None, Some(hint)) => (
                Origin::Dhcp,
                format!(
                    "{} says DHCPv6 for {name} and the lease in {} names it",
                    hint.file, lease.file
                ),
            ),
            _ if address.generated && about.router.is_some() => (
                Origin::Router,
                "it is made from the hardware's address, and routers are listened to".to_owned(),
            ),
            _ => (
                Origin::Static,
                "it lives for ever, and nothing says that a router or DHCP gave it".to_owned(),
            ),
        };
    };
    match lease {
        Some(lease) => (
            Origin::Dhcp,
            format!(
                "the kernel drops it in {seconds} s, and the lease in {} names it",
                lease.file
            ),
        ),
        None if address.generated => (
            Origin::Router,
            format!("the kernel made it from a router's prefix and drops it in {seconds} s"),
        ),
        None if address.prefix == 128 => (
            Origin::Dhcp,
            format!(
                "the kernel drops it in {seconds} s, and it is a single address, as DHCPv6 gives"
            ),
        ),
        None if says.is_some() && about.router.is_none() => (
            Origin::Dhcp,
            format!("the kernel drops it in {seconds} s, and DHCPv6 is configured"),
        ),
        None => (
            Origin::Router,
            format!("the kernel drops it in {seconds} s, as addresses from routers' prefixes"),
        ),
    }
}

/// The words that stand already, or these.
fn kept(address: &Address, otherwise: &str) -> String {
    if address.evidence.is_empty() {
        otherwise.to_owned()
    } else {
        address.evidence.clone()
    }
}

/// The file that gives this address to the link for good.
fn gives<'a>(about: &About<'a>, ip: IpAddr) -> Option<&'a Hint> {
    about
        .hints
        .iter()
        .find(|h| h.addresses.iter().any(|a| a.ip == ip))
        .copied()
}

pub(super) fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.segments()[0] & 0xffc0 == 0xfe80,
    }
}

/// Programs that write leases in another's name.
fn wrote(client: &str, program: &str) -> bool {
    client == program || program == "dhclient" && matches!(client, "dhclient3" | "dhclient-script")
}

/// Programs that always leave a lease or a lifetime: without one they brought nothing.
fn keeps_leases(client: &str) -> bool {
    matches!(client, "systemd-networkd" | "NetworkManager")
}

/// The program that acts on the file runs. ifupdown and its likes leave no program behind.
fn in_force(hint: &Hint, evidence: &Evidence) -> bool {
    let runs = |name: &str| evidence.clients.iter().any(|c| c.name == name);
    match hint.tool {
        Tool::Networkd => runs("systemd-networkd"),
        Tool::NetworkManager => runs("NetworkManager"),
        Tool::Netplan => runs("systemd-networkd") || runs("NetworkManager"),
        Tool::Ifupdown | Tool::Ifcfg => true,
    }
}

/// A sign that router advertisements are listened to on the link.
fn router_sign(link: &Link, routes: &[Route], hints: &[&Hint]) -> Option<String> {
    let name = &link.name;
    let advertised = routes
        .iter()
        .any(|r| r.link.as_ref() == Some(name) && r.destination.ip.is_ipv6() && by_router(r));
    if advertised {
        return Some(format!("{name} has a route that a router advertised"));
    }
    let lives = link.addresses.iter().find(|a| {
        a.ip.is_ipv6() && !is_link_local(a.ip) && (a.temporary || a.generated && a.valid.is_some())
    });
    if let Some(address) = lives {
        return Some(format!(
            "the kernel made {} from a router's prefix",
            address.ip
        ));
    }
    let says = hints.iter().find(|h| h.router == Some(true));
    says.map(|h| format!("{} says so for {name}", h.file))
}

/// Before Linux 3.17 or so default routes of routers are the kernel's own by number.
fn by_router(route: &Route) -> bool {
    route.protocol == RTPROT_RA
        || route.protocol == RTPROT_KERNEL
            && route.destination.is_default()
            && route
                .gateway
                .is_some_and(|g| g.is_ipv6() && is_link_local(g))
}

/// Words for DHCP on a link: an address of it, or a file and a client where there is none.
fn dhcp(link: &Link, about: &About, evidence: &Evidence, ipv6: bool) -> Option<String> {
    let name = &link.name;
    let mut addresses = link.addresses.iter().filter(|a| a.ip.is_ipv6() == ipv6);
    if let Some(address) = addresses.clone().find(|a| a.origin == Origin::Dhcp) {
        return Some(format!("{}: {}", address.ip, address.evidence));
    }
    let says = about.says[usize::from(ipv6)]?;
    let none = !addresses.any(|a| !is_link_local(a.ip));
    if none && link.up && link.master.is_none() {
        let family = if ipv6 { "DHCPv6" } else { "DHCP" };
        return Some(format!(
            "{} says {family} for {name}, which has no address now",
            says.file
        ));
    }
    let client = evidence
        .clients
        .iter()
        .find(|c| c.interface.as_deref() == Some(name));
    client.filter(|_| !ipv6).map(|client| {
        format!(
            "{} says DHCP for {name} and {} runs for it, although it cannot be told what it brought",
            says.file, client.name
        )
    })
}

/// A route's origin: by its protocol where that tells; DHCP's where the lease of a link with DHCP
/// names destination and gateway, or, without a lease, where its gateway lies beside an address
/// from DHCP and no file names it.
fn route_origin(route: &Route, link: &Link, evidence: &Evidence) -> Origin {
    let ipv6 = route.destination.ip.is_ipv6();
    if by_router(route) {
        return Origin::Router;
    }
    match route.protocol {
        RTPROT_DHCP => return Origin::Dhcp,
        RTPROT_KERNEL => return route.origin,
        _ => {}
    }
    let dhcp = if ipv6 { &link.dhcp6 } else { &link.dhcp4 };
    let of_dhcp = |a: &&Address| a.origin == Origin::Dhcp && a.ip.is_ipv6() == ipv6;
    if route.kind != RouteKind::Unicast
        || dhcp.is_none()
        || !link.addresses.iter().any(|a| of_dhcp(&a))
    {
        return Origin::Static;
    }
    let configured = evidence
        .hints_for(link)
        .iter()
        .any(|h| route.gateway.is_some_and(|g| h.gateways.contains(&g)));
    if configured {
        return Origin::Static;
    }
    let mut leases = evidence.leases_for(&link.name).filter(|l| {
        let current = link.addresses.iter().filter(of_dhcp);
        current.clone().any(|a| l.addresses.contains(&a.ip))
    });
    let Some(lease) = leases.next() else {
        let beside = |gateway: IpAddr| {
            let mut own = link.addresses.iter().filter(of_dhcp);
            own.any(|a| same_prefix(a.ip, gateway, a.prefix))
        };
        let near = route.destination.is_default() && route.gateway.is_some_and(beside);
        return if near { Origin::Dhcp } else { Origin::Static };
    };
    let named = match route.gateway {
        Some(gateway) if route.destination.is_default() => {
            lease.routers.contains(&gateway)
                || lease.routes.contains(&(route.destination, Some(gateway)))
        }
        Some(gateway) => lease
            .routes
            .iter()
            .any(|(to, via)| *to == route.destination && *via == Some(gateway)),
        // The way to a router outside the prefix.
        None => {
            let single = route.destination.bits == if ipv6 { 128 } else { 32 };
            let to = route.destination.ip;
            let router =
                lease.routers.contains(&to) || lease.routes.iter().any(|(_, via)| *via == Some(to));
            single && router
        }
    };
    if named {
        Origin::Dhcp
    } else {
        Origin::Static
    }
}

fn same_prefix(one: IpAddr, other: IpAddr, bits: u8) -> bool {
    let number = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => (u128::from(u32::from(ip)) << 96, 4),
        IpAddr::V6(ip) => (u128::from(ip), 6),
    };
    let ((a, family_a), (b, family_b)) = (number(one), number(other));
    let mask = u128::MAX
        .checked_shl(128 - u32::from(bits.min(128)))
        .unwrap_or(0);
    family_a == family_b && a & mask == b & mask
}

/// The metric of the default route by DHCP, as the kernel has it, or as a file asks for it.
fn dhcp_metric(link: &Link, routes: &[Route], evidence: &Evidence) -> Option<u32> {
    link.dhcp4.as_ref()?;
    let of_kernel = routes.iter().find(|r| {
        r.link.as_ref() == Some(&link.name)
            && r.origin == Origin::Dhcp
            && r.destination.is_default()
            && r.destination.ip.is_ipv4()
    });
    if let Some(route) = of_kernel {
        return (route.metric != 0).then_some(route.metric);
    }
    let hints = evidence.hints_for(link);
    hints.iter().find_map(|h| h.metric)
}
