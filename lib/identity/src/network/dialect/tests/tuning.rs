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

fn ethtool(option: &str, words: &str) -> Tuned {
    let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
    let pairs = words.chunks(2);
    Tuned::Ethtool {
        option: option.to_owned(),
        pairs: pairs
            .map(|pair| (pair[0].clone(), pair[1].clone()))
            .collect(),
    }
}

/// One command of ethtool for a card, as lines of its `.link` file: nothing where the whole stays behind.
#[test]
fn what_ethtool_sets_at_once_comes_along_as_a_whole_or_stays() {
    for (option, words, systemd, expected) in [
        (
            "-A",
            "autoneg off rx off tx on",
            246,
            "AutoNegotiationFlowControl=no\nRxFlowControl=no\nTxFlowControl=yes\n",
        ),
        ("-A", "rx off", 245, ""),
        (
            "-C",
            "adaptive-rx off rx-usecs 0 rx-usecs-irq 5 tx-frames-low 8 pkt-rate-low 7 sample-interval 1 \
             stats-block-usecs 9",
            250,
            "UseAdaptiveRxCoalesce=no\nRxCoalesceSec=0us\nRxCoalesceIrqSec=5us\nTxMaxCoalescedLowFrames=8\n\
             CoalescePacketRateLow=7\nCoalescePacketRateSampleIntervalSec=1s\nStatisticsBlockCoalesceSec=9us\n",
        ),
        ("-C", "rx-usecs 50", 249, ""),
        ("-C", "rx-usecs 50 sample-interval 0", 257, ""),
        (
            "-L",
            "combined 4 other 1",
            239,
            "CombinedChannels=4\nOtherChannels=1\n",
        ),
        ("-L", "rx 0 tx 4", 257, ""),
        ("-L", "combined 4", 238, ""),
        (
            "-s",
            "speed 1000 duplex full autoneg off",
            233,
            "BitsPerSecond=1000M\nDuplex=full\nAutoNegotiation=no\n",
        ),
        ("-s", "autoneg on", 232, ""),
        ("-s", "wol g", 235, "WakeOnLan=magic\n"),
        ("-s", "wol d", 235, "WakeOnLan=off\n"),
        ("-s", "wol pg", 249, ""),
        ("-s", "wol pg", 250, "WakeOnLan=phy magic\n"),
    ] {
        let mut network = network("ens3");
        network.tuning = vec![tuning(Some("ens3"), ethtool(option, words))];
        let text = shown(&write(&network, &aged(Dialect::Networkd, systemd)).unwrap());
        let at = format!("{option} {words} {systemd}\n{text}");
        if expected.is_empty() {
            assert!(text.contains("stays behind: the new system has no words for it"), "{at}");
            assert!(text.contains("[Link]\nName=ens3\n\n") || text.contains("[Link]\nName=ens3\n===="), "{at}");
        } else {
            assert!(text.contains(&format!("[Link]\nName=ens3\n{expected}")), "{at}");
            assert!(text.contains("comes along, in /etc/systemd/network/10-reroot-ens3.link"), "{at}");
        }
        let with_ethtool = Stack {
            programs: vec!["ip".to_owned(), "ethtool".to_owned()],
            ..aged(Dialect::Ifupdown, systemd)
        };
        let text = shown(&write(&network, &with_ethtool).unwrap());
        assert!(text.contains(&format!("up ethtool {option} ens3 {words} || true\n")), "{text}");
    }
}

#[test]
fn what_is_no_card_is_told_by_its_name() {
    let mut network = networks::layered();
    let links = network.links.iter();
    let made: Vec<String> = links
        .filter(|link| link.kind != LinkKind::Physical)
        .map(|link| link.name.clone())
        .collect();
    assert!(made.len() > 1, "{made:?}");
    network.tuning = made
        .iter()
        .map(|name| feature(name, "gro", false))
        .collect();
    for dialect in [Dialect::Networkd, Dialect::NetworkManager] {
        let text = shown(&write(&network, &networks::debian(dialect)).unwrap());
        for name in &made {
            let keys =
                format!("[Match]\nOriginalName={name}\n\n[Link]\nGenericReceiveOffload=no\n");
            assert!(text.contains(&keys), "{dialect}: {name}\n{text}");
        }
        assert!(!text.contains("stays behind"), "{text}");
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
fn what_has_no_link_or_no_words_stays_behind_with_the_reason() {
    let mut network = networks::layered();
    let mut links = network.links.iter();
    let card = links.find(|link| link.kind == LinkKind::Physical);
    let card = card.unwrap().name.clone();
    network.tuning = vec![
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
    assert_eq!(stays.len(), 3, "{stays:#?}");
    for reason in ["wg0 does not come along", "has no words for it"] {
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
