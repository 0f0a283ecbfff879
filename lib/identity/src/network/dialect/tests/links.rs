//! Links without a cable, addresses whose ends are not the MAC address's, and MTUs that a server gave, in
//! every dialect.

use super::super::write;
use super::{networks, shown};
use formats::network::{Dialect, Network, Stack};

/// What is written, and what is not.
type Parts<'a> = (&'a [&'a str], &'a [&'a str]);

fn assert_written(network: &Network, cases: &[(Stack, Parts)]) {
    for (stack, (has, lacks)) in cases {
        let text = shown(&write(network, stack).unwrap());
        let at = format!("{} {}", stack.dialect, stack.systemd);
        for part in *has {
            assert!(text.contains(part), "{at}: {part}\n{text}");
        }
        for part in *lacks {
            assert!(!text.contains(part), "{at}: {part}\n{text}");
        }
    }
}

fn aged(dialect: Dialect, systemd: u32) -> Stack {
    Stack {
        systemd,
        ..networks::debian(dialect)
    }
}

#[test]
fn nothing_waits_for_a_cable() {
    let mut network = networks::static_v4();
    network.links[0].carrier = false;
    let v6 = networks::address("2001:db8::7/64");
    network.links[0].addresses.push(v6);
    let networkd: Parts = (
        &[
            "[Link]\nRequiredForOnline=no\n",
            "ConfigureWithoutCarrier=yes",
        ],
        &[],
    );
    assert_written(
        &network,
        &[
            (networks::debian(Dialect::Networkd), networkd),
            (
                networks::debian(Dialect::Netplan),
                (&["optional: true", "ignore-carrier: true"], &[]),
            ),
            (
                aged(Dialect::Netplan, 245),
                (&["optional: true"], &["ignore-carrier"]),
            ),
            (
                networks::debian(Dialect::Ifupdown),
                (
                    &["allow-hotplug ens3\n", "    dad-attempts 0\n"],
                    &["auto ens3"],
                ),
            ),
        ],
    );
    // With one, everything waits as ever.
    network.links[0].carrier = true;
    let cases = [
        (Dialect::Networkd, "RequiredForOnline"),
        (Dialect::Netplan, "optional"),
        (Dialect::Ifupdown, "allow-hotplug"),
    ];
    for (dialect, word) in cases {
        assert_written(&network, &[(networks::debian(dialect), (&[], &[word]))]);
    }
    // A server is asked once there is a cable.
    let mut network = networks::dhcp();
    network.links[0].carrier = false;
    assert_written(
        &network,
        &[
            (
                networks::debian(Dialect::Networkd),
                (&["RequiredForOnline=no"], &["WithoutCarrier"]),
            ),
            (
                networks::debian(Dialect::Netplan),
                (&["optional: true"], &["ignore-carrier"]),
            ),
            (
                networks::debian(Dialect::Ifupdown),
                (&["allow-hotplug net0"], &["auto net0"]),
            ),
        ],
    );
}

#[test]
fn the_end_of_routers_addresses_is_carried() {
    let mut network = networks::dhcp();
    network.links[0].token = "::a:b:c:d".parse().ok();
    assert_written(
        &network,
        &[
            (
                networks::debian(Dialect::Networkd),
                (
                    &["[IPv6AcceptRA]\nToken=static:::a:b:c:d\n"],
                    &["IPv6Token"],
                ),
            ),
            (
                aged(Dialect::Networkd, 247),
                (&["IPv6AcceptRA=yes\nIPv6Token=::a:b:c:d\n"], &["static:"]),
            ),
            (
                networks::debian(Dialect::Netplan),
                (&["      ipv6-address-token: \"::a:b:c:d\"\n"], &[]),
            ),
            (
                networks::debian(Dialect::NetworkManager),
                (&["addr-gen-mode=eui64\ntoken=::a:b:c:d\n"], &[]),
            ),
            (
                networks::debian(Dialect::Ifupdown),
                (&["    pre-up ip token set ::a:b:c:d dev net0\n"], &[]),
            ),
        ],
    );
    let refused = write(&network, &aged(Dialect::Netplan, 245)).unwrap_err();
    assert!(refused[0].contains("end in ::a:b:c:d"), "{refused:?}");
    network.links[0].router = None;
    for dialect in [
        Dialect::Networkd,
        Dialect::Netplan,
        Dialect::NetworkManager,
        Dialect::Ifupdown,
    ] {
        assert_written(&network, &[(networks::debian(dialect), (&[], &["::a:b"]))]);
    }
}

#[test]
fn an_mtu_that_a_server_gave_stays_the_servers() {
    let mut network = networks::dhcp();
    network.links[0].mtu = 1450;
    let all = [
        (Dialect::Networkd, "MTUBytes=1450"),
        (Dialect::Netplan, "mtu: 1450"),
        (Dialect::NetworkManager, "mtu=1450"),
        (Dialect::Ifupdown, "mtu 1450"),
    ];
    for (dialect, said) in all {
        let own = network.clone();
        assert_written(&own, &[(networks::debian(dialect), (&[said], &["UseMTU"]))]);
        let mut given = own;
        given.links[0].dhcp_client.gives_mtu = true;
        assert_written(&given, &[(networks::debian(dialect), (&[], &[said]))]);
    }
    network.links[0].dhcp_client.gives_mtu = true;
    assert_written(
        &network,
        &[(networks::debian(Dialect::Networkd), (&["UseMTU=yes"], &[]))],
    );
}
