//! Understanding recorded dumps, the same as an old kernel would have sent them, made-up ones for
//! what the recording machine lacks, and broken ones.

use std::collections::BTreeMap;
use std::net::IpAddr;

use formats::network::{Address, Bond, Link, LinkKind, Mac, Network, Origin};
use netlink_packet_core::{NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::link::{
    BondLacpRate, BondMode, BondXmitHashPolicy, InfoBond, InfoBondPort, InfoData, InfoKind,
    InfoPortData, InfoPortKind, InfoVlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::RouteNetlinkMessage;
use proptest::prelude::*;

use super::wire::{dumped, Attributes, Request};
use super::{understand, Dumps, Hardware, Sysfs};

fn recorded() -> Dumps {
    Dumps {
        links: include_bytes!("recorded/links.bin").to_vec(),
        addresses: include_bytes!("recorded/addresses.bin").to_vec(),
        routes4: include_bytes!("recorded/routes4.bin").to_vec(),
        routes6: include_bytes!("recorded/routes6.bin").to_vec(),
        rules4: include_bytes!("recorded/rules4.bin").to_vec(),
        rules6: include_bytes!("recorded/rules6.bin").to_vec(),
    }
}

/// The end of a dump.
fn end() -> Vec<u8> {
    Request::new(3, 0, &[0; 4]).to_bytes(1)
}

/// A dump of these messages.
fn dump(messages: &[Request]) -> Vec<u8> {
    let mut bytes: Vec<u8> = messages.iter().flat_map(|m| m.to_bytes(1)).collect();
    bytes.extend(end());
    bytes
}

fn empty() -> Dumps {
    Dumps {
        links: end(),
        addresses: end(),
        routes4: end(),
        routes6: end(),
        rules4: end(),
        rules6: end(),
    }
}

/// The dump without attributes of these kinds; `fixed` bytes come before the attributes.
fn without(bytes: &[u8], fixed: usize, kinds: &[u16]) -> Vec<u8> {
    let messages: Vec<Request> = dumped("a dump", bytes)
        .unwrap()
        .iter()
        .map(|message| {
            let request = Request::new(message.kind, message.flags, &message.body[..fixed]);
            let attributes = Attributes::behind("a dump", message.body, fixed).unwrap();
            let kept = attributes.iter().filter(|(kind, _)| !kinds.contains(kind));
            kept.fold(request, |request, (kind, value)| request.with(kind, value))
        })
        .collect();
    dump(&messages)
}

fn physical(names: &[&str]) -> Sysfs {
    let hardware = Hardware {
        physical: true,
        driver: Some("virtio_net".to_owned()),
        bus: Some("0000:00:03.0".to_owned()),
        ..Hardware::default()
    };
    let each = names.iter().map(|n| ((*n).to_owned(), hardware.clone()));
    each.collect()
}

fn link<'n>(network: &'n Network, name: &str) -> &'n Link {
    network.links.iter().find(|l| l.name == name).unwrap()
}

fn address<'n>(network: &'n Network, on: &str, ip: &str) -> &'n Address {
    let ip: IpAddr = ip.parse().unwrap();
    let mut addresses = link(network, on).addresses.iter();
    addresses.find(|a| a.ip == ip).unwrap()
}

#[test]
fn understands_what_was_recorded() {
    let network = understand(&recorded(), &physical(&["eth0"])).unwrap();
    let names: Vec<&str> = network.links.iter().map(|l| l.name.as_str()).collect();
    assert_eq!(names, ["eth0", "eth1", "br0"]);
    assert_eq!(link(&network, "eth0").driver.as_deref(), Some("virtio_net"));
    assert_eq!(
        link(&network, "eth1").kind,
        LinkKind::Other("veth".to_owned())
    );
    let bridge = LinkKind::Bridge {
        stp: true,
        forward_delay: 15,
    };
    assert_eq!(link(&network, "br0").kind, bridge);
    assert!(address(&network, "br0", "fd00::1").no_prefix_route);
    assert_eq!(
        address(&network, "eth0", "192.0.2.7").origin,
        Origin::Static
    );
    assert_eq!(address(&network, "eth0", "192.0.2.8").origin, Origin::Dhcp);
    assert_eq!(
        address(&network, "eth0", "192.0.2.8").label.as_deref(),
        Some("eth0:1")
    );
    assert_eq!(network.routes.len(), 7);
    assert_eq!(network.rules.len(), 3);
    assert_eq!(
        network.unsaid,
        [
            "route 203.0.113.128/25 of table 254: several next hops",
            "route 203.0.113.64/26 of table 255: it is of the kind that the kernel makes",
            "IPv4 rule of priority 1002: its attribute number 14",
        ]
    );
}

#[test]
fn understands_what_linux_3_2_leaves_out() {
    let mut dumps = recorded();
    // Link info, permanent address, parent device; flags, lifetimes and makers of addresses.
    dumps.links = without(&dumps.links, 16, &[18, 54, 56, 57]);
    dumps.addresses = without(&dumps.addresses, 8, &[6, 8, 11]);
    let mut sysfs = physical(&["eth0", "eth1"]);
    let files = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    };
    let bridge = Hardware {
        bridge: files(&[("stp_state", "0"), ("forward_delay", "1500")]),
        ..Hardware::default()
    };
    sysfs.insert("br0".to_owned(), bridge);
    let bond = Hardware {
        bonding: files(&[
            ("mode", "802.3ad 4"),
            ("miimon", "100"),
            ("lacp_rate", "fast 1"),
            ("xmit_hash_policy", "layer3+4 1"),
            ("primary", ""),
            ("arp_interval", "0"),
            ("arp_ip_target", "192.0.2.1 192.0.2.2"),
        ]),
        ..Hardware::default()
    };
    sysfs.insert("eth1".to_owned(), bond);
    sysfs.get_mut("eth0").unwrap().master = Some("eth1".to_owned());
    sysfs.get_mut("eth0").unwrap().permanent_mac = "52:54:00:00:00:09".parse().ok();
    let network = understand(&dumps, &sysfs).unwrap();
    let bridge = LinkKind::Bridge {
        stp: false,
        forward_delay: 15,
    };
    assert_eq!(link(&network, "br0").kind, bridge);
    let bond = Bond {
        mode: "802.3ad".to_owned(),
        miimon: 100,
        updelay: 0,
        downdelay: 0,
        lacp_rate: Some("fast".to_owned()),
        xmit_hash_policy: Some("layer3+4".to_owned()),
        primary: None,
        arp_interval: 0,
        arp_targets: vec!["192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap()],
    };
    assert_eq!(link(&network, "eth1").kind, LinkKind::Bond(bond));
    let slave = link(&network, "eth0");
    assert_eq!(slave.kind, LinkKind::Physical);
    assert_eq!(slave.master.as_deref(), Some("eth1"));
    assert_eq!(slave.permanent_mac, "52:54:00:00:00:09".parse().ok());
    assert_eq!(slave.mac, "52:54:00:00:00:01".parse().ok());
    // Without lifetimes nothing says that it is a lease.
    assert_eq!(
        address(&network, "eth0", "192.0.2.8").origin,
        Origin::Static
    );
    assert_eq!(
        address(&network, "eth0", "2001:db8::7").origin,
        Origin::Static
    );
    assert_eq!((network.routes.len(), network.rules.len()), (7, 3));
}

#[test]
fn no_attribute_is_indispensable() {
    let all = recorded();
    let sysfs = physical(&["eth0"]);
    for kind in 1..70 {
        let less = |bytes: &[u8], fixed| without(bytes, fixed, &[kind]);
        let dumps = Dumps {
            links: less(&all.links, 16),
            addresses: less(&all.addresses, 8),
            routes4: less(&all.routes4, 12),
            routes6: less(&all.routes6, 12),
            rules4: less(&all.rules4, 12),
            rules6: less(&all.rules6, 12),
        };
        let network = understand(&dumps, &sysfs);
        assert_eq!(
            network.map(|n| n.links.len()).ok(),
            Some(3),
            "without {kind}"
        );
    }
}

const MAC: [u8; 6] = [0x52, 0x54, 0, 0, 0, 1];

/// A link of Ethernet, as another implementation of the format writes it.
fn ethernet(index: u32, name: &str, more: Vec<LinkAttribute>) -> Vec<u8> {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.header.flags = LinkFlags::Up;
    message.attributes = vec![
        LinkAttribute::IfName(name.to_owned()),
        LinkAttribute::Address(MAC.to_vec()),
        LinkAttribute::Mtu(1500),
    ];
    message.attributes.extend(more);
    let inner = RouteNetlinkMessage::NewLink(message);
    let mut whole = NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::from(inner));
    whole.finalize();
    let mut bytes = vec![0; whole.buffer_len()];
    whole.serialize(&mut bytes);
    bytes
}

#[test]
fn understands_a_bond_and_a_vlan_on_it() {
    let slave = |index, name, last| {
        let permanent = vec![0x52, 0x54, 0, 0, 0, last];
        let port = vec![
            LinkInfo::PortKind(InfoPortKind::Bond),
            LinkInfo::PortData(InfoPortData::BondPort(vec![InfoBondPort::PermHwaddr(
                permanent,
            )])),
        ];
        let more = vec![LinkAttribute::Controller(4), LinkAttribute::LinkInfo(port)];
        ethernet(index, name, more)
    };
    let bond = vec![
        LinkInfo::Kind(InfoKind::Bond),
        LinkInfo::Data(InfoData::Bond(vec![
            InfoBond::Mode(BondMode::Ieee8023Ad),
            InfoBond::MiiMon(100),
            InfoBond::UpDelay(200),
            InfoBond::DownDelay(300),
            InfoBond::XmitHashPolicy(BondXmitHashPolicy::Layer34),
            InfoBond::AdLacpRate(BondLacpRate::Fast),
            InfoBond::Primary(3),
            InfoBond::ArpIpTarget(vec!["192.0.2.1".parse().unwrap()]),
            InfoBond::ResendIgmp(1),
            InfoBond::MinLinks(1),
        ])),
    ];
    let vlan = vec![
        LinkInfo::Kind(InfoKind::Vlan),
        LinkInfo::Data(InfoData::Vlan(vec![InfoVlan::Id(100)])),
    ];
    let mut dumps = empty();
    dumps.links = [
        slave(2, "eth0", 1),
        slave(3, "eth1", 2),
        ethernet(4, "bond0", vec![LinkAttribute::LinkInfo(bond)]),
        ethernet(
            5,
            "bond0.100",
            vec![LinkAttribute::Link(4), LinkAttribute::LinkInfo(vlan)],
        ),
        end(),
    ]
    .concat();
    let network = understand(&dumps, &physical(&["eth0", "eth1"])).unwrap();
    let bond = Bond {
        arp_targets: vec!["192.0.2.1".parse().unwrap()],
        ..fixtures::network::lacp()
    };
    assert_eq!(link(&network, "bond0").kind, LinkKind::Bond(bond));
    let parent = "bond0".to_owned();
    assert_eq!(
        link(&network, "bond0.100").kind,
        LinkKind::Vlan { parent, id: 100 }
    );
    let slave = link(&network, "eth1");
    assert_eq!(slave.master.as_deref(), Some("bond0"));
    assert_eq!(slave.mac, Some(Mac(MAC)));
    assert_eq!(slave.permanent_mac, "52:54:00:00:00:02".parse().ok());
    assert_eq!(
        network.unsaid,
        ["link bond0: the option `min_links` of the bond"]
    );
}

/// An address of link 2. `flags` are `IFA_F_*`, `valid` seconds.
fn address_message(ip: &str, prefix: u8, scope: u8, flags: u32, valid: u32) -> Request {
    let ip: IpAddr = ip.parse().unwrap();
    let family = if ip.is_ipv4() { 2 } else { 10 };
    let mut info = [0; 16];
    info[4..8].copy_from_slice(&valid.to_ne_bytes());
    let request = Request::new(20, 0, &[family, prefix, flags as u8, scope, 2, 0, 0, 0]);
    let request = request.ip(1, ip).with(6, &info).number(8, flags);
    if ip.is_ipv4() {
        request.ip(2, ip)
    } else {
        request
    }
}

#[test]
fn evidence_says_where_an_address_is_from() {
    const EVER: u32 = u32::MAX;
    let eui64 = "2001:db8::5054:ff:fe00:1";
    let cases = [
        (
            "set by hand",
            "192.0.2.7",
            24,
            0,
            0x80,
            EVER,
            Origin::Static,
        ),
        ("a lease", "192.0.2.7", 24, 0, 0, 3600, Origin::Dhcp),
        (
            "IPv6 by hand",
            "2001:db8::7",
            64,
            0,
            0x80,
            EVER,
            Origin::Static,
        ),
        (
            "IPv6 by hand, from the MAC address",
            eui64,
            64,
            0,
            0x80,
            EVER,
            Origin::Static,
        ),
        ("from a prefix", eui64, 64, 0, 0, 86400, Origin::Router),
        (
            "from a prefix for ever",
            eui64,
            64,
            0,
            0,
            EVER,
            Origin::Router,
        ),
        (
            "with stable privacy",
            "2001:db8::9",
            64,
            0,
            0x900,
            86400,
            Origin::Router,
        ),
        (
            "temporary",
            "2001:db8::9",
            64,
            0,
            0x101,
            86400,
            Origin::Router,
        ),
        (
            "by a program from a prefix",
            "2001:db8::9",
            64,
            0,
            0x200,
            86400,
            Origin::Router,
        ),
        ("DHCPv6", "2001:db8::9", 128, 0, 0x200, 3600, Origin::Dhcp),
        (
            "link-local",
            "fe80::5054:ff:fe00:1",
            64,
            253,
            0x80,
            EVER,
            Origin::Kernel,
        ),
    ];
    for (name, ip, prefix, scope, flags, valid, origin) in cases {
        let mut dumps = empty();
        dumps.links = [ethernet(2, "eth0", Vec::new()), end()].concat();
        dumps.addresses = dump(&[address_message(ip, prefix, scope, flags, valid)]);
        let network = understand(&dumps, &physical(&["eth0"])).unwrap();
        let link = link(&network, "eth0");
        let address = &link.addresses[0];
        assert_eq!(address.origin, origin, "{name}: {address:?}");
        let v4 = address.ip.is_ipv4();
        assert_eq!(link.dhcp4.is_some(), v4 && origin == Origin::Dhcp, "{name}");
        assert_eq!(
            link.dhcp6.is_some(),
            !v4 && origin == Origin::Dhcp,
            "{name}"
        );
        assert_eq!(link.router.is_some(), origin == Origin::Router, "{name}");
    }
}

#[test]
fn a_link_local_address_beside_the_kernels_is_static() {
    let mut dumps = empty();
    dumps.links = [ethernet(2, "br0", Vec::new()), end()].concat();
    dumps.addresses = dump(&[
        address_message("fe80::1", 64, 253, 0x80, u32::MAX),
        address_message("fe80::5054:ff:fe00:1", 64, 253, 0x80, u32::MAX),
    ]);
    let network = understand(&dumps, &Sysfs::new()).unwrap();
    assert_eq!(address(&network, "br0", "fe80::1").origin, Origin::Static);
    let own = address(&network, "br0", "fe80::5054:ff:fe00:1");
    assert_eq!(own.origin, Origin::Kernel);
}

/// A route of IPv6 over link 2 in the table `main`.
fn route6(to: &str, bits: u8, protocol: u8) -> Request {
    let request = Request::new(24, 0, &[10, bits, 0, 0, 254, protocol, 0, 1, 0, 0, 0, 0]);
    let to: IpAddr = to.parse().unwrap();
    let request = request.number(4, 2).number(6, 1024);
    if bits == 0 {
        request
    } else {
        request.ip(1, to)
    }
}

#[test]
fn routes_of_advertisements_are_known_on_every_kernel() {
    let gateway: IpAddr = "fe80::1".parse().unwrap();
    // Two next hops: length 28, link 2, with a gateway each.
    let hop = |last: u8| {
        let mut hop = vec![28, 0, 0, 0, 2, 0, 0, 0, 20, 0, 5, 0, 0xfe, 0x80];
        hop.resize(27, 0);
        hop.push(last);
        hop
    };
    let cases = [
        ("since 4.20", route6("::", 0, 9).ip(5, gateway), 1),
        (
            "before, as the kernel's own",
            route6("::", 0, 2).ip(5, gateway),
            1,
        ),
        (
            "two routers",
            route6("::", 0, 9).with(9, &[hop(1), hop(2)].concat()),
            2,
        ),
    ];
    for (name, route, count) in cases {
        let mut dumps = empty();
        dumps.links = [ethernet(2, "eth0", Vec::new()), end()].concat();
        dumps.routes6 = dump(&[route]);
        let network = understand(&dumps, &Sysfs::new()).unwrap();
        assert_eq!(network.unsaid, [] as [&str; 0], "{name}");
        assert_eq!(network.routes.len(), count, "{name}");
        for (at, route) in (1..).zip(&network.routes) {
            assert_eq!(route.origin, Origin::Router, "{name}");
            assert_eq!(route.gateway, format!("fe80::{at}").parse().ok(), "{name}");
            assert_eq!(route.link.as_deref(), Some("eth0"), "{name}");
        }
        assert!(link(&network, "eth0").router.is_some(), "{name}");
    }
}

#[test]
fn old_kernels_numbers_of_the_link_are_no_mtu_of_the_route() {
    let metrics = |mtu: u32| {
        let route = route6("2001:db8::", 32, 3).ip(5, "fe80::1".parse().unwrap());
        route.nest(8, |m| {
            m.number(2, mtu).number(8, mtu - 60).number(10, u32::MAX)
        })
    };
    for (mtu, said) in [(1500, None), (1400, Some(1400))] {
        let mut dumps = empty();
        dumps.links = [ethernet(2, "eth0", Vec::new()), end()].concat();
        dumps.routes6 = dump(&[metrics(mtu)]);
        let network = understand(&dumps, &Sysfs::new()).unwrap();
        assert_eq!(network.routes[0].mtu, said);
    }
}

proptest! {
    #[test]
    fn a_cut_dump_is_refused(at in 0usize..6376, which in 0usize..6) {
        let mut dumps = recorded();
        let bytes = [
            &mut dumps.links, &mut dumps.addresses, &mut dumps.routes4,
            &mut dumps.routes6, &mut dumps.rules4, &mut dumps.rules6,
        ];
        let bytes = bytes.into_iter().nth(which).unwrap();
        let at = at % bytes.len();
        bytes.truncate(at);
        prop_assert!(understand(&dumps, &Sysfs::new()).is_err());
    }

    #[test]
    fn changed_bytes_do_no_harm(
        changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..8),
        which in 0usize..6,
    ) {
        let mut dumps = recorded();
        let bytes = [
            &mut dumps.links, &mut dumps.addresses, &mut dumps.routes4,
            &mut dumps.routes6, &mut dumps.rules4, &mut dumps.rules6,
        ];
        let bytes = bytes.into_iter().nth(which).unwrap();
        for (at, value) in changes {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        let _ = understand(&dumps, &physical(&["eth0"]));
    }

    #[test]
    fn any_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let dumps = Dumps {
            links: bytes.clone(), addresses: bytes.clone(), routes4: bytes.clone(),
            routes6: bytes.clone(), rules4: bytes.clone(), rules6: bytes,
        };
        prop_assert!(understand(&dumps, &Sysfs::new()).is_err());
    }
}
