use super::*;
use fixtures::network::{address, link, route};
use formats::network::{DnsServer, Origin, Rule};

fn rule(priority: u32, table: u32, iif: Option<&str>) -> Rule {
    Rule {
        ipv6: false,
        priority,
        from: None,
        to: None,
        iif: iif.map(str::to_owned),
        oif: None,
        fwmark: None,
        table,
    }
}

fn other(kind: &str) -> LinkKind {
    LinkKind::Other(kind.to_owned())
}

const BRIDGE: LinkKind = LinkKind::Bridge {
    stp: false,
    forward_delay: 15,
};

fn bond() -> LinkKind {
    LinkKind::Bond(fixtures::network::bond("active-backup", 100))
}

fn vlan(parent: &str) -> LinkKind {
    LinkKind::Vlan {
        parent: parent.to_owned(),
        id: 100,
    }
}

/// A link's name, kind, master, up, configured, address, and whether it stays.
type Case<'a> = (&'a str, LinkKind, &'a str, bool, bool, &'a str, bool);

fn stays(name: &str, cases: &[Case]) {
    let links = cases
        .iter()
        .map(|(name, kind, master, up, configured, ip, _)| Link {
            master: (!master.is_empty()).then(|| (*master).to_owned()),
            up: *up,
            configured: *configured,
            addresses: (!ip.is_empty()).then(|| address(ip)).into_iter().collect(),
            ..link(name, kind.clone())
        });
    let network = Network {
        links: links.collect(),
        ..Network::default()
    };
    let (kept, left) = select(&network);
    let kept: Vec<&str> = kept.links.iter().map(|l| l.name.as_str()).collect();
    let expected: Vec<&str> = cases.iter().filter(|c| c.6).map(|c| c.0).collect();
    assert_eq!(kept, expected, "{name}: {left:#?}");
    for case in cases.iter().filter(|c| !c.6) {
        let told = left
            .iter()
            .filter(|l| l.starts_with(&format!("{}: ", case.0)));
        assert_eq!(told.count(), 1, "{name}: {left:#?}");
    }
}

#[test]
fn only_what_is_configured_or_real_comes_along() {
    let p = || LinkKind::Physical;
    stays(
        "containers",
        &[
            ("eth0", p(), "", true, true, "192.0.2.7/24", true),
            ("docker0", BRIDGE, "", true, false, "172.17.0.1/16", false),
            ("veth1234", other("veth"), "docker0", true, false, "", false),
            (
                "virbr0",
                BRIDGE,
                "",
                false,
                false,
                "192.168.122.1/24",
                false,
            ),
            (
                "virbr0-nic",
                other("tun"),
                "virbr0",
                false,
                false,
                "",
                false,
            ),
            ("lxcbr0", BRIDGE, "", true, false, "10.0.3.1/24", false),
        ],
    );
    stays(
        "a bridge that somebody made of a real link",
        &[
            ("eth0", p(), "br0", true, false, "", true),
            ("br0", BRIDGE, "", true, false, "192.0.2.7/24", true),
            ("tap0", other("tun"), "br0", true, false, "", false),
        ],
    );
    stays(
        "a configured bridge without ports",
        &[("vmbr1", BRIDGE, "", true, true, "10.1.0.1/24", true)],
    );
    stays(
        "a bond with its slaves, one of them down, and a VLAN on it",
        &[
            ("eth0", p(), "bond0", true, false, "", true),
            ("eth1", p(), "bond0", false, false, "", true),
            ("bond0", bond(), "", true, false, "", true),
            (
                "bond0.100",
                vlan("bond0"),
                "",
                true,
                false,
                "192.0.2.7/24",
                true,
            ),
        ],
    );
    stays(
        "a bond that the module made",
        &[("bond0", bond(), "", false, false, "", false)],
    );
    stays(
        "hardware that is not in use",
        &[
            ("eth1", p(), "", false, false, "", false),
            ("eth2", p(), "", false, true, "", true),
            ("eth3", p(), "", true, false, "", true),
            ("eth4", p(), "", false, false, "192.0.2.9/24", true),
            ("eth5", p(), "", false, false, "", true),
            ("eth5.100", vlan("eth5"), "", true, true, "", true),
        ],
    );
    stays(
        "what stands on what is gone goes too",
        &[
            ("br-x", BRIDGE, "", true, false, "", false),
            ("br-x.100", vlan("br-x"), "br-y", true, true, "", false),
            ("br-y", BRIDGE, "", true, false, "", false),
        ],
    );
}

#[test]
fn what_does_not_come_along_is_named_with_its_addresses() {
    let network = Network {
        links: vec![Link {
            addresses: vec![address("10.8.0.1/24")],
            ..link("wg0", other("wireguard"))
        }],
        ..Network::default()
    };
    assert_eq!(
        select(&network).1,
        ["wg0: a WireGuard tunnel; it does not come along, nor does 10.8.0.1/24"]
    );
}

#[test]
fn routes_rules_and_servers_of_what_is_gone_go() {
    let network = Network {
        links: vec![
            Link {
                master: Some("ovs-system".to_owned()),
                ..link("eth0", LinkKind::Physical)
            },
            link("ovs-system", other("openvswitch")),
            link("wg0", other("wireguard")),
        ],
        routes: vec![
            route("0.0.0.0/0", "eth0", 254),
            route("198.51.100.0/24", "wg0", 254),
            route("0.0.0.0/0", "wg0", 51820),
            route("0.0.0.0/0", "eth0", 100),
        ],
        rules: vec![
            rule(1, 100, None),
            rule(2, 51820, None),
            rule(3, 100, Some("wg0")),
            rule(4, 254, Some("lo")),
            Rule {
                ipv6: true,
                ..rule(5, 100, None)
            },
        ],
        dns: formats::network::Dns {
            servers: vec![
                DnsServer {
                    address: "192.0.2.53".parse().unwrap(),
                    link: None,
                    origin: Origin::Static,
                },
                DnsServer {
                    address: "10.8.0.53".parse().unwrap(),
                    link: Some("wg0".to_owned()),
                    origin: Origin::Static,
                },
            ],
            ..formats::network::Dns::default()
        },
        unsaid: Vec::new(),
        tuning: Vec::new(),
    };
    let (kept, left) = select(&network);
    assert_eq!(kept.links.len(), 1);
    assert_eq!(kept.links[0].master, None);
    assert_eq!(kept.routes.len(), 2);
    let priorities: Vec<u32> = kept.rules.iter().map(|r| r.priority).collect();
    assert_eq!(priorities, [1, 4]);
    assert_eq!(kept.dns.servers.len(), 1);
    assert_eq!(left.len(), 8, "{left:#?}");
    assert!(left.contains(&"rule 2 that looks up table 51820: nothing fills that table".to_owned()));
    assert!(left.contains(
        &"wg0: with it go the routes to 198.51.100.0/24, 0.0.0.0/0 in table 51820".to_owned()
    ));
}

#[test]
fn findings_are_told() {
    let mac = "52:54:00:12:34:56".parse().ok();
    let nic = |name: &str, bus: Option<&str>, driver: Option<&str>| Link {
        mac,
        permanent_mac: mac,
        bus: bus.map(str::to_owned),
        driver: driver.map(str::to_owned),
        ..link(name, LinkKind::Physical)
    };
    let links = |links: Vec<Link>| Network {
        links,
        ..Network::default()
    };
    let mut loopback_only = Network::default();
    loopback_only.dns.read_from = vec!["/etc/resolv.conf".to_owned()];
    let unsaid = Network {
        unsaid: vec!["a multipath route".to_owned()],
        tuning: Vec::new(),
        ..Network::default()
    };
    let tunnel = |configured: bool, ip: &str| Link {
        configured,
        addresses: vec![address(ip)],
        ..link("wg0", other("wireguard"))
    };
    let mut over_ppp = links(vec![link("ppp0", other("ppp"))]);
    over_ppp.routes = vec![route("0.0.0.0/0", "ppp0", 254)];
    for (name, network, expected) in [
        ("nothing", Network::default(), None),
        (
            "one MAC, no bus",
            links(vec![nic("a", None, None), nic("b", None, None)]),
            Some("network-macs"),
        ),
        (
            "one MAC, one bus known",
            links(vec![nic("a", Some("0"), None), nic("b", None, None)]),
            Some("network-macs"),
        ),
        (
            "one MAC, two places",
            links(vec![nic("a", Some("0"), None), nic("b", Some("1"), None)]),
            None,
        ),
        (
            "one MAC, two drivers",
            links(vec![
                nic("a", None, Some("mlx4_core")),
                nic("b", None, Some("hv_netvsc")),
            ]),
            None,
        ),
        (
            "a MAC and its VLAN",
            links(vec![
                nic("a", None, None),
                Link {
                    kind: vlan("a"),
                    ..nic("a.1", None, None)
                },
            ]),
            None,
        ),
        (
            "one MAC on a link that stays out",
            links(vec![
                nic("a", None, None),
                Link {
                    up: false,
                    ..nic("b", None, None)
                },
            ]),
            None,
        ),
        ("no server left", loopback_only, Some("network-dns")),
        ("unsaid", unsaid, Some("network-unsaid")),
        (
            "a configured tunnel",
            links(vec![tunnel(true, "10.8.0.1/24")]),
            Some("network-kind"),
        ),
        (
            "a tunnel of a program",
            links(vec![tunnel(false, "10.8.0.1/24")]),
            None,
        ),
        (
            "a configured tunnel with a link-local address",
            links(vec![tunnel(true, "fe80::1/64")]),
            None,
        ),
        ("a default route over PPP", over_ppp, Some("network-kind")),
    ] {
        let found: Vec<&str> = unfit(&network).iter().map(|(code, _)| *code).collect();
        assert_eq!(found, Vec::from_iter(expected), "{name}");
    }
}
