//! What each client of DHCP is known by, each as a case.

use super::{decide, Evidence, OldFile, RunningClient};
use fixtures::network::{address, link};
use formats::network::{Address, Link, LinkKind, Network};

const LEASES: &str = "/var/lib/dhcp/dhclient.ens3.leases";
const STATE: &str = "/run/systemd/netif/links/2";
const NETWORKD: &str = "/run/systemd/netif/leases/2";
const PROFILE: &str = "/etc/NetworkManager/system-connections/ens3.nmconnection";
const LEASE: &str = "lease { interface \"ens3\"; fixed-address 192.0.2.7; expire never; }\n";
const DUID: &str = "default-duid \"\\000\\003\\000\\001RT\\000\\0224V\";\n";

/// ens3 with an address of each family by DHCP.
fn machine() -> Network {
    let lives = |text: &str| Address {
        valid: Some(300),
        ..address(text)
    };
    Network {
        links: vec![Link {
            addresses: vec![lives("192.0.2.7/24"), lives("2001:db8::7/128")],
            mac: "52:54:00:12:34:56".parse().ok(),
            ..link("ens3", LinkKind::Physical)
        }],
        ..Network::default()
    }
}

fn decided(files: &[(&str, &str)], clients: &[&[&str]]) -> Network {
    let index = ("/sys/class/net/ens3/ifindex", "2\n");
    let files: Vec<OldFile> = files
        .iter()
        .chain([&index])
        .map(|(path, text)| OldFile::from_bytes(path, text.as_bytes(), None))
        .collect();
    let clients: Vec<RunningClient> = clients
        .iter()
        .map(|words| RunningClient {
            name: words[0].to_owned(),
            interface: words.contains(&"ens3").then(|| "ens3".to_owned()),
            arguments: words[1..].iter().map(|w| (*w).to_owned()).collect(),
        })
        .collect();
    let mut network = machine();
    decide(&mut network, &Evidence::from_files(&files, &clients));
    network
}

/// Name, files, command lines, the identifier of IPv4.
type Case<'a> = (
    &'a str,
    &'a [(&'a str, &'a str)],
    &'a [&'a [&'a str]],
    Option<&'a str>,
);

#[test]
fn the_identifier_of_every_client_is_found() {
    let both = [DUID, LEASE].concat();
    let cases: [Case; 24] = [
        ("nothing at all", &[], &[], None),
        (
            "dhclient by itself",
            &[(LEASES, LEASE)],
            &[&["dhclient", "-v", "ens3"]],
            Some(""),
        ),
        (
            "dhclient with its DUID",
            &[(LEASES, &both)],
            &[&["dhclient", "-4", "-i", "ens3"]],
            Some("ff:00:12:34:56:00:03:00:01:52:54:00:12:34:56"),
        ),
        (
            "dhclient whose command line is not known",
            &[(LEASES, &both)],
            &[],
            Some("ff:00:12:34:56:00:03:00:01:52:54:00:12:34:56"),
        ),
        (
            "a DUID that only IPv6 uses",
            &[
                (LEASES, LEASE),
                ("/var/lib/dhcp/dhclient6.ens3.leases", DUID),
            ],
            &[],
            Some(""),
        ),
        (
            "dhclient with a DUID in IPv6's file",
            &[
                (LEASES, LEASE),
                ("/var/lib/dhcp/dhclient6.ens3.leases", DUID),
            ],
            &[&["dhclient", "-i", "ens3"]],
            Some("ff:00:12:34:56:00:03:00:01:52:54:00:12:34:56"),
        ),
        (
            "dhclient that is told",
            &[
                (LEASES, &both),
                (
                    "/etc/dhcp/dhclient.conf",
                    "send dhcp-client-identifier \"shop1\";",
                ),
            ],
            &[&["dhclient", "-i", "ens3"]],
            Some("73:68:6f:70:31"),
        ),
        (
            "dhclient that is told for this link",
            &[
                (LEASES, LEASE),
                (
                    "/etc/dhcp/dhclient.conf",
                    "send dhcp-client-identifier 0:1; interface \"ens3\" { send \
                     dhcp-client-identifier = hardware; } interface \"ens4\" { send \
                     dhcp-client-identifier 0:2; }",
                ),
            ],
            &[&["dhclient", "ens3"]],
            Some("01:52:54:00:12:34:56"),
        ),
        (
            "a lease in which the server said it again",
            &[(
                LEASES,
                "lease { interface \"ens3\"; fixed-address 192.0.2.7; option \
                 dhcp-client-identifier 0:6d:79; expire never; }",
            )],
            &[&["dhclient", "ens3"]],
            Some("00:6d:79"),
        ),
        (
            "networkd",
            &[(
                NETWORKD,
                "ADDRESS=192.0.2.7\nCLIENTID=ff5f6daaa800020000ab11dede0fabf5e9fca3\n",
            )],
            &[&["systemd-networkd"]],
            Some("ff:5f:6d:aa:a8:00:02:00:00:ab:11:de:de:0f:ab:f5:e9:fc:a3"),
        ),
        (
            "networkd by the MAC address",
            &[(NETWORKD, "ADDRESS=192.0.2.7\nCLIENTID=01525400123456\n")],
            &[&["systemd-networkd"]],
            Some("01:52:54:00:12:34:56"),
        ),
        (
            "networkd without a lease that says it",
            &[
                (NETWORKD, "ADDRESS=192.0.2.7\n"),
                (
                    "/etc/systemd/network/1.network",
                    "[Match]\nName=ens3\n[Network]\nDHCP=yes\n[DHCPv4]\nClientIdentifier=mac",
                ),
            ],
            &[&["systemd-networkd"]],
            Some("01:52:54:00:12:34:56"),
        ),
        (
            "NetworkManager by itself",
            &[(PROFILE, "[connection]\ntype=ethernet\n[ipv4]\nmethod=auto")],
            &[&["NetworkManager"]],
            Some("01:52:54:00:12:34:56"),
        ),
        (
            "NetworkManager that is told",
            &[(
                PROFILE,
                "[connection]\ntype=ethernet\n[ipv4]\nmethod=auto\ndhcp-client-id=ff:0:1:2",
            )],
            &[&["NetworkManager"]],
            Some("ff:00:01:02"),
        ),
        (
            "NetworkManager that is told a text",
            &[(
                PROFILE,
                "[connection]\ntype=ethernet\n[ipv4]\nmethod=auto\ndhcp-client-id=shop1",
            )],
            &[&["NetworkManager"]],
            Some("00:73:68:6f:70:31"),
        ),
        (
            "NetworkManager with dhclient",
            &[
                ("/var/lib/NetworkManager/dhclient-1-ens3.lease", LEASE),
                (
                    "/var/lib/NetworkManager/dhclient-ens3.conf",
                    "send dhcp-client-identifier 01:52:54:00:12:34:56;",
                ),
            ],
            &[&["NetworkManager"], &["dhclient", "-d", "ens3"]],
            Some("01:52:54:00:12:34:56"),
        ),
        (
            "dhcpcd by itself",
            &[("/etc/dhcpcd.conf", "hostname\n")],
            &[&["dhcpcd", "ens3"]],
            Some(""),
        ),
        (
            "dhcpcd with its DUID",
            &[
                ("/etc/dhcpcd.conf", "hostname\nduid\n"),
                ("/var/lib/dhcpcd/duid", "00:03:00:01:52:54:00:12:34:56\n"),
            ],
            &[&["dhcpcd", "ens3"]],
            Some("ff:00:12:34:56:00:03:00:01:52:54:00:12:34:56"),
        ),
        (
            "dhcpcd whose DUID is not there",
            &[("/etc/dhcpcd.conf", "duid\n")],
            &[&["dhcpcd", "ens3"]],
            None,
        ),
        (
            "dhcpcd by its command line",
            &[("/etc/dhcpcd.conf", "duid\n")],
            &[&["dhcpcd", "-I", "shop1", "ens3"]],
            Some("00:73:68:6f:70:31"),
        ),
        (
            "ifupdown's word for dhcpcd",
            &[(
                "/etc/network/interfaces",
                "iface ens3 inet dhcp\n client 01:52:54:00:12:34:56\n",
            )],
            &[&["dhcpcd", "ens3"]],
            Some("01:52:54:00:12:34:56"),
        ),
        (
            "ifupdown's word for dhclient",
            &[
                (
                    "/etc/network/interfaces",
                    "iface ens3 inet dhcp\n client no\n",
                ),
                (LEASES, &both),
            ],
            &[],
            Some(""),
        ),
        (
            "udhcpc by itself",
            &[],
            &[&["udhcpc", "-i", "ens3"]],
            Some("01:52:54:00:12:34:56"),
        ),
        (
            "udhcpc that is told",
            &[],
            &[&["udhcpc", "-x", "0x3d:00aa", "-i", "ens3"]],
            Some("00:aa"),
        ),
    ];
    for (name, files, clients, expected) in cases {
        let network = decided(files, clients);
        let client = &network.links[0].dhcp_client;
        let found = client.identifier.as_ref().map(ToString::to_string);
        assert_eq!(found.as_deref(), expected, "{name}: {client:?}");
        assert_eq!(found.is_none(), client.identifier_by.is_empty(), "{name}");
    }
}

/// Name, files, command lines, the DUID and the IAID of IPv6.
type Case6<'a> = (
    &'a str,
    &'a [(&'a str, &'a str)],
    &'a [&'a [&'a str]],
    Option<(&'a str, u32)>,
);

#[test]
fn the_duid_of_every_client_is_found() {
    const ID: (&str, &str) = ("/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    const VENDOR: &str = "00:02:00:00:ab:11:de:de:0f:ab:f5:e9:fc:a3";
    let end = 0x0012_3456;
    let own = "00:03:00:01:52:54:00:12:34:56";
    let lease6 = format!(
        "{DUID}lease6 {{ interface \"ens3\"; ia-na aa:bb:cc:dd {{ iaaddr 2001:db8::7 {{ }} }} \
         option dhcp6.client-id 0:3:0:1:52:54:0:12:34:56; }}"
    );
    let managed = "[connection]\ntype=ethernet\ninterface-name=ens3\n[ipv4]\nmethod=auto\n[ipv6]\n\
                   method=dhcp\n";
    let told = format!("{managed}dhcp-duid=00:03:00:01:52:54:00:12:34:56\ndhcp-iaid=0x10\n");
    let made_up = format!("{managed}dhcp-duid=stable-uuid\n");
    let cases: [Case6; 11] = [
        ("nothing at all", &[ID], &[], None),
        (
            "dhclient's lease",
            &[("/var/lib/dhcp/dhclient6.ens3.leases", &lease6)],
            &[&["dhclient", "-6", "ens3"]],
            Some((own, 0xaabb_ccdd)),
        ),
        (
            "dhclient without a lease",
            &[("/var/lib/dhcp/dhclient6.ens3.leases", DUID)],
            &[&["dhclient", "-6", "ens3"]],
            Some((own, end)),
        ),
        (
            "networkd's own state",
            &[(
                STATE,
                "DHCP6_CLIENT_IAID=0x5f6daaa8\nDHCP6_CLIENT_DUID=DUID-EN/Vendor:0000ab11dede0fabf5e9fca3\n",
            )],
            &[&["systemd-networkd"]],
            Some((VENDOR, 0x5f6d_aaa8)),
        ),
        (
            "networkd before it kept that",
            &[
                ID,
                (NETWORKD, "ADDRESS=192.0.2.7\nCLIENTID=ff5f6daaa800020000ab11dede0fabf5e9fca3\n"),
            ],
            &[&["systemd-networkd"]],
            Some((VENDOR, 0x5f6d_aaa8)),
        ),
        (
            "networkd that is told",
            &[
                ID,
                (
                    "/etc/systemd/networkd.conf",
                    "[DHCP]\nDUIDType=link-layer\nDUIDRawData=00:01:52:54:00:12:34:56\n[DHCPv6]\nIAID=7",
                ),
            ],
            &[&["systemd-networkd"]],
            Some((own, 7)),
        ),
        (
            "networkd that makes it up otherwise",
            &[ID, ("/etc/systemd/networkd.conf", "[DHCP]\nDUIDType=uuid\n")],
            &[&["systemd-networkd"]],
            None,
        ),
        (
            "NetworkManager by itself",
            &[ID, (PROFILE, managed)],
            &[&["NetworkManager"]],
            Some((
                "00:04:22:3e:0a:16:0a:f9:da:0a:03:e6:dd:2c:47:19:c5:6f",
                3_042_863_103,
            )),
        ),
        (
            "NetworkManager that is told",
            &[ID, (PROFILE, &told)],
            &[&["NetworkManager"]],
            Some((own, 16)),
        ),
        (
            "NetworkManager that makes it up otherwise",
            &[ID, (PROFILE, &made_up)],
            &[&["NetworkManager"]],
            None,
        ),
        (
            "dhcpcd",
            &[("/var/lib/dhcpcd/duid", own)],
            &[&["dhcpcd", "ens3"]],
            Some((own, end)),
        ),
    ];
    for (name, files, clients, expected) in cases {
        let network = decided(files, clients);
        let client = &network.links[0].dhcp_client;
        let found = client.duid.as_ref().map(ToString::to_string);
        let expected = expected.map(|(duid, iaid)| (duid.to_owned(), iaid));
        assert_eq!(found.zip(client.iaid), expected, "{name}: {client:?}");
    }
}

#[test]
fn a_delegated_prefix_is_named() {
    let lease = "lease6 { interface \"ens3\"; ia-pd 0:0:0:1 { iaprefix 2001:db8:f::/56 { } } }";
    for (name, files, client) in [
        (
            "a lease",
            ("/var/lib/dhcp/dhclient6.ens3.leases", lease),
            "dhclient",
        ),
        ("dhcpcd", ("/etc/dhcpcd.conf", "ia_pd 1\n"), "dhcpcd"),
        (
            "networkd",
            (
                "/etc/systemd/network/1.network",
                "[Match]\nName=ens3\n[Network]\nDHCP=yes\n[DHCPv6]\nPrefixDelegationHint=::/56",
            ),
            "systemd-networkd",
        ),
        (
            "ifupdown",
            (
                "/etc/network/interfaces",
                "iface ens3 inet6 dhcp\n request_prefix 1\n",
            ),
            "dhclient",
        ),
    ] {
        let network = decided(&[files], &[&[client, "ens3"]]);
        let (file, _) = files;
        assert_eq!(
            network.unsaid,
            [format!(
                "link ens3: a prefix that DHCPv6 delegates, to be handed on ({file})"
            )],
            "{name}"
        );
    }
    assert!(decided(&[(LEASES, LEASE)], &[]).unsaid.is_empty());
}
