//! What is decided about a link as a whole: metric, parts, the ends of addresses, MTU, a missing cable.

use super::decide_tests::{decided, evidence, lives, INTERFACES, LEASE, LEASES};
use super::{decide, not_called, unplugged};
use fixtures::network::{address, link, route};
use formats::network::{Address, Link, LinkKind, Network, Origin, Route};

#[test]
fn the_metric_is_the_kernels_or_the_files() {
    let files = |metric: &str| format!("iface ens3 inet dhcp\n{metric}");
    for (name, kernel, file, expected) in [
        ("the kernel's", Some(100), " metric 200\n", Some(100)),
        ("none in the kernel", Some(0), " metric 200\n", None),
        ("no route", None, " metric 200\n", Some(200)),
        ("nothing", None, "", None),
    ] {
        let text = files(file);
        let evidence = evidence(&[(INTERFACES, &text)], &[]);
        let routes = kernel.map(|metric| Route {
            metric,
            protocol: 16,
            ..route("0.0.0.0/0", "ens3", 254)
        });
        let routes = routes.into_iter().collect();
        let network = decided(vec![lives("192.0.2.7/24", 60)], routes, &evidence);
        assert_eq!(network.links[0].dhcp_metric, expected, "{name}");
    }
}

#[test]
fn parts_of_configured_links_are_configured() {
    let evidence = evidence(
        &[(INTERFACES, include_str!("fixtures/interfaces-bond"))],
        &[],
    );
    let mut network = Network {
        links: ["eth0", "eth1", "eth2", "bond0", "br0"]
            .map(|name| link(name, LinkKind::Physical))
            .to_vec(),
        ..Network::default()
    };
    decide(&mut network, &evidence);
    let configured: Vec<_> = network.links.iter().map(|l| l.configured).collect();
    assert_eq!(configured, [true, true, false, true, true]);
}

/// Name, addresses, the end that is carried, and those that become static.
type CaseOfEnds<'a> = (&'a str, Vec<Address>, Option<&'a str>, &'a [&'a str]);

#[test]
fn addresses_of_routers_that_are_not_the_mac_addresss_keep_their_ends() {
    let of_router = |text: &str| Address {
        generated: true,
        ..lives(text, 3600)
    };
    let temporary = |text: &str| Address {
        temporary: true,
        ..lives(text, 3600)
    };
    let cases: [CaseOfEnds; 5] = [
        (
            "made from the MAC address",
            vec![
                of_router("2001:db8::5054:ff:fe12:3456/64"),
                temporary("2001:db8::1:2:3:4/64"),
            ],
            None,
            &[],
        ),
        (
            "a token, of two prefixes",
            vec![
                of_router("2001:db8::a:b:c:d/64"),
                of_router("2001:db8:1::a:b:c:d/64"),
            ],
            Some("::a:b:c:d"),
            &[],
        ),
        (
            "stable and private, of one prefix",
            vec![of_router("2001:db8::bc12:9f:e0ac:1/64")],
            Some("::bc12:9f:e0ac:1"),
            &[],
        ),
        (
            "stable and private, of two",
            vec![
                of_router("2001:db8::bc12:9f:e0ac:1/64"),
                of_router("2001:db8:1::77:1:2:3/64"),
            ],
            None,
            &["2001:db8::bc12:9f:e0ac:1", "2001:db8:1:0:77:1:2:3"],
        ),
        (
            "both ways",
            vec![
                of_router("2001:db8::5054:ff:fe12:3456/64"),
                of_router("2001:db8::bc12:9f:e0ac:1/64"),
            ],
            None,
            &["2001:db8::bc12:9f:e0ac:1"],
        ),
    ];
    for (name, addresses, token, fixed) in cases {
        let network = decided(addresses, Vec::new(), &evidence(&[], &[]));
        let link = &network.links[0];
        let expected = token.map(|t| t.parse().unwrap());
        assert_eq!(link.token, expected, "{name}");
        let found: Vec<String> = link
            .addresses
            .iter()
            .filter(|a| a.origin == Origin::Static)
            .map(|a| a.ip.to_string())
            .collect();
        assert_eq!(found, fixed, "{name}");
        assert!(link.router.is_some(), "{name}");
    }
}

#[test]
fn an_mtu_is_dhcps_if_the_lease_names_it() {
    let given = LEASE.replace("expire", "option interface-mtu 1450; expire");
    for (name, lease, mtu, expected) in [
        ("the lease's", given.as_str(), 1450, true),
        ("another one", &given, 1400, false),
        ("none in the lease", LEASE, 1450, false),
    ] {
        let found = evidence(&[(LEASES, lease)], &[("dhclient", "ens3")]);
        let mut network = Network {
            links: vec![Link {
                addresses: vec![address("192.0.2.7/24")],
                mtu,
                ..link("ens3", LinkKind::Physical)
            }],
            ..Network::default()
        };
        decide(&mut network, &found);
        assert_eq!(network.links[0].dhcp_client.gives_mtu, expected, "{name}");
    }
}

#[test]
fn what_files_give_to_links_without_a_cable_is_told() {
    const FILE: &str = "/etc/systemd/network/1.network";
    let text = "[Match]\nName=ens3\n[Network]\nAddress=192.0.2.7/24\nAddress=192.0.2.8/24";
    let network = |carrier| Network {
        links: vec![Link {
            addresses: vec![address("192.0.2.8/24")],
            carrier,
            ..link("ens3", LinkKind::Physical)
        }],
        ..Network::default()
    };
    let found = evidence(&[(FILE, text)], &[("systemd-networkd", "")]);
    let told = unplugged(&network(false), &found);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("192.0.2.7/24 of ens3, which has no cable"),
        "{told:?}"
    );
    assert!(unplugged(&network(true), &found).is_empty());
    // Nobody acts on the file.
    let idle = evidence(&[(FILE, text)], &[]);
    assert!(unplugged(&network(false), &idle).is_empty());
}

#[test]
fn what_commands_set_counts_where_their_stanza_is_in_use() {
    let text = "iface lo inet loopback\n up sysctl -w net.ipv4.ip_forward=1\n\
                iface ens3 inet static\n address 192.0.2.7/24\n post-up ethtool -K ens3 tso off\n\
                iface ens3 inet6 static\n address 2001:db8::7/64\n post-up ethtool -K ens3 tso off\n\
                post-down ethtool -K ens3 tso on\n\
                iface ens9 inet dhcp\n up ethtool -K ens9 gro off\n up logger up\n";
    let evidence = evidence(&[(INTERFACES, text)], &[]);
    let network = decided(vec![address("192.0.2.7/24")], Vec::new(), &evidence);
    let set: Vec<String> = network.tuning.iter().map(|t| t.set.to_string()).collect();
    assert_eq!(set, ["net/ipv4/ip_forward = 1", "tso off"]);
    assert_eq!(network.tuning[0].link, None);
    assert_eq!(network.tuning[1].link.as_deref(), Some("ens3"));
    let idle = not_called(&network, &evidence);
    assert_eq!(
        idle,
        [
            "/etc/network/interfaces: `up ethtool -K ens9 gro off` of ens9: this command stays behind, for \
             the stanza is not in use"
        ]
    );
    // Those of no known kind are named as they were.
    let notes: Vec<&String> = evidence.notes.iter().collect();
    assert_eq!(notes.len(), 2, "{notes:#?}");
    assert!(notes[0].contains("post-down ethtool"), "{notes:#?}");
    assert!(notes[1].contains("logger"), "{notes:#?}");
}
