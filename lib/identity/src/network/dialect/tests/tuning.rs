//! What commands of the old OS set beside addresses and routes, in every dialect.

use super::super::write;
use super::{networks, shown};
use formats::network::{Dialect, LinkKind, Network, Stack};
use formats::tuning::{Tuned, Tuning};

fn tuning(link: Option<&str>, set: Tuned) -> Tuning {
    Tuning {
        link: link.map(str::to_owned),
        set,
        by: format!("`command` of {}", link.unwrap_or("lo")),
    }
}

fn feature(link: &str, name: &str, on: bool) -> Tuning {
    let name = name.to_owned();
    tuning(Some(link), Tuned::Feature { name, on })
}

fn sysctl(link: Option<&str>, path: &str, value: &str) -> Tuning {
    let (path, value) = (path.to_owned(), value.to_owned());
    tuning(link, Tuned::Sysctl { path, value })
}

/// A card with this name, and everything that can be set for it.
fn network(name: &str) -> Network {
    let mut network = networks::static_v4();
    network.links[0].name = name.to_owned();
    for route in &mut network.routes {
        route.link = route.link.as_ref().map(|_| name.to_owned());
    }
    let ring = Tuned::Ring {
        name: "rx".to_owned(),
        size: 4096,
    };
    let neighbour = Tuned::Neighbour {
        address: networks::ip("192.0.2.1"),
        mac: "52:54:00:00:00:fe".parse().unwrap(),
    };
    network.tuning = vec![
        feature(name, "tso", false),
        feature(name, "gro", true),
        tuning(Some(name), ring),
        tuning(Some(name), neighbour),
        sysctl(Some(name), &format!("net/ipv4/conf/{name}/rp_filter"), "2"),
        sysctl(None, "net/ipv4/ip_forward", "1"),
    ];
    network
}

const KEYS: &str =
    "TCPSegmentationOffload=no\nTCP6SegmentationOffload=no\nGenericReceiveOffload=yes\n\
                    RxBufferSize=4096\n";
const NEIGHBOUR: &str = "\n[Neighbor]\nAddress=192.0.2.1\nLinkLayerAddress=52:54:00:00:00:fe\n";
const IP_NEIGH: &str =
    "up ip neigh replace 192.0.2.1 lladdr 52:54:00:00:00:fe dev ens3 nud permanent";

fn aged(dialect: Dialect, systemd: u32) -> Stack {
    Stack {
        systemd,
        ..networks::debian(dialect)
    }
}

#[test]
fn settings_come_along_in_the_words_of_each_dialect() {
    let link = |number: u32, name: &str| {
        format!("==== /etc/systemd/network/{number:02}-reroot-{name}.link 0644\n")
    };
    let named = format!("[Link]\nName=ens3\n{KEYS}");
    let (own, before_netplan) = (link(10, "ens3"), link(5, "ens3"));
    let with_ethtool = Stack {
        programs: vec!["ip".to_owned(), "ethtool".to_owned()],
        ..networks::debian(Dialect::Ifupdown)
    };
    let sysctl = "==== /etc/sysctl.d/90-reroot-network.conf 0644\n";
    for (stack, has, lacks) in [
        (
            networks::debian(Dialect::Networkd),
            vec![&*own, &*named, NEIGHBOUR],
            vec!["stays behind"],
        ),
        (
            networks::debian(Dialect::Netplan),
            vec![
                &*before_netplan,
                &*named,
                "10-netplan-ens3.network.d",
                NEIGHBOUR,
            ],
            vec!["stays behind"],
        ),
        (
            networks::debian(Dialect::NetworkManager),
            vec![
                &*own,
                &*named,
                "stays behind: NetworkManager has no words for it",
            ],
            vec!["[Neighbor]"],
        ),
        (
            with_ethtool,
            vec![
                "up ethtool -K ens3 tso off || true\n",
                "up ethtool -G ens3 rx 4096 || true\n",
                IP_NEIGH,
            ],
            vec!["stays behind", "Offload"],
        ),
        (
            networks::with(&["ip", "dhclient"]),
            vec![&*own, &*named, IP_NEIGH],
            vec!["stays behind", "ethtool"],
        ),
        (
            aged(Dialect::Networkd, 237),
            vec![
                "Name=ens3\nTCPSegmentationOffload=no\nTCP6SegmentationOffload=no\nGenericReceiveOffload=yes\n",
                "stays behind: the new system has no words for it",
                "stays behind: systemd-networkd has no words for it",
            ],
            vec!["RxBufferSize", "[Neighbor]"],
        ),
    ] {
        let text = shown(&write(&network("ens3"), &stack).unwrap());
        let at = format!("{} {}", stack.dialect, stack.systemd);
        let always = [sysctl, "net/ipv4/conf/ens3/rp_filter = 2\nnet/ipv4/ip_forward = 1\n"];
        for part in has.iter().chain(&always) {
            assert!(text.contains(part), "{at}: {part}\n{text}");
        }
        for part in &lacks {
            assert!(!text.contains(part), "{at}: {part}\n{text}");
        }
    }
}

#[test]
fn a_card_with_a_name_of_the_kernels_gets_one_that_can_be_relied_on() {
    let text = shown(&write(&network("eth0"), &networks::debian(Dialect::Networkd)).unwrap());
    for part in [
        "10-reroot-net0.link",
        &format!("[Link]\nName=net0\n{KEYS}"),
        "net/ipv4/conf/net0/rp_filter = 2\n",
        "renamed eth0 net0",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    // Where the kernel's names stay, the file gives none: another does.
    let stack = Stack {
        kernel_names: true,
        ..networks::debian(Dialect::Networkd)
    };
    let text = shown(&write(&network("eth0"), &stack).unwrap());
    assert!(text.contains(&format!("[Link]\n{KEYS}")), "{text}");
    assert!(text.contains("NAME=\"eth0\""), "{text}");
}

#[test]
fn what_has_no_link_or_no_card_stays_behind_with_the_reason() {
    let mut network = networks::layered();
    let first = |is_card: bool| {
        let mut links = network.links.iter();
        let found = links.find(|link| (link.kind == LinkKind::Physical) == is_card);
        found.unwrap().name.clone()
    };
    let (card, other) = (first(true), first(false));
    network.tuning = vec![
        feature(&other, "gro", false),
        feature("wg0", "gro", false),
        feature(&card, "sg", false),
        sysctl(Some("wg0"), "net/ipv4/conf/wg0/rp_filter", "0"),
    ];
    let written = write(&network, &networks::debian(Dialect::Networkd)).unwrap();
    let stays: Vec<&String> = written
        .notes
        .iter()
        .filter(|n| n.contains("stays behind"))
        .collect();
    assert_eq!(stays.len(), 4, "{stays:#?}");
    for reason in [
        "is no card",
        "wg0 does not come along",
        "has no words for it",
    ] {
        assert!(
            stays.iter().any(|n| n.contains(reason)),
            "{reason}: {stays:#?}"
        );
    }
    let text = shown(&written);
    assert!(
        !text.contains("Offload") && !text.contains("sysctl.d"),
        "{text}"
    );
}
