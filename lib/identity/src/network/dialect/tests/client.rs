//! What each client of DHCP is told to call itself.

use super::super::write;
use super::{networks, shown};
use formats::dhcp::Octets;
use formats::network::{Dialect, Network, Stack};

const BY_MAC: &str = "01:52:54:00:12:34:56";
/// With the end of the MAC address.
const OWN: &str = "ff:00:12:34:56:00:03:00:01:52:54:00:12:34:56";
const VENDOR: &str = "ff:5f:6d:aa:a8:00:02:00:00:ab:11:de:de:0f:ab:f5:e9:fc:a3";
const TEXT: &str = "00:73:68:6f:70:31";

/// eth0 by DHCP, known by this; `None` is not known at all.
fn known(identifier: Option<&str>) -> Network {
    let mut network = networks::dhcp();
    let client = &mut network.links[0].dhcp_client;
    client.identifier = identifier.map(|id| id.parse().unwrap());
    "a lease has it".clone_into(&mut client.identifier_by);
    network
}

fn networkd(systemd: u32) -> Stack {
    Stack {
        systemd,
        ..networks::debian(Dialect::Networkd)
    }
}

/// Stack, identifier, what is written, and what is not.
type Case<'a> = (Stack, Option<&'a str>, &'a [&'a str], &'a [&'a str]);

#[test]
fn every_client_is_told_what_the_old_one_called_itself() {
    let duid = ["ClientIdentifier=duid\nIAID=1601022632\nDUIDType=vendor\n\
         DUIDRawData=00:00:ab:11:de:de:0f:ab:f5:e9:fc:a3"];
    let not_known = "what its DHCP client called itself is not known";
    let cases: [Case; 24] = [
        (
            networkd(257),
            None,
            &["ClientIdentifier=mac", not_known],
            &[],
        ),
        (
            networkd(257),
            Some(BY_MAC),
            &["ClientIdentifier=mac"],
            &["cannot", not_known],
        ),
        (
            networkd(257),
            Some(""),
            &[
                "ClientIdentifier=mac",
                "always sends",
                "without a client identifier",
            ],
            &[],
        ),
        (networkd(257), Some(VENDOR), &duid, &["cannot"]),
        (networkd(230), Some(VENDOR), &duid, &["cannot"]),
        (
            networkd(229),
            Some(VENDOR),
            &["ClientIdentifier=mac", "cannot send"],
            &["DUID"],
        ),
        (
            networkd(257),
            Some(TEXT),
            &["ClientIdentifier=mac", "cannot send"],
            &["DUID"],
        ),
        (
            networks::debian(Dialect::Netplan),
            Some(BY_MAC),
            &["dhcp-identifier: mac"],
            &["cannot", "10-netplan"],
        ),
        (
            networks::debian(Dialect::Netplan),
            Some(VENDOR),
            &[
                "10-netplan-eth0.network.d/90-reroot.conf",
                "IAID=1601022632",
            ],
            &["dhcp-identifier", "ClientIdentifier"],
        ),
        (
            networks::debian(Dialect::NetworkManager),
            Some(VENDOR),
            &["dhcp-client-id=ff:5f:6d:aa:a8:00:02:00:00:ab:11:de:de:0f:ab:f5:e9:fc:a3\n"],
            &["cannot"],
        ),
        (
            networks::debian(Dialect::NetworkManager),
            Some(TEXT),
            &["dhcp-client-id=00:73:68:6f:70:31\n"],
            &["cannot"],
        ),
        (
            networks::debian(Dialect::NetworkManager),
            Some(""),
            &["dhcp-client-id=none\n"],
            &["always sends"],
        ),
        (
            Stack {
                systemd: 252,
                ..networks::debian(Dialect::NetworkManager)
            },
            Some(""),
            &["dhcp-client-id=mac\n", "always sends"],
            &[],
        ),
        (
            networks::with(&["ip", "dhclient"]),
            None,
            &["client no\n", not_known],
            &[],
        ),
        (
            networks::with(&["ip", "dhclient"]),
            Some(""),
            &["client no\n"],
            &["always"],
        ),
        (
            networks::with(&["ip", "dhclient"]),
            Some(OWN),
            &[
                "iface net0 inet dhcp\n",
                "==== /var/lib/dhcp/dhclient.net0.leases 0644\n\
                 default-duid \"\\000\\003\\000\\001\\122\\124\\000\\022\\064\\126\";\n",
            ],
            &["client no", "reroot-net0.conf"],
        ),
        (
            networks::with(&["ip", "dhclient"]),
            Some(BY_MAC),
            &[
                "iface net0 inet manual\n",
                "    up dhclient -4 -v -e IF_METRIC=100 -cf /etc/dhcp/reroot-net0.conf -pf \
                 /run/dhclient.net0.pid -lf /var/lib/dhcp/dhclient.net0.leases net0\n",
                "include \"/etc/dhcp/dhclient.conf\";",
                "send dhcp-client-identifier 01:52:54:00:12:34:56;",
            ],
            &["inet dhcp", "client no"],
        ),
        (
            networks::with(&["ip", "dhclient"]),
            Some(VENDOR),
            &["send dhcp-client-identifier ff:5f:6d:aa:a8:00:02"],
            &["default-duid"],
        ),
        (
            networks::with(&["ip", "dhcpcd"]),
            None,
            &["up dhcpcd -4 -m 100 -I 01:52:54:00:12:34:56 net0\n"],
            &["inet dhcp"],
        ),
        (
            networks::with(&["ip", "dhcpcd"]),
            Some(""),
            &["-I 01:52:54:00:12:34:56 net0\n", "always sends"],
            &[],
        ),
        (
            networks::with(&["ip", "dhcpcd"]),
            Some(TEXT),
            &["-I 00:73:68:6f:70:31 net0\n"],
            &["cannot"],
        ),
        (
            networks::with(&["ip", "udhcpc"]),
            Some(BY_MAC),
            &["iface net0 inet dhcp\n"],
            &["client ", "cannot send"],
        ),
        (
            networks::with(&["ip", "udhcpc"]),
            Some(TEXT),
            &["up IF_METRIC=100 udhcpc -n -p /run/udhcpc.net0.pid -i net0 -x 0x3d:0073686f7031\n"],
            &["inet dhcp"],
        ),
        (
            networks::with(&["ip", "udhcpc"]),
            Some(""),
            &["-i net0 -C\n"],
            &["inet dhcp"],
        ),
    ];
    for (at, (stack, identifier, has, lacks)) in cases.into_iter().enumerate() {
        let text = shown(&write(&known(identifier), &stack).unwrap());
        for part in has {
            assert!(text.contains(part), "case {at}: {part}\n{text}");
        }
        for part in lacks {
            assert!(!text.contains(part), "case {at}: {part}\n{text}");
        }
    }
}

/// Systemd, whether IPv4 is asked by the same DUID, what is written, and what is not.
type Case6<'a> = (u32, bool, &'a [&'a str], &'a [&'a str]);

#[test]
fn ipv6_has_a_duid_of_its_own_since_246() {
    let keys = "IAID=1601022632\nDUIDType=vendor\nDUIDRawData=00:00:ab:11";
    let cases: [Case6; 5] = [
        (257, true, &["[DHCPv6]\nIAID"], &["no DUID"]),
        (
            245,
            true,
            &["[DHCPv4]\nClientIdentifier=duid\nIAID"],
            &["no DUID", "[DHCPv6]"],
        ),
        (
            245,
            false,
            &["[DHCPv4]\nClientIdentifier=mac\nIAID"],
            &["no DUID"],
        ),
        (
            240,
            false,
            &["[DHCP]\nClientIdentifier=mac\nIAID"],
            &["no DUID"],
        ),
        (
            229,
            false,
            &["no DUID for DHCPv6 alone"],
            &["IAID=", "DUIDType"],
        ),
    ];
    for (systemd, same, has, lacks) in cases {
        let mut network = networks::known();
        if !same {
            network.links[0].dhcp_client.identifier = Some(BY_MAC.parse().unwrap());
        }
        let text = shown(&write(&network, &networkd(systemd)).unwrap());
        for part in has {
            assert!(text.contains(part), "{systemd}: {part}\n{text}");
        }
        assert_eq!(text.contains(keys), systemd > 229, "{systemd}\n{text}");
        for part in lacks {
            assert!(!text.contains(part), "{systemd}: {part}\n{text}");
        }
    }
    let mut network = networks::known();
    network.links[0].dhcp_client.identifier = Some(Octets::of_duid(
        7,
        &"00:03:00:01:52:54:00:12:34:56".parse().unwrap(),
    ));
    let text = shown(&write(&network, &networkd(245)).unwrap());
    assert!(text.contains("no DUID for DHCPv6 alone"), "{text}");
}
