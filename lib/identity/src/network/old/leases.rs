//! Leases of DHCP clients: dhclient.leases(5), and the `KEY=value` files of systemd-networkd,
//! `NetworkManager` and dhcpcd.

use std::net::IpAddr;

use super::addresses::{address, prefix, unquoted, words};
use super::ifcfg::assignments;
use super::old_file::OldFile;
use formats::dhcp::Octets;
use formats::network::Prefix;

/// What a DHCP server gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    /// The file that it stands in.
    pub file: String,
    /// The client that wrote it.
    pub program: &'static str,
    /// The link.
    pub interface: Option<String>,
    /// The addresses.
    pub addresses: Vec<IpAddr>,
    /// The routers.
    pub routers: Vec<IpAddr>,
    /// Other routes, with their gateways.
    pub routes: Vec<(Prefix, Option<IpAddr>)>,
    /// The name servers.
    pub dns: Vec<IpAddr>,
    /// The domain, and domains to search.
    pub domains: Vec<String>,
    /// The MTU in bytes.
    pub mtu: Option<u32>,
    /// IPv4's client identifier, where the file has it.
    pub identifier: Option<Octets>,
    /// IPv6's DUID, where the file has it.
    pub duid: Option<Octets>,
    /// IPv6's IAID, where the file has it.
    pub iaid: Option<u32>,
    /// It has a prefix to be handed on to others.
    pub delegated: bool,
    /// When it ends, in seconds since 1970; `None` where the file does not say.
    pub expires: Option<u64>,
}

impl Lease {
    /// It gives addresses of IPv6.
    fn ipv6(&self) -> bool {
        self.addresses.iter().any(IpAddr::is_ipv6)
    }
}

/// How the text of a lease is written.
#[derive(Clone, Copy)]
enum Form {
    /// `lease { … }`.
    Blocks,
    /// `KEY=value` lines; the file's name holds the link's, between these.
    Lines(&'static str, &'static str),
    /// `KEY=value` lines; the file's name is the link's number.
    Numbered,
}

/// Names of lease files with who writes them, how, and in which directories. The first that fits
/// counts.
#[rustfmt::skip]
const FILES: [(&str, &str, Form, &[&str]); 9] = [
    ("dhclient*.lease*", "dhclient", Form::Blocks, &["/var/lib/dhcp/", "/var/lib/dhcp3/", "/run/"]),
    ("*.lease*", "dhclient", Form::Blocks, &["/var/lib/dhclient/"]),
    ("dhclient*.lease", "dhclient", Form::Blocks, &["/var/lib/NetworkManager/"]),
    ("internal-*.lease", "NetworkManager", Form::Lines("internal-", ".lease"), &["/var/lib/NetworkManager/"]),
    ("dhcpcd-*.lease", "dhcpcd", Form::Lines("dhcpcd-", ".lease"), &["/var/lib/dhcpcd5/", "/var/lib/dhcpcd/"]),
    ("dhcpcd-*.info", "dhcpcd", Form::Lines("dhcpcd-", ".info"), &["/var/lib/dhcpcd/"]),
    ("*.lease", "dhcpcd", Form::Lines("", ".lease"), &["/var/lib/dhcpcd5/", "/var/lib/dhcpcd/", "/var/db/dhcpcd/"]),
    ("*.lease6", "dhcpcd", Form::Lines("", ".lease6"), &["/var/lib/dhcpcd5/", "/var/lib/dhcpcd/", "/var/db/dhcpcd/"]),
    ("*", "systemd-networkd", Form::Numbered, &["/run/systemd/netif/leases/"]),
];

/// The newest lease of each link, family and client. `numbers` are the kernel's numbers of links.
pub(super) fn current(files: &[OldFile], numbers: &[(u32, String)]) -> Vec<Lease> {
    let mut leases: Vec<Lease> = Vec::new();
    for lease in files.iter().flat_map(|f| read(f, numbers)) {
        let same = leases.iter_mut().find(|l| {
            l.interface == lease.interface && l.program == lease.program && l.ipv6() == lease.ipv6()
        });
        match same {
            // A renewed lease stands behind the one that it renews.
            Some(old) if lease.expires >= old.expires => *old = lease,
            Some(_) => {}
            None => leases.push(lease),
        }
    }
    leases
}

fn read(file: &OldFile, numbers: &[(u32, String)]) -> Vec<Lease> {
    let fits = |directory: &str, name: &str| {
        let inside = file.path.strip_prefix(directory);
        inside.is_some_and(|inside| !inside.contains('/') && super::glob::matches(name, inside))
    };
    let found = FILES.into_iter().find(|(name, _, _, directories)| {
        directories.iter().any(|directory| fits(directory, name))
    });
    let Some((_, program, form, _)) = found else {
        return Vec::new();
    };
    let interface = match form {
        Form::Blocks => return blocks(file, program),
        Form::Lines(before, after) => {
            let name = file.name().strip_prefix(before);
            name.and_then(|n| n.strip_suffix(after)).map(|n| {
                // NetworkManager puts the UUID of the profile before the link.
                let uuid = n.get(36..37) == Some("-") && n[..36].matches('-').count() == 4;
                // dhcpcd puts the network's name behind it, for radio links.
                (if uuid { &n[37..] } else { n }).to_owned()
            })
        }
        Form::Numbered => {
            let number: Option<u32> = file.name().parse().ok();
            let found = numbers.iter().find(|(n, _)| Some(*n) == number);
            found.map(|(_, name)| name.clone())
        }
    };
    lines(file, program, interface).into_iter().collect()
}

fn lines(file: &OldFile, program: &'static str, interface: Option<String>) -> Option<Lease> {
    let mut lease = Lease {
        file: file.path.clone(),
        program,
        interface,
        ..Lease::default()
    };
    for (key, value) in assignments(&file.text) {
        let addresses = || words(value).filter_map(address);
        match key {
            "ADDRESS" | "IPADDR" => lease.addresses.extend(addresses()),
            "ROUTER" | "GATEWAY" | "GATEWAYS" => lease.routers.extend(addresses()),
            "DNS" | "DNSSERVERS" => lease.dns.extend(addresses()),
            "MTU" | "INTERFACE_MTU" => lease.mtu = value.parse().ok(),
            "CLIENTID" => lease.identifier = Octets::from_hex(value),
            "DUID" => lease.duid = Octets::from_hex(value),
            "IAID" => lease.iaid = value.parse().ok(),
            "DELEGATED" => lease.delegated = true,
            "DOMAINNAME" | "DOMAIN" | "DOMAIN_SEARCH_LIST" | "DNSSEARCH" | "DNSDOMAIN" => {
                lease.domains.extend(words(value).map(domain));
            }
            "ROUTES" => lease.routes.extend(words(value).filter_map(|w| {
                let mut parts = w.split("via");
                let to = prefix(parts.next()?, None)?;
                Some((to, parts.next().and_then(address)))
            })),
            _ => {}
        }
    }
    (!lease.addresses.is_empty() || lease.duid.is_some()).then_some(lease)
}

fn domain(text: &str) -> String {
    text.trim_end_matches('.').to_owned()
}

/// The statements of dhclient.leases(5): words up to `;`, `{` or `}`.
#[derive(Debug, PartialEq, Eq)]
enum Statement {
    Plain(Vec<String>),
    Opens(Vec<String>),
    Closes,
}

fn statements(text: &str) -> Vec<Statement> {
    let mut found = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' if quoted => word.extend(chars.next()),
            '"' => quoted = !quoted,
            // Nothing but a domain or a file name is quoted; a line's end closes what was forgotten.
            '\n' if quoted => quoted = false,
            c if quoted => word.push(c),
            '#' => while chars.next().is_some_and(|c| c != '\n') {},
            ';' | '{' | '}' => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                let words = std::mem::take(&mut words);
                match c {
                    '{' => found.push(Statement::Opens(words)),
                    '}' => found.push(Statement::Closes),
                    _ => found.push(Statement::Plain(words)),
                }
            }
            c if c.is_whitespace() || c == ',' => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            c => word.push(c),
        }
    }
    found
}

fn blocks(file: &OldFile, program: &'static str) -> Vec<Lease> {
    let mut leases = Vec::new();
    let mut lease: Option<Lease> = None;
    let mut depth = 0_usize;
    for statement in statements(&file.text) {
        match statement {
            Statement::Opens(words) => {
                depth += 1;
                match words.first().map(String::as_str) {
                    Some("lease" | "lease6") => {
                        depth = 1;
                        leases.extend(lease.take());
                        lease = Some(Lease {
                            file: file.path.clone(),
                            program,
                            ..Lease::default()
                        });
                    }
                    Some("iaaddr") => {
                        if let Some(lease) = &mut lease {
                            lease
                                .addresses
                                .extend(words.get(1).and_then(|w| address(w)));
                        }
                    }
                    _ => {}
                }
            }
            Statement::Closes => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    leases.extend(lease.take());
                }
            }
            Statement::Plain(words) => {
                if let Some(lease) = &mut lease {
                    let words: Vec<&str> = words.iter().map(String::as_str).collect();
                    line(lease, &words);
                }
            }
        }
    }
    // A lease that nothing closes was cut while it was written.
    leases.retain(|l| !l.addresses.is_empty());
    leases
}

fn line(lease: &mut Lease, words: &[&str]) {
    let addresses = |from: usize| words[from..].iter().filter_map(|w| address(w));
    match words {
        ["interface", name, ..] => lease.interface = Some(unquoted(name).to_owned()),
        ["fixed-address", ..] => lease.addresses.extend(addresses(1)),
        ["option", "routers", ..] => lease.routers.extend(addresses(2)),
        ["option", "domain-name-servers" | "dhcp6.name-servers", ..] => {
            lease.dns.extend(addresses(2));
        }
        ["option", "interface-mtu", mtu, ..] => lease.mtu = mtu.parse().ok(),
        ["option", "domain-name" | "domain-search" | "dhcp6.domain-search", names @ ..] => {
            let names = names.iter().flat_map(|n| n.split_whitespace());
            lease.domains.extend(names.map(domain));
        }
        ["option", name, numbers @ ..] if name.contains("classless-static-routes") => {
            lease.routes.extend(classless(numbers));
        }
        ["expire", "never", ..] => lease.expires = Some(u64::MAX),
        ["expire", "epoch", seconds, ..] => lease.expires = seconds.parse().ok(),
        ["expire", _, date, time, ..] => lease.expires = seconds(date, time),
        _ => {}
    }
}

/// Routes of RFC 3442 as dhclient writes them: the bits, the bytes of the prefix that count, the
/// four bytes of the router.
fn classless(numbers: &[&str]) -> Vec<(Prefix, Option<IpAddr>)> {
    let mut numbers = numbers
        .iter()
        .flat_map(|n| n.split('.'))
        .map_while(|n| n.parse::<u8>().ok());
    let mut routes = Vec::new();
    while let Some(bits) = numbers.next().filter(|b| *b <= 32) {
        let mut take = |count: usize| {
            let mut bytes = [0; 4];
            for byte in &mut bytes[..count] {
                *byte = numbers.next()?;
            }
            Some(IpAddr::from(bytes))
        };
        let ip = take(usize::from(bits).div_ceil(8));
        let (Some(ip), Some(gateway)) = (ip, take(4)) else {
            break;
        };
        routes.push((Prefix { ip, bits }, Some(gateway)));
    }
    routes
}

/// Seconds since 1970 of `2024/01/31` and `12:00:00`, which are in UTC.
fn seconds(date: &str, time: &str) -> Option<u64> {
    let numbers = |text: &str, by: char| -> Option<[u64; 3]> {
        let parts: Option<Vec<u64>> = text.split(by).map(|p| p.parse().ok()).collect();
        parts?.try_into().ok()
    };
    let [year, month, day] = numbers(date, '/')?;
    let [hour, minute, second] = numbers(time, ':')?;
    if !(1970..=9999).contains(&year)
        || !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    // Days by the calendar that begins in March, so that leap days come last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    Some((days - 719_468) * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::super::old_file::file;
    use super::*;

    #[test]
    fn the_newest_lease_counts() {
        let files = [
            file("/var/lib/dhcp/dhclient.ens3.leases", include_str!("fixtures/dhclient.leases")),
            // Left over from an older release, with a lease that ended long ago.
            file(
                "/var/lib/dhcp3/dhclient.leases",
                "lease { interface \"ens3\"; fixed-address 203.0.113.9; expire 1 2012/01/02 03:04:05; }",
            ),
        ];
        let leases = current(&files, &[]);
        assert_eq!(leases.len(), 2, "{leases:#?}");
        let ens3 = &leases[0];
        assert_eq!(ens3.interface.as_deref(), Some("ens3"));
        assert_eq!(ens3.addresses, ["192.0.2.7".parse::<IpAddr>().unwrap()]);
        assert_eq!(ens3.routers, ["192.0.2.1".parse::<IpAddr>().unwrap()]);
        assert_eq!(ens3.dns.len(), 2);
        assert_eq!(ens3.domains, ["example.org"]);
        assert_eq!(
            ens3.routes,
            [
                (
                    "169.254.169.254/32".parse().unwrap(),
                    "192.0.2.2".parse().ok()
                ),
                ("0.0.0.0/0".parse().unwrap(), "192.0.2.1".parse().ok()),
            ]
        );
        assert_eq!(
            leases[1].addresses,
            ["2001:db8::1f".parse::<IpAddr>().unwrap()]
        );
        assert_eq!(leases[1].dns, ["2001:db8::53".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn dates_are_seconds() {
        for (date, time, expected) in [
            ("1970/01/01", "00:00:00", Some(0)),
            ("2024/02/29", "12:00:00", Some(1_709_208_000)),
            ("2026/11/23", "09:12:44", Some(1_795_425_164)),
            ("2024/13/01", "12:00:00", None),
            ("x", "12:00:00", None),
        ] {
            assert_eq!(seconds(date, time), expected, "{date} {time}");
        }
    }

    #[test]
    fn reads_every_client() {
        let lines = "# This is private data. Do not parse.\nADDRESS=192.0.2.7\nNETMASK=255.255.255.0\nROUTER=192.0.2.1\nDNS=192.0.2.53 198.51.100.53\nDOMAINNAME=example.org\nROUTES=203.0.113.0/24via192.0.2.2\n";
        for (path, text, interface, program) in [
            ("/run/systemd/netif/leases/2", lines, Some("ens3"), "systemd-networkd"),
            ("/run/systemd/netif/leases/9", lines, None, "systemd-networkd"),
            (
                "/var/lib/NetworkManager/internal-9a3f6f6e-0d2b-4f3e-9a1c-2d0b3c4d5e6f-ens3.lease",
                lines,
                Some("ens3"),
                "NetworkManager",
            ),
            ("/var/lib/dhcpcd5/dhcpcd-ens3.lease", lines, Some("ens3"), "dhcpcd"),
            ("/var/lib/dhcpcd/ens3.lease", lines, Some("ens3"), "dhcpcd"),
            (
                "/var/lib/dhcpcd/dhcpcd-ens3.info",
                "IPADDR='192.0.2.7'\nGATEWAYS='192.0.2.1'\nDNSSERVERS='192.0.2.53 198.51.100.53'\nDNSDOMAIN='example.org'\n",
                Some("ens3"),
                "dhcpcd",
            ),
            (
                "/var/lib/dhclient/dhclient--ens3.lease",
                "lease{interface \"ens3\";fixed-address 192.0.2.7;option routers 192.0.2.1;option domain-name-servers 192.0.2.53,198.51.100.53;option domain-name \"example.org\";}",
                Some("ens3"),
                "dhclient",
            ),
        ] {
            let leases = current(&[file(path, text)], &[(2, "ens3".to_owned())]);
            assert_eq!(leases.len(), 1, "{path}");
            let lease = &leases[0];
            assert_eq!(lease.interface.as_deref(), interface, "{path}");
            assert_eq!(lease.program, program, "{path}");
            assert_eq!(lease.addresses[0].to_string(), "192.0.2.7", "{path}");
            assert_eq!(lease.routers[0].to_string(), "192.0.2.1", "{path}");
            assert_eq!(lease.dns.len(), 2, "{path}");
            assert_eq!(lease.domains, ["example.org"], "{path}");
        }
    }

    #[test]
    fn hostile_leases_are_passed_over() {
        for text in [
            "",
            "}}}}",
            "lease {",
            "lease { fixed-address 192.0.2.7;",
            "lease { fixed-address 1.2.3; }",
            "lease { interface \"e\\",
            "ADDRESS=192.0.2.7",
            "lease { option rfc3442-classless-static-routes 99 1; }",
        ] {
            let found = current(&[file("/var/lib/dhcp/dhclient.leases", text)], &[]);
            assert_eq!(found, [], "{text}");
        }
        assert_eq!(
            current(&[file("/etc/passwd", "ADDRESS=192.0.2.7")], &[]),
            []
        );
        let forgotten = "lease { interface \"ens3;\n fixed-address 192.0.2.7; }";
        let found = current(&[file("/var/lib/dhcp/dhclient.leases", forgotten)], &[]);
        assert_eq!(found, []);
    }
}
