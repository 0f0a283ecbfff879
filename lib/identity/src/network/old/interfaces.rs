//! interfaces(5), of every ifupdown since Debian 6.

use super::addresses::{address, boolean, prefix, unquoted, words};
use super::commands;
use super::glob;
use super::hint::{Hint, Tool};
use super::old_file::OldFile;
use super::said::{identifier, What};
use formats::dhcp::Octets;
use formats::tuning::Tuning;

/// Where it begins.
pub const MAIN: &str = "/etc/network/interfaces";
/// What relative patterns of `source` are relative to.
const BASE: &str = "/etc/network";

/// A stanza with its options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Stanza {
    /// Words behind `iface`.
    head: Vec<String>,
    /// First word and rest of each line.
    options: Vec<(String, String)>,
}

/// The patterns of files that `source`, `source-directory` and `source-dir` name, from the root;
/// the last component may have wildcards. Directories are given as `DIRECTORY/*`.
pub fn sources(text: &str) -> Vec<String> {
    let mut patterns = Vec::new();
    for line in lines(text) {
        let (word, rest) = first_word(&line);
        let directory = match word {
            "source" => "",
            "source-directory" | "source-dir" => "/*",
            _ => continue,
        };
        for pattern in rest.split_whitespace() {
            let pattern = unquoted(pattern).trim_end_matches('/');
            let absolute = if pattern.starts_with('/') {
                format!("{pattern}{directory}")
            } else {
                format!("{BASE}/{}{directory}", pattern.trim_start_matches("./"))
            };
            patterns.push(absolute);
        }
    }
    patterns
}

/// Lines without comments, continued ones joined.
fn lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut joined = String::new();
    for line in text.lines() {
        let line = line.trim_end();
        if joined.is_empty() && line.trim_start().starts_with('#') {
            continue;
        }
        if let Some(start) = line.strip_suffix('\\') {
            joined.push_str(start);
            joined.push(' ');
            continue;
        }
        joined.push_str(line);
        lines.push(std::mem::take(&mut joined).trim().to_owned());
    }
    if !joined.trim().is_empty() {
        lines.push(joined.trim().to_owned());
    }
    lines.retain(|l| !l.is_empty());
    lines
}

fn first_word(line: &str) -> (&str, &str) {
    let (word, rest) = line
        .split_once(|c: char| c.is_whitespace())
        .unwrap_or((line, ""));
    (word, rest.trim())
}

/// What the main file and everything that it includes say.
pub(super) fn hints(files: &[OldFile], notes: &mut Vec<String>) -> Vec<Hint> {
    let mut hints = Vec::new();
    let mut wanted = vec![MAIN.to_owned()];
    let mut seen: Vec<&str> = Vec::new();
    let mut at = 0;
    // Each file is read once, so that files which include each other come to an end.
    while let Some(pattern) = wanted.get(at).cloned() {
        at += 1;
        let mut found: Vec<&OldFile> = files
            .iter()
            .filter(|f| !seen.contains(&f.path.as_str()) && glob::matches_path(&pattern, &f.path))
            .collect();
        found.sort_by(|a, b| a.path.cmp(&b.path));
        for file in found {
            if seen.contains(&file.path.as_str()) {
                continue;
            }
            seen.push(&file.path);
            wanted.extend(sources(&file.text));
            for stanza in stanzas(file, notes) {
                hints.push(hint(&file.path, &stanza, notes));
            }
        }
    }
    hints
}

/// The `iface` stanzas of a file.
fn stanzas(file: &OldFile, notes: &mut Vec<String>) -> Vec<Stanza> {
    let mut stanzas: Vec<Stanza> = Vec::new();
    let mut inside = false;
    for line in lines(&file.text) {
        let (word, rest) = first_word(&line);
        match word {
            "iface" => {
                inside = true;
                stanzas.push(Stanza {
                    head: rest.split_whitespace().map(str::to_owned).collect(),
                    options: Vec::new(),
                });
            }
            "auto" | "source" | "source-directory" | "source-dir" | "no-auto-down"
            | "no-scripts" | "rename" | "template" => inside = false,
            "mapping" => {
                inside = false;
                notes.push(format!(
                    "{}: the mapping of `{rest}` is not followed; its stanzas count under their \
                     own names",
                    file.path
                ));
            }
            _ if word.starts_with("allow-") => inside = false,
            _ if inside => {
                if let Some(stanza) = stanzas.last_mut() {
                    stanza.options.push((word.to_owned(), rest.to_owned()));
                }
            }
            _ => {}
        }
    }
    stanzas.retain(|s| !s.head.is_empty());
    stanzas
}

fn hint(file: &str, stanza: &Stanza, notes: &mut Vec<String>) -> Hint {
    let mut hint = Hint::new(Tool::Ifupdown, file);
    let label = stanza.head[0].as_str();
    // `eth0:1` is no link but a label of eth0's.
    let name = label.split(':').next().unwrap_or(label);
    hint.name = Some(name.to_owned());
    if let Some((parent, _)) = name.rsplit_once('.') {
        hint.mentions.push(parent.to_owned());
    }
    let value = |key: &str| {
        let found = stanza.options.iter().rev().find(|(k, _)| k == key);
        found.map(|(_, v)| v.as_str())
    };
    let ipv6 = stanza.head.iter().any(|w| w == "inet6");
    for method in &stanza.head[1..] {
        match (method.as_str(), ipv6) {
            ("dhcp", false) => hint.dhcp4 = Some(true),
            ("dhcp", true) => hint.dhcp6 = Some(true),
            ("auto", true) => {
                hint.router = Some(true);
                let dhcp = value("dhcp").and_then(boolean);
                hint.dhcp6 = dhcp.filter(|d| *d);
            }
            _ => {}
        }
    }
    for (key, value_) in &stanza.options {
        match key.as_str() {
            "address" => hint.addresses.extend(prefix(value_, value("netmask"))),
            "gateway" => hint.gateways.extend(address(value_)),
            "dns-nameservers" | "dns-nameserver" => {
                hint.dns.extend(words(value_).filter_map(address));
            }
            "dns-search" | "dns-domain" => hint.search.extend(words(value_).map(str::to_owned)),
            "metric" => hint.metric = unquoted(value_).parse().ok(),
            // Of dhclient it says whether its own DUID is sent.
            "client" | "clientid" if unquoted(value_) == "no" => {
                hint.said.push(What::Identifier(Octets::default()));
            }
            "client" | "clientid" => {
                hint.said
                    .extend(identifier(unquoted(value_)).map(What::Identifier));
            }
            "request_prefix" if boolean(value_) == Some(true) => hint.said.push(What::Delegation),
            "bond-slaves" | "bond_slaves" | "slaves" | "bond-master" | "bond_master"
            | "bond-primary" | "bond_primary" | "bridge_ports" | "bridge-ports"
            | "vlan-raw-device" | "vlan_raw_device" | "ovs_ports" | "ovs_bridge" => {
                let named = words(value_).filter(|w| !matches!(*w, "none" | "all" | "regex"));
                hint.mentions.extend(named.map(str::to_owned));
            }
            "up" | "pre-up" | "post-up" | "down" | "pre-down" | "post-down" => {
                command(&mut hint, label, key, value_, notes);
            }
            _ => {}
        }
    }
    hint
}

/// A command does not come along. What it did to addresses and routes is in the kernel's state,
/// and tells that somebody configured them.
fn command(hint: &mut Hint, label: &str, key: &str, text: &str, notes: &mut Vec<String>) {
    let parts: Vec<&str> = text.split_whitespace().collect();
    let has = |word: &str| parts.contains(&word);
    let tool = |name: &str| {
        let is = |p: &&str| p.rsplit('/').next() == Some(name);
        parts.iter().any(is)
    };
    let of_address = tool("ip") && ["a", "addr", "address"].into_iter().any(has);
    let of_route =
        tool("route") || tool("ip") && ["r", "ro", "route", "ru", "rule"].into_iter().any(has);
    let adds = has("add") || has("replace") || has("append");
    let up = key.ends_with("up");
    let name = hint.name.clone().unwrap_or_default();
    if let Some(settings) = commands::settings(text, &name).filter(|_| up) {
        let by = format!("{}: `{key} {text}` of {label}", hint.file);
        let tuning = settings.into_iter().map(|(link, set)| Tuning {
            link,
            set,
            by: by.clone(),
        });
        // The writer of the new configuration says what becomes of it.
        hint.tuning.extend(tuning);
        return;
    }
    if up && adds && of_address {
        let found = parts.iter().find_map(|p| prefix(p, None));
        hint.addresses.extend(found);
    } else if up && adds && of_route {
        let behind = |words: &[&str]| {
            let at = parts.iter().position(|p| words.contains(p))?;
            address(parts.get(at + 1)?)
        };
        hint.gateways.extend(behind(&["via", "gw"]));
    }
    let why = if of_address || of_route {
        "what it does to addresses and routes is taken from the kernel, the command itself stays \
         behind"
    } else {
        "this command stays behind"
    };
    notes.push(format!("{}: `{key} {text}` of {label}: {why}", hint.file));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<Hint>, Vec<String>) {
        let mut notes = Vec::new();
        let file = OldFile::from_bytes(MAIN, text.as_bytes(), None);
        (hints(&[file], &mut notes), notes)
    }

    #[test]
    fn reads_ubuntu_12_04() {
        let (hints, notes) = read(include_str!("fixtures/interfaces-12.04"));
        assert_eq!(notes, Vec::<String>::new());
        let eth0 = hints
            .iter()
            .find(|h| h.name.as_deref() == Some("eth0"))
            .unwrap();
        assert_eq!(eth0.addresses, ["192.0.2.7/24".parse().unwrap()]);
        assert_eq!(eth0.gateways[0].to_string(), "192.0.2.1");
        let dns: Vec<_> = eth0.dns.iter().map(ToString::to_string).collect();
        assert_eq!(dns, ["192.0.2.53", "198.51.100.53"]);
        assert_eq!(eth0.search, ["example.org", "example.net"]);
        let eth1 = hints
            .iter()
            .find(|h| h.name.as_deref() == Some("eth1"))
            .unwrap();
        assert_eq!(eth1.dhcp4, Some(true));
        assert_eq!(eth1.metric, Some(200));
    }

    #[test]
    fn commands_are_listed_and_name_addresses() {
        let (hints, notes) = read(include_str!("fixtures/interfaces-ovh"));
        assert_eq!(notes.len(), 4, "{notes:#?}");
        assert!(notes[0].starts_with(
            "/etc/network/interfaces: `post-up route add 192.0.2.254 dev eth0` of eth0:"
        ));
        assert!(notes[3].ends_with("this command stays behind"), "{notes:?}");
        let texts: Vec<_> = hints[1].addresses.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["198.51.100.7/32", "203.0.113.9/32"]);
        assert_eq!(hints[1].gateways[0].to_string(), "192.0.2.254");
    }

    #[test]
    fn reads_point_to_point_both_families() {
        let (hints, _) = read(include_str!("fixtures/interfaces-hetzner"));
        let addresses: Vec<_> = hints
            .iter()
            .flat_map(|h| &h.addresses)
            .map(ToString::to_string)
            .collect();
        assert_eq!(addresses, ["192.0.2.7/32", "2001:db8:1:2::2/64"]);
    }

    #[test]
    fn reads_hostile_text() {
        for (name, text, expected) in [
            (
                "carriage returns",
                "iface eth0 inet static\r\n\taddress 192.0.2.7/24\r\n",
                "192.0.2.7/24",
            ),
            (
                "quotes",
                "iface eth0 inet static\n address \"192.0.2.7\"\n netmask '255.255.255.0'",
                "192.0.2.7/24",
            ),
            (
                "continued lines",
                "iface eth0 \\\n inet \\\n static\n address \\\n192.0.2.7/24",
                "192.0.2.7/24",
            ),
            (
                "a comment that ends in a backslash",
                "iface eth0 inet static\n# no \\\n address 192.0.2.7/24",
                "192.0.2.7/24",
            ),
            (
                "an alias",
                "iface eth0:1 inet static\n address 192.0.2.7/24",
                "192.0.2.7/24",
            ),
            (
                "a name without address",
                "iface eth0 inet static\n address host.example\n",
                "",
            ),
            (
                "no end",
                "iface eth0 inet static\n address 192.0.2.7/24\\",
                "192.0.2.7/24",
            ),
            (
                "no newline before nul",
                "iface eth0 inet static\n address 192.0.2.7/24\n\0\u{fffd}",
                "192.0.2.7/24",
            ),
        ] {
            let (hints, _) = read(text);
            assert_eq!(hints.len(), 1, "{name}");
            assert_eq!(hints[0].name.as_deref(), Some("eth0"), "{name}");
            let found = hints[0].addresses.first().map(ToString::to_string);
            assert_eq!(found.unwrap_or_default(), expected, "{name}");
        }
        for text in [
            "iface",
            "iface\n address 1",
            "\\",
            "address 192.0.2.7",
            "iface \\",
        ] {
            assert_eq!(read(text).0, [], "{text}");
        }
    }

    #[test]
    fn follows_sources_and_ends() {
        assert_eq!(
            sources("source interfaces.d/*.cfg\nsource-directory /etc/network/more/\nsource-dir x"),
            [
                "/etc/network/interfaces.d/*.cfg",
                "/etc/network/more/*",
                "/etc/network/x/*"
            ]
        );
        let file = |path: &str, text: &str| OldFile::from_bytes(path, text.as_bytes(), None);
        let files = [
            file(
                "/etc/network/interfaces.d/b.cfg",
                "iface eth1 inet dhcp\nsource /etc/network/interfaces",
            ),
            file(
                "/etc/network/interfaces.d/50-cloud-init.cfg",
                include_str!("fixtures/50-cloud-init.cfg"),
            ),
            file("/etc/network/interfaces.d/unused", "iface eth9 inet dhcp"),
            file(
                MAIN,
                "mapping eth*\n script /bin/x\nsource interfaces.d/*.cfg",
            ),
        ];
        let mut notes = Vec::new();
        let hints = hints(&files, &mut notes);
        let names: Vec<_> = hints.iter().filter_map(|h| h.name.as_deref()).collect();
        assert_eq!(names, ["lo", "eth0", "eth0", "eth1"]);
        assert!(notes[0].contains("mapping of `eth*`"), "{notes:?}");
    }

    #[test]
    fn members_are_mentioned() {
        let (hints, _) = read(include_str!("fixtures/interfaces-bond"));
        let mentions: Vec<_> = hints.iter().flat_map(|h| h.mentions.clone()).collect();
        for name in ["eth0", "eth1", "bond0", "bond0.100"] {
            assert!(mentions.contains(&name.to_owned()), "{name}: {mentions:?}");
        }
    }
}
