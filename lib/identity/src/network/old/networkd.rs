//! systemd.network(5) and systemd.netdev(5), with drop-ins.

use super::addresses::{address, boolean, prefix, words};
use super::glob;
use super::hint::{Hint, Tool};
use super::ifcfg::assignments;
use super::ini::{sections, Section};
use super::old_file::OldFile;
use super::said::{Said, What};
use formats::dhcp::Octets;

/// Where files are, the strongest first: of files of one name only the first counts.
const DIRECTORIES: [&str; 5] = [
    "/etc/systemd/network/",
    "/run/systemd/network/",
    "/usr/local/lib/systemd/network/",
    "/usr/lib/systemd/network/",
    "/lib/systemd/network/",
];

/// What the files say, in the order in which networkd asks them.
pub(super) fn hints(files: &[OldFile]) -> Vec<Hint> {
    let mut used: Vec<&OldFile> = Vec::new();
    for directory in DIRECTORIES {
        for file in files {
            let inside = file.path.strip_prefix(directory);
            let own = inside.is_some_and(|n| {
                !n.contains('/') && (glob::matches("*.network", n) || glob::matches("*.netdev", n))
            });
            if own && used.iter().all(|u| u.name() != file.name()) {
                used.push(file);
            }
        }
    }
    // A link to /dev/null, or an empty file, is there to hide the one below it.
    used.retain(|f| !f.text.trim().is_empty());
    used.sort_by(|a, b| a.name().cmp(b.name()));
    used.iter()
        .map(|file| {
            let mut all = sections(&file.text);
            for drop_in in drop_ins(files, file.name()) {
                all.extend(sections(&drop_in.text));
            }
            hint(&file.path, &all)
        })
        .collect()
}

fn drop_ins<'a>(files: &'a [OldFile], name: &str) -> Vec<&'a OldFile> {
    let mut found: Vec<&OldFile> = Vec::new();
    for directory in DIRECTORIES {
        let inside = format!("{directory}{name}.d/");
        for file in files {
            let own = file.path.strip_prefix(&inside);
            if own.is_some_and(|n| glob::matches("*.conf", n) && !n.contains('/'))
                && found.iter().all(|f| f.name() != file.name())
            {
                found.push(file);
            }
        }
    }
    found.sort_by(|a, b| a.name().cmp(b.name()));
    found
}

fn hint(file: &str, all: &[Section]) -> Hint {
    let mut hint = Hint::new(Tool::Networkd, file);
    let values = |section: &str, key: &str| -> Vec<String> {
        let found = all
            .iter()
            .filter(|s| s.name == section)
            .flat_map(|s| s.all(key));
        found.map(str::to_owned).collect()
    };
    let last = |section: &str, key: &str| values(section, key).pop();
    hint.name = last("NetDev", "Name").or_else(|| {
        let names = values("Match", "Name");
        (!names.is_empty()).then(|| names.join(" "))
    });
    let macs = values("Match", "MACAddress")
        .into_iter()
        .chain(values("Match", "PermanentMACAddress"));
    hint.mac = macs
        .flat_map(|m| words(&m).filter_map(|w| w.parse().ok()).collect::<Vec<_>>())
        .next();
    match last("Network", "DHCP").as_deref() {
        Some("ipv4" | "v4") => hint.dhcp4 = Some(true),
        Some("ipv6" | "v6") => hint.dhcp6 = Some(true),
        Some(other) => {
            let both = other == "both" || boolean(other) == Some(true);
            (hint.dhcp4, hint.dhcp6) = (Some(both), Some(both));
        }
        None => {}
    }
    hint.router = last("Network", "IPv6AcceptRA")
        .or_else(|| last("Network", "IPv6AcceptRouterAdvertisements"))
        .and_then(|v| boolean(&v));
    for section in ["Network", "Address"] {
        let found = values(section, "Address");
        hint.addresses
            .extend(found.iter().filter_map(|a| prefix(a, None)));
    }
    for section in ["Network", "Route"] {
        let found = values(section, "Gateway");
        hint.gateways
            .extend(found.iter().filter_map(|a| address(a)));
    }
    let servers = values("Network", "DNS");
    hint.dns = servers
        .iter()
        .flat_map(|v| words(v).filter_map(address))
        .collect();
    let domains = values("Network", "Domains");
    hint.search = domains
        .iter()
        .flat_map(|v| words(v))
        .collect::<Vec<_>>()
        .into_iter()
        .filter(|d| !d.starts_with('~'))
        .map(str::to_owned)
        .collect();
    hint.metric = ["DHCPv4", "DHCP", "DHCPv6"]
        .iter()
        .find_map(|s| last(s, "RouteMetric")?.parse().ok());
    hint.said = whats(&last);
    for key in ["Bond", "Bridge", "VLAN", "ActiveSlave", "PrimarySlave"] {
        let found = values("Network", key);
        hint.mentions.extend(
            found
                .iter()
                .flat_map(|v| v.split_whitespace())
                .map(str::to_owned),
        );
    }
    hint
}

/// What a file says about the client's names. Sections have changed theirs over the years.
fn whats(last: &impl Fn(&str, &str) -> Option<String>) -> Vec<What> {
    let of = |sections: &[&str], key: &str| sections.iter().find_map(|s| last(s, key));
    let (v4, any) = (["DHCPv4", "DHCP"], ["DHCPv6", "DHCPv4", "DHCP"]);
    let mut found = Vec::new();
    match of(&v4, "ClientIdentifier").as_deref() {
        Some("mac") => found.push(What::ByMac),
        Some("duid") => found.push(What::ByDuid),
        _ => {}
    }
    let kind = of(&any, "DUIDType").unwrap_or_else(|| VENDOR.to_owned());
    match of(&any, "DUIDRawData") {
        Some(raw) => found.extend(duid(&kind, &raw.replace(':', "")).map(What::Duid)),
        None if kind == VENDOR => {}
        None => found.push(What::Duid(Octets::default())),
    }
    let iaid = of(&any, "IAID").and_then(|n| n.parse().ok());
    found.extend(iaid.map(What::Iaid));
    let on = |section: &str, key: &str| {
        let value = last(section, key);
        value.is_some_and(|v| boolean(&v) == Some(true) || v == "dhcpv6")
    };
    let keys = [
        "IPv6PrefixDelegation",
        "DHCPv6PrefixDelegation",
        "DHCPPrefixDelegation",
    ];
    let asks = of(&["DHCPv6"], "PrefixDelegationHint").is_some();
    if asks || keys.iter().any(|key| on("Network", key)) {
        found.push(What::Delegation);
    }
    found
}

/// The type that it takes by itself.
const VENDOR: &str = "vendor";

/// Types of DUIDs (RFC 8415) by the words of networkd.conf(5) and of the state that it keeps.
const DUID_TYPES: [(&[&str], u16); 4] = [
    (&["link-layer-time", "DUID-LLT"], 1),
    (&[VENDOR, "DUID-EN/Vendor"], 2),
    (&["link-layer", "DUID-LL"], 3),
    (&["uuid", "DUID-UUID", "UUID"], 4),
];

fn duid(kind: &str, hex: &str) -> Option<Octets> {
    let word = DUID_TYPES.iter().find(|(words, _)| words.contains(&kind));
    let number = word.map_or_else(|| kind.parse().ok(), |(_, number)| Some(*number))?;
    let data = Octets::from_hex(hex)?;
    Some(Octets([&number.to_be_bytes()[..], &data.0].concat()))
}

/// The name that leases have for it.
pub(super) const PROGRAM: &str = "systemd-networkd";

/// What it keeps about links whose client of IPv6 runs, and what networkd.conf(5) sets for all.
pub(super) fn said(files: &[OldFile], numbers: &[(u32, String)]) -> Vec<Said> {
    const STATE: &str = "/run/systemd/netif/links/";
    const SETTINGS: [&str; 2] = [
        "/etc/systemd/networkd.conf",
        "/etc/systemd/networkd.conf.d/*.conf",
    ];
    let mut found = Vec::new();
    for file in files {
        let mut say = |interface: Option<&String>, leased, what| {
            found.push(Said {
                file: file.path.clone(),
                program: PROGRAM,
                interface: interface.cloned(),
                leased,
                what,
            });
        };
        if let Some(number) = file.path.strip_prefix(STATE) {
            let of_number = numbers.iter().find(|(n, _)| Ok(*n) == number.parse());
            let Some((_, name)) = of_number else { continue };
            for (key, value) in assignments(&file.text) {
                let what = match key {
                    "DHCP6_CLIENT_IAID" => {
                        let hex = value.strip_prefix("0x").unwrap_or(value);
                        u32::from_str_radix(hex, 16).ok().map(What::Iaid)
                    }
                    "DHCP6_CLIENT_DUID" => {
                        let parts = value.rsplit_once(':');
                        parts.and_then(|(k, hex)| duid(k, hex)).map(What::Duid)
                    }
                    _ => None,
                };
                if let Some(what) = what {
                    say(Some(name), true, what);
                }
            }
        } else if SETTINGS.iter().any(|p| glob::matches_path(p, &file.path)) {
            let all = sections(&file.text);
            let last = |section: &str, key: &str| {
                let named = all.iter().filter(|s| s.name == section);
                named
                    .filter_map(|s| s.last(key))
                    .next_back()
                    .map(str::to_owned)
            };
            for what in whats(&last) {
                say(None, false, what);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::old_file::file;
    use super::*;

    #[test]
    fn reads_static_and_dhcp_files_with_drop_ins() {
        let files = [
            file("/usr/lib/systemd/network/80-wired.network", "[Match]\nName=en*\n[Network]\nDHCP=yes"),
            file("/etc/systemd/network/80-wired.network", ""),
            file("/etc/systemd/network/10-wan.network", include_str!("fixtures/10-wan.network")),
            file(
                "/run/systemd/network/10-wan.network.d/more.conf",
                "[Network]\r\nDNS=198.51.100.53#dns.example.net\r\n[Address]\r\nAddress=192.0.2.8/32\r\n",
            ),
            file("/etc/systemd/network/20-bond.netdev", "[NetDev]\nName=bond0\nKind=bond"),
            file("/run/systemd/network/30-any.network", "[Match]\nName=!lo\n[Network]\nDHCP=ipv4\n[DHCPv4]\nRouteMetric=1024"),
        ];
        let hints = hints(&files);
        let names: Vec<_> = hints.iter().filter_map(|h| h.name.as_deref()).collect();
        assert_eq!(names, ["ens3 ens4", "bond0", "!lo"]);
        let wan = &hints[0];
        assert_eq!(wan.mac, "52:54:00:12:34:56".parse().ok());
        assert_eq!((wan.dhcp4, wan.router), (Some(false), Some(false)));
        let addresses: Vec<_> = wan.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(
            addresses,
            ["192.0.2.7/32", "2001:db8::7/64", "192.0.2.8/32"]
        );
        let gateways: Vec<_> = wan.gateways.iter().map(ToString::to_string).collect();
        assert_eq!(gateways, ["198.51.100.1", "fe80::1"]);
        let dns: Vec<_> = wan.dns.iter().map(ToString::to_string).collect();
        assert_eq!(dns, ["192.0.2.53", "2001:db8::53", "198.51.100.53"]);
        assert_eq!(wan.search, ["example.org"]);
        assert_eq!(hints[2].dhcp4, Some(true));
        assert_eq!(hints[2].metric, Some(1024));
    }
}
