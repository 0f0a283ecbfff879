//! Who the name servers are. What programs ask is in /etc/resolv.conf; where that names a resolver
//! of the machine itself, what that one asks is elsewhere. The files that configure links tell
//! which of them somebody set, and add those that nobody asks because a package is missing.

use std::net::IpAddr;

use super::evidence::Evidence;
use super::leases::Lease;
use super::resolv::{Part, ResolvConf, ResolverFile};
use formats::network::{Dns, DnsServer, Network, Origin};

/// Addresses that systemd-resolved listens on.
const RESOLVED: [&str; 2] = ["127.0.0.53", "127.0.0.54"];
/// Options that systemd-resolved writes for itself.
const RESOLVED_OPTIONS: [&str; 2] = ["edns0", "trust-ad"];

/// Parts that tell what a resolver of the machine itself asks, the best first.
const BEHIND_RESOLVED: [Part; 2] = [Part::Resolved, Part::Networkd];
const BEHIND_OTHERS: [Part; 4] = [
    Part::Dnsmasq,
    Part::NetworkManager,
    Part::Record,
    Part::Resolved,
];

/// A file's servers that are not the machine itself.
fn usable(says: &ResolvConf) -> impl Iterator<Item = &(IpAddr, Option<String>)> {
    says.servers
        .iter()
        .filter(|(ip, _)| !ip.is_loopback() && !ip.is_unspecified())
}

fn is_resolved(ip: IpAddr) -> bool {
    RESOLVED.iter().any(|r| r.parse() == Ok(ip))
}

fn of_part(evidence: &Evidence, part: Part) -> impl Iterator<Item = &ResolverFile> {
    evidence.resolvers.iter().filter(move |r| r.part == part)
}

/// The servers that are really asked, and the files that say so.
fn asked(evidence: &Evidence) -> (Vec<(IpAddr, Option<String>)>, Vec<&ResolverFile>) {
    let mut servers: Vec<(IpAddr, Option<String>)> = Vec::new();
    let mut from = Vec::new();
    let main = of_part(evidence, Part::Main).next();
    let mut behind: &[Part] = &[];
    if let Some(main) = main {
        if !main.says.servers.is_empty() || !main.says.unreadable.is_empty() {
            from.push(main);
        }
        servers.extend(usable(&main.says).cloned());
        let local = |wanted: fn(IpAddr) -> bool| {
            main.says
                .servers
                .iter()
                .any(|(ip, _)| (ip.is_loopback() || ip.is_unspecified()) && wanted(*ip))
        };
        if local(is_resolved) {
            behind = &BEHIND_RESOLVED;
        } else if local(|ip| !is_resolved(ip)) {
            behind = &BEHIND_OTHERS;
        }
    }
    for part in behind {
        if !servers.is_empty() {
            break;
        }
        for file in of_part(evidence, *part).filter(|f| usable(&f.says).next().is_some()) {
            from.push(file);
            for (ip, scope) in usable(&file.says) {
                if !servers.iter().any(|(known, _)| known == ip) {
                    servers.push((*ip, scope.clone()));
                }
            }
        }
    }
    (servers, from)
}

/// A note where the old OS asks a resolver of its own that the new one does not have.
pub(super) fn local_resolver(evidence: &Evidence) -> Option<String> {
    let main = of_part(evidence, Part::Main).next()?;
    let (ip, _) = main
        .says
        .servers
        .iter()
        .find(|(ip, _)| (ip.is_loopback() || ip.is_unspecified()) && !is_resolved(*ip))?;
    let (servers, _) = asked(evidence);
    let servers: Vec<String> = servers.iter().map(|(ip, _)| ip.to_string()).collect();
    let instead = if servers.is_empty() {
        "whom it asks itself is not known from its files".to_owned()
    } else {
        format!("the new OS asks {} itself", servers.join(", "))
    };
    Some(format!(
        "{} names {ip}, a resolver that runs on this machine and does not come along; {instead}",
        main.path
    ))
}

/// Where a server is named, beside the list of those that are asked.
struct Sources<'a> {
    /// Servers that somebody configured, with the link and the file.
    configured: Vec<(IpAddr, Option<String>, &'a str)>,
    /// Leases of links on which DHCP is in use.
    leases: Vec<&'a Lease>,
}

fn sources<'a>(network: &Network, evidence: &'a Evidence) -> Sources<'a> {
    let mut configured = Vec::new();
    for hint in &evidence.hints {
        if hint.name.as_deref() == Some("lo") {
            configured.extend(hint.dns.iter().map(|ip| (*ip, None, hint.file.as_str())));
        }
    }
    for link in &network.links {
        for hint in evidence.hints_for(link) {
            if hint.in_use(link) {
                let own = hint.dns.iter();
                configured.extend(own.map(|ip| (*ip, Some(link.name.clone()), hint.file.as_str())));
            }
        }
    }
    for part in [Part::ResolvedConfig, Part::Fixed] {
        for file in of_part(evidence, part) {
            let own = usable(&file.says);
            configured.extend(own.map(|(ip, link)| (*ip, link.clone(), file.path.as_str())));
        }
    }
    configured.retain(|(ip, _, _)| !ip.is_loopback() && !ip.is_unspecified());
    let leases = evidence.leases.iter().filter(|lease| {
        network.links.iter().any(|link| {
            lease.interface.as_ref() == Some(&link.name)
                && (link.dhcp4.is_some() || link.dhcp6.is_some())
        })
    });
    Sources {
        configured,
        leases: leases.collect(),
    }
}

/// The name servers of a network whose links are decided.
pub(super) fn decide(network: &Network, evidence: &Evidence) -> Dns {
    let (asked, from) = asked(evidence);
    let sources = sources(network, evidence);
    let mut dns = Dns::default();
    let read = |dns: &mut Dns, path: &str| {
        if !dns.read_from.iter().any(|known| known == path) {
            dns.read_from.push(path.to_owned());
        }
    };
    for file in &from {
        read(&mut dns, &file.path);
    }
    for (ip, scope) in &asked {
        let (origin, link) = origin(*ip, network, evidence, &sources);
        dns.servers.push(DnsServer {
            address: *ip,
            link: scope.clone().or(link),
            origin,
        });
    }
    for (ip, link, file) in &sources.configured {
        if !dns.servers.iter().any(|s| s.address == *ip) {
            dns.servers.push(DnsServer {
                address: *ip,
                link: link.clone(),
                origin: Origin::Static,
            });
            read(&mut dns, file);
        }
    }
    if dns.servers.is_empty() {
        for lease in &sources.leases {
            for ip in lease.dns.iter().filter(|ip| !ip.is_loopback()) {
                dns.servers.push(DnsServer {
                    address: *ip,
                    link: lease.interface.clone(),
                    origin: Origin::Dhcp,
                });
                read(&mut dns, &lease.file);
            }
        }
    }
    dns.search = search(network, evidence, &sources);
    if let Some(main) = of_part(evidence, Part::Main).next() {
        let stub = main.says.servers.iter().any(|(ip, _)| is_resolved(*ip))
            || main
                .target
                .as_ref()
                .is_some_and(|t| t.contains("systemd/resolve"));
        let options = main.says.options.iter();
        let own = options.filter(|o| !(stub && RESOLVED_OPTIONS.contains(&o.as_str())));
        dns.options = own.cloned().collect();
    }
    dns
}

/// Where a server that is asked comes from: somebody's if a file names it; DHCP's if the lease of a
/// link with DHCP does; a router's or DHCP's if only the program that listens to them knows it;
/// somebody's otherwise.
fn origin(
    ip: IpAddr,
    network: &Network,
    evidence: &Evidence,
    sources: &Sources,
) -> (Origin, Option<String>) {
    if let Some((_, link, _)) = sources.configured.iter().find(|(s, _, _)| *s == ip) {
        return (Origin::Static, link.clone());
    }
    if let Some(lease) = sources.leases.iter().find(|l| l.dns.contains(&ip)) {
        return (Origin::Dhcp, lease.interface.clone());
    }
    for file in &evidence.resolvers {
        if !usable(&file.says).any(|(known, _)| *known == ip) {
            continue;
        }
        let name = match file.part {
            Part::Networkd => {
                let number = file.link.as_ref().and_then(|l| l.parse::<u32>().ok());
                let found = evidence.numbers.iter().find(|(n, _)| Some(*n) == number);
                found.map(|(_, name)| name)
            }
            Part::Record => file.link.as_ref(),
            _ => continue,
        };
        let link = network.links.iter().find(|l| Some(&l.name) == name);
        let Some(link) = link else { continue };
        // ifupdown's own records are of what interfaces(5) says.
        let by_person = matches!(file.program.as_deref(), Some("inet" | "inet6"));
        let origin = if by_person {
            Origin::Static
        } else if ip.is_ipv4() && link.dhcp4.is_some() {
            Origin::Dhcp
        } else if ip.is_ipv6() && link.router.is_some() {
            Origin::Router
        } else if ip.is_ipv6() && link.dhcp6.is_some() {
            Origin::Dhcp
        } else {
            Origin::Static
        };
        return (origin, Some(link.name.clone()));
    }
    (Origin::Static, None)
}

/// Domains that are searched and that DHCP did not bring, or that somebody configured as well.
fn search(network: &Network, evidence: &Evidence, sources: &Sources) -> Vec<String> {
    let mut configured: Vec<&String> = Vec::new();
    for hint in &evidence.hints {
        let lo = hint.name.as_deref() == Some("lo");
        let mut links = network.links.iter();
        if lo || links.any(|l| hint.matches(l) && hint.in_use(l)) {
            configured.extend(&hint.search);
        }
    }
    for part in [Part::ResolvedConfig, Part::Fixed] {
        configured.extend(of_part(evidence, part).flat_map(|f| &f.says.search));
    }
    let main = of_part(evidence, Part::Main).flat_map(|f| &f.says.search);
    let brought = |domain: &String| {
        sources
            .leases
            .iter()
            .any(|l| l.domains.iter().any(|d| d.eq_ignore_ascii_case(domain)))
    };
    let mut found: Vec<String> = Vec::new();
    for domain in main
        .filter(|d| configured.contains(d) || !brought(d))
        .chain(configured.iter().copied())
    {
        if !found.contains(domain) {
            found.push(domain.clone());
        }
    }
    found
}
