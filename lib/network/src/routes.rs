//! Routes and policy rules, from what the kernel sent.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use formats::network::{Address, Link, Origin, Prefix, Route, RouteKind, Rule};

use super::links::{of_kind, AF_INET, AF_INET6};
use super::wire::{u16_at, u32_at, u8_at, Attributes, Message};
use super::NetworkError;

/// Messages, linux/rtnetlink.h.
pub const RTM_NEWROUTE: u16 = 24;
pub const RTM_NEWRULE: u16 = 32;
/// `struct rtmsg`, and `struct fib_rule_hdr`, which has the same size.
pub const RTMSG: usize = 12;
/// `struct rtnexthop`.
const RTNEXTHOP: usize = 8;

/// Attributes of a route, linux/rtnetlink.h.
pub const RTA_DST: u16 = 1;
pub const RTA_OIF: u16 = 4;
pub const RTA_GATEWAY: u16 = 5;
pub const RTA_PRIORITY: u16 = 6;
pub const RTA_PREFSRC: u16 = 7;
pub const RTA_METRICS: u16 = 8;
const RTA_MULTIPATH: u16 = 9;
const RTA_CACHEINFO: u16 = 12;
pub const RTA_TABLE: u16 = 15;
const RTA_VIA: u16 = 18;
const RTA_ENCAP: u16 = 22;
pub const RTAX_MTU: u16 = 2;
const RTAX_ADVMSS: u16 = 8;
const RTAX_HOPLIMIT: u16 = 10;
pub const RTNH_F_ONLINK: u32 = 4;
const RTM_F_CLONED: u32 = 0x200;
const TABLE_LOCAL: u32 = 255;
const TABLE_MAIN: u32 = 254;
const TABLE_DEFAULT: u32 = 253;
const PROTOCOL_REDIRECT: u8 = 1;
const PROTOCOL_KERNEL: u8 = 2;
const PROTOCOL_RA: u8 = 9;
const PROTOCOL_DHCP: u8 = 16;
/// `rtm_type`: what the model has a word for.
pub const ROUTE_KINDS: [(u8, RouteKind); 4] = [
    (1, RouteKind::Unicast),
    (6, RouteKind::Blackhole),
    (7, RouteKind::Unreachable),
    (8, RouteKind::Prohibit),
];
/// `rtm_type` of what the kernel keeps for its own: local, broadcast, anycast, multicast.
const OF_KERNEL: [u8; 4] = [2, 3, 4, 5];

/// Attributes of a rule, `linux/fib_rules.h`.
pub const FRA_DST: u16 = 1;
pub const FRA_SRC: u16 = 2;
pub const FRA_IIFNAME: u16 = 3;
pub const FRA_PRIORITY: u16 = 6;
pub const FRA_FWMARK: u16 = 10;
pub const FRA_TABLE: u16 = 15;
pub const FRA_FWMASK: u16 = 16;
pub const FRA_OIFNAME: u16 = 17;
const FRA_PAD: u16 = 18;
const FRA_PROTOCOL: u16 = 21;
/// What the model can say, and what means nothing.
const RULE_SAID: [u16; 10] = [
    FRA_DST,
    FRA_SRC,
    FRA_IIFNAME,
    FRA_PRIORITY,
    FRA_FWMARK,
    FRA_TABLE,
    FRA_FWMASK,
    FRA_OIFNAME,
    FRA_PAD,
    FRA_PROTOCOL,
];
/// These two are -1 where they are not set, and some kernels send them always; 0 means something.
const FRA_SUPPRESS_IFGROUP: u16 = 13;
const FRA_SUPPRESS_PREFIXLEN: u16 = 14;
/// Root's is all zeros.
const FRA_UID_RANGE: u16 = 20;
pub const FR_ACT_TO_TBL: u8 = 1;
const FIB_RULE_INVERT: u32 = 2;
/// The kernel's own rules: priority and table.
const RULES_OF_KERNEL: [(u32, u32); 3] = [
    (0, TABLE_LOCAL),
    (32766, TABLE_MAIN),
    (32767, TABLE_DEFAULT),
];

fn family_of(family: u8) -> Option<IpAddr> {
    match family {
        AF_INET => Some(Ipv4Addr::UNSPECIFIED.into()),
        AF_INET6 => Some(Ipv6Addr::UNSPECIFIED.into()),
        _ => None,
    }
}

/// The routes of one family. A kernel without that family sends the other's: `family` is looked
/// at.
pub fn routes(
    family: u8,
    messages: &[Message],
    names: &BTreeMap<u32, String>,
    links: &[Link],
    unsaid: &mut Vec<String>,
) -> Result<Vec<Route>, NetworkError> {
    let mut found = Vec::new();
    for message in of_kind(messages, RTM_NEWROUTE) {
        let body = message.body;
        let attributes = Attributes::behind("routes", body, RTMSG)?;
        if u8_at(body, 0) == family {
            found.extend(route(body, &attributes, names, links, unsaid));
        }
    }
    Ok(found)
}

fn route(
    body: &[u8],
    attributes: &Attributes,
    names: &BTreeMap<u32, String>,
    links: &[Link],
    unsaid: &mut Vec<String>,
) -> Vec<Route> {
    let Some(zero) = family_of(u8_at(body, 0)) else {
        return Vec::new();
    };
    let table = attributes
        .number(RTA_TABLE)
        .unwrap_or_else(|| u8_at(body, 4).into());
    let (protocol, scope, kind) = (u8_at(body, 5), u8_at(body, 6), u8_at(body, 7));
    let flags = u32_at(body, 8);
    let destination = Prefix {
        ip: attributes.ip(RTA_DST).unwrap_or(zero),
        bits: u8_at(body, 1).min(if zero.is_ipv4() { 32 } else { 128 }),
    };
    let metric = attributes.number(RTA_PRIORITY).unwrap_or(0);
    let link_of = |index: Option<u32>| index.and_then(|index| names.get(&index).cloned());
    let link = link_of(attributes.number(RTA_OIF));
    let words = format!("route {destination} of table {table}");
    // Cached ones, and those that a redirect made, come and go by themselves.
    if flags & RTM_F_CLONED != 0 || protocol == PROTOCOL_REDIRECT {
        return Vec::new();
    }
    // IPv6 lists the loopback's own route in the main table.
    if protocol == PROTOCOL_KERNEL && destination.ip.is_loopback() {
        return Vec::new();
    }
    if table == TABLE_LOCAL || OF_KERNEL.contains(&kind) {
        // IPv6 on old kernels names nobody (0) or boot (3) as the maker of its own.
        let own = protocol == PROTOCOL_KERNEL || zero.is_ipv6() && matches!(protocol, 0 | 3);
        if !own {
            unsaid.push(format!("{words}: it is of the kind that the kernel makes"));
        }
        return Vec::new();
    }
    let Some((_, kind)) = ROUTE_KINDS.iter().find(|(number, _)| *number == kind) else {
        unsaid.push(format!("{words}: its kind {kind}"));
        return Vec::new();
    };
    let kind = *kind;
    // The kernel's last word of IPv6, in no table or with the greatest metric.
    if zero.is_ipv6() && kind != RouteKind::Unicast && (table == 0 || metric == u32::MAX) {
        return Vec::new();
    }
    let gateway = attributes.ip(RTA_GATEWAY).filter(|ip| !ip.is_unspecified());
    let expires = attributes
        .bytes(RTA_CACHEINFO)
        .map_or(0, |info| u32_at(info, 8));
    let origin = match protocol {
        PROTOCOL_DHCP => Origin::Dhcp,
        PROTOCOL_RA => Origin::Router,
        // Kernels before 4.20 call what they learn from advertisements their own.
        PROTOCOL_KERNEL if zero.is_ipv6() && (gateway.is_some() || expires != 0) => Origin::Router,
        PROTOCOL_KERNEL => Origin::Kernel,
        _ => Origin::Static,
    };
    let metrics = attributes.nested(RTA_METRICS);
    let mut mtu = metrics.number(RTAX_MTU).filter(|mtu| *mtu != 0);
    if zero.is_ipv6() && metrics.bytes(RTAX_ADVMSS).is_some() {
        // Kernels before 3.6 send the link's numbers with every route.
        let of_link = links.iter().find(|l| Some(&l.name) == link.as_ref());
        mtu = mtu.filter(|mtu| of_link.is_none_or(|l| l.mtu != *mtu));
    }
    let mut route = Route {
        destination,
        kind,
        gateway,
        link: link.filter(|_| kind == RouteKind::Unicast),
        source: attributes.ip(RTA_PREFSRC),
        metric,
        table,
        onlink: flags & RTNH_F_ONLINK != 0,
        scope,
        mtu,
        protocol,
        origin,
    };
    if is_derived(&route, links) {
        return Vec::new();
    }
    if origin == Origin::Router {
        // Several routers are one route with several next hops.
        if let Some(hops) = attributes.bytes(RTA_MULTIPATH) {
            return next_hops(hops)
                .map(|(index, gateway)| Route {
                    gateway,
                    link: link_of(Some(index)),
                    ..route.clone()
                })
                .collect();
        }
    } else if let Some(why) = beyond(body, attributes, &metrics, zero.is_ipv6()) {
        unsaid.push(format!("{words}: {why}"));
        return Vec::new();
    }
    if route.kind == RouteKind::Unicast && route.link.is_none() {
        unsaid.push(format!("{words}: it has no link"));
        return Vec::new();
    }
    if route.kind != RouteKind::Unicast {
        route.gateway = None;
    }
    vec![route]
}

/// What the model has no words for.
fn beyond(
    body: &[u8],
    attributes: &Attributes,
    metrics: &Attributes,
    ipv6: bool,
) -> Option<String> {
    for (attribute, words) in [
        (RTA_MULTIPATH, "several next hops"),
        (RTA_VIA, "a next hop of another family"),
        (RTA_ENCAP, "packets are wrapped"),
    ] {
        if attributes.bytes(attribute).is_some() {
            return Some(words.to_owned());
        }
    }
    if u8_at(body, 2) != 0 {
        return Some("it depends on where a packet is from".to_owned());
    }
    if u8_at(body, 3) != 0 {
        return Some("it depends on the type of service".to_owned());
    }
    let said = |kind: u16| kind == RTAX_MTU || ipv6 && matches!(kind, RTAX_ADVMSS | RTAX_HOPLIMIT);
    metrics
        .iter()
        .find(|(kind, value)| !said(*kind) && value.iter().any(|b| *b != 0))
        .map(|(kind, _)| format!("its metric number {kind}"))
}

/// Index of the link and gateway of each next hop.
fn next_hops(mut bytes: &[u8]) -> impl Iterator<Item = (u32, Option<IpAddr>)> + '_ {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0));
        let hop = bytes.get(..length).filter(|_| length >= RTNEXTHOP)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        let attributes = Attributes::behind("next hops", hop, RTNEXTHOP).ok()?;
        Some((u32_at(hop, 4), attributes.ip(RTA_GATEWAY)))
    })
}

/// The kernel makes it by itself where the addresses are.
fn is_derived(route: &Route, links: &[Link]) -> bool {
    let Some(link) = links.iter().find(|l| Some(&l.name) == route.link.as_ref()) else {
        return false;
    };
    if route.gateway.is_some() {
        return false;
    }
    if let IpAddr::V6(ip) = route.destination.ip {
        let own_prefix = ip.is_unicast_link_local() && route.destination.bits == 64;
        if own_prefix || ip.is_multicast() && route.destination.bits == 8 {
            return true;
        }
    }
    let plain_metric = if route.destination.ip.is_ipv4() {
        0
    } else {
        256
    };
    let of_address = |a: &Address| {
        let far = a.peer.unwrap_or(a.ip);
        let bits = route.destination.bits;
        !a.no_prefix_route
            && (a.prefix == bits && network(far, bits) == network(route.destination.ip, bits)
                // The own end of a point-to-point address of IPv6.
                || a.ip == route.destination.ip && bits == 128)
    };
    route.protocol == PROTOCOL_KERNEL
        && route.table == TABLE_MAIN
        && route.metric == plain_metric
        && link.addresses.iter().any(of_address)
}

/// The address with all bits behind the prefix cleared.
fn network(ip: IpAddr, bits: u8) -> IpAddr {
    let cleared = |width: u32| u128::MAX.checked_shl(width - u32::from(bits)).unwrap_or(0);
    match ip {
        IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() & cleared(32) as u32).into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & cleared(128)).into(),
    }
}

/// The policy rules of one family.
pub fn rules(
    family: u8,
    messages: &[Message],
    unsaid: &mut Vec<String>,
) -> Result<Vec<Rule>, NetworkError> {
    let mut found = Vec::new();
    for message in of_kind(messages, RTM_NEWRULE) {
        let body = message.body;
        let attributes = Attributes::behind("rules", body, RTMSG)?;
        let Some(zero) = family_of(u8_at(body, 0)).filter(|_| u8_at(body, 0) == family) else {
            continue;
        };
        let prefix = |kind: u16, bits: u8| {
            let ip = attributes.ip(kind).or((bits != 0).then_some(zero))?;
            let most = if zero.is_ipv4() { 32 } else { 128 };
            let bits = bits.min(most);
            Some(Prefix { ip, bits })
        };
        let fwmark = (attributes.number(FRA_FWMARK), attributes.number(FRA_FWMASK));
        let rule = Rule {
            ipv6: family == AF_INET6,
            priority: attributes.number(FRA_PRIORITY).unwrap_or(0),
            from: prefix(FRA_SRC, u8_at(body, 2)),
            to: prefix(FRA_DST, u8_at(body, 1)),
            iif: attributes.text(FRA_IIFNAME),
            oif: attributes.text(FRA_OIFNAME),
            fwmark: match fwmark {
                (None | Some(0), None | Some(0)) => None,
                (mark, under) => Some((mark.unwrap_or(0), under.unwrap_or(u32::MAX))),
            },
            table: attributes
                .number(FRA_TABLE)
                .unwrap_or_else(|| u8_at(body, 4).into()),
        };
        let (tos, action, flags) = (u8_at(body, 3), u8_at(body, 7), u32_at(body, 8));
        let odd = attributes.iter().find(|(kind, value)| {
            let unset = match *kind {
                FRA_SUPPRESS_IFGROUP | FRA_SUPPRESS_PREFIXLEN => value.iter().all(|b| *b == 0xff),
                FRA_UID_RANGE => false,
                _ => value.iter().all(|b| *b == 0),
            };
            !RULE_SAID.contains(kind) && !unset
        });
        let why = match odd {
            Some((kind, _)) => Some(format!("its attribute number {kind}")),
            None if action != FR_ACT_TO_TBL => Some(format!("its action number {action}")),
            None if tos != 0 => Some("it depends on the type of service".to_owned()),
            None if flags & FIB_RULE_INVERT != 0 => Some("it is a `not`".to_owned()),
            None => None,
        };
        if let Some(why) = why {
            let family = if rule.ipv6 { "IPv6" } else { "IPv4" };
            unsaid.push(format!(
                "{family} rule of priority {}: {why}",
                rule.priority
            ));
        } else if !is_of_kernel(&rule) {
            found.push(rule);
        }
    }
    Ok(found)
}

fn is_of_kernel(rule: &Rule) -> bool {
    let plain = Rule {
        ipv6: rule.ipv6,
        priority: rule.priority,
        from: None,
        to: None,
        iif: None,
        oif: None,
        fwmark: None,
        table: rule.table,
    };
    *rule == plain && RULES_OF_KERNEL.contains(&(rule.priority, rule.table))
}
