//! Networks for the tables of tests.

use std::net::IpAddr;

pub(super) use fixtures::network::rule;
use formats::dhcp::{DhcpClient, Octets};
use formats::network::{
    Address, Bond, Dialect, Dns, DnsServer, Link, LinkKind, Network, Origin, Prefix, Resolver,
    Route, RouteKind, Stack,
};

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(super) fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

pub(super) fn link(name: &str, mac: &str) -> Link {
    Link {
        driver: Some("virtio_net".to_owned()),
        ..fixtures::network::card(name, mac.parse().unwrap(), Vec::new())
    }
}

pub(super) fn address(text: &str) -> Address {
    Address {
        evidence: "it is valid for ever".to_owned(),
        ..fixtures::network::address(text)
    }
}

pub(super) fn given(text: &str, origin: Origin) -> Address {
    Address {
        origin,
        valid: Some(3600),
        ..address(text)
    }
}

pub(super) fn route(to: &str, via: &str, dev: &str) -> Route {
    Route {
        gateway: (!via.is_empty()).then(|| ip(via)),
        scope: if via.is_empty() { 253 } else { 0 },
        ..fixtures::network::route(to, dev, 254)
    }
}

pub(super) fn drop_route(to: &str, kind: RouteKind) -> Route {
    Route {
        kind,
        link: None,
        scope: 0,
        ..route(to, "", "")
    }
}

pub(super) fn server(text: &str) -> DnsServer {
    DnsServer {
        address: ip(text),
        link: None,
        origin: Origin::Static,
    }
}

fn dns() -> Dns {
    Dns {
        servers: vec![server("192.0.2.53"), server("2001:db8::53")],
        search: vec!["example.org".to_owned(), "corp.example.org".to_owned()],
        options: vec!["ndots:2".to_owned()],
        read_from: vec!["/etc/resolv.conf".to_owned()],
    }
}

pub(super) fn static_v4() -> Network {
    Network {
        links: vec![Link {
            addresses: vec![
                address("192.0.2.7/24"),
                Address {
                    label: Some("ens3:1".to_owned()),
                    ..address("192.0.2.8/24")
                },
                given("fe80::5054:ff:fe12:3456/64", Origin::Kernel),
            ],
            ..link("ens3", "52:54:00:12:34:56")
        }],
        routes: vec![route("0.0.0.0/0", "192.0.2.1", "ens3")],
        dns: dns(),
        ..Network::default()
    }
}

pub(super) fn onlink() -> Network {
    let on = |route| Route {
        onlink: true,
        ..route
    };
    Network {
        links: vec![Link {
            addresses: vec![address("192.0.2.7/32"), address("2001:db8::7/128")],
            ..link("eth0", "52:54:00:12:34:56")
        }],
        routes: vec![
            on(route("0.0.0.0/0", "198.51.100.1", "eth0")),
            on(Route {
                metric: 1024,
                ..route("::/0", "2001:db8:ffff::1", "eth0")
            }),
            Route {
                metric: 50,
                mtu: Some(1400),
                ..route("2001:db8:7::/48", "fe80::1", "eth0")
            },
        ],
        dns: dns(),
        ..Network::default()
    }
}

/// IPv6 alone: two prefixes, a router by its link-local address for one and outside the other.
pub(super) fn ipv6_only() -> Network {
    let single = |link, gateway: &str| Route {
        metric: 1024,
        ..route(gateway, "", link)
    };
    Network {
        links: vec![Link {
            addresses: vec![
                address("2001:db8:1::7/64"),
                address("2001:db8:2::7/128"),
                given("fe80::5054:ff:fe12:3456/64", Origin::Kernel),
            ],
            ..link("ens3", "52:54:00:12:34:56")
        }],
        routes: vec![
            single("ens3", "2001:db8:ffff::1/128"),
            Route {
                metric: 1024,
                ..route("::/0", "fe80::1", "ens3")
            },
            Route {
                metric: 1024,
                source: Some(ip("2001:db8:2::7")),
                ..route("2001:db8:3::/48", "2001:db8:ffff::1", "ens3")
            },
        ],
        dns: Dns {
            servers: vec![server("2001:db8::53")],
            ..Dns::default()
        },
        ..Network::default()
    }
}

pub(super) fn dhcp() -> Network {
    Network {
        links: vec![Link {
            addresses: vec![given("192.0.2.7/24", Origin::Dhcp)],
            dhcp4: Some("a lease file".to_owned()),
            router: Some("a prefix with a lifetime".to_owned()),
            dhcp_metric: Some(100),
            ..link("eth0", "52:54:00:12:34:56")
        }],
        routes: vec![Route {
            origin: Origin::Dhcp,
            ..route("0.0.0.0/0", "192.0.2.1", "eth0")
        }],
        dns: Dns {
            servers: vec![DnsServer {
                origin: Origin::Dhcp,
                ..server("192.0.2.53")
            }],
            ..Dns::default()
        },
        ..Network::default()
    }
}

pub(super) fn dhcp_and_static() -> Network {
    let mut network = dhcp();
    let eth0 = &mut network.links[0];
    eth0.addresses.push(address("203.0.113.9/29"));
    eth0.addresses.push(Address {
        temporary: true,
        ..given("2001:db8::1234/64", Origin::Router)
    });
    eth0.dhcp6 = Some("a lease file".to_owned());
    network
        .routes
        .push(route("198.51.100.0/24", "203.0.113.14", "eth0"));
    network.dns = dns();
    network
}

/// A machine that servers know by what systemd-networkd makes up.
pub(super) fn known() -> Network {
    let mut network = dhcp();
    let eth0 = &mut network.links[0];
    eth0.dhcp6 = Some("a lease file".to_owned());
    let duid: Octets = "00:02:00:00:ab:11:de:de:0f:ab:f5:e9:fc:a3".parse().unwrap();
    eth0.dhcp_client = DhcpClient {
        identifier: Some(Octets::of_duid(0x5f6d_aaa8, &duid)),
        identifier_by: "a lease has it".to_owned(),
        duid: Some(duid),
        iaid: Some(0x5f6d_aaa8),
        duid_by: "networkd keeps it".to_owned(),
        gives_mtu: false,
    };
    network
}

/// Two slaves in an active-backup bond with a VLAN on it, two in an LACP bond below a bridge.
pub(super) fn layered() -> Network {
    let bond = |mode: &str| Bond {
        mode: mode.to_owned(),
        miimon: 100,
        updelay: 200,
        downdelay: 200,
        lacp_rate: None,
        xmit_hash_policy: None,
        primary: None,
        arp_interval: 0,
        arp_targets: Vec::new(),
    };
    let slave = |name: &str, own: &str, now: &str, master: &str| Link {
        mac: Some(now.parse().unwrap()),
        master: Some(master.to_owned()),
        mtu: 9000,
        ..link(name, own)
    };
    let made = |name: &str, mac: &str, kind| Link {
        permanent_mac: None,
        kind,
        mtu: 9000,
        driver: None,
        ..link(name, mac)
    };
    Network {
        links: vec![
            Link {
                addresses: vec![address("2001:db8:5::7/64"), address("192.0.2.7/24")],
                mtu: 1500,
                ..made(
                    "bond0.5",
                    "52:54:00:00:00:01",
                    LinkKind::Vlan {
                        parent: "bond0".to_owned(),
                        id: 5,
                    },
                )
            },
            slave("eth0", "52:54:00:00:00:01", "52:54:00:00:00:01", "bond0"),
            slave("eth1", "52:54:00:00:00:02", "52:54:00:00:00:01", "bond0"),
            slave("enp1s0", "52:54:00:00:00:03", "52:54:00:00:00:03", "bond1"),
            slave("enp2s0", "52:54:00:00:00:04", "52:54:00:00:00:03", "bond1"),
            made(
                "bond0",
                "52:54:00:00:00:01",
                LinkKind::Bond(Bond {
                    primary: Some("eth0".to_owned()),
                    ..bond("active-backup")
                }),
            ),
            Link {
                master: Some("br0".to_owned()),
                ..made(
                    "bond1",
                    "52:54:00:00:00:03",
                    LinkKind::Bond(Bond {
                        lacp_rate: Some("fast".to_owned()),
                        xmit_hash_policy: Some("layer3+4".to_owned()),
                        ..bond("802.3ad")
                    }),
                )
            },
            Link {
                addresses: vec![address("198.51.100.7/24")],
                ..made(
                    "br0",
                    "52:54:00:00:00:03",
                    LinkKind::Bridge {
                        stp: false,
                        forward_delay: 0,
                    },
                )
            },
        ],
        routes: vec![
            route("0.0.0.0/0", "192.0.2.1", "bond0.5"),
            route("::/0", "2001:db8:5::1", "bond0.5"),
        ],
        dns: dns(),
        ..Network::default()
    }
}

/// Two interfaces, each answering by its own gateway.
pub(super) fn policy() -> Network {
    Network {
        links: vec![
            Link {
                addresses: vec![address("192.0.2.7/24")],
                ..link("ens3", "52:54:00:00:00:01")
            },
            Link {
                addresses: vec![address("198.51.100.7/24"), address("2001:db8:2::7/64")],
                ..link("ens4", "52:54:00:00:00:02")
            },
        ],
        routes: vec![
            route("0.0.0.0/0", "192.0.2.1", "ens3"),
            Route {
                metric: 200,
                source: Some(ip("198.51.100.7")),
                ..route("0.0.0.0/0", "198.51.100.1", "ens4")
            },
            Route {
                table: 100,
                ..route("198.51.100.0/24", "", "ens4")
            },
            Route {
                table: 100,
                ..route("0.0.0.0/0", "198.51.100.1", "ens4")
            },
            Route {
                table: 100,
                ..route("::/0", "2001:db8:2::1", "ens4")
            },
            drop_route("203.0.113.0/24", RouteKind::Blackhole),
        ],
        rules: vec![
            rule(1000, "198.51.100.7/32", 100),
            rule(1001, "2001:db8:2::7/128", 100),
        ],
        ..Network::default()
    }
}

pub(super) fn two_nics() -> Network {
    Network {
        links: vec![
            Link {
                addresses: vec![address("192.0.2.7/24")],
                ..link("eth0", "52:54:00:00:00:01")
            },
            Link {
                addresses: vec![Address {
                    peer: Some(ip("203.0.113.1")),
                    ..address("203.0.113.2/32")
                }],
                mtu: 1400,
                ..link("eth1", "52:54:00:00:00:02")
            },
        ],
        routes: vec![
            route("0.0.0.0/0", "192.0.2.1", "eth0"),
            route("198.51.100.0/24", "203.0.113.1", "eth1"),
        ],
        dns: dns(),
        ..Network::default()
    }
}

/// A payload: Debian 13 with a dialect.
pub(super) fn debian(dialect: Dialect) -> Stack {
    let resolver = match dialect {
        Dialect::Ifupdown | Dialect::NetworkManager => Resolver::File,
        Dialect::Netplan | Dialect::Networkd => Resolver::Resolved,
    };
    Stack {
        dialect,
        systemd: 257,
        kernel_names: false,
        resolver,
        programs: vec!["ip".to_owned(), "dhcpcd".to_owned()],
    }
}

/// Debian 13 with ifupdown and these programs.
pub(super) fn with(programs: &[&str]) -> Stack {
    Stack {
        programs: programs.iter().map(|p| (*p).to_owned()).collect(),
        ..debian(Dialect::Ifupdown)
    }
}

/// Ubuntu 16.04.
pub(super) fn xenial() -> Stack {
    Stack {
        dialect: Dialect::Ifupdown,
        systemd: 229,
        kernel_names: true,
        resolver: Resolver::Resolvconf,
        programs: ["ip", "dhclient", "resolvconf"].map(str::to_owned).to_vec(),
    }
}
