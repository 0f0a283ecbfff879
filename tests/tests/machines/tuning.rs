//! What commands of an old OS set of its links is in force in the new one, in each dialect, brought up by the dialect's
//! own programs and udev in network namespaces.

use formats::network::{Dialect, Link, LinkKind, Network, Stack};
use formats::tuning::{Tuned, Tuning};
use identity::network::dialect;
use reroot_tests::dialect_tree::{bring_up, Surroundings, Up};

use crate::dialects::{complaints, link, stack, FIRST, PORT};

/// A card and a bridge with everything that commands set and that the kernel of the tests takes from a link of two
/// ends.
fn tuned() -> Network {
    let tuning = |link: Option<&str>, set| Tuning {
        link: link.map(str::to_owned),
        set,
        by: "a command".to_owned(),
    };
    let off = |name: &str| Tuned::Feature {
        name: name.to_owned(),
        on: false,
    };
    let sysctl = |path: &str, value: &str| Tuned::Sysctl {
        path: path.to_owned(),
        value: value.to_owned(),
    };
    let neighbour = |address: &str, mac: &str| Tuned::Neighbour {
        address: address.parse().unwrap(),
        mac: mac.parse().unwrap(),
    };
    let ethtool = |option: &str, words: &str| {
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        let pairs = words.chunks(2);
        Tuned::Ethtool {
            option: option.to_owned(),
            pairs: pairs
                .map(|pair| (pair[0].clone(), pair[1].clone()))
                .collect(),
        }
    };
    let (card, bridge) = (Some("ens3"), Some("br0"));
    Network {
        links: vec![
            link("ens3", FIRST, &["192.0.2.7/24", "2001:db8::7/64"]),
            Link {
                master: Some("br0".to_owned()),
                ..link("ens5", PORT, &[])
            },
            Link {
                kind: LinkKind::Bridge {
                    stp: false,
                    forward_delay: 0,
                },
                permanent_mac: None,
                ..link("br0", "52:54:00:00:00:99", &["203.0.113.7/24"])
            },
        ],
        tuning: vec![
            tuning(card, off("tso")),
            tuning(card, off("gso")),
            tuning(card, ethtool("-L", "rx 1 tx 1")),
            // Nothing here can be told these: they are understood, and what is tried is refused.
            tuning(card, ethtool("-A", "autoneg off rx off tx on")),
            tuning(card, ethtool("-C", COALESCING)),
            tuning(
                card,
                ethtool("-s", "speed 1000 duplex full autoneg off wol pg"),
            ),
            tuning(card, neighbour("192.0.2.1", "52:54:00:00:00:f1")),
            tuning(card, neighbour("2001:db8::1", "52:54:00:00:00:f2")),
            tuning(card, sysctl("net/ipv4/conf/ens3/arp_announce", "2")),
            tuning(bridge, off("tso")),
            tuning(bridge, neighbour("203.0.113.1", "52:54:00:00:00:f3")),
            tuning(bridge, sysctl("net/ipv4/conf/br0/accept_source_route", "1")),
            tuning(None, sysctl("net/ipv4/ip_forward", "1")),
        ],
        ..Network::default()
    }
}

/// Every word of `ethtool -C`.
const COALESCING: &str = "adaptive-rx off adaptive-tx on rx-usecs 0 rx-frames 1 rx-usecs-irq 2 rx-frames-irq 3 \
    tx-usecs 4 tx-frames 5 tx-usecs-irq 6 tx-frames-irq 7 stats-block-usecs 8 pkt-rate-low 9 rx-usecs-low 10 \
    rx-frames-low 11 tx-usecs-low 12 tx-frames-low 13 pkt-rate-high 14 rx-usecs-high 15 rx-frames-high 16 \
    tx-usecs-high 17 tx-frames-high 18 sample-interval 1";

/// What is in force for [`tuned`], a line each.
const ASK_TUNED: &str = "
for link in ens3 br0; do
    ethtool -k $link | sed -n 's/^\t*\\(tx-tcp6*-segmentation\\|generic-segmentation-offload\\): \\([a-z]*\\).*/\\1 \\2/p' |
        sed s/^/$link:\\ /
done
ethtool -l ens3 | sed -n '/^Current/,$s/^\\([RT]X\\):[\t ]*/\\1 /p'
cd /proc/sys/net/ipv4
echo $(cat conf/ens3/arp_announce conf/br0/accept_source_route ip_forward)
ip -4 neigh show nud permanent | sort
ip -6 neigh show nud permanent | grep 2001 | sort
";

/// Brings it up with udev, and says what is in force then.
fn tuned_up(stack: &Stack) -> Up {
    let written = dialect::write(&tuned(), stack).unwrap();
    let around = Surroundings {
        links: &[("ens3", FIRST), ("ens5", PORT)],
        wait_for: &["192.0.2.7/24", "2001:db8::7/64", "203.0.113.7/24"],
        udev: true,
        ask: ASK_TUNED,
        ..Surroundings::default()
    };
    bring_up(&written, stack.dialect, &around).unwrap()
}

fn assert_is_tuned(stack: &Stack) {
    let up = tuned_up(stack);
    let mut expected = vec![
        "ens3: tx-tcp-segmentation off",
        "ens3: tx-tcp6-segmentation off",
        "ens3: generic-segmentation-offload off",
        "br0: tx-tcp-segmentation off",
        "br0: tx-tcp6-segmentation off",
        "br0: generic-segmentation-offload on",
        "RX 1",
        "TX 1",
        "2 1 1",
    ];
    // It has no words for them, and the plan says so.
    if stack.dialect != Dialect::NetworkManager {
        expected.extend([
            "192.0.2.1 dev ens3 lladdr 52:54:00:00:00:f1 PERMANENT",
            "203.0.113.1 dev br0 lladdr 52:54:00:00:00:f3 PERMANENT",
            "2001:db8::1 dev ens3 lladdr 52:54:00:00:00:f2 PERMANENT",
        ]);
    }
    let found: Vec<&str> = up.answers.iter().map(|line| line.trim()).collect();
    let found: Vec<&str> = found.into_iter().filter(|line| !line.is_empty()).collect();
    assert_eq!(found, expected, "{}", up.log);
    // What udev says of keys that it does not know, or of their values; and of those that the link does not know.
    if !stack.programs.iter().any(|program| program == "ethtool") {
        let unknown = complaints(&up, &[".link:"]);
        assert_eq!(unknown, [""; 0], "{}", up.log);
        for tried in [
            "auto negotiation",
            "speed to 1000Mbps",
            "duplex to full",
            "WakeOnLan to phy,magic",
            "flow control",
            "coalesce",
        ] {
            assert!(!complaints(&up, &[tried]).is_empty(), "{tried}\n{}", up.log);
        }
    }
}

#[test]
fn networkd_leaves_the_card_as_commands_had_it() {
    assert_is_tuned(&stack(Dialect::Networkd));
}

#[test]
fn netplan_leaves_the_card_as_commands_had_it() {
    assert_is_tuned(&stack(Dialect::Netplan));
}

#[test]
fn network_manager_leaves_the_card_as_commands_had_it() {
    assert_is_tuned(&stack(Dialect::NetworkManager));
}

#[test]
fn ifupdown_leaves_the_card_as_commands_had_it() {
    assert_is_tuned(&stack(Dialect::Ifupdown));
    let with_ethtool = Stack {
        programs: ["ip", "dhcpcd", "ethtool"].map(str::to_owned).to_vec(),
        ..stack(Dialect::Ifupdown)
    };
    assert_is_tuned(&with_ethtool);
}
