//! Keyfiles of `NetworkManager`, nm-settings-keyfile(5).

use super::addresses::{address, prefix, words};
use super::hint::{Hint, Tool};
use super::ini::{sections, Section};
use super::old_file::OldFile;
use super::said::{identifier, What};
use formats::dhcp::Octets;

const DIRECTORIES: [&str; 3] = [
    "/etc/NetworkManager/system-connections/",
    "/run/NetworkManager/system-connections/",
    "/usr/lib/NetworkManager/system-connections/",
];

/// What the profiles say.
pub(super) fn hints(files: &[OldFile]) -> Vec<Hint> {
    files
        .iter()
        .filter(|f| {
            let inside = DIRECTORIES.iter().find_map(|d| f.path.strip_prefix(d));
            inside.is_some_and(|n| !n.contains('/') && !n.starts_with('.') && !n.ends_with('~'))
        })
        .filter_map(hint)
        .collect()
}

/// Types of connections whose profile, without a name, is for any link.
const WIRED: [&str; 2] = ["ethernet", "802-3-ethernet"];

fn hint(file: &OldFile) -> Option<Hint> {
    let all = sections(&file.text);
    let last = |names: &[&str], key: &str| {
        let found = all.iter().filter(|s| names.contains(&s.name.as_str()));
        found.filter_map(|s| s.last(key)).next_back()
    };
    let kind = last(&["connection"], "type")?;
    let mut hint = Hint::new(Tool::NetworkManager, &file.path);
    hint.name = last(&["connection"], "interface-name")
        .or_else(|| last(&["vlan", "bond", "bridge", "team"], "interface-name"))
        .map(str::to_owned);
    hint.mac = last(&WIRED, "mac-address").and_then(mac);
    if hint.name.is_none() && hint.mac.is_none() && !WIRED.contains(&kind) {
        return None;
    }
    let parts = [
        last(&["connection"], "master"),
        last(&["connection"], "controller"),
        last(&["vlan"], "parent"),
    ];
    hint.mentions = parts.into_iter().flatten().map(str::to_owned).collect();
    for section in &all {
        match section.name.as_str() {
            "ipv4" => {
                hint.said
                    .extend(section.last("dhcp-client-id").and_then(client_id));
                hint.dhcp4 = section.last("method").map(|m| m == "auto");
                hint.metric = section.last("route-metric").and_then(|m| m.parse().ok());
                family(&mut hint, section);
            }
            "ipv6" => {
                hint.said.extend(section.last("dhcp-duid").and_then(duid));
                hint.said.extend(section.last("dhcp-iaid").and_then(iaid));
                let method = section.last("method");
                hint.dhcp6 = (method == Some("dhcp")).then_some(true);
                hint.router = method.map(|m| m == "auto");
                family(&mut hint, section);
            }
            _ => {}
        }
    }
    Some(hint)
}

/// `dhcp-client-id` of nm-settings(5). `stable` and what else it makes up is not known here.
fn client_id(text: &str) -> Option<What> {
    match text {
        "mac" | "perm-mac" => Some(What::ByMac),
        "none" => Some(What::Identifier(Octets::default())),
        "duid" | "ipv6-duid" => Some(What::ByDuid),
        "stable" => None,
        text => identifier(text).map(What::Identifier),
    }
}

/// `dhcp-duid`; what it makes up in other ways than by itself is not known here.
fn duid(text: &str) -> Option<What> {
    (text != "lease").then(|| What::Duid(text.parse().unwrap_or_default()))
}

/// `dhcp-iaid`, likewise.
fn iaid(text: &str) -> Option<What> {
    let hex = text.strip_prefix("0x");
    let number = hex.map_or_else(|| text.parse().ok(), |h| u32::from_str_radix(h, 16).ok());
    match number {
        Some(number) => Some(What::Iaid(number)),
        None if text == "ifname" => None,
        None => Some(What::Duid(Octets::default())),
    }
}

/// `52:54:00:12:34:56`, or the list of bytes that old versions wrote.
fn mac(text: &str) -> Option<formats::network::Mac> {
    text.parse().ok().or_else(|| {
        let bytes: Option<Vec<u8>> = words(text).map(|w| w.parse().ok()).collect();
        Some(formats::network::Mac(bytes?.try_into().ok()?))
    })
}

fn family(hint: &mut Hint, section: &Section) {
    for (key, value) in &section.entries {
        let numbered = |stem: &str| {
            let rest = key.strip_prefix(stem);
            rest.is_some_and(|r| r.bytes().all(|b| b.is_ascii_digit()))
        };
        if numbered("address") || numbered("addresses") {
            for (at, word) in words(value).enumerate() {
                // `address1=192.0.2.7/24,192.0.2.1`: the gateway stands behind the address.
                if word.contains('/') || at == 0 {
                    hint.addresses.extend(prefix(word, None));
                } else {
                    hint.gateways.extend(address(word));
                }
            }
        } else if key == "gateway" {
            hint.gateways.extend(address(value));
        } else if numbered("route") {
            hint.gateways.extend(words(value).nth(1).and_then(address));
        } else if key == "dns" {
            hint.dns.extend(words(value).filter_map(address));
        } else if key == "dns-search" {
            let domains = words(value).filter(|d| !d.starts_with('~'));
            hint.search.extend(domains.map(str::to_owned));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_profiles() {
        let path = |name: &str| format!("{}{name}", DIRECTORIES[0]);
        let file = |name: &str, text: &str| OldFile::from_bytes(&path(name), text.as_bytes(), None);
        let files = [
            file("ens3.nmconnection", include_str!("fixtures/ens3.nmconnection")),
            file(
                "old style",
                "[connection]\r\nid=x\r\ntype=802-3-ethernet\r\n[802-3-ethernet]\r\nmac-address=82;84;0;18;52;86;\r\n[ipv4]\r\nmethod=auto\r\n",
            ),
            file("wifi", "[connection]\ntype=wifi\n[ipv4]\nmethod=auto"),
            file("ens3.nmconnection~", "[connection]\ntype=ethernet\n[ipv4]\nmethod=auto"),
            file("rubbish", "\0\u{fffd}[connection\n=\n[ipv4]\nmethod=auto"),
        ];
        let hints = hints(&files);
        assert_eq!(hints.len(), 2, "{hints:#?}");
        let ens3 = &hints[0];
        assert_eq!(ens3.name.as_deref(), Some("ens3"));
        assert_eq!((ens3.dhcp4, ens3.router), (Some(false), Some(true)));
        let addresses: Vec<_> = ens3.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["192.0.2.7/24", "192.0.2.8/24"]);
        let gateways: Vec<_> = ens3.gateways.iter().map(ToString::to_string).collect();
        assert_eq!(gateways, ["192.0.2.1", "192.0.2.254"]);
        let dns: Vec<_> = ens3.dns.iter().map(ToString::to_string).collect();
        assert_eq!(dns, ["192.0.2.53", "198.51.100.53"]);
        assert_eq!(ens3.search, ["example.org"]);
        assert_eq!(hints[1].mac, "52:54:00:12:34:56".parse().ok());
        assert_eq!(hints[1].dhcp4, Some(true));
    }
}
