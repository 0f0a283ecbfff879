//! A plan with one of everything, and a machine that is as it says.

use std::collections::BTreeSet;

use super::super::*;
use crate::accounts::{AccountPlan, AccountRow, AccountRule, Owners};
use crate::entry::{CallPlan, Entry, EntryPlan, KexecCall};
use crate::facts::{Firmware, OsRelease, RootIdentity};
use crate::identity::{IdentityPlan, PlannedMount};
use crate::keep::KeepPath;
use crate::measure::Measure;
use crate::network::{
    Address, Bond, Dialect, Dns, DnsServer, Gateway, Link, LinkKind, Mac, Origin, Renamed, Route,
    RouteKind, Rule, Written,
};
use crate::plan::{Amount, NetworkPlan, PayloadAt};
use crate::Digest;

pub fn address(text: &str, origin: Origin) -> Address {
    let prefix: crate::network::Prefix = text.parse().unwrap();
    Address {
        ip: prefix.ip,
        prefix: prefix.bits,
        peer: None,
        broadcast: None,
        scope: 0,
        label: None,
        valid: None,
        temporary: false,
        generated: false,
        no_prefix_route: false,
        origin,
        evidence: String::new(),
    }
}

pub fn link(name: &str, mac: u8, addresses: Vec<Address>) -> Link {
    let mac = Some(Mac([0x52, 0x54, 0, 0, 0, mac]));
    Link {
        name: name.to_owned(),
        mac,
        permanent_mac: mac,
        mtu: 1500,
        up: true,
        kind: LinkKind::Physical,
        master: None,
        driver: None,
        bus: None,
        addresses,
        dhcp4: None,
        dhcp6: None,
        router: None,
        dhcp_metric: None,
        configured: true,
    }
}

pub fn bond(name: &str, addresses: Vec<Address>) -> Link {
    Link {
        permanent_mac: None,
        kind: LinkKind::Bond(Bond {
            mode: "active-backup".to_owned(),
            miimon: 100,
            updelay: 0,
            downdelay: 0,
            lacp_rate: None,
            xmit_hash_policy: None,
            primary: None,
            arp_interval: 0,
            arp_targets: Vec::new(),
        }),
        ..link(name, 1, addresses)
    }
}

fn route(destination: &str, gateway: Option<&str>, link: &str, origin: Origin) -> Route {
    Route {
        destination: destination.parse().unwrap(),
        kind: RouteKind::Unicast,
        gateway: gateway.map(|g| g.parse().unwrap()),
        link: Some(link.to_owned()),
        source: None,
        metric: 0,
        table: 254,
        onlink: false,
        scope: 0,
        mtu: None,
        protocol: 3,
        origin,
    }
}

fn row(name: &str, old: Option<u32>, number: u32) -> AccountRow {
    AccountRow {
        name: name.to_owned(),
        old,
        payload: None,
        number,
        rule: AccountRule::Same,
    }
}

pub fn measure(entries: u64) -> Measure {
    Measure {
        entries,
        inodes: entries,
        bytes: 3,
        disk_bytes: 4096,
        digest: Digest([entries as u8; 32]),
        flags: None,
        owners: Owners {
            users: BTreeSet::from([27, 1000, 4000]),
            groups: BTreeSet::from([27]),
        },
    }
}

fn planned_mount(source: &str, target: &str, fstype: &str, required: bool) -> PlannedMount {
    PlannedMount {
        source: source.to_owned(),
        target: target.to_owned(),
        fstype: fstype.to_owned(),
        required,
    }
}

fn host_key() -> HostKey {
    HostKey {
        path: "/etc/ssh/ssh_host_ed25519_key".to_owned(),
        kind: "ssh-ed25519".to_owned(),
        fingerprint: "SHA256:abc".to_owned(),
    }
}

fn os(name: &str) -> OsRelease {
    OsRelease {
        pretty_name: name.to_owned(),
        ..OsRelease::default()
    }
}

pub fn plan() -> Plan {
    let network = Network {
        links: vec![
            link(
                "eth0",
                1,
                vec![
                    address("192.0.2.7/32", Origin::Static),
                    address("2001:db8::7/64", Origin::Static),
                    address("fe80::1/64", Origin::Kernel),
                ],
            ),
            link(
                "eth1",
                2,
                vec![
                    address("198.51.100.7/24", Origin::Dhcp),
                    address("2001:db8:1::7/64", Origin::Router),
                ],
            ),
            bond("bond0", vec![address("203.0.113.7/24", Origin::Static)]),
        ],
        routes: vec![
            Route {
                onlink: true,
                ..route("0.0.0.0/0", Some("192.0.2.1"), "eth0", Origin::Static)
            },
            Route {
                metric: 50,
                table: 100,
                ..route(
                    "198.51.100.128/25",
                    Some("203.0.113.1"),
                    "bond0",
                    Origin::Static,
                )
            },
            Route {
                metric: 1024,
                ..route("::/0", Some("fe80::99"), "eth1", Origin::Router)
            },
        ],
        rules: vec![Rule {
            ipv6: false,
            priority: 100,
            from: Some("203.0.113.0/24".parse().unwrap()),
            to: None,
            iif: Some("eth0".to_owned()),
            oif: None,
            fwmark: None,
            table: 100,
        }],
        dns: Dns {
            servers: vec![DnsServer {
                address: "192.0.2.53".parse().unwrap(),
                link: None,
                origin: Origin::Static,
            }],
            ..Dns::default()
        },
        unsaid: Vec::new(),
    };
    let gateway = |address: &str, link: &str, answers| Gateway {
        address: address.parse().unwrap(),
        link: link.to_owned(),
        answers,
    };
    Plan {
        run: "20261123T091247Z-1234".to_owned(),
        mode: crate::steps::Mode::Reinstall,
        hostname: "web1".to_owned(),
        image: "trixie".to_owned(),
        manifest_digest: Digest([0; 32]),
        old_os: os("Debian GNU/Linux 11 (bullseye)"),
        new_os: os("Debian GNU/Linux 13 (trixie)"),
        entry: EntryPlan {
            entry: Entry::Kexec,
            call: Some(CallPlan::asked(KexecCall::KexecFileLoad)),
            reason: String::new(),
        },
        firmware: Firmware::Bios,
        payload_at: PayloadAt::Ram,
        payload_reason: String::new(),
        root: RootIdentity {
            fs_uuid: "12-34".to_owned(),
            disk_signature: 1,
            partition: 1,
            start: 2048,
            sectors: 4096,
        },
        root_device: "/dev/vda1".to_owned(),
        disk: "/dev/vda".to_owned(),
        disk_by_id: None,
        keep: vec![KeptPath {
            path: KeepPath::parse("/home").unwrap(),
            measure: measure(1),
        }],
        wiped: Amount {
            entries: 1,
            bytes: 1,
        },
        unpacked: Amount {
            entries: 1,
            bytes: 1,
        },
        network: NetworkPlan {
            network,
            gateways: vec![
                gateway("192.0.2.1", "eth0", true),
                gateway("203.0.113.1", "bond0", false),
            ],
            drivers: Vec::new(),
            proved: true,
            dialect: Dialect::Networkd,
            written: Written {
                renamed: vec![Renamed {
                    old: "eth1".to_owned(),
                    new: None,
                }],
                ..Written::default()
            },
            left: Vec::new(),
        },
        accounts: AccountPlan {
            users: vec![
                row("root", Some(0), 0),
                row("mysql", Some(27), 27),
                row("anna", Some(1000), 1000),
                row("svc", None, 4000),
            ],
            groups: vec![row("mysql", Some(27), 27)],
            ..AccountPlan::default()
        },
        identity: IdentityPlan {
            hostname: "web1".to_owned(),
            mounts: vec![
                planned_mount("UUID=56", "/srv/a\\040b/", "ext4", true),
                planned_mount("UUID=78", "none", "swap", true),
                planned_mount("UUID=90", "/mnt", "ext4", false),
            ],
            host_keys: vec![host_key()],
            ..IdentityPlan::default()
        },
        about_kept: Vec::new(),
        left_alone: Vec::new(),
        hardware_parameters: Vec::new(),
        cmdline: String::new(),
        warnings: Vec::new(),
        steps: Vec::new(),
    }
}

pub fn baseline() -> Baseline {
    Baseline {
        kept: vec![KeptPath {
            path: KeepPath::parse("/home").unwrap(),
            measure: measure(2),
        }],
        machine_id: Some("0123".to_owned()),
    }
}

fn asked(address: &str, link: Option<&str>, answers: bool) -> Asked {
    Asked {
        address: address.parse().unwrap(),
        link: link.map(str::to_owned),
        answers: Ok(answers),
    }
}

/// The machine as the plan has it, with another name for the second link.
pub fn live() -> Live {
    let mut network = plan().network.network;
    network.links[1].name = "ens4".to_owned();
    network.routes[2].link = Some("ens4".to_owned());
    let accounts = |all: &[(&str, u32)]| {
        let all = all
            .iter()
            .map(|(name, number)| ((*name).to_owned(), *number));
        Ok(all.collect())
    };
    Live {
        network: Ok(network),
        gateways: vec![asked("192.0.2.1", Some("eth0"), true)],
        servers: vec![asked("192.0.2.53", None, true)],
        resolver: vec![asked("127.0.0.53", None, true)],
        hostname: "web1".to_owned(),
        machine_id: Some("0123".to_owned()),
        host_keys: vec![host_key()],
        ssh: SshPort::Greets,
        users: accounts(&[
            ("root", 0),
            ("mysql", 27),
            ("anna", 1000),
            ("svc", 4000),
            ("games", 5),
        ]),
        groups: accounts(&[("mysql", 27)]),
        mounts: vec!["/".to_owned(), "/srv/a b".to_owned()],
        swaps: vec!["UUID=78".to_owned()],
        kept: Ok(KeptFound {
            ended: true,
            kept: vec![Kept {
                path: KeepPath::parse("/home").unwrap(),
                found: Ok(measure(2)),
            }],
        }),
    }
}
