//! What is written in each dialect, brought up by the dialect's own programs in network
//! namespaces, and looked at with `ip -j`.

use std::fmt::Write as _;
use std::net::IpAddr;

use fixtures::network::{address, card, lacp, rule};
use formats::network::{
    Bond, Content, Dialect, Link, LinkKind, Network, NewFile, Resolver, Route, RouteKind, Stack,
};
use identity::network::dialect;
use reroot_tests::dialect_tree::{bring_up, Surroundings, Up};
use serde_json::Value;

pub const FIRST: &str = "52:54:00:00:00:01";
const SECOND: &str = "52:54:00:00:00:02";
pub const PORT: &str = "52:54:00:00:00:03";

pub fn link(name: &str, mac: &str, addresses: &[&str]) -> Link {
    let addresses = addresses.iter().map(|text| address(text)).collect();
    card(name, mac.parse().unwrap(), addresses)
}

fn route(to: &str, via: Option<&str>, link: &str) -> Route {
    Route {
        gateway: via.map(|ip| ip.parse().unwrap()),
        scope: if via.is_some() { 0 } else { 253 },
        ..fixtures::network::route(to, link, 254)
    }
}

pub fn stack(dialect: Dialect) -> Stack {
    Stack {
        dialect,
        systemd: 257,
        kernel_names: false,
        resolver: Resolver::File,
        programs: vec!["ip".to_owned(), "dhcpcd".to_owned()],
    }
}

/// A server of a hoster who routes single addresses: gateways outside of every prefix; a second
/// interface that answers by its own gateway; a bridge.
fn server() -> Network {
    let onlink = |route| Route {
        onlink: true,
        ..route
    };
    let aside = |route| Route {
        table: 100,
        ..route
    };
    Network {
        links: vec![
            link(
                "ens3",
                FIRST,
                &["192.0.2.7/32", "192.0.2.8/32", "2001:db8::7/128"],
            ),
            link("eth1", SECOND, &["198.51.100.7/24", "2001:db8:2::7/64"]),
            Link {
                master: Some("br0".to_owned()),
                mtu: 1400,
                ..link("ens5", PORT, &[])
            },
            Link {
                kind: LinkKind::Bridge {
                    stp: false,
                    forward_delay: 0,
                },
                permanent_mac: None,
                mtu: 1400,
                ..link("br0", "52:54:00:00:00:99", &["203.0.113.7/25"])
            },
        ],
        routes: vec![
            onlink(route("0.0.0.0/0", Some("192.0.2.1"), "ens3")),
            onlink(route("::/0", Some("2001:db8:ffff::1"), "ens3")),
            Route {
                metric: 50,
                mtu: Some(1400),
                ..route("2001:db8:7::/48", Some("fe80::1"), "ens3")
            },
            Route {
                metric: 200,
                source: Some("198.51.100.7".parse().unwrap()),
                ..route("0.0.0.0/0", Some("198.51.100.1"), "eth1")
            },
            aside(route("198.51.100.0/24", None, "eth1")),
            aside(route("0.0.0.0/0", Some("198.51.100.1"), "eth1")),
            aside(route("::/0", Some("2001:db8:2::1"), "eth1")),
            Route {
                kind: RouteKind::Blackhole,
                link: None,
                scope: 0,
                ..route("203.0.113.128/25", None, "")
            },
        ],
        rules: vec![
            rule(1000, "198.51.100.7/32", 100),
            rule(1001, "2001:db8:2::7/128", 100),
        ],
        ..Network::default()
    }
}

/// What must be there before it is looked at; the last of it comes last.
const SERVER_IS_UP: &[&str] = &[
    "192.0.2.8/32",
    "2001:db8::7/128",
    "198.51.100.7/24",
    "2001:db8:2::7/64",
    "203.0.113.7/25",
    "default via 192.0.2.1",
    "default via 2001:db8:ffff::1",
    "2001:db8:7::/48",
    "default via 198.51.100.1 dev",
    "default via 2001:db8:2::1",
    "blackhole 203.0.113.128/25",
    "1000:",
    "1001:",
];

/// Brings [`server`] up, and says what its second interface is called then.
fn server_up(dialect: Dialect) -> (Up, String) {
    let written = dialect::write(&server(), &stack(dialect)).unwrap();
    let renamed = written.renamed.iter().find(|renamed| renamed.old == "eth1");
    // Where the name is known only at boot, any will do.
    let second = renamed
        .unwrap()
        .new
        .as_deref()
        .unwrap_or("enp9s0")
        .to_owned();
    let links = [("ens3", FIRST), (second.as_str(), SECOND), ("ens5", PORT)];
    let up = bring_up(
        &written,
        dialect,
        &Surroundings {
            links: &links,
            wait_for: SERVER_IS_UP,
            ..Surroundings::default()
        },
    )
    .unwrap();
    (up, second)
}

/// The link of that name.
fn link_of<'a>(up: &'a Up, name: &str) -> &'a Value {
    let links = up.links.as_array().unwrap();
    let found = links.iter().find(|link| link["ifname"] == name);
    found.unwrap_or_else(|| panic!("no link {name}\n{}", up.log))
}

/// The addresses of a link that are not link-local, as text, those of IPv4 first.
fn addresses(up: &Up, name: &str) -> Vec<String> {
    let mut addresses: Vec<(bool, String)> = link_of(up, name)["addr_info"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|address| address["scope"] != "link")
        .map(|address| {
            let ip: IpAddr = address["local"].as_str().unwrap().parse().unwrap();
            (ip.is_ipv6(), format!("{ip}/{}", address["prefixlen"]))
        })
        .collect();
    addresses.sort_by_key(|(ipv6, _)| *ipv6);
    addresses.into_iter().map(|(_, text)| text).collect()
}

/// Every route but the kernel's own, as text in order.
fn routes(up: &Up) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for route in up
        .routes
        .iter()
        .flat_map(|routes| routes.as_array().unwrap())
    {
        if route["protocol"] == "kernel" || route["type"] == "multicast" {
            continue;
        }
        let mut text = route["dst"].as_str().unwrap().to_owned();
        for key in ["type", "gateway", "dev", "prefsrc", "metric", "table"] {
            let said = match &route[key] {
                Value::Null => continue,
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            // What IPv6 has by itself.
            if key == "metric" && said == "1024" || said == "main" {
                continue;
            }
            let _ = write!(text, " {key} {said}");
        }
        let flags = route["flags"].as_array().cloned().unwrap_or_default();
        if flags.iter().any(|flag| flag == "onlink") {
            text.push_str(" onlink");
        }
        if let Some(mtu) = route["metrics"][0]["mtu"].as_u64() {
            let _ = write!(text, " mtu {mtu}");
        }
        texts.push(text);
    }
    texts.sort();
    texts
}

fn assert_is_the_server(dialect: Dialect) {
    let (up, second) = server_up(dialect);
    let log = &up.log;
    assert_eq!(
        addresses(&up, "ens3"),
        ["192.0.2.7/32", "192.0.2.8/32", "2001:db8::7/128"],
        "{log}"
    );
    assert_eq!(
        addresses(&up, &second),
        ["198.51.100.7/24", "2001:db8:2::7/64"],
        "{log}"
    );
    assert_eq!(addresses(&up, "br0"), ["203.0.113.7/25"], "{log}");
    let bridge = link_of(&up, "br0");
    assert_eq!(bridge["mtu"], 1400);
    assert_eq!(bridge["address"], "52:54:00:00:00:99");
    assert_eq!(bridge["linkinfo"]["info_data"]["stp_state"], 0);
    // Without the spanning tree protocol NetworkManager leaves the kernel's own, and says so.
    if dialect != Dialect::NetworkManager {
        assert_eq!(bridge["linkinfo"]["info_data"]["forward_delay"], 0);
    }
    assert_eq!(link_of(&up, "ens5")["master"], "br0");
    assert_eq!(
        routes(&up),
        [
            format!("198.51.100.0/24 dev {second} table 100"),
            "2001:db8:7::/48 gateway fe80::1 dev ens3 metric 50 mtu 1400".to_owned(),
            "203.0.113.128/25 type blackhole".to_owned(),
            "default gateway 192.0.2.1 dev ens3 onlink".to_owned(),
            format!("default gateway 198.51.100.1 dev {second} prefsrc 198.51.100.7 metric 200"),
            format!("default gateway 198.51.100.1 dev {second} table 100"),
            format!("default gateway 2001:db8:2::1 dev {second} table 100"),
            "default gateway 2001:db8:ffff::1 dev ens3 onlink".to_owned(),
        ],
        "{log}"
    );
    for (rules, priority, from) in [
        (&up.rules[0], 1000, "198.51.100.7"),
        (&up.rules[1], 1001, "2001:db8:2::7"),
    ] {
        let rules = rules.as_array().unwrap();
        let rule = rules.iter().find(|rule| rule["priority"] == priority);
        let rule = rule.unwrap_or_else(|| panic!("no rule {priority}\n{log}"));
        assert_eq!(rule["src"], from);
        assert_eq!(rule["table"], "100");
    }
}

#[test]
fn ifupdown_brings_up_what_was_written() {
    assert_is_the_server(Dialect::Ifupdown);
}

#[test]
fn netplan_brings_up_what_was_written() {
    assert_is_the_server(Dialect::Netplan);
}

#[test]
fn networkd_brings_up_what_was_written() {
    assert_is_the_server(Dialect::Networkd);
}

#[test]
fn network_manager_brings_up_what_was_written() {
    assert_is_the_server(Dialect::NetworkManager);
}

/// DHCP beside a static address: the server gives 192.0.2.77 only to a client that names itself by
/// its MAC address.
fn assert_asks_by_mac(dialect: Dialect) {
    let network = Network {
        links: vec![Link {
            dhcp4: Some("a lease file".to_owned()),
            ..link("ens3", FIRST, &["203.0.113.7/24"])
        }],
        ..Network::default()
    };
    let written = dialect::write(&network, &stack(dialect)).unwrap();
    let up = bring_up(
        &written,
        dialect,
        &Surroundings {
            links: &[("ens3", FIRST)],
            dhcp: Some("ens3"),
            wait_for: &["203.0.113.7/24", "192.0.2.77/24", "default via 192.0.2.1"],
            ..Surroundings::default()
        },
    )
    .unwrap();
    let mut found = addresses(&up, "ens3");
    found.sort();
    assert_eq!(found, ["192.0.2.77/24", "203.0.113.7/24"], "{}", up.log);
}

#[test]
fn ifupdown_asks_for_the_same_address() {
    assert_asks_by_mac(Dialect::Ifupdown);
}

#[test]
fn netplan_asks_for_the_same_address() {
    assert_asks_by_mac(Dialect::Netplan);
}

#[test]
fn networkd_asks_for_the_same_address() {
    assert_asks_by_mac(Dialect::Networkd);
}

#[test]
fn network_manager_asks_for_the_same_address() {
    assert_asks_by_mac(Dialect::NetworkManager);
}

/// A router advertises a prefix, of which the machine made an address with an end of its own, beside
/// DHCP's. It has that one and no other then.
fn assert_keeps_its_end(dialect: Dialect) {
    let network = Network {
        links: vec![Link {
            dhcp4: Some("a lease file".to_owned()),
            router: Some("a prefix with a lifetime".to_owned()),
            token: "::a:b:c:d".parse().ok(),
            ..link("ens3", FIRST, &[])
        }],
        ..Network::default()
    };
    let mut written = dialect::write(&network, &stack(dialect)).unwrap();
    // networkd makes its DUID of it, and does not listen to routers without one.
    written.files.push(NewFile {
        path: "/etc/machine-id".to_owned(),
        mode: 0o644,
        content: Content::Text("0123456789abcdef0123456789abcdef\n".to_owned()),
    });
    let up = bring_up(
        &written,
        dialect,
        &Surroundings {
            links: &[("ens3", FIRST)],
            dhcp: Some("ens3"),
            router: true,
            wait_for: &["192.0.2.77/24", "inet6 2001:db8:", "default via fe80:"],
            ..Surroundings::default()
        },
    )
    .unwrap();
    let mut found = addresses(&up, "ens3");
    found.sort();
    assert_eq!(
        found,
        ["192.0.2.77/24", "2001:db8::a:b:c:d/64"],
        "{}",
        up.log
    );
}

#[test]
fn ifupdown_makes_routers_addresses_with_their_end() {
    assert_keeps_its_end(Dialect::Ifupdown);
}

#[test]
#[ignore = "as networkd, which it writes for: make prove"]
fn netplan_makes_routers_addresses_with_their_end() {
    assert_keeps_its_end(Dialect::Netplan);
}

#[test]
fn networkd_makes_routers_addresses_with_their_end() {
    assert_keeps_its_end(Dialect::Networkd);
}

#[test]
#[ignore = "as the others, and slower: make prove"]
fn network_manager_makes_routers_addresses_with_their_end() {
    assert_keeps_its_end(Dialect::NetworkManager);
}

/// A bond with a VLAN on it. The kernel that the tests run on may have neither, so it is the
/// programs' own parsers that are asked.
fn bonded() -> Network {
    let bond = Bond {
        downdelay: 200,
        primary: None,
        ..lacp()
    };
    let made = |name: &str, kind, addresses: &[&str]| Link {
        kind,
        permanent_mac: None,
        ..link(name, FIRST, addresses)
    };
    let slave = |name: &str, mac: &str| Link {
        master: Some("bond0".to_owned()),
        mac: Some(FIRST.parse().unwrap()),
        ..link(name, mac, &[])
    };
    Network {
        links: vec![
            slave("ens3", FIRST),
            slave("ens4", SECOND),
            // Once it has its address, all files have been read.
            link("ens5", PORT, &["203.0.113.7/24"]),
            made("bond0", LinkKind::Bond(bond), &[]),
            made(
                "bond0.5",
                LinkKind::Vlan {
                    parent: "bond0".to_owned(),
                    id: 5,
                },
                &["192.0.2.7/24"],
            ),
        ],
        ..Network::default()
    }
}

fn parse_bonded(dialect: Dialect) -> Up {
    let written = dialect::write(&bonded(), &stack(dialect)).unwrap();
    let around = Surroundings {
        links: &[("ens3", FIRST), ("ens4", SECOND), ("ens5", PORT)],
        wait_for: &["203.0.113.7/24"],
        ..Surroundings::default()
    };
    let up = bring_up(&written, dialect, &around).unwrap();
    assert_eq!(addresses(&up, "ens5"), ["203.0.113.7/24"], "{}", up.log);
    up
}

/// The lines of the log with one of `words` in them.
pub fn complaints<'a>(up: &'a Up, words: &[&str]) -> Vec<&'a str> {
    let has = |line: &&str| words.iter().any(|word| line.contains(word));
    up.log.lines().filter(has).collect()
}

#[test]
fn networkd_understands_bonds_and_vlans() {
    for dialect in [Dialect::Networkd, Dialect::Netplan] {
        let up = parse_bonded(dialect);
        // It complains with the file and the number of the line.
        let found = complaints(&up, &[".network:", ".netdev:"]);
        assert_eq!(found, [""; 0], "{}", up.log);
    }
}

#[test]
fn ip_understands_bonds() {
    let up = parse_bonded(Dialect::Ifupdown);
    // What iproute2 says of options that it does not know, or of their values.
    let found = complaints(
        &up,
        &["unknown command", "wrong", "invalid", "garbage", "Usage"],
    );
    assert_eq!(found, [""; 0], "{}", up.log);
}

#[test]
fn network_manager_understands_bonds_and_vlans() {
    let up = parse_bonded(Dialect::NetworkManager);
    // In one word behind the names, in whatever order.
    let options = up.connections.last().unwrap();
    let mut options: Vec<&str> = options.split(',').collect();
    options.sort_unstable();
    assert_eq!(
        options,
        [
            "downdelay=200",
            "lacp_rate=fast",
            "miimon=100",
            "mode=802.3ad",
            "updelay=200",
            "xmit_hash_policy=layer3+4",
        ],
        "{}",
        up.log
    );
    for name in ["bond0", "bond0.5", "ens3", "ens4"] {
        let found = up.connections.iter().any(|connection| connection == name);
        assert!(found, "{name}: {:?}\n{}", up.connections, up.log);
    }
}

/// IPv6 alone, of two prefixes.
fn assert_is_ipv6_alone(dialect: Dialect) {
    let network = Network {
        links: vec![link(
            "ens3",
            FIRST,
            &["2001:db8:1::7/64", "2001:db8:2::7/64"],
        )],
        routes: vec![route("::/0", Some("fe80::1"), "ens3")],
        ..Network::default()
    };
    let written = dialect::write(&network, &stack(dialect)).unwrap();
    let around = Surroundings {
        links: &[("ens3", FIRST)],
        wait_for: &[
            "2001:db8:1::7/64",
            "2001:db8:2::7/64",
            "default via fe80::1",
        ],
        ask: is_online(dialect),
        ..Surroundings::default()
    };
    let up = bring_up(&written, dialect, &around).unwrap();
    let mut found = addresses(&up, "ens3");
    found.sort();
    assert_eq!(
        found,
        ["2001:db8:1::7/64", "2001:db8:2::7/64"],
        "{}",
        up.log
    );
    assert_eq!(
        routes(&up),
        ["default gateway fe80::1 dev ens3"],
        "{}",
        up.log
    );
    assert_eq!(up.answers[0], "online", "{}", up.log);
}

/// What a boot waits for until the network is there, for less than a boot would.
fn is_online(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Networkd | Dialect::Netplan => {
            "timeout 20 /usr/lib/systemd/systemd-networkd-wait-online --timeout=15 && echo online"
        }
        Dialect::NetworkManager => "timeout 20 nm-online -s -q -t 15 && echo online",
        // What comes when it comes is udev's to bring up, and it does so by this.
        Dialect::Ifupdown => "timeout 20 ifup --allow=hotplug -a && echo online",
    }
}

#[test]
fn ifupdown_brings_up_ipv6_alone() {
    assert_is_ipv6_alone(Dialect::Ifupdown);
}

#[test]
#[ignore = "as networkd, which it writes for: make prove"]
fn netplan_brings_up_ipv6_alone() {
    assert_is_ipv6_alone(Dialect::Netplan);
}

#[test]
fn networkd_brings_up_ipv6_alone() {
    assert_is_ipv6_alone(Dialect::Networkd);
}

#[test]
#[ignore = "as the others, and slower: make prove"]
fn network_manager_brings_up_ipv6_alone() {
    assert_is_ipv6_alone(Dialect::NetworkManager);
}

/// A second card whose cable is out: nothing waits for it, and it has its address where a dialect gives it one.
fn assert_waits_for_no_cable(dialect: Dialect) {
    let network = Network {
        links: vec![
            link("ens3", FIRST, &["192.0.2.7/24"]),
            Link {
                carrier: false,
                ..link("ens5", PORT, &["203.0.113.7/24"])
            },
        ],
        routes: vec![route("0.0.0.0/0", Some("192.0.2.1"), "ens3")],
        ..Network::default()
    };
    let written = dialect::write(&network, &stack(dialect)).unwrap();
    let around = Surroundings {
        links: &[("ens3", FIRST), ("ens5", PORT)],
        unplugged: "ens5",
        wait_for: &["192.0.2.7/24", "default via 192.0.2.1"],
        ask: is_online(dialect),
        ..Surroundings::default()
    };
    let up = bring_up(&written, dialect, &around).unwrap();
    assert_eq!(addresses(&up, "ens3"), ["192.0.2.7/24"], "{}", up.log);
    assert_eq!(up.answers[0], "online", "{}", up.log);
    if [Dialect::Networkd, Dialect::Netplan].contains(&dialect) {
        assert_eq!(addresses(&up, "ens5"), ["203.0.113.7/24"], "{}", up.log);
    }
}

#[test]
fn ifupdown_waits_for_no_cable() {
    assert_waits_for_no_cable(Dialect::Ifupdown);
}

#[test]
#[ignore = "as networkd, which it writes for: make prove"]
fn netplan_waits_for_no_cable() {
    assert_waits_for_no_cable(Dialect::Netplan);
}

#[test]
fn networkd_waits_for_no_cable() {
    assert_waits_for_no_cable(Dialect::Networkd);
}

#[test]
#[ignore = "as the others, and slower: make prove"]
fn network_manager_waits_for_no_cable() {
    assert_waits_for_no_cable(Dialect::NetworkManager);
}
