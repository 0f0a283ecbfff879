//! The floor of rtnetlink: what of it Linux 3.2 knows, and that nothing more is sent to it.
//!
//! A kernel before 3.10 answers `EINVAL` to a request with one top-level attribute above the
//! maximum that it was built with, whatever the attribute says (`rtnetlink_rcv_msg`; later ones
//! pass over it), and takes the bit `NLA_F_NESTED` for a part of the number. Nested attributes that
//! it does not know it passes over in silence, and the options of a kind of link that has none in
//! requests with them: what was made is then not what was asked for. [`options`] mends that.
//!
//! Numbers are from `linux/if_link.h`, `if_addr.h`, `rtnetlink.h`, `fib_rules.h`, `neighbour.h` of Linux 3.2;
//! versions from the history of these files.
//!
//! [`options`]: super::options

use std::collections::BTreeMap;

use fixtures::network::lacp;
use formats::network::{Address, Bond, Link, LinkKind, Mac, Origin, Prefix, Route, Rule};

use super::wire::{u16_at, Attributes, Request};
use super::{options, probe, requests};

/// A version of Linux.
type Version = (u32, u32);

const FLOOR: Version = (3, 2);
/// What is as old as the floor, or older.
const OLD: Version = (2, 6);

/// What happens where an attribute is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    /// It is never missing: the floor has it.
    Nothing,
    /// The kernel refuses the request. It is sent only for what such a kernel cannot have had; the
    /// facts of a takeover are those of the very kernel that is asked.
    Refused,
    /// The kernel passes over it, and sysfs has a file for it.
    Sysfs(&'static str),
    /// The kernel passes over it; it is sent only for what such a kernel cannot have had.
    PassedOver,
}
use Missing::{Nothing, PassedOver, Refused, Sysfs};

/// Message, where in it, number, name, version, what happens before that.
struct Row(&'static str, &'static [u16], &'static str, Version, Missing);

/// The path of the options of a kind of link.
const LINKINFO: u16 = 18;
const INFO_DATA: u16 = 2;

/// Every attribute that is sent.
#[rustfmt::skip]
const SENT: &[Row] = &[
    Row("link", &[1],  "IFLA_ADDRESS",  OLD, Nothing),
    Row("link", &[3],  "IFLA_IFNAME",   OLD, Nothing),
    Row("link", &[4],  "IFLA_MTU",      OLD, Nothing),
    Row("link", &[5],  "IFLA_LINK",     OLD, Nothing),
    // Bonds and bridges take ports by it since 2.6.39.
    Row("link", &[10], "IFLA_MASTER",   OLD, Nothing),
    Row("link", &[LINKINFO], "IFLA_LINKINFO", OLD, Nothing),
    // Bonds are made by it since 2.6.33, bridges since 3.0.
    Row("link", &[LINKINFO, 1], "IFLA_INFO_KIND", OLD, Nothing),
    Row("link", &[LINKINFO, INFO_DATA], "IFLA_INFO_DATA", OLD, Nothing),
    Row("vlan",   &[LINKINFO, INFO_DATA, 1],  "IFLA_VLAN_ID",               OLD,     Nothing),
    Row("bond",   &[LINKINFO, INFO_DATA, 1],  "IFLA_BOND_MODE",             (3, 13), Sysfs("bonding/mode")),
    Row("bond",   &[LINKINFO, INFO_DATA, 3],  "IFLA_BOND_MIIMON",           (3, 14), Sysfs("bonding/miimon")),
    Row("bond",   &[LINKINFO, INFO_DATA, 4],  "IFLA_BOND_UPDELAY",          (3, 14), Sysfs("bonding/updelay")),
    Row("bond",   &[LINKINFO, INFO_DATA, 5],  "IFLA_BOND_DOWNDELAY",        (3, 14), Sysfs("bonding/downdelay")),
    Row("bond",   &[LINKINFO, INFO_DATA, 7],  "IFLA_BOND_ARP_INTERVAL",     (3, 14), Sysfs("bonding/arp_interval")),
    Row("bond",   &[LINKINFO, INFO_DATA, 8],  "IFLA_BOND_ARP_IP_TARGET",    (3, 14), Sysfs("bonding/arp_ip_target")),
    Row("bond",   &[LINKINFO, INFO_DATA, 11], "IFLA_BOND_PRIMARY",          (3, 14), Sysfs("bonding/primary")),
    Row("bond",   &[LINKINFO, INFO_DATA, 14], "IFLA_BOND_XMIT_HASH_POLICY", (3, 14), Sysfs("bonding/xmit_hash_policy")),
    Row("bond",   &[LINKINFO, INFO_DATA, 21], "IFLA_BOND_AD_LACP_RATE",     (3, 14), Sysfs("bonding/lacp_rate")),
    Row("bond",   &[LINKINFO, INFO_DATA, 31], "IFLA_BOND_NS_IP6_TARGET",    (5, 18), PassedOver),
    Row("bridge", &[LINKINFO, INFO_DATA, 1],  "IFLA_BR_FORWARD_DELAY",      (3, 18), Sysfs("bridge/forward_delay")),
    Row("bridge", &[LINKINFO, INFO_DATA, 5],  "IFLA_BR_STP_STATE",          (4, 1),  Sysfs("bridge/stp_state")),
    Row("address", &[1], "IFA_ADDRESS",   OLD,     Nothing),
    Row("address", &[2], "IFA_LOCAL",     OLD,     Nothing),
    Row("address", &[3], "IFA_LABEL",     OLD,     Nothing),
    Row("address", &[4], "IFA_BROADCAST", OLD,     Nothing),
    // For `noprefixroute` alone, which came with it; for IPv4 it came with 4.4.
    Row("address", &[8], "IFA_FLAGS",     (3, 14), Refused),
    Row("route", &[1],  "RTA_DST",      OLD, Nothing),
    Row("route", &[4],  "RTA_OIF",      OLD, Nothing),
    Row("route", &[5],  "RTA_GATEWAY",  OLD, Nothing),
    Row("route", &[6],  "RTA_PRIORITY", OLD, Nothing),
    // For IPv6 since 3.0.
    Row("route", &[7],  "RTA_PREFSRC",  OLD, Nothing),
    Row("route", &[8],  "RTA_METRICS",  OLD, Nothing),
    Row("route", &[8, 2], "RTAX_MTU",   OLD, Nothing),
    Row("route", &[15], "RTA_TABLE",    OLD, Nothing),
    Row("rule", &[1],  "FRA_DST",      OLD, Nothing),
    Row("rule", &[2],  "FRA_SRC",      OLD, Nothing),
    Row("rule", &[3],  "FRA_IIFNAME",  OLD, Nothing),
    Row("rule", &[6],  "FRA_PRIORITY", OLD, Nothing),
    Row("rule", &[10], "FRA_FWMARK",   OLD, Nothing),
    Row("rule", &[15], "FRA_TABLE",    OLD, Nothing),
    Row("rule", &[16], "FRA_FWMASK",   OLD, Nothing),
    Row("rule", &[17], "FRA_OIFNAME",  OLD, Nothing),
    Row("neighbour", &[1], "NDA_DST",    OLD, Nothing),
    Row("neighbour", &[2], "NDA_LLADDR", OLD, Nothing),
];

/// The greatest top-level attribute that Linux 3.2 takes, by kind of message: `IFLA_NET_NS_FD`,
/// `IFA_MULTICAST`, `RTA_TABLE` (there is `RTA_MARK` behind it), `FRA_OIFNAME`, `NDA_PROBES`.
const MAXIMA: [(&str, u16); 5] = [
    ("link", 28),
    ("address", 7),
    ("route", 15),
    ("rule", 17),
    ("neighbour", 4),
];

/// Kind of message and size of its fixed part, by `RTM_*`.
fn kind_of(request: &Request) -> (&'static str, usize) {
    match request.kind {
        16 | 17 => ("link", 16),
        20 => ("address", 8),
        24 => ("route", 12),
        32 => ("rule", 12),
        28 => ("neighbour", 12),
        other => panic!("a request of kind {other}, which has no row"),
    }
}

/// Paths of all attributes of a request, as a kernel before 3.10 reads the numbers.
fn paths(request: &Request) -> Vec<(&'static str, Vec<u16>)> {
    let (kind, fixed) = kind_of(request);
    let attributes = Attributes::behind("a request", request.body(), fixed).unwrap();
    let word = attributes.nested(LINKINFO).text(1);
    let mut found = Vec::new();
    for (number, value) in raw(&request.body()[fixed..]) {
        found.push((kind, vec![number]));
        let nested = match (kind, number) {
            ("link", LINKINFO) | ("route", 8) => raw(value),
            _ => Vec::new(),
        };
        for (inner, value) in nested {
            found.push((kind, vec![number, inner]));
            if (kind, inner) == ("link", INFO_DATA) {
                let of = match word.as_deref() {
                    Some("bond") => "bond",
                    Some("vlan") => "vlan",
                    Some("bridge") => "bridge",
                    other => panic!("options of {other:?}"),
                };
                for (option, _) in raw(value) {
                    // Kernels that know options of bonds mask the bit away.
                    found.push((of, vec![number, inner, option & 0x3fff]));
                }
            }
        }
    }
    found
}

fn raw(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut found = Vec::new();
    while bytes.len() >= 4 {
        let length = usize::from(u16_at(bytes, 0));
        found.push((u16_at(bytes, 2), &bytes[4..length]));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

fn link(kind: LinkKind) -> Link {
    Link {
        mac: Some(Mac([0x52, 0x54, 0, 0, 0, 1])),
        mtu: 9000,
        ..fixtures::network::link("x0", kind)
    }
}

fn probing() -> Bond {
    let targets = ["192.0.2.1", "2001:db8::1"];
    Bond {
        mode: "active-backup".to_owned(),
        miimon: 0,
        arp_interval: 1000,
        arp_targets: targets.iter().map(|ip| ip.parse().unwrap()).collect(),
        ..lacp()
    }
}

fn address(ip: &str) -> Address {
    Address {
        broadcast: "192.0.2.255".parse().ok(),
        label: Some("eth0:1".to_owned()),
        ..fixtures::network::address(&format!("{ip}/24"))
    }
}

fn route(to: &str, via: &str) -> Route {
    Route {
        destination: to.parse().unwrap(),
        kind: formats::network::RouteKind::Unicast,
        gateway: via.parse().ok(),
        link: Some("eth0".to_owned()),
        source: via.parse().ok(),
        metric: 5,
        table: 1000,
        onlink: true,
        scope: 0,
        mtu: Some(1400),
        protocol: 3,
        origin: Origin::Static,
    }
}

/// Every request that there is, with everything that can be in it on Linux 3.2.
fn requests_to_the_floor() -> Vec<Request> {
    let prefix: Option<Prefix> = "192.0.2.0/24".parse().ok();
    let rule = Rule {
        ipv6: false,
        priority: 100,
        from: prefix,
        to: prefix,
        iif: Some("eth0".to_owned()),
        oif: Some("eth1".to_owned()),
        fwmark: Some((1, 0xff)),
        table: 1000,
    };
    let bridge = LinkKind::Bridge {
        stp: true,
        forward_delay: 4,
    };
    let vlan = LinkKind::Vlan {
        parent: "eth0".to_owned(),
        id: 7,
    };
    let make = |kind, parent| requests::make(&link(kind), "x0", parent).unwrap();
    let mut all = vec![
        requests::set_up(3, true),
        requests::set_mac(3, Mac([2, 0, 0, 0, 0, 1])),
        requests::set_mtu(3, 1400),
        requests::set_master(3, 4),
        requests::set_primary(4, 3),
        requests::delete(3),
        make(LinkKind::Bond(lacp()), None),
        make(LinkKind::Bond(probing()), None),
        make(bridge, None),
        make(vlan, Some(3)),
        requests::add_address(&address("192.0.2.7"), 3, "eth0", "eth0"),
        requests::add_address(&address("2001:db8::7"), 3, "eth0", "eth0"),
        requests::add_route(&route("198.51.100.0/24", "192.0.2.1"), Some(3)),
        requests::add_route(&route("2001:db8:1::/64", "2001:db8::1"), Some(3)),
        requests::add_rule(&rule, &BTreeMap::new()),
    ];
    all.extend(probe::every_question());
    all
}

/// And what only newer kernels can be asked for.
fn requests_above_the_floor() -> Vec<Request> {
    let plain = Address {
        no_prefix_route: true,
        ..address("2001:db8::7")
    };
    vec![requests::add_address(&plain, 3, "eth0", "eth0")]
}

fn row(of: &str, path: &[u16]) -> &'static Row {
    SENT.iter()
        .find(|row| row.0 == of && row.1 == path)
        .unwrap_or_else(|| panic!("{of} {path:?} is sent and has no row"))
}

#[test]
fn nothing_is_sent_that_linux_3_2_would_refuse() {
    for request in requests_to_the_floor() {
        let (kind, _) = kind_of(&request);
        let most = MAXIMA.iter().find(|(k, _)| *k == kind).unwrap().1;
        for (of, path) in paths(&request) {
            let Row(_, _, name, since, missing) = row(of, &path);
            if path.len() == 1 {
                assert!(path[0] <= most, "{name} is above the maximum, {most}");
                assert!(*since <= FLOOR, "{name} came with {since:?}");
            }
            assert_ne!(*missing, Refused, "{name}");
        }
    }
}

#[test]
fn every_row_is_sent_and_says_what_happens_before_its_version() {
    let all = [requests_to_the_floor(), requests_above_the_floor()].concat();
    let sent: Vec<_> = all.iter().flat_map(paths).collect();
    for Row(of, path, name, since, missing) in SENT {
        let there = sent.iter().any(|(o, p)| o == of && p == path);
        assert!(there, "{name} is in the table and never sent");
        assert_eq!(*since <= FLOOR, *missing == Nothing, "{name}");
    }
}

#[test]
fn what_is_passed_over_in_silence_is_written_to_sysfs() {
    let made = fixtures::network::bond("balance-rr", 0);
    let made = LinkKind::Bond(made);
    let bridge = |stp, forward_delay| LinkKind::Bridge { stp, forward_delay };
    let mut written = options::missing(&LinkKind::Bond(lacp()), &made);
    written.extend(options::missing(&LinkKind::Bond(probing()), &made));
    written.extend(options::missing(&bridge(true, 4), &bridge(false, 15)));
    written.push(options::primary("eth1"));
    for Row(_, _, name, _, missing) in SENT {
        if let Sysfs(file) = missing {
            assert!(written.iter().any(|s| s.file == *file), "{name}");
        }
    }
}
