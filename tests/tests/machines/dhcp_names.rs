//! A server that goes by the names of its clients, asked by an old OS's client and then by the new
//! one's, which must be the same to it. Real programs, in network namespaces.
//!
//! The second server knows of the first one's leases nothing but whose they were: that is what is left
//! when they have ended. Whoever comes under another name gets another address.

use std::fs;
use std::path::Path;

use fixtures::network::{address, card};
use formats::network::{
    Address, Content, Dialect, Link, Network, NewFile, Resolver, Stack, Written,
};
use identity::network::dialect;
use identity::network::old::{decide, Evidence, OldFile, RunningClient};
use reroot_tests::dialect_tree::{bring_up, Surroundings};

const MAC: &str = "52:54:00:00:00:01";

/// An old OS: what brings its network up, its files, and its clients as they show among processes.
struct Old {
    dialect: Dialect,
    files: &'static [(&'static str, &'static str)],
    clients: &'static [&'static [&'static str]],
    /// The client that ifupdown finds.
    ifupdowns: &'static str,
}

const NETWORKD: Old = Old {
    dialect: Dialect::Networkd,
    files: &[(
        "/etc/systemd/network/1.network",
        "[Match]\nName=ens3\n[Network]\nDHCP=yes\n",
    )],
    clients: &[&["systemd-networkd"]],
    ifupdowns: "",
};

const NETWORK_MANAGER: Old = Old {
    dialect: Dialect::NetworkManager,
    files: &[
        (
            "/etc/NetworkManager/system-connections/ens3.nmconnection",
            "[connection]\nid=ens3\ntype=ethernet\ninterface-name=ens3\n[ipv4]\nmethod=auto\n[ipv6]\n\
             method=auto\n",
        ),
        (
            "/etc/NetworkManager/conf.d/all.conf",
            "[keyfile]\nunmanaged-devices=none\n",
        ),
    ],
    clients: &[&["NetworkManager"]],
    ifupdowns: "",
};

/// As in Debian since 9: by its DUID, in both families.
const DHCLIENT: Old = Old {
    dialect: Dialect::Ifupdown,
    files: &[(
        "/etc/network/interfaces",
        "auto ens3\niface ens3 inet dhcp\niface ens3 inet6 dhcp\n accept_ra 1\n",
    )],
    clients: &[
        &["dhclient", "-4", "-v", "-i", "ens3"],
        &["dhclient", "-6", "-v", "ens3"],
    ],
    ifupdowns: "dhclient",
};

/// As in Debian 13: by its DUID, and IPv6 of its own accord.
const DHCPCD: Old = Old {
    dialect: Dialect::Ifupdown,
    files: &[(
        "/etc/network/interfaces",
        "auto ens3\niface ens3 inet dhcp\n",
    )],
    clients: &[&["dhcpcd", "ens3"]],
    ifupdowns: "dhcpcd",
};

/// A new OS, by its dialect and the client that ifupdown finds in it.
fn stack(dialect: Dialect, client: &str) -> Stack {
    Stack {
        dialect,
        systemd: 257,
        kernel_names: false,
        resolver: Resolver::File,
        programs: vec!["ip".to_owned(), client.to_owned()],
    }
}

fn written(files: &[(&str, &str)]) -> Written {
    let file = |(path, text): &(&str, &str)| NewFile {
        path: (*path).to_owned(),
        mode: if path.contains("NetworkManager") {
            0o600
        } else {
            0o644
        },
        content: Content::Text((*text).to_owned()),
    };
    Written {
        files: files.iter().map(file).collect(),
        ..Written::default()
    }
}

/// Every file below a directory, by its path there.
fn old_files(root: &Path, below: &Path, found: &mut Vec<OldFile>) {
    for entry in fs::read_dir(below).unwrap().flatten() {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            old_files(root, &path, found);
        } else if let Ok(bytes) = fs::read(&path) {
            let inside = path.strip_prefix(root).unwrap().to_str().unwrap();
            found.push(OldFile::from_bytes(&format!("/{inside}"), &bytes, None));
        }
    }
}

/// What the server wrote of its clients: address and name of each.
#[derive(Debug, PartialEq)]
struct Leases {
    v4: (String, String),
    /// With the IAID.
    v6: Option<(String, String, String)>,
}

fn leases(text: &str) -> Leases {
    let (mut v4, mut v6) = (None, None);
    for line in text.lines() {
        match line.split(' ').collect::<Vec<_>>()[..] {
            [_, MAC, ip, _, name] => v4 = Some((ip.to_owned(), name.to_owned())),
            [_, iaid, ip, _, duid] => {
                v6 = Some((ip.to_owned(), iaid.to_owned(), duid.to_owned()));
            }
            _ => {}
        }
    }
    let v4 = v4.unwrap_or_else(|| panic!("no lease of IPv4: {text}"));
    Leases { v4, v6 }
}

/// The old OS asks; what is left of it is read; the new OS asks, of a server that has other addresses
/// for the names that the first one saw.
fn asks_as(old: &Old, new: Dialect, client: &str, iaid: Iaid) {
    let links = [("ens3", MAC)];
    let before = tempfile::tempdir().unwrap();
    let id = ("/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    let mut files = old.files.to_vec();
    files.push(id);
    let nobody = "id:00:01,192.0.2.9".to_owned();
    let up = bring_up(
        &written(&files),
        old.dialect,
        &Surroundings {
            links: &links,
            dhcp: Some("ens3"),
            hosts: &[nobody],
            router: false,
            client: Some(old.ifupdowns).filter(|c| !c.is_empty()),
            out: Some(before.path()),
            wait_for: &["inet 192.0.2.1", "inet6 2001:db8::1"],
            ..Surroundings::default()
        },
    )
    .unwrap();
    let seen = leases(&fs::read_to_string(before.path().join("leases")).unwrap());
    let v6 = seen
        .v6
        .as_ref()
        .unwrap_or_else(|| panic!("no lease of IPv6: {}", up.log));

    let root = before.path().join("root");
    let mut files = Vec::new();
    old_files(&root, &root, &mut files);
    let clients: Vec<RunningClient> = old
        .clients
        .iter()
        .map(|words| RunningClient {
            name: words[0].to_owned(),
            interface: words.contains(&"ens3").then(|| "ens3".to_owned()),
            arguments: words[1..].iter().map(|w| (*w).to_owned()).collect(),
        })
        .collect();
    let lives = |text: &str| Address {
        valid: Some(100),
        ..address(text)
    };
    let mut addresses = vec![lives(&format!("{}/24", seen.v4.0))];
    // ifupdown has nobody to ask for IPv6 but dhclient.
    let six = new != Dialect::Ifupdown || client == "dhclient";
    if six {
        addresses.push(lives(&format!("{}/128", v6.0)));
    }
    let mut network = Network {
        links: vec![Link {
            router: six.then(|| "a route".to_owned()),
            ..card("ens3", MAC.parse().unwrap(), addresses)
        }],
        ..Network::default()
    };
    decide(&mut network, &Evidence::from_files(&files, &clients));
    if !six {
        // The old files say it all the same.
        network.links[0].dhcp6 = None;
    }

    let mut written = dialect::write(&network, &stack(new, client)).unwrap();
    // Another one: nothing may hang on what the new OS makes up from it.
    written.files.push(NewFile {
        path: "/etc/machine-id".to_owned(),
        mode: 0o644,
        content: Content::Text("fedcba9876543210fedcba9876543210\n".to_owned()),
    });
    let after = tempfile::tempdir().unwrap();
    let hosts = [
        format!("id:{},192.0.2.77", seen.v4.1),
        format!("id:{},[2001:db8::77]", v6.2),
    ];
    let awaited = ["inet 192.0.2.", "inet6 2001:db8::"];
    let up = bring_up(
        &written,
        new,
        &Surroundings {
            links: &links,
            dhcp: Some("ens3"),
            hosts: &hosts,
            router: false,
            client: Some(client).filter(|c| !c.is_empty()),
            out: Some(after.path()),
            wait_for: if six { &awaited } else { &awaited[..1] },
            ..Surroundings::default()
        },
    )
    .unwrap();
    let said = format!("{:?}\n{written:#?}\n{}", network.links, up.log);
    let now = leases(&fs::read_to_string(after.path().join("leases")).unwrap());
    assert_eq!(
        now.v4,
        ("192.0.2.77".to_owned(), seen.v4.1.clone()),
        "{said}"
    );
    if six {
        let found = now.v6.unwrap_or_else(|| panic!("no IPv6: {said}"));
        assert_eq!((&found.0[..], &found.2), ("2001:db8::77", &v6.2), "{said}");
        assert_eq!(
            found.1 == v6.1,
            iaid == Iaid::Same,
            "{found:?} {v6:?} {said}"
        );
    }
}

/// Whether a client can be told the IAID of IPv6.
#[derive(Clone, Copy, PartialEq)]
enum Iaid {
    Same,
    /// dhclient takes the end of the MAC address, and the plan says so.
    Own,
}

#[test]
fn networkd_asks_as_networkd_did() {
    asks_as(&NETWORKD, Dialect::Networkd, "", Iaid::Same);
}

#[test]
fn networkd_asks_as_dhclient_did() {
    asks_as(&DHCLIENT, Dialect::Networkd, "", Iaid::Same);
}

#[test]
fn ifupdown_asks_as_networkd_did() {
    asks_as(&NETWORKD, Dialect::Ifupdown, "dhcpcd", Iaid::Same);
}

#[test]
#[ignore = "as the others, with other clients: make prove"]
fn dhclient_asks_as_networkd_did() {
    asks_as(&NETWORKD, Dialect::Ifupdown, "dhclient", Iaid::Own);
}

#[test]
#[ignore = "as the others, with other clients: make prove"]
fn dhclient_asks_as_dhclient_did() {
    asks_as(&DHCLIENT, Dialect::Ifupdown, "dhclient", Iaid::Same);
}

#[test]
#[ignore = "as the others, with other clients: make prove"]
fn netplan_asks_as_networkd_did() {
    asks_as(&NETWORKD, Dialect::Netplan, "", Iaid::Same);
}

#[test]
#[ignore = "as the others, with other clients: make prove"]
fn network_manager_asks_as_networkd_did() {
    asks_as(&NETWORKD, Dialect::NetworkManager, "", Iaid::Same);
}

#[test]
#[ignore = "as the others, with other clients: make prove"]
fn network_manager_asks_as_dhcpcd_did() {
    asks_as(&DHCPCD, Dialect::NetworkManager, "", Iaid::Same);
}

#[test]
#[ignore = "as the others, with other clients: make prove"]
fn networkd_asks_as_network_manager_did() {
    asks_as(&NETWORK_MANAGER, Dialect::Networkd, "", Iaid::Same);
}

#[test]
#[ignore = "as the others, with other clients: make prove"]
fn networkd_asks_as_dhcpcd_did() {
    asks_as(&DHCPCD, Dialect::Networkd, "", Iaid::Same);
}

/// Leases of two minutes, the shortest that the server gives: watched for five from when the network is up, none of
/// the addresses is ever gone.
fn holds_its_leases(new: Dialect, client: &str) {
    let by = || Some("a lease".to_owned());
    let network = Network {
        links: vec![Link {
            dhcp4: by(),
            dhcp6: by(),
            router: by(),
            ..card("ens3", MAC.parse().unwrap(), Vec::new())
        }],
        ..Network::default()
    };
    let mut written = dialect::write(&network, &stack(new, client)).unwrap();
    written.files.push(NewFile {
        path: "/etc/machine-id".to_owned(),
        mode: 0o644,
        content: Content::Text("fedcba9876543210fedcba9876543210\n".to_owned()),
    });
    let up = bring_up(
        &written,
        new,
        &Surroundings {
            links: &[("ens3", MAC)],
            dhcp: Some("ens3"),
            hosts: &[format!("{MAC},192.0.2.77")],
            client: Some(client).filter(|client| !client.is_empty()),
            wait_for: &["inet 192.0.2.77", "inet6 2001:db8::1"],
            watch: 300,
            ask: "echo $WATCHED $MISSED",
            ..Surroundings::default()
        },
    )
    .unwrap();
    let [watched, missed] = up.answers[0].split(' ').collect::<Vec<_>>()[..] else {
        panic!("{:?}\n{}", up.answers, up.log);
    };
    let watched: u32 = watched.parse().unwrap();
    assert!(watched > 60, "{watched}\n{}", up.log);
    assert_eq!(missed, "0", "of {watched}\n{}", up.log);
}

#[test]
#[ignore = "five minutes of looking on: make prove"]
fn networkd_holds_its_leases() {
    holds_its_leases(Dialect::Networkd, "");
}

#[test]
#[ignore = "five minutes of looking on: make prove"]
fn netplan_holds_its_leases() {
    holds_its_leases(Dialect::Netplan, "");
}

#[test]
#[ignore = "five minutes of looking on: make prove"]
fn network_manager_holds_its_leases() {
    holds_its_leases(Dialect::NetworkManager, "");
}

#[test]
#[ignore = "five minutes of looking on: make prove"]
fn ifupdown_holds_its_leases() {
    holds_its_leases(Dialect::Ifupdown, "dhclient");
}
