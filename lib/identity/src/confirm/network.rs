//! Addresses, routes, rules, gateways and name servers.

use std::net::IpAddr;

use super::live::{Live, Probed};
use formats::confirm::{Code, Finding, Verdict};
use formats::network::{
    Address, Link, LinkKind, Mac, Network, Origin, Prefix, Route, RouteKind, Rule,
};
use formats::plan::NetworkPlan;

/// The table `main`.
const MAIN: u32 = 254;
/// The metric that the kernel gives IPv6 routes that ask for none.
const IPV6_METRIC: u32 = 1024;

pub(super) fn compare(plan: &NetworkPlan, live: &Live) -> Vec<Finding> {
    let mut findings = Vec::new();
    match &live.network {
        Err(e) => findings.push(Finding::short(
            Code::Link,
            "the network can be read",
            e.clone(),
        )),
        Ok(now) => {
            for link in &plan.network.links {
                addresses(plan, link, now, &mut findings);
            }
            routes(plan, now, &mut findings);
            rules(plan, now, &mut findings);
        }
    }
    for gateway in plan.gateways.iter().filter(|g| g.answers) {
        let probed = live
            .gateways
            .iter()
            .find(|a| a.address == gateway.address && a.link.as_ref() == Some(&gateway.link));
        findings.push(Finding::judge(
            Code::Gateway,
            format!("{} on {} answers", gateway.address, gateway.link),
            match probed.map(|a| &a.answers) {
                Some(Ok(true)) => None,
                Some(Ok(false)) => Some("no answer".to_owned()),
                Some(Err(e)) => Some(e.clone()),
                None => Some("it was not asked".to_owned()),
            },
        ));
    }
    findings.extend(dns(plan, live));
    findings
}

/// The link of the new OS that was `old` in the old one: the hardware by its own address, other
/// links by their name.
pub fn link_now<'a>(plan: &NetworkPlan, now: &'a Network, old: &str) -> Option<&'a Link> {
    let name = match plan.written.renamed.iter().find(|r| r.old == old) {
        Some(renamed) => renamed.new.as_deref(),
        None => Some(old),
    };
    let by_name = || now.links.iter().find(|l| Some(l.name.as_str()) == name);
    let before = plan.network.links.iter().find(|l| l.name == old);
    let Some(mac) = before.and_then(hardware) else {
        return by_name();
    };
    let same: Vec<&Link> = now
        .links
        .iter()
        .filter(|l| hardware(l) == Some(mac))
        .collect();
    match same[..] {
        // What the hardware's address is, not every driver tells, and one that was given by hand
        // is only there once the configuration has been applied.
        [] => by_name().filter(|l| {
            l.permanent_mac.is_none() || before.is_some_and(|b| b.permanent_mac.is_none())
        }),
        [only] => Some(only),
        _ => same.into_iter().find(|l| Some(l.name.as_str()) == name),
    }
}

/// The address that hardware is known by.
fn hardware(link: &Link) -> Option<Mac> {
    link.permanent_mac
        .or(link.mac)
        .filter(|_| link.kind == LinkKind::Physical)
}

fn addresses(plan: &NetworkPlan, before: &Link, now: &Network, findings: &mut Vec<Finding>) {
    let wanted: Vec<&Address> = before
        .addresses
        .iter()
        .filter(|a| a.origin == Origin::Static || is_leased(a))
        .collect();
    if wanted.is_empty() {
        return;
    }
    let Some(link) = link_now(plan, now, &before.name) else {
        let names: Vec<&str> = now.links.iter().map(|l| l.name.as_str()).collect();
        findings.push(Finding::short(
            Code::Link,
            format!("{} is there", before.name),
            format!("no such link among {}", list(&names)),
        ));
        return;
    };
    let place = if link.name == before.name {
        link.name.clone()
    } else {
        format!("{} (was {})", link.name, before.name)
    };
    for address in wanted {
        let finding = if address.origin == Origin::Static {
            fixed(address, link, now, &place)
        } else {
            leased(address, before, link, &place)
        };
        findings.push(if before.carrier || link.carrier {
            finding
        } else {
            without_cable(finding)
        });
    }
}

/// Without a cable, as it was before, nothing that is not there falls short: some systems set
/// addresses and routes up only once there is one.
fn without_cable(finding: Finding) -> Finding {
    match finding.found {
        Some(found) if finding.verdict == Verdict::Short => Finding::note(
            finding.code,
            finding.question,
            format!("{found}; it has no cable, and had none"),
        ),
        found => Finding { found, ..finding },
    }
}

/// A DHCP server or a router gave it, and would give it again.
fn is_leased(address: &Address) -> bool {
    matches!(address.origin, Origin::Dhcp | Origin::Router)
        && !address.temporary
        && is_global(address)
}

/// It is seen beyond the link: RFC 3927 and RFC 4291 addresses are not.
fn is_global(address: &Address) -> bool {
    match address.ip {
        IpAddr::V4(ip) => !ip.is_link_local(),
        IpAddr::V6(ip) => !ip.is_unicast_link_local(),
    }
}

fn fixed(address: &Address, link: &Link, now: &Network, place: &str) -> Finding {
    let question = format!("{}/{} on {place}", address.ip, address.prefix);
    let here = link.addresses.iter().find(|a| a.ip == address.ip);
    let lack = match here {
        Some(a) if a.prefix != address.prefix => Some(format!("prefix /{}", a.prefix)),
        Some(a) if address.peer.is_some() && a.peer != address.peer => Some(format!(
            "the other end is {}",
            a.peer.map_or("nobody".to_owned(), |p| p.to_string())
        )),
        Some(_) => None,
        None => Some(
            match now
                .links
                .iter()
                .find(|l| l.addresses.iter().any(|a| a.ip == address.ip))
            {
                Some(other) => format!("it is on {}", other.name),
                None => "it is nowhere".to_owned(),
            },
        ),
    };
    Finding::judge(Code::Address, question, lack)
}

fn leased(address: &Address, before: &Link, link: &Link, place: &str) -> Finding {
    let (giver, question) = if address.origin == Origin::Dhcp {
        ("DHCP", format!("{} on {place} by DHCP", address.ip))
    } else {
        (
            "the router",
            format!("{} on {place} by a router", address.ip),
        )
    };
    if link.addresses.iter().any(|a| a.ip == address.ip) {
        return Finding::pass(Code::Lease, question);
    }
    let others: Vec<String> = link
        .addresses
        .iter()
        .filter(|a| a.ip.is_ipv4() == address.ip.is_ipv4() && is_global(a) && !a.temporary)
        .filter(|a| !before.addresses.iter().any(|b| b.ip == a.ip))
        .map(|a| a.ip.to_string())
        .collect();
    let found = if others.is_empty() {
        format!("{giver} gave no address, it was {}", address.ip)
    } else {
        format!("{giver} gave {}, it was {}", list(&others), address.ip)
    };
    Finding::short(Code::Lease, question, found)
}

fn routes(plan: &NetworkPlan, now: &Network, findings: &mut Vec<Finding>) {
    let planned = &plan.network.routes;
    for route in planned.iter().filter(|r| r.origin == Origin::Static) {
        let finding = fixed_route(plan, route, now);
        findings.push(if idle(plan, route, now) {
            without_cable(finding)
        } else {
            finding
        });
    }
    // A default route that DHCP or a router brings is asked for by its being there.
    for ipv4 in [true, false] {
        let defaults: Vec<&Route> = planned
            .iter()
            .filter(|r| is_default(r) && r.destination.ip.is_ipv4() == ipv4)
            .collect();
        if defaults.is_empty() || defaults.iter().any(|r| r.origin == Origin::Static) {
            continue;
        }
        let there = now
            .routes
            .iter()
            .any(|r| is_default(r) && r.destination.ip.is_ipv4() == ipv4);
        let family = if ipv4 { "IPv4" } else { "IPv6" };
        findings.push(Finding::judge(
            Code::Route,
            format!("a default route of {family}"),
            (!there).then(|| "there is none".to_owned()),
        ));
    }
}

/// Its link has no cable now and had none in the old OS.
fn idle(plan: &NetworkPlan, route: &Route, now: &Network) -> bool {
    let Some(old) = route.link.as_deref() else {
        return false;
    };
    let before = plan.network.links.iter().find(|l| l.name == old);
    let here = link_now(plan, now, old);
    before.is_some_and(|l| !l.carrier) && here.is_some_and(|l| !l.carrier)
}

fn is_default(route: &Route) -> bool {
    route.destination.is_default() && route.table == MAIN && route.kind == RouteKind::Unicast
}

fn fixed_route(plan: &NetworkPlan, wanted: &Route, now: &Network) -> Finding {
    // The kernel puts IPv6 routes that drop packets on the loopback.
    let old = wanted.link.as_deref();
    let old = old.filter(|_| wanted.kind == RouteKind::Unicast);
    let link = old.map(|old| match link_now(plan, now, old) {
        Some(link) => Some(link.name.clone()),
        // The loopback is none of the plan's links, and is called the same everywhere.
        None if !plan.network.links.iter().any(|l| l.name == old) => Some(old.to_owned()),
        None => None,
    });
    let question = route_text(wanted, link.clone().flatten().as_deref());
    if link == Some(None) {
        let old = old.unwrap_or_default();
        return Finding::short(Code::Route, question, format!("there is no link {old}"));
    }
    let link = link.flatten();
    let near: Vec<&Route> = now
        .routes
        .iter()
        .filter(|r| {
            same_network(r.destination, wanted.destination)
                && r.table == wanted.table
                && r.kind == wanted.kind
        })
        .collect();
    let fits = |r: &&Route| {
        r.gateway == wanted.gateway
            && (link.is_none() || r.link == link)
            && (!asks_metric(wanted) || r.metric == wanted.metric)
            && (!wanted.onlink || r.onlink)
            && (wanted.source.is_none() || r.source == wanted.source)
    };
    let lack = if near.iter().any(fits) {
        None
    } else if near.is_empty() {
        Some("there is none".to_owned())
    } else {
        let texts: Vec<String> = near
            .iter()
            .map(|r| route_text(r, r.link.as_deref()))
            .collect();
        Some(list(&texts))
    };
    Finding::judge(Code::Route, question, lack)
}

fn asks_metric(route: &Route) -> bool {
    match route.destination.ip {
        IpAddr::V4(_) => route.metric != 0,
        IpAddr::V6(_) => !matches!(route.metric, 0 | IPV6_METRIC),
    }
}

/// Whether two prefixes hold the same addresses; bits behind the prefix do not count.
fn same_network(a: Prefix, b: Prefix) -> bool {
    let masked = |p: Prefix| match p.ip {
        IpAddr::V4(ip) => {
            let host = 32u32.saturating_sub(p.bits.into());
            u128::from(u32::from(ip).checked_shr(host).unwrap_or(0))
        }
        IpAddr::V6(ip) => {
            let host = 128u32.saturating_sub(p.bits.into());
            u128::from(ip).checked_shr(host).unwrap_or(0)
        }
    };
    a.ip.is_ipv4() == b.ip.is_ipv4() && a.bits == b.bits && masked(a) == masked(b)
}

fn route_text(route: &Route, link: Option<&str>) -> String {
    let kind = match route.kind {
        RouteKind::Unicast => "",
        RouteKind::Blackhole => "blackhole ",
        RouteKind::Unreachable => "unreachable ",
        RouteKind::Prohibit => "prohibit ",
    };
    let destination = if route.destination.is_default() {
        "default".to_owned()
    } else {
        route.destination.to_string()
    };
    let metric = asks_metric(route).then_some(route.metric);
    let table = (route.table != MAIN).then_some(route.table);
    let parts = [
        said("via", route.gateway),
        said("on", link),
        said("metric", metric),
        said("from", route.source),
        said("in table", table),
        route.onlink.then(|| " onlink".to_owned()),
    ];
    let parts: String = parts.into_iter().flatten().collect();
    format!("{kind}{destination}{parts}")
}

/// A word and its value, with a space before each.
fn said(word: &str, value: Option<impl std::fmt::Display>) -> Option<String> {
    value.map(|value| format!(" {word} {value}"))
}

fn rules(plan: &NetworkPlan, now: &Network, findings: &mut Vec<Finding>) {
    let renamed = |old: &Option<String>| {
        let old = old.as_deref()?;
        Some(link_now(plan, now, old).map_or_else(|| old.to_owned(), |l| l.name.clone()))
    };
    for rule in &plan.network.rules {
        let wanted = Rule {
            iif: renamed(&rule.iif),
            oif: renamed(&rule.oif),
            ..rule.clone()
        };
        let there = now.rules.iter().any(|r| {
            Rule {
                from: wanted.from,
                to: wanted.to,
                ..r.clone()
            } == wanted
                && same_selector(r.from, wanted.from)
                && same_selector(r.to, wanted.to)
        });
        findings.push(Finding::judge(
            Code::Rule,
            rule_text(&wanted),
            (!there).then(|| "there is no such rule".to_owned()),
        ));
    }
}

fn same_selector(a: Option<Prefix>, b: Option<Prefix>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => same_network(a, b),
        (None, None) => true,
        _ => false,
    }
}

fn rule_text(rule: &Rule) -> String {
    let mark = rule.fwmark;
    let parts = [
        said("from", rule.from),
        said("to", rule.to),
        said("iif", rule.iif.as_ref()),
        said("oif", rule.oif.as_ref()),
        said(
            "fwmark",
            mark.map(|(mark, mask)| format!("{mark:#x}/{mask:#x}")),
        ),
        said("lookup", Some(rule.table)),
    ];
    let parts: String = parts.into_iter().flatten().collect();
    let family = if rule.ipv6 { "IPv6 " } else { "" };
    format!("{family}rule {}:{parts}", rule.priority)
}

/// Names can be looked up where somebody is there to answer. Whether a server answered in the old
/// OS nobody knows, so none that does is no fault of the new one's.
fn dns(plan: &NetworkPlan, live: &Live) -> Option<Finding> {
    if plan.network.dns.servers.is_empty() {
        return None;
    }
    let question = "names can be looked up";
    let answers = |probed: &[Probed]| probed.iter().any(|a| a.answers == Ok(true));
    let addresses = |probed: &[Probed]| {
        let all: Vec<String> = probed.iter().map(|a| a.address.to_string()).collect();
        list(&all)
    };
    Some(if answers(&live.resolver) {
        Finding::pass(Code::Dns, question)
    } else if !answers(&live.servers) {
        let servers = addresses(&live.servers);
        Finding::unknown(Code::Dns, question, format!("no server answers: {servers}"))
    } else if live.resolver.is_empty() {
        Finding::short(Code::Dns, question, "/etc/resolv.conf names no server")
    } else {
        let found = format!(
            "{} of /etc/resolv.conf does not answer, while a server of the plan does",
            addresses(&live.resolver)
        );
        Finding::short(Code::Dns, question, found)
    })
}

/// Values with commas, or a word for none.
fn list<T: AsRef<str>>(values: &[T]) -> String {
    if values.is_empty() {
        return "none".to_owned();
    }
    let values: Vec<&str> = values.iter().map(AsRef::as_ref).collect();
    values.join(", ")
}
