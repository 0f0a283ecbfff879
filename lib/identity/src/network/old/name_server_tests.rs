//! Where name servers are found, each way as a case.

use super::{decide, Evidence, OldFile, RunningClient};
use fixtures::network::{address, link};
use formats::network::{Dns, Link, LinkKind, Network};

/// A file's path and text, and where it leads.
type File<'a> = (&'a str, &'a str, Option<&'a str>);

/// Name, files, clients, the servers, the files that they were read from.
type Case<'a> = (
    &'a str,
    &'a [File<'a>],
    &'a [&'a str],
    &'a [&'a str],
    &'a [&'a str],
);

/// eth0 with 192.0.2.7, decided; the servers as `ADDRESS LINK ORIGIN`.
fn decided(files: &[File], clients: &[&str]) -> (Vec<String>, Dns, Vec<String>) {
    let files: Vec<OldFile> = files
        .iter()
        .map(|(path, text, to)| OldFile::from_bytes(path, text.as_bytes(), to.map(str::to_owned)))
        .collect();
    let clients: Vec<RunningClient> = clients
        .iter()
        .map(|name| RunningClient {
            name: (*name).to_owned(),
            interface: None,
            arguments: Vec::new(),
        })
        .collect();
    let evidence = Evidence::from_files(&files, &clients);
    let mut network = Network {
        links: vec![Link {
            addresses: vec![address("192.0.2.7/24")],
            ..link("eth0", LinkKind::Physical)
        }],
        ..Network::default()
    };
    decide(&mut network, &evidence);
    let dns = network.dns;
    let servers = dns.servers.iter();
    let texts = servers.map(|s| {
        let link = s.link.as_deref().unwrap_or("-");
        format!("{} {link} {:?}", s.address, s.origin)
    });
    (texts.collect(), dns, evidence.notes)
}

const MAIN: &str = "/etc/resolv.conf";
const LEASE: File = (
    "/var/lib/dhcp/dhclient.eth0.leases",
    "lease { interface \"eth0\"; fixed-address 192.0.2.7; option domain-name-servers 192.0.2.53; option domain-name \"dhcp.example\"; }",
    None,
);
const STUB: File = (
    MAIN,
    "nameserver 127.0.0.53\noptions edns0 trust-ad ndots:2\nsearch a.example\n",
    Some("../run/systemd/resolve/stub-resolv.conf"),
);

#[test]
fn servers_are_found_wherever_they_are() {
    let twelve = (
        "/etc/network/interfaces",
        "iface eth0 inet static\n address 192.0.2.7\n netmask 24\n dns-nameservers 192.0.2.53 198.51.100.53\n",
        None,
    );
    let cases: [Case; 14] = [
        ("nothing", &[], &[], &[], &[]),
        (
            "a plain file",
            &[(
                MAIN,
                "nameserver 192.0.2.53\nnameserver fe80::1%eth0\n",
                None,
            )],
            &[],
            &["192.0.2.53 - Static", "fe80::1 eth0 Static"],
            &[MAIN],
        ),
        (
            "12.04 without resolvconf",
            &[(MAIN, "", None), twelve],
            &[],
            &["192.0.2.53 eth0 Static", "198.51.100.53 eth0 Static"],
            &["/etc/network/interfaces"],
        ),
        (
            "12.04 with another server in the file",
            &[(MAIN, "nameserver 203.0.113.53\n", None), twelve],
            &[],
            &[
                "203.0.113.53 - Static",
                "192.0.2.53 eth0 Static",
                "198.51.100.53 eth0 Static",
            ],
            &[MAIN, "/etc/network/interfaces"],
        ),
        (
            "what the lease names",
            &[
                (
                    MAIN,
                    "nameserver 192.0.2.53\nnameserver 198.51.100.53\n",
                    None,
                ),
                LEASE,
            ],
            &["dhclient"],
            &["192.0.2.53 eth0 Dhcp", "198.51.100.53 - Static"],
            &[MAIN],
        ),
        (
            "a stale lease",
            &[(MAIN, "nameserver 192.0.2.53\n", None), LEASE],
            &[],
            &["192.0.2.53 - Static"],
            &[MAIN],
        ),
        (
            "a lease and somebody name it",
            &[
                (MAIN, "nameserver 192.0.2.53\n", None),
                LEASE,
                (
                    "/etc/network/interfaces",
                    "iface lo inet loopback\n dns-nameservers 192.0.2.53\n",
                    None,
                ),
            ],
            &["dhclient"],
            &["192.0.2.53 - Static"],
            &[MAIN],
        ),
        (
            "only the lease",
            &[LEASE],
            &["dhclient"],
            &["192.0.2.53 eth0 Dhcp"],
            &[LEASE.0],
        ),
        (
            "systemd-resolved",
            &[
                STUB,
                (
                    "/run/systemd/resolve/resolv.conf",
                    "nameserver 192.0.2.53\nnameserver 203.0.113.53\n",
                    None,
                ),
                (
                    "/etc/systemd/resolved.conf",
                    "[Resolve]\nDNS=203.0.113.53\n",
                    None,
                ),
                LEASE,
            ],
            &["dhclient"],
            &["192.0.2.53 eth0 Dhcp", "203.0.113.53 - Static"],
            &[MAIN, "/run/systemd/resolve/resolv.conf"],
        ),
        (
            "systemd-resolved, by links",
            &[
                STUB,
                ("/run/systemd/netif/links/2", "DNS=192.0.2.53\n", None),
                ("/sys/class/net/eth0/ifindex", "2\n", None),
                ("/run/systemd/netif/leases/2", "ADDRESS=192.0.2.7\n", None),
            ],
            &["systemd-networkd"],
            &["192.0.2.53 eth0 Dhcp"],
            &[MAIN, "/run/systemd/netif/links/2"],
        ),
        (
            "dnsmasq by resolvconf",
            &[
                (
                    MAIN,
                    "nameserver 127.0.0.1\n",
                    Some("../run/resolvconf/resolv.conf"),
                ),
                (
                    "/run/resolvconf/interface/eth0.inet",
                    "nameserver 192.0.2.53\n",
                    None,
                ),
                (
                    "/run/resolvconf/interface/lo.dnsmasq",
                    "nameserver 127.0.0.1\n",
                    None,
                ),
            ],
            &[],
            &["192.0.2.53 eth0 Static"],
            &[MAIN, "/run/resolvconf/interface/eth0.inet"],
        ),
        (
            "a resolver of its own",
            &[(MAIN, "nameserver 127.0.0.1\n", None)],
            &[],
            &[],
            &[MAIN],
        ),
        (
            "a name for a server",
            &[(MAIN, "nameserver dns.example\n", None)],
            &[],
            &[],
            &[MAIN],
        ),
        (
            "search only",
            &[(MAIN, "search a.example\n", None)],
            &[],
            &[],
            &[],
        ),
    ];
    for (name, files, clients, servers, read_from) in cases {
        let (found, dns, _) = decided(files, clients);
        assert_eq!(found, servers, "{name}");
        assert_eq!(dns.read_from, read_from, "{name}");
    }
}

#[test]
fn domains_and_options_are_somebodys() {
    let (_, dns, _) = decided(&[STUB], &[]);
    assert_eq!(dns.search, ["a.example"]);
    assert_eq!(dns.options, ["ndots:2"]);
    let plain = (MAIN, "search dhcp.example b.example\noptions edns0\n", None);
    let (_, dns, _) = decided(&[plain, LEASE], &["dhclient"]);
    assert_eq!(dns.search, ["b.example"]);
    assert_eq!(dns.options, ["edns0"]);
    let (_, dns, _) = decided(&[plain, LEASE], &[]);
    assert_eq!(dns.search, ["dhcp.example", "b.example"]);
    let head = (
        "/etc/resolvconf/resolv.conf.d/base",
        "search dhcp.example\n",
        None,
    );
    let (_, dns, _) = decided(&[plain, LEASE, head], &["dhclient"]);
    assert_eq!(dns.search, ["dhcp.example", "b.example"]);
}

#[test]
fn a_profile_that_is_not_in_use_names_nobody() {
    let profile = (
        "/etc/NetworkManager/system-connections/office",
        "[connection]\ntype=ethernet\ninterface-name=eth0\n[ipv4]\nmethod=manual\naddress1=198.51.100.7/24\ndns=198.51.100.53\ndns-search=office.example\n",
        None,
    );
    let (servers, dns, _) = decided(&[(MAIN, "nameserver 192.0.2.53\n", None), profile], &[]);
    assert_eq!(servers, ["192.0.2.53 - Static"]);
    assert_eq!(dns.search, Vec::<String>::new());
}

#[test]
fn a_resolver_that_stays_behind_is_noted() {
    let (_, _, notes) = decided(
        &[(MAIN, "nameserver ::1\nnameserver 192.0.2.53\n", None)],
        &[],
    );
    assert_eq!(
        notes,
        [
            "/etc/resolv.conf names ::1, a resolver that runs on this machine and does not come \
          along; the new OS asks 192.0.2.53 itself"
        ]
    );
    let (_, _, notes) = decided(&[(MAIN, "nameserver 127.0.0.1\n", None)], &[]);
    assert!(notes[0].ends_with("whom it asks itself is not known from its files"));
    assert_eq!(decided(&[STUB], &[]).2, Vec::<String>::new());
}
