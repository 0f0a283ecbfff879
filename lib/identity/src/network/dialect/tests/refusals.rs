//! What is refused, what is noted, and what changes with the version.

use super::networks::{self, address, debian, ip, link, prefix, route, rule, xenial};
use crate::network::dialect::write;
use formats::network::{
    Address, Content, Dialect, Link, LinkKind, Network, Resolver, Route, RouteKind, Rule, Stack,
};

const ALL: [Dialect; 4] = [
    Dialect::Ifupdown,
    Dialect::Netplan,
    Dialect::Networkd,
    Dialect::NetworkManager,
];

fn refusals(network: &Network, stack: &Stack) -> String {
    write(network, stack).unwrap_err().join("\n")
}

/// The text of everything that was written.
fn text(network: &Network, stack: &Stack) -> String {
    let mut all = String::new();
    for file in write(network, stack).unwrap().files {
        if let Content::Text(text) = file.content {
            all.push_str(&text);
        }
    }
    all
}

fn old(version: u32) -> Stack {
    Stack {
        systemd: version,
        ..debian(Dialect::Networkd)
    }
}

#[test]
fn hostile_names_are_refused_in_every_dialect() {
    for name in [
        "",
        "lo",
        "..",
        "-x",
        "a b",
        "a\nb",
        "a/b",
        "$(reboot)",
        "ens3;reboot",
        "\"",
        "sixteen-bytes-xx",
        "ä",
    ] {
        for dialect in ALL {
            let network = Network {
                links: vec![link(name, "52:54:00:00:00:01")],
                ..Network::default()
            };
            let said = refusals(&network, &debian(dialect));
            assert!(
                said.contains(&format!("{name:?}: no name")),
                "{name:?}: {said}"
            );
        }
    }
}

#[test]
fn hostile_search_domains_and_options_are_refused() {
    for domain in [
        "",
        "a b",
        "example.org\nnameserver 192.0.2.66",
        "$(id)",
        "a..b",
        "-x.org",
    ] {
        for dialect in ALL {
            let mut network = networks::static_v4();
            network.dns.search = vec![domain.to_owned()];
            let said = refusals(&network, &debian(dialect));
            assert!(said.contains("search domain"), "{domain:?}: {said}");
        }
    }
    let mut network = networks::static_v4();
    network.dns.options = vec!["ndots:2\nnameserver 192.0.2.66".to_owned()];
    let said = refusals(&network, &debian(Dialect::Ifupdown));
    assert!(said.contains("resolver option"), "{said}");
}

#[test]
fn hostile_labels_are_left_out_and_said() {
    let mut network = networks::static_v4();
    network.links[0].addresses[1].label = Some("ens3:$(id)".to_owned());
    for dialect in ALL {
        let written = write(&network, &debian(dialect)).unwrap();
        assert!(!text(&network, &debian(dialect)).contains("$(id)"));
        assert!(
            written.notes.iter().any(|note| note.contains("label")),
            "{written:?}"
        );
    }
}

#[test]
fn links_that_cannot_be_told_apart_are_refused() {
    let mut network = networks::two_nics();
    network.links[1].permanent_mac = network.links[0].permanent_mac;
    let said = refusals(&network, &debian(Dialect::Networkd));
    assert!(said.contains("\"eth0\" has the same MAC address"), "{said}");
    network.links[1].permanent_mac = None;
    network.links[1].mac = None;
    let said = refusals(&network, &debian(Dialect::Networkd));
    assert!(said.contains("no MAC address"), "{said}");
}

#[test]
fn links_that_are_missing_or_unknown_are_refused() {
    let stack = debian(Dialect::Networkd);
    let mut network = networks::layered();
    network.links.retain(|link| link.name != "bond0");
    let said = refusals(&network, &stack);
    assert!(said.contains("\"eth0\": it belongs to \"bond0\""), "{said}");
    assert!(
        said.contains("\"bond0.5\": it belongs to \"bond0\""),
        "{said}"
    );

    let mut network = networks::static_v4();
    network
        .routes
        .push(route("198.51.100.0/24", "192.0.2.2", "wg0"));
    let said = refusals(&network, &stack);
    assert!(
        said.contains("its link \"wg0\" does not come along"),
        "{said}"
    );

    let mut network = networks::static_v4();
    network.links[0].kind = LinkKind::Other("wireguard".to_owned());
    let said = refusals(&network, &stack);
    assert!(said.contains("\"wireguard\" are not written"), "{said}");

    let mut network = networks::layered();
    network.links[0].addresses.clear();
    network.links[0].master = Some("bond0".to_owned());
    let said = refusals(&network, &stack);
    assert!(said.contains("made of each other"), "{said}");

    let mut network = networks::layered();
    network.links[1].master = Some("bond0.5".to_owned());
    let said = refusals(&network, &stack);
    assert!(said.contains("is no bond and no bridge"), "{said}");
}

#[test]
fn an_old_networkd_is_not_given_what_it_would_pass_over() {
    let with_route = |route: Route| {
        let mut network = networks::static_v4();
        network.links[0].addresses.truncate(1);
        network.routes.push(route);
        network
    };
    let plain = route("203.0.113.0/24", "192.0.2.2", "ens3");
    for (network, first, what) in [
        (
            with_route(Route {
                table: 100,
                ..plain.clone()
            }),
            230,
            "routing table",
        ),
        (
            with_route(Route {
                onlink: true,
                ..plain.clone()
            }),
            234,
            "gateway outside",
        ),
        (
            with_route(networks::drop_route("203.0.113.0/24", RouteKind::Prohibit)),
            235,
            "drops",
        ),
        (
            with_route(Route {
                mtu: Some(1400),
                ..plain.clone()
            }),
            239,
            "MTU of a route",
        ),
        (networks::policy(), 235, "policy rule"),
    ] {
        let said = refusals(&network, &old(first - 1));
        assert!(
            said.contains(what) && said.contains(&format!("systemd {first}")),
            "{said}"
        );
        write(&network, &old(first)).unwrap();
    }
}

#[test]
fn keys_have_the_names_that_the_version_knows() {
    let network = networks::dhcp_and_static();
    let new = text(&network, &old(257));
    assert!(
        new.contains("IPv6AcceptRA=yes") && new.contains("[DHCPv4]"),
        "{new}"
    );
    let older = text(&network, &old(229));
    assert!(
        older.contains("IPv6AcceptRouterAdvertisements=yes"),
        "{older}"
    );
    assert!(older.contains("[DHCP]\nClientIdentifier=mac"), "{older}");
    assert!(
        !older.contains("[DHCPv4]") && !older.contains("[IPv6AcceptRA]"),
        "{older}"
    );
}

#[test]
fn a_gateway_behind_a_route_is_onlink_where_routes_come_in_any_order() {
    let network = Network {
        links: vec![Link {
            addresses: vec![address("192.0.2.7/32")],
            ..link("ens3", "52:54:00:00:00:01")
        }],
        routes: vec![
            route("0.0.0.0/0", "192.0.2.1", "ens3"),
            route("192.0.2.1/32", "", "ens3"),
        ],
        ..Network::default()
    };
    assert!(text(&network, &old(241)).contains("GatewayOnlink=yes"));
    let new = text(&network, &old(252));
    assert!(!new.contains("GatewayOnlink"));
    let link_route = new.find("Destination=192.0.2.1/32").unwrap();
    assert!(
        link_route < new.find("Destination=0.0.0.0/0").unwrap(),
        "{new}"
    );
}

#[test]
fn addresses_that_a_dialect_has_no_words_for_are_refused() {
    let with = |address: Address| {
        let mut network = networks::static_v4();
        network.links[0].addresses.push(address);
        network
    };
    let plain = address("203.0.113.2/24");
    let odd = [
        with(Address {
            peer: Some(ip("203.0.113.1")),
            ..plain.clone()
        }),
        with(Address {
            broadcast: Some(ip("203.0.113.254")),
            ..plain.clone()
        }),
        with(Address {
            scope: 254,
            ..plain.clone()
        }),
        with(Address {
            no_prefix_route: true,
            ..plain
        }),
    ];
    for network in &odd {
        for dialect in [Dialect::Netplan, Dialect::NetworkManager] {
            let said = refusals(network, &debian(dialect));
            assert!(said.contains("203.0.113.2/24"), "{said}");
        }
    }
    let networkd = odd
        .each_ref()
        .map(|network| text(network, &debian(Dialect::Networkd)));
    let ifupdown = odd
        .each_ref()
        .map(|network| text(network, &debian(Dialect::Ifupdown)));
    for (number, key, command) in [
        (0, "Peer=203.0.113.1/24", "203.0.113.2 peer 203.0.113.1/24"),
        (1, "Broadcast=203.0.113.254", "broadcast 203.0.113.254"),
        (2, "Scope=254", "scope 254"),
        (3, "AddPrefixRoute=no", "noprefixroute"),
    ] {
        assert!(networkd[number].contains(key), "{}", networkd[number]);
        assert!(ifupdown[number].contains(command), "{}", ifupdown[number]);
    }
}

#[test]
fn a_prefix_route_that_a_program_made_counts_as_the_kernels() {
    let mut network = networks::static_v4();
    network.links[0].addresses.truncate(1);
    network.links[0].addresses[0].no_prefix_route = true;
    network.routes.push(Route {
        protocol: 2,
        metric: 100,
        ..route("192.0.2.0/24", "", "ens3")
    });
    for dialect in ALL {
        let text = text(&network, &debian(dialect));
        assert!(!text.contains("192.0.2.0/24"), "{text}");
        assert!(
            !text.contains("AddPrefixRoute") && !text.contains("noprefixroute"),
            "{text}"
        );
    }
}

#[test]
fn rules_name_links_that_have_known_names() {
    let mut network = networks::two_nics();
    network.links[1].addresses[0].peer = None;
    network.routes.pop();
    network.rules = vec![Rule {
        from: None,
        iif: Some("eth1".to_owned()),
        fwmark: Some((16, 255)),
        ..rule(900, "0.0.0.0/0", 254)
    }];
    let networkd = text(&network, &debian(Dialect::Networkd));
    assert!(networkd.contains("Name=net1\n"), "{networkd}");
    assert!(
        networkd.contains("IncomingInterface=net1\nFirewallMark=16/255\n"),
        "{networkd}"
    );
    let manager = text(&network, &debian(Dialect::NetworkManager));
    let said = "=priority 900 from 0.0.0.0/0 iif net1 fwmark 0x10/0xff table 254\n";
    assert!(manager.contains(said), "{manager}");
    let ifupdown = text(&network, &debian(Dialect::Ifupdown));
    assert!(
        ifupdown.contains("from all iif net1 fwmark 16/255 table 254"),
        "{ifupdown}"
    );
    let netplan = refusals(&network, &debian(Dialect::Netplan));
    assert!(
        netplan.contains("rules for links") && netplan.contains("masks"),
        "{netplan}"
    );
}

#[test]
fn programs_that_are_missing_are_named() {
    let mut stack = debian(Dialect::Ifupdown);
    stack.programs = vec!["ip".to_owned()];
    let said = refusals(&networks::dhcp(), &stack);
    assert!(said.contains("dhclient, udhcpc, dhcpcd"), "{said}");
    stack.programs.clear();
    let said = refusals(&networks::static_v4(), &stack);
    assert!(said.contains("no `ip`"), "{said}");
    stack.programs = vec!["ip".to_owned(), "dhcpcd".to_owned()];
    let said = refusals(&networks::dhcp_and_static(), &stack);
    assert!(said.contains("DHCPv6"), "{said}");
}

#[test]
fn ifupdown_makes_vlans_by_their_names() {
    let mut network = networks::layered();
    network.links[0].kind = LinkKind::Vlan {
        parent: "bond0".to_owned(),
        id: 6,
    };
    let said = refusals(&network, &debian(Dialect::Ifupdown));
    assert!(said.contains("bond0.5: it is VLAN 6 of bond0"), "{said}");
    write(&network, &debian(Dialect::Networkd)).unwrap();
}

#[test]
fn bridges_keep_their_mtu_or_are_refused() {
    let mut network = networks::layered();
    for link in &mut network.links {
        if link.name == "br0" {
            link.mtu = 1400;
        }
    }
    let said = refusals(&network, &debian(Dialect::Netplan));
    assert!(
        said.contains("br0: netplan cannot keep a bridge's MTU (1400)"),
        "{said}"
    );
    assert!(text(&network, &debian(Dialect::Networkd)).contains("MTUBytes=1400"));
}

#[test]
fn static_name_servers_outlive_dhcp() {
    let network = networks::dhcp_and_static();
    let mut stack = debian(Dialect::Networkd);
    stack.resolver = Resolver::File;
    assert!(text(&network, &stack).contains("nameserver 192.0.2.53\n"));
    let mut without_v6 = network.clone();
    without_v6.links[0].dhcp6 = None;
    let ifupdown = text(&without_v6, &debian(Dialect::Ifupdown));
    assert!(
        ifupdown.contains("skip_hooks=\"$skip_hooks resolv.conf\""),
        "{ifupdown}"
    );
    let mut dhclient = xenial();
    dhclient.resolver = Resolver::File;
    assert!(text(&network, &dhclient).contains("make_resolv_conf() { :; }"));

    // Nothing in such a system takes them from DHCP.
    let written = write(&networks::dhcp(), &stack).unwrap();
    assert!(
        written
            .notes
            .iter()
            .any(|note| note.contains("that DHCP gave")),
        "{written:?}"
    );
    assert!(text(&networks::dhcp(), &stack).contains("nameserver 192.0.2.53\n"));
}

#[test]
fn name_servers_without_a_family_are_global_for_network_manager() {
    let mut network = networks::static_v4();
    network.links[0].addresses.truncate(1);
    let text = text(&network, &debian(Dialect::NetworkManager));
    let said = "[global-dns-domain-*]\nservers=192.0.2.53,2001:db8::53\n";
    assert!(text.contains(said), "{text}");
    assert!(!text.contains("dns=192.0.2.53"), "{text}");
}

#[test]
fn links_that_are_down_stay_down() {
    let mut network = networks::two_nics();
    network.links[1].up = false;
    network.links[1].addresses = vec![address("203.0.113.2/29")];
    network.routes.pop();
    for (dialect, said) in [
        (Dialect::Networkd, "ActivationPolicy=manual"),
        (Dialect::Netplan, "activation-mode: manual"),
        (Dialect::NetworkManager, "autoconnect=false"),
    ] {
        let text = text(&network, &debian(dialect));
        assert!(text.contains(said), "{text}");
    }
    let ifupdown = text(&network, &debian(Dialect::Ifupdown));
    assert!(ifupdown.contains("iface net1 inet static") && !ifupdown.contains("auto net1"));
    assert!(refusals(&network, &old(247)).contains("it is down and has addresses"));
}

#[test]
fn the_payloads_own_files_go() {
    let written = write(&networks::static_v4(), &debian(Dialect::Ifupdown)).unwrap();
    for path in [
        "/etc/systemd/network/*.network",
        "/etc/netplan/*.yaml",
        "/etc/NetworkManager/system-connections/*",
        "/etc/network/interfaces.d/*",
        "/etc/udev/rules.d/70-persistent-net.rules",
    ] {
        assert!(
            written.removed.iter().any(|removed| removed == path),
            "{path}"
        );
    }
    let kept = write(&networks::static_v4(), &xenial()).unwrap();
    assert!(!kept
        .removed
        .iter()
        .any(|path| path.contains("70-persistent")));
}

#[test]
fn prefixes_are_written_with_cleared_host_bits() {
    let mut network = networks::static_v4();
    network.routes.push(Route {
        destination: prefix("198.51.100.77/24"),
        ..route("0.0.0.0/0", "192.0.2.2", "ens3")
    });
    for dialect in ALL {
        let text = text(&network, &debian(dialect));
        assert!(
            text.contains("198.51.100.0/24") && !text.contains("198.51.100.77"),
            "{text}"
        );
    }
}
