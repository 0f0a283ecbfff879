//! resolv.conf(5) wherever a copy of it lies, and resolved.conf(5).

use std::net::IpAddr;

use super::addresses::{address, unquoted, words};
use super::ifcfg;
use super::ini::sections;
use super::old_file::OldFile;

/// What a resolv.conf(5) says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvConf {
    /// Name servers in order, with the link behind `%`.
    pub servers: Vec<(IpAddr, Option<String>)>,
    /// Domains to search: those of the last `search` or `domain` line.
    pub search: Vec<String>,
    /// Words of all `options` lines.
    pub options: Vec<String>,
    /// Lines that name a server which is no address.
    pub unreadable: Vec<String>,
}

impl ResolvConf {
    /// Reads a text.
    pub fn parse(text: &str) -> ResolvConf {
        let mut found = ResolvConf::default();
        for line in text.trim_start_matches('\u{feff}').lines() {
            let mut parts = line.split_whitespace();
            match parts.next().unwrap_or_default() {
                "nameserver" => found.add_server(parts.next().unwrap_or_default(), line),
                "search" => {
                    let domains = parts.map(|d| unquoted(d).to_owned());
                    found.search = domains.take_while(|d| !d.starts_with(['#', ';'])).collect();
                }
                "domain" => {
                    found.search = parts
                        .next()
                        .map(|d| unquoted(d).to_owned())
                        .into_iter()
                        .collect();
                }
                "options" => {
                    for word in parts.take_while(|w| !w.starts_with(['#', ';'])) {
                        if !found.options.iter().any(|o| o == word) {
                            found.options.push(word.to_owned());
                        }
                    }
                }
                _ => {}
            }
        }
        // A lone dot is the root, which is searched anyhow.
        found.search.retain(|d| d != "." && !d.is_empty());
        found
    }

    fn add_server(&mut self, word: &str, line: &str) {
        let scope = unquoted(word).split_once('%').map(|(_, s)| s.to_owned());
        match address(word) {
            Some(ip) if !self.servers.iter().any(|(known, _)| *known == ip) => {
                self.servers.push((ip, scope));
            }
            Some(_) => {}
            None => self.unreadable.push(line.trim().to_owned()),
        }
    }
}

/// Which part a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// What programs read.
    Main,
    /// What systemd-resolved asks.
    Resolved,
    /// What somebody told systemd-resolved to ask.
    ResolvedConfig,
    /// What systemd-networkd knows of one link.
    Networkd,
    /// What `NetworkManager` knows, beside a resolver of its own.
    NetworkManager,
    /// What resolvconf was told for one link by one program.
    Record,
    /// What resolvconf puts before or behind all others.
    Fixed,
    /// What a dnsmasq asks that resolvconf or `NetworkManager` runs.
    Dnsmasq,
}

/// A file that names servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ResolverFile {
    pub path: String,
    pub part: Part,
    /// The link's name, or the link's number before it is looked up.
    pub link: Option<String>,
    /// The program that told resolvconf: `dhclient`, `inet`…
    pub program: Option<String>,
    pub target: Option<String>,
    pub says: ResolvConf,
}

/// Where such files are: a pattern of the path, and the part.
const FILES: [(&str, Part); 22] = [
    ("/etc/resolv.conf", Part::Main),
    ("/run/systemd/resolve/resolv.conf", Part::Resolved),
    ("/etc/systemd/resolved.conf", Part::ResolvedConfig),
    ("/etc/systemd/resolved.conf.d/*.conf", Part::ResolvedConfig),
    ("/run/systemd/resolved.conf.d/*.conf", Part::ResolvedConfig),
    (
        "/usr/lib/systemd/resolved.conf.d/*.conf",
        Part::ResolvedConfig,
    ),
    ("/lib/systemd/resolved.conf.d/*.conf", Part::ResolvedConfig),
    ("/run/systemd/netif/links/*", Part::Networkd),
    (
        "/run/NetworkManager/no-stub-resolv.conf",
        Part::NetworkManager,
    ),
    ("/run/NetworkManager/resolv.conf", Part::NetworkManager),
    ("/var/run/NetworkManager/resolv.conf", Part::NetworkManager),
    ("/run/resolvconf/interface/*", Part::Record),
    ("/run/resolvconf/interfaces/*", Part::Record),
    ("/run/resolvconf/keys/*", Part::Record),
    ("/etc/resolvconf/run/interface/*", Part::Record),
    ("/etc/resolvconf/resolv.conf.d/head", Part::Fixed),
    ("/etc/resolvconf/resolv.conf.d/base", Part::Fixed),
    ("/etc/resolvconf/resolv.conf.d/tail", Part::Fixed),
    ("/run/dnsmasq/resolv.conf", Part::Dnsmasq),
    ("/var/run/dnsmasq/resolv.conf", Part::Dnsmasq),
    ("/run/nm-dns-dnsmasq.conf", Part::Dnsmasq),
    ("/var/run/nm-dns-dnsmasq.conf", Part::Dnsmasq),
];

/// The files of those given that name servers, in the order of the table.
pub(super) fn files(files: &[OldFile]) -> Vec<ResolverFile> {
    let mut found = Vec::new();
    for (pattern, part) in FILES {
        let mut of_pattern: Vec<&OldFile> = files
            .iter()
            .filter(|f| super::glob::matches_path(pattern, &f.path))
            .collect();
        of_pattern.sort_by(|a, b| a.name().cmp(b.name()));
        found.extend(of_pattern.into_iter().map(|f| read(f, part)));
    }
    found
}

fn read(file: &OldFile, part: Part) -> ResolverFile {
    let (mut link, mut program) = (None, None);
    let says = match part {
        Part::ResolvedConfig => resolved_config(&file.text),
        Part::Networkd => {
            link = Some(file.name().to_owned());
            networkd_state(&file.text)
        }
        Part::Dnsmasq if file.path.ends_with("nm-dns-dnsmasq.conf") => dnsmasq(&file.text),
        Part::Record => {
            // `eth0.dhclient`, `eth0.100.inet`; what has no dot is a program alone.
            if let Some((name, by)) = file.name().rsplit_once('.') {
                link = Some(name.to_owned());
                program = Some(by.to_owned());
            } else {
                program = Some(file.name().to_owned());
            }
            ResolvConf::parse(&file.text)
        }
        _ => ResolvConf::parse(&file.text),
    };
    ResolverFile {
        path: file.path.clone(),
        part,
        link,
        program,
        target: file.link_target.clone(),
        says,
    }
}

fn resolved_config(text: &str) -> ResolvConf {
    let mut found = ResolvConf::default();
    for section in sections(text).iter().filter(|s| s.name == "Resolve") {
        for word in section
            .all("DNS")
            .into_iter()
            .flat_map(str::split_whitespace)
        {
            // `192.0.2.53:53%eth0#name`: the port and the name are not for resolv.conf.
            let plain = word.split('#').next().unwrap_or(word);
            let plain = if let Some((inside, _)) =
                plain.strip_prefix('[').and_then(|p| p.split_once(']'))
            {
                inside
            } else if plain.matches(':').count() == 1 {
                plain.split(':').next().unwrap_or(plain)
            } else {
                plain
            };
            found.add_server(plain, word);
        }
        let domains = section.all("Domains").into_iter().flat_map(words);
        let search = domains.filter(|d| !d.starts_with('~') && *d != ".");
        found.search.extend(search.map(str::to_owned));
    }
    found
}

fn networkd_state(text: &str) -> ResolvConf {
    let mut found = ResolvConf::default();
    for (key, value) in ifcfg::assignments(text) {
        match key {
            "DNS" => words(value).for_each(|w| found.add_server(w, w)),
            "DOMAINS" => found.search.extend(words(value).map(str::to_owned)),
            _ => {}
        }
    }
    found
}

/// `server=192.0.2.53`, `server=/example.org/192.0.2.53`, `server=192.0.2.53@eth0`.
fn dnsmasq(text: &str) -> ResolvConf {
    let mut found = ResolvConf::default();
    for line in text.lines() {
        let Some(value) = line.trim().strip_prefix("server=") else {
            continue;
        };
        // Those for one domain only are no name servers for all.
        if !value.starts_with('/') {
            let plain = value.split(['@', '#']).next().unwrap_or(value);
            found.add_server(plain, line);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_the_manual_says() {
        let text = "\u{feff}# nameserver 203.0.113.1\r\n;x\r\nnameserver 192.0.2.53 # primary\r\nnameserver\tfe80::1%eth0\r\nnameserver 192.0.2.53\r\nnameserver dns.example\r\nnameserver\r\nsearch example.com\r\ndomain example.org\r\nsearch a.example b.example . # x\r\noptions ndots:2 timeout:1\r\noptions rotate ndots:2\r\nnameserverx 203.0.113.2\r\n";
        let found = ResolvConf::parse(text);
        assert_eq!(
            found.servers,
            [
                ("192.0.2.53".parse().unwrap(), None),
                ("fe80::1".parse().unwrap(), Some("eth0".to_owned()))
            ]
        );
        assert_eq!(found.search, ["a.example", "b.example"]);
        assert_eq!(found.options, ["ndots:2", "timeout:1", "rotate"]);
        assert_eq!(found.unreadable, ["nameserver dns.example", "nameserver"]);
        assert_eq!(ResolvConf::parse("search x\ndomain y").search, ["y"]);
    }

    #[test]
    fn reads_resolved_conf_and_others() {
        let found = resolved_config(
            "[Resolve]\nDNS=203.0.113.1\nDNS=\nDNS=192.0.2.53:53#x [2001:db8::53]:53\nFallbackDNS=203.0.113.2\nDomains=example.org ~.\n",
        );
        let servers: Vec<_> = found.servers.iter().map(|(s, _)| s.to_string()).collect();
        assert_eq!(servers, ["192.0.2.53", "2001:db8::53"]);
        assert_eq!(found.search, ["example.org"]);
        let found = networkd_state(
            "ADMIN_STATE=configured\nDNS=192.0.2.53 2001:db8::53\nDOMAINS=a.example\n",
        );
        assert_eq!(found.servers.len(), 2);
        let found = dnsmasq("server=/example.org/192.0.2.1\nserver=192.0.2.53@eth0\n");
        assert_eq!(found.servers.len(), 1);
    }
}
