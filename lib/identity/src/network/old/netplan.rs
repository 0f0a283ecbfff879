//! netplan(5): YAML below /lib, /etc and /run, merged in the order of the files' names.

use super::addresses::{address, boolean, prefix};
use super::glob;
use super::hint::{Hint, Tool};
use super::old_file::OldFile;
use super::yaml::{self, Node};

/// Where files are, the strongest first: of files of one name only the first counts.
const DIRECTORIES: [&str; 4] = [
    "/run/netplan/",
    "/etc/netplan/",
    "/lib/netplan/",
    "/usr/lib/netplan/",
];

/// What the merged files say.
pub(super) fn hints(files: &[OldFile], notes: &mut Vec<String>) -> Vec<Hint> {
    let mut used: Vec<&OldFile> = Vec::new();
    for directory in DIRECTORIES {
        let of_directory = files.iter().filter(|f| {
            f.path.strip_prefix(directory).is_some_and(|n| {
                !n.contains('/') && !n.starts_with('.') && glob::matches("*.yaml", n)
            })
        });
        for file in of_directory {
            if used.iter().all(|u| u.name() != file.name()) {
                used.push(file);
            }
        }
    }
    used.sort_by(|a, b| a.name().cmp(b.name()));
    let mut merged = Node::Map(Vec::new());
    // The file that named a definition last, for the evidence's words.
    let mut named: Vec<(String, String)> = Vec::new();
    for file in used {
        match yaml::parse(&file.text) {
            Ok(node) => {
                for (_, id, _) in definitions(&node) {
                    named.push((id.to_owned(), file.path.clone()));
                }
                merged.merge(node);
            }
            Err(why) => notes.push(format!("{} is not understood: {why}", file.path)),
        }
    }
    definitions(&merged)
        .map(|(section, id, node)| {
            let file = named.iter().rev().find(|(i, _)| i == id);
            let file = file.map_or(DIRECTORIES[1], |(_, f)| f);
            hint(file, section, id, node)
        })
        .collect()
}

/// Section, id and value of each definition.
fn definitions(node: &Node) -> impl Iterator<Item = (&str, &str, &Node)> {
    let sections = node.get("network").map_or(&[][..], Node::entries);
    sections.iter().flat_map(|(section, body)| {
        body.entries()
            .iter()
            .map(move |(id, node)| (section.as_str(), id.as_str(), node))
    })
}

fn hint(file: &str, section: &str, id: &str, node: &Node) -> Hint {
    let mut hint = Hint::new(Tool::Netplan, file);
    let text = |key: &str| node.get(key).and_then(Node::text);
    let texts = |key: &str| node.get(key).map_or_else(Vec::new, Node::texts);
    let matching = node.get("match").filter(|_| section == "ethernets");
    let of_match = |key: &str| matching?.get(key)?.text();
    hint.mac = of_match("macaddress").and_then(|m| m.parse().ok());
    hint.name = match (text("set-name"), matching) {
        // The name before it was set tells nothing any more; the new one does.
        (Some(name), _) => Some(name.to_owned()),
        (None, Some(_)) => of_match("name").map(str::to_owned),
        (None, None) => Some(id.to_owned()),
    };
    hint.dhcp4 = text("dhcp4").and_then(boolean);
    hint.dhcp6 = text("dhcp6").and_then(boolean);
    hint.router = text("accept-ra").and_then(boolean);
    let addresses = texts("addresses");
    hint.addresses = addresses.iter().filter_map(|a| prefix(a, None)).collect();
    hint.gateways = ["gateway4", "gateway6"]
        .iter()
        .filter_map(|k| text(k).and_then(address))
        .collect();
    if let Some(Node::List(routes)) = node.get("routes") {
        let via = |r: &Node| address(r.get("via")?.text()?);
        hint.gateways.extend(routes.iter().filter_map(via));
    }
    if let Some(servers) = node.get("nameservers") {
        let of = |key: &str| servers.get(key).map_or_else(Vec::new, Node::texts);
        hint.dns = of("addresses").into_iter().filter_map(address).collect();
        hint.search = of("search").into_iter().map(str::to_owned).collect();
    }
    hint.metric = ["dhcp4-overrides", "dhcp6-overrides"]
        .iter()
        .find_map(|k| node.get(k)?.get("route-metric")?.text()?.parse().ok());
    let parts = texts("interfaces").into_iter().chain(text("link"));
    hint.mentions = parts.map(str::to_owned).collect();
    hint
}

#[cfg(test)]
mod tests {
    use super::super::old_file::file;
    use super::*;

    #[test]
    fn reads_cloud_init_and_what_people_add() {
        let files = [
            file(
                "/etc/netplan/60-more.yaml",
                include_str!("fixtures/60-more.yaml"),
            ),
            file(
                "/etc/netplan/50-cloud-init.yaml",
                include_str!("fixtures/50-cloud-init.yaml"),
            ),
            file(
                "/lib/netplan/60-more.yaml",
                "network: {ethernets: {ens9: {dhcp4: yes}}}",
            ),
            file(
                "/etc/netplan/old.yaml.bak",
                "network: {ethernets: {ens8: {dhcp4: yes}}}",
            ),
        ];
        let mut notes = Vec::new();
        let hints = hints(&files, &mut notes);
        assert_eq!(notes, Vec::<String>::new());
        let names: Vec<_> = hints.iter().filter_map(|h| h.name.as_deref()).collect();
        assert_eq!(names, ["ens3", "ens4", "bond0", "bond0.100"]);
        let ens3 = &hints[0];
        assert_eq!(ens3.mac, "52:54:00:12:34:56".parse().ok());
        assert_eq!((ens3.dhcp4, ens3.dhcp6), (Some(true), Some(false)));
        assert_eq!(ens3.metric, Some(100));
        let addresses: Vec<_> = ens3.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["192.0.2.8/24", "2001:db8::7/64"]);
        assert_eq!(ens3.dns[0].to_string(), "192.0.2.53");
        assert_eq!(ens3.search, ["example.org"]);
        assert_eq!(hints[2].mentions, ["ens4", "ens5"]);
        assert_eq!(hints[3].gateways[0].to_string(), "198.51.100.1");
        assert_eq!(hints[3].file, "/etc/netplan/60-more.yaml");
    }

    #[test]
    fn what_is_not_understood_is_noted() {
        for text in ["network:\n\tethernets: {}", "network: [", "a: &a b\nc: *a"] {
            let mut notes = Vec::new();
            assert_eq!(hints(&[file("/etc/netplan/1.yaml", text)], &mut notes), []);
            assert_eq!(notes.len(), 1, "{text}");
        }
        for text in ["", "network: 1", "network: {ethernets: [a]}", "- a", "x"] {
            let mut notes = Vec::new();
            assert_eq!(hints(&[file("/etc/netplan/1.yaml", text)], &mut notes), []);
            assert_eq!(notes.len(), 0, "{text}");
        }
    }
}
