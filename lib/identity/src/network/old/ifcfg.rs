//! `ifcfg-*` files of RHEL and its likes, and of SUSE: assignments of a shell.

use super::addresses::{address, boolean, prefix, unquoted, words};
use super::hint::{Hint, Tool};
use super::old_file::OldFile;
use super::said::What;

const DIRECTORIES: [&str; 2] = ["/etc/sysconfig/network-scripts/", "/etc/sysconfig/network/"];

/// Ends of names that editors and package managers leave behind.
const LEFTOVERS: [&str; 8] = [
    "~", ".bak", ".orig", ".old", ".rpmsave", ".rpmnew", ".rpmorig", ".swp",
];

/// What the files say.
pub(super) fn hints(files: &[OldFile]) -> Vec<Hint> {
    files
        .iter()
        .filter(|f| !LEFTOVERS.iter().any(|l| f.path.ends_with(l)))
        .filter_map(|f| {
            let inside = DIRECTORIES.iter().find_map(|d| f.path.strip_prefix(d))?;
            let device = inside.strip_prefix("ifcfg-")?;
            Some(hint(f, device))
        })
        .collect()
}

/// `KEY=value` lines of a shell, without quotes; `export` is passed over.
pub(super) fn assignments(text: &str) -> Vec<(&str, &str)> {
    text.lines()
        .filter_map(|line| {
            let line = line.trim();
            let line = line.strip_prefix("export ").unwrap_or(line);
            let (key, value) = line.split_once('=')?;
            let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            let key = key.trim();
            (!key.is_empty() && key.bytes().all(plain)).then(|| (key, uncommented(value)))
        })
        .collect()
}

/// The value of an assignment: what quotes hold, or everything before a comment.
fn uncommented(value: &str) -> &str {
    let value = value.trim();
    for quote in ['"', '\''] {
        if let Some((inside, _)) = value.strip_prefix(quote).and_then(|v| v.split_once(quote)) {
            return inside.trim();
        }
    }
    let end = value.find(" #").unwrap_or(value.len());
    unquoted(&value[..end])
}

/// A key and the number behind it: `IPADDR`, `IPADDR0`, `IPADDR_1`.
fn number<'a>(key: &'a str, stem: &str) -> Option<&'a str> {
    let rest = key.strip_prefix(stem)?;
    let digits = rest.strip_prefix('_').unwrap_or(rest);
    digits.bytes().all(|b| b.is_ascii_digit()).then_some(rest)
}

fn hint(file: &OldFile, device: &str) -> Hint {
    let mut hint = Hint::new(Tool::Ifcfg, &file.path);
    let values = assignments(&file.text);
    let last = |key: &str| {
        let found = values.iter().rev().find(|(k, _)| *k == key);
        found.map(|(_, v)| *v).filter(|v| !v.is_empty())
    };
    let name = last("DEVICE").unwrap_or(device);
    hint.name = Some(name.split(':').next().unwrap_or(name).to_owned());
    hint.mac = last("HWADDR").and_then(|m| m.parse().ok());
    if let Some(protocol) = last("BOOTPROTO") {
        let protocol = protocol.to_ascii_lowercase();
        hint.dhcp4 = Some(["dhcp", "dhcp4", "bootp", "dhcp+autoip"].contains(&protocol.as_str()));
        hint.dhcp6 = (protocol == "dhcp6").then_some(true);
    }
    if last("DHCPV6C").and_then(boolean) == Some(true) {
        hint.dhcp6 = Some(true);
    }
    hint.router = last("IPV6_AUTOCONF").and_then(boolean);
    if last("DHCPV6C_OPTIONS").is_some_and(|o| o.split_whitespace().any(|w| w == "-P")) {
        hint.said.push(What::Delegation);
    }
    for (key, value) in &values {
        if let Some(number) = number(key, "IPADDR") {
            let mask = ["PREFIX", "NETMASK", "PREFIXLEN"]
                .iter()
                .find_map(|stem| last(&format!("{stem}{number}")));
            hint.addresses.extend(prefix(value, mask));
        } else if ["IPV6ADDR", "IPV6ADDR_SECONDARIES"].contains(key) {
            let found = words(value).filter_map(|w| prefix(w, None));
            hint.addresses.extend(found);
        } else if number(key, "GATEWAY").is_some() || *key == "IPV6_DEFAULTGW" {
            hint.gateways.extend(address(value));
        } else if number(key, "DNS").is_some() {
            hint.dns.extend(address(value));
        } else if ["DOMAIN", "SEARCH"].contains(key) {
            hint.search.extend(words(value).map(str::to_owned));
        } else if number(key, "BONDING_SLAVE").is_some()
            || [
                "MASTER",
                "BRIDGE",
                "PHYSDEV",
                "BONDING_MASTER",
                "ETHERDEVICE",
                "BRIDGE_PORTS",
            ]
            .contains(key)
        {
            let named = words(value).filter(|w| boolean(w).is_none());
            hint.mentions.extend(named.map(str::to_owned));
        }
    }
    if let Some((parent, _)) = name.rsplit_once('.') {
        hint.mentions.push(parent.to_owned());
    }
    hint.metric = last("METRIC").and_then(|m| m.parse().ok());
    hint
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_static_dhcp_and_aliases() {
        let path = |name: &str| format!("/etc/sysconfig/network-scripts/{name}");
        let file = |name: &str, text: &str| OldFile::from_bytes(&path(name), text.as_bytes(), None);
        let files = [
            file("ifcfg-eth0", include_str!("fixtures/ifcfg-eth0")),
            file("ifcfg-eth0.bak", "BOOTPROTO=dhcp"),
            file("ifup-eth", "DEVICE=x"),
            file(
                "ifcfg-eth1",
                "BOOTPROTO='dhcp' # from the datacentre\r\nMETRIC=200\r\nMASTER=bond0\r\n",
            ),
            file("ifcfg-eth0:1", "IPADDR=192.0.2.9\nNETMASK=255.255.255.0\n"),
            file(
                "ifcfg-odd",
                "=\nA B=c\nDEVICE=\"odd\nIPADDR=\"192.0.2.300\"\nDNS1=$X\n",
            ),
        ];
        let hints = hints(&files);
        let names: Vec<_> = hints.iter().filter_map(|h| h.name.as_deref()).collect();
        assert_eq!(names, ["eth0", "eth1", "eth0", "\"odd"]);
        let eth0 = &hints[0];
        assert_eq!(eth0.mac, "52:54:00:12:34:56".parse().ok());
        assert_eq!(eth0.dhcp4, Some(false));
        let addresses: Vec<_> = eth0.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(
            addresses,
            ["192.0.2.7/24", "192.0.2.8/25", "2001:db8::7/64"]
        );
        let dns: Vec<_> = eth0.dns.iter().map(ToString::to_string).collect();
        assert_eq!(dns, ["192.0.2.53", "198.51.100.53"]);
        assert_eq!(eth0.search, ["example.org", "example.net"]);
        assert_eq!((hints[1].dhcp4, hints[1].metric), (Some(true), Some(200)));
        assert_eq!(hints[1].mentions, ["bond0"]);
        assert_eq!(hints[3].addresses, []);
    }
}
