//! The rules of [`super::decide`], each as a case.

use super::{decide, Evidence, OldFile, RunningClient};
use fixtures::network::{address, link, route};
use formats::network::{Address, Link, LinkKind, Network, Origin, Route};

pub(super) const INTERFACES: &str = "/etc/network/interfaces";
pub(super) const LEASES: &str = "/var/lib/dhcp/dhclient.ens3.leases";

pub(super) fn evidence(files: &[(&str, &str)], clients: &[(&str, &str)]) -> Evidence {
    let files: Vec<OldFile> = files
        .iter()
        .map(|(path, text)| OldFile::from_bytes(path, text.as_bytes(), None))
        .collect();
    let clients: Vec<RunningClient> = clients
        .iter()
        .map(|(name, interface)| RunningClient {
            name: (*name).to_owned(),
            interface: (!interface.is_empty()).then(|| (*interface).to_owned()),
            arguments: Vec::new(),
        })
        .collect();
    Evidence::from_files(&files, &clients)
}

/// ens3 with these addresses and routes, decided.
pub(super) fn decided(addresses: Vec<Address>, routes: Vec<Route>, evidence: &Evidence) -> Network {
    let mut network = Network {
        links: vec![Link {
            addresses,
            mac: "52:54:00:12:34:56".parse().ok(),
            ..link("ens3", LinkKind::Physical)
        }],
        routes,
        ..Network::default()
    };
    decide(&mut network, evidence);
    network
}

pub(super) fn lives(text: &str, seconds: u32) -> Address {
    Address {
        valid: Some(seconds),
        ..address(text)
    }
}

pub(super) const LEASE: &str =
    "lease { interface \"ens3\"; fixed-address 192.0.2.7; option routers 192.0.2.1; \
                     option rfc3442-classless-static-routes 24,203,0,113,192,0,2,2,0,192,0,2,1; \
                     expire never; }";
const DHCP: &str = "auto ens3\niface ens3 inet dhcp\n";
const STATIC: &str =
    "auto ens3\niface ens3 inet static\n address 192.0.2.7/24\n gateway 192.0.2.1\n";

/// Name, files, clients, the address's lifetime, its origin, a piece of the evidence, DHCP on the link.
type Case<'a> = (
    &'a str,
    &'a [(&'a str, &'a str)],
    &'a [(&'a str, &'a str)],
    Option<u32>,
    Origin,
    &'a str,
    bool,
);

#[test]
fn static_is_never_taken_for_dhcp() {
    use Origin::{Dhcp, Static};
    let ens3 = ("dhclient", "ens3");
    let cases: [Case; 23] = [
        (
            "a lifetime",
            &[],
            &[],
            Some(300),
            Dhcp,
            "drops it in 300 s",
            true,
        ),
        (
            "nothing at all",
            &[],
            &[],
            None,
            Static,
            "nothing says",
            false,
        ),
        (
            "a client and its lease",
            &[(LEASES, LEASE)],
            &[ens3],
            None,
            Dhcp,
            "dhclient runs for ens3 and its lease in /var/lib/dhcp/dhclient.ens3.leases names it",
            true,
        ),
        (
            "a client for any link and its lease",
            &[(LEASES, LEASE)],
            &[("dhclient", "")],
            None,
            Dhcp,
            "dhclient runs",
            true,
        ),
        (
            "a client of another link",
            &[(LEASES, LEASE)],
            &[("dhclient", "ens4")],
            None,
            Static,
            "no DHCP client runs",
            false,
        ),
        (
            "another client than the lease's",
            &[(LEASES, LEASE)],
            &[("udhcpc", "ens3")],
            None,
            Static,
            "no DHCP client runs",
            false,
        ),
        (
            "a lease alone",
            &[(LEASES, LEASE)],
            &[],
            None,
            Static,
            "but no DHCP client runs for ens3 and no file says DHCP",
            false,
        ),
        (
            "a lease and a file",
            &[(LEASES, LEASE), (INTERFACES, DHCP)],
            &[],
            None,
            Dhcp,
            "/etc/network/interfaces says DHCP for ens3 and the lease",
            true,
        ),
        (
            "a static stanza and a stale lease",
            &[(LEASES, LEASE), (INTERFACES, STATIC)],
            &[],
            None,
            Static,
            "/etc/network/interfaces gives it to ens3, although the lease",
            false,
        ),
        (
            "a static stanza, a lease and a client",
            &[(LEASES, LEASE), (INTERFACES, STATIC)],
            &[ens3],
            None,
            Static,
            "gives it",
            false,
        ),
        (
            "a client and a file, no lease",
            &[(INTERFACES, DHCP)],
            &[ens3],
            None,
            Dhcp,
            "says DHCP for ens3 and dhclient runs",
            true,
        ),
        (
            "a file alone",
            &[(INTERFACES, DHCP)],
            &[],
            None,
            Static,
            "says DHCP, but no DHCP client runs",
            false,
        ),
        (
            "a client alone",
            &[],
            &[ens3],
            None,
            Static,
            "nothing says",
            false,
        ),
        (
            "networkd runs, another's file",
            &[(INTERFACES, DHCP)],
            &[("systemd-networkd", "")],
            None,
            Static,
            "no DHCP client runs",
            false,
        ),
        (
            "networkd with a lease",
            &[
                ("/run/systemd/netif/leases/2", "ADDRESS=192.0.2.7\n"),
                ("/sys/class/net/ens3/ifindex", "2\n"),
            ],
            &[("systemd-networkd", "")],
            None,
            Dhcp,
            "systemd-networkd runs for ens3",
            true,
        ),
        (
            "both stanzas",
            &[(
                INTERFACES,
                "iface ens3 inet dhcp\niface ens3 inet static\n address 192.0.2.7/24\n",
            )],
            &[("udhcpc", "eth9")],
            None,
            Static,
            "gives it",
            false,
        ),
        (
            "a command adds it on a link with DHCP",
            &[(
                INTERFACES,
                "iface ens3 inet dhcp\n up ip addr add 192.0.2.7/24 dev ens3\n",
            )],
            &[("dhclient", "")],
            None,
            Static,
            "gives it",
            false,
        ),
        (
            "netplan with an address and DHCP",
            &[(
                "/etc/netplan/1.yaml",
                "network: {ethernets: {ens3: {dhcp4: true, addresses: [192.0.2.7/24]}}}",
            )],
            &[("systemd-networkd", "")],
            None,
            Static,
            "/etc/netplan/1.yaml gives it",
            false,
        ),
        (
            "a file that matches by MAC",
            &[(
                "/etc/sysconfig/network-scripts/ifcfg-eth0",
                "DEVICE=ens3\nHWADDR=52:54:00:99:99:99\nBOOTPROTO=dhcp\n",
            )],
            &[ens3],
            None,
            Static,
            "nothing says",
            false,
        ),
        (
            "the first systemd.network file counts",
            &[
                (
                    "/etc/systemd/network/10.network",
                    "[Match]\nName=ens3\n[Network]\nDHCP=no",
                ),
                (
                    "/etc/systemd/network/20.network",
                    "[Match]\nName=*\n[Network]\nDHCP=yes",
                ),
            ],
            &[("systemd-networkd", "")],
            None,
            Static,
            "nothing says",
            false,
        ),
        (
            "a profile that somebody set, and no lease",
            &[(
                "/etc/NetworkManager/system-connections/x",
                "[connection]\ntype=ethernet\n[ipv4]\nmethod=auto\n",
            )],
            &[("NetworkManager", "")],
            None,
            Static,
            "no DHCP client runs",
            false,
        ),
        (
            "a profile and a lease, and nobody runs",
            &[
                (
                    "/etc/NetworkManager/system-connections/x",
                    "[connection]\ntype=ethernet\n[ipv4]\nmethod=auto\n",
                ),
                (LEASES, LEASE),
            ],
            &[],
            None,
            Static,
            "no file says DHCP",
            false,
        ),
        (
            "a profile and a lease, and its program runs",
            &[
                (
                    "/etc/NetworkManager/system-connections/x",
                    "[connection]\ntype=ethernet\n[ipv4]\nmethod=auto\n",
                ),
                (LEASES, LEASE),
            ],
            &[("NetworkManager", "")],
            None,
            Dhcp,
            "says DHCP for ens3 and the lease",
            true,
        ),
    ];
    for (name, files, clients, valid, origin, words, dhcp) in cases {
        let address = Address {
            valid,
            ..address("192.0.2.7/24")
        };
        let network = decided(vec![address], Vec::new(), &evidence(files, clients));
        let link = &network.links[0];
        let found = &link.addresses[0];
        assert_eq!(found.origin, origin, "{name}: {}", found.evidence);
        assert!(found.evidence.contains(words), "{name}: {}", found.evidence);
        assert_eq!(link.dhcp4.is_some(), dhcp, "{name}: {:?}", link.dhcp4);
        assert_eq!(link.dhcp6, None, "{name}");
    }
}

#[test]
fn an_extra_address_on_a_link_with_dhcp_stays() {
    let both = || vec![address("192.0.2.7/24"), address("192.0.2.8/24")];
    let clients = [("dhclient", "ens3")];
    let origins =
        |n: &Network| -> Vec<Origin> { n.links[0].addresses.iter().map(|a| a.origin).collect() };
    let network = decided(
        both(),
        Vec::new(),
        &evidence(&[(LEASES, LEASE), (INTERFACES, DHCP)], &clients),
    );
    assert_eq!(origins(&network), [Origin::Dhcp, Origin::Static]);
    // Without a lease nothing tells them apart.
    let network = decided(
        both(),
        Vec::new(),
        &evidence(&[(INTERFACES, DHCP)], &clients),
    );
    assert_eq!(origins(&network), [Origin::Static, Origin::Static]);
    let words = network.links[0].dhcp4.as_deref().unwrap();
    assert!(words.contains("cannot be told what it brought"), "{words}");
    let mixed = vec![lives("192.0.2.7/24", 60), address("192.0.2.8/24")];
    let network = decided(
        mixed,
        Vec::new(),
        &evidence(&[(INTERFACES, DHCP)], &clients),
    );
    assert_eq!(origins(&network), [Origin::Dhcp, Origin::Static]);
}

#[test]
fn a_link_that_waits_for_dhcp_keeps_it() {
    let network = decided(
        Vec::new(),
        Vec::new(),
        &evidence(&[(INTERFACES, DHCP)], &[]),
    );
    let link = &network.links[0];
    assert_eq!(
        link.dhcp4.as_deref(),
        Some("/etc/network/interfaces says DHCP for ens3, which has no address now")
    );
    assert!(link.configured);
    assert!(!decided(Vec::new(), Vec::new(), &evidence(&[], &[])).links[0].configured);
}

#[test]
fn families_are_decided_each_for_itself() {
    use Origin::{Dhcp, Kernel, Router, Static};
    let generated = |a: Address| Address {
        generated: true,
        ..a
    };
    let six = "iface ens3 inet6 dhcp\n";
    let ip = "2001:db8::5054:ff:fe12:3456/64";
    for (name, six_address, files, origin, dhcp6, router) in [
        (
            "by a router",
            generated(lives(ip, 900)),
            "",
            Router,
            false,
            true,
        ),
        (
            "by a router, for ever",
            generated(address(ip)),
            "iface ens3 inet6 auto\n",
            Router,
            false,
            true,
        ),
        (
            "as if by a router, for ever",
            generated(address(ip)),
            "",
            Static,
            false,
            false,
        ),
        (
            "temporary",
            Address {
                temporary: true,
                ..lives(ip, 900)
            },
            "",
            Router,
            false,
            true,
        ),
        (
            "a single one with a lifetime",
            lives("2001:db8::1f/128", 900),
            "",
            Dhcp,
            true,
            false,
        ),
        (
            "DHCPv6 with a prefix",
            lives("2001:db8::1f/64", 900),
            six,
            Dhcp,
            true,
            false,
        ),
        (
            "a prefix with a lifetime",
            lives("2001:db8::1f/64", 900),
            "",
            Router,
            false,
            true,
        ),
        (
            "static",
            address("2001:db8::7/64"),
            "",
            Static,
            false,
            false,
        ),
        (
            "static beside DHCPv6",
            address("2001:db8::7/64"),
            "iface ens3 inet6 static\n address 2001:db8::7\n netmask 64\n",
            Static,
            false,
            false,
        ),
        (
            "link-local",
            generated(address("fe80::1/64")),
            "",
            Kernel,
            false,
            false,
        ),
        (
            "link-local by hand",
            generated(address("fe80::1/64")),
            "iface ens3 inet6 static\n address fe80::1/64\n",
            Static,
            false,
            false,
        ),
    ] {
        let files = [(INTERFACES, files), (LEASES, LEASE)];
        let evidence = evidence(&files, &[("dhclient", "ens3")]);
        let network = decided(
            vec![address("192.0.2.7/24"), six_address],
            Vec::new(),
            &evidence,
        );
        let link = &network.links[0];
        assert_eq!(link.addresses[0].origin, Dhcp, "{name}");
        let found = &link.addresses[1];
        assert_eq!(found.origin, origin, "{name}: {}", found.evidence);
        assert_eq!(link.dhcp6.is_some(), dhcp6, "{name}: {:?}", link.dhcp6);
        assert_eq!(link.router.is_some(), router, "{name}: {:?}", link.router);
        assert!(!found.evidence.is_empty(), "{name}");
    }
}

#[test]
fn routes_are_dhcps_only_if_the_lease_names_them() {
    use Origin::{Dhcp, Router, Static};
    let via = |to: &str, gateway: &str, protocol: u8| Route {
        gateway: gateway.parse().ok(),
        protocol,
        ..route(to, "ens3", 254)
    };
    let files = [(LEASES, LEASE), (INTERFACES, DHCP)];
    let with_lease = evidence(&files, &[("dhclient", "ens3")]);
    let without = evidence(&[(INTERFACES, DHCP)], &[("dhclient", "ens3")]);
    let by_hand = evidence(&[(INTERFACES, STATIC)], &[]);
    let command = [
        (LEASES, LEASE),
        (
            INTERFACES,
            "iface ens3 inet dhcp\n post-up ip route add 203.0.113.0/24 via 192.0.2.2\n",
        ),
    ];
    let command = evidence(&command, &[("dhclient", "ens3")]);
    for (name, route, evidence, expected) in [
        (
            "the lease's router",
            via("0.0.0.0/0", "192.0.2.1", 3),
            &with_lease,
            Dhcp,
        ),
        (
            "another router",
            via("0.0.0.0/0", "192.0.2.9", 3),
            &with_lease,
            Static,
        ),
        (
            "the lease's other route",
            via("203.0.113.0/24", "192.0.2.2", 3),
            &with_lease,
            Dhcp,
        ),
        (
            "a destination that it does not name",
            via("198.51.100.0/24", "192.0.2.1", 3),
            &with_lease,
            Static,
        ),
        (
            "the way to the router",
            via("192.0.2.1/32", "", 3),
            &with_lease,
            Dhcp,
        ),
        (
            "the way elsewhere",
            via("192.0.2.99/32", "", 3),
            &with_lease,
            Static,
        ),
        (
            "a command names its gateway",
            via("203.0.113.0/24", "192.0.2.2", 3),
            &command,
            Static,
        ),
        (
            "no lease, a router beside the address",
            via("0.0.0.0/0", "192.0.2.1", 3),
            &without,
            Dhcp,
        ),
        (
            "no lease, a router elsewhere",
            via("0.0.0.0/0", "198.51.100.1", 3),
            &without,
            Static,
        ),
        (
            "a static link",
            via("0.0.0.0/0", "192.0.2.1", 3),
            &by_hand,
            Static,
        ),
        (
            "DHCP by its protocol",
            via("0.0.0.0/0", "192.0.2.1", 16),
            &without,
            Dhcp,
        ),
        (
            "a router's by its protocol",
            via("::/0", "fe80::1", 9),
            &without,
            Router,
        ),
        (
            "a router's on old kernels",
            via("::/0", "fe80::1", 2),
            &without,
            Router,
        ),
        (
            "a default route of IPv6 by hand",
            via("::/0", "fe80::1", 3),
            &with_lease,
            Static,
        ),
    ] {
        let network = decided(vec![address("192.0.2.7/24")], vec![route], evidence);
        assert_eq!(network.routes[0].origin, expected, "{name}");
    }
}
