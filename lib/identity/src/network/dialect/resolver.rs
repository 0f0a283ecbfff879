//! Name servers: on which link they are written, and what /etc/resolv.conf becomes.
//!
//! Follows resolv.conf(5), systemd-resolved.service(8), resolvconf(8).

use std::fmt::Write as _;
use std::net::IpAddr;

use super::draft::{Draft, HEADER};
use super::view::{LinkView, View};
use formats::network::{Dialect, Network, Origin, Resolver, Stack};

/// The first systemd-resolved with a stub of its own for /etc/resolv.conf.
const STUB: u32 = 235;

/// How many servers the C library asks.
const ASKED: usize = 3;

/// Puts static servers and search domains on links.
pub(super) fn place<'a>(
    links: &mut [LinkView<'a>],
    network: &'a Network,
    anchor: usize,
    stack: &Stack,
    draft: &mut Draft,
) {
    let dns = &network.dns;
    for domain in &dns.search {
        if !is_domain(domain) {
            draft.refuse(format!("search domain {domain:?}: no name of a domain"));
        }
    }
    for option in &dns.options {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_:.".contains(&b);
        if option.is_empty() || !option.bytes().all(plain) {
            draft.refuse(format!(
                "resolver option {option:?}: no option of resolv.conf"
            ));
        }
    }
    for server in &dns.servers {
        if server.origin != Origin::Static {
            continue;
        }
        if server.address.is_loopback() {
            draft.note(format!(
                "name server {} is the machine itself: the new system must run it",
                server.address
            ));
        }
        let place = server
            .link
            .as_ref()
            .and_then(|name| links.iter().position(|view| view.link.name == *name))
            .unwrap_or(anchor);
        if let Some(view) = links.get_mut(place) {
            view.servers.push(server.address);
        }
    }
    let routing = dns.search.iter().any(|domain| domain.starts_with('~'));
    if routing && stack.resolver != Resolver::Resolved {
        draft.refuse("search domains beginning with `~` are understood by systemd-resolved alone");
    }
    if let Some(view) = links.get_mut(anchor) {
        view.search = dns.search.iter().map(String::as_str).collect();
    }
}

/// Whether the servers are all static: then those that DHCP offers are not used.
pub(super) fn is_static(network: &Network) -> bool {
    let servers = &network.dns.servers;
    !servers.is_empty() && servers.iter().all(|s| s.origin == Origin::Static)
}

/// Writes /etc/resolv.conf, or whatever makes it.
pub(super) fn write(view: &View<'_>, draft: &mut Draft) {
    let dns = &view.network.dns;
    let resolver = view.stack.resolver;
    if !dns.options.is_empty()
        && resolver != Resolver::File
        && view.stack.dialect != Dialect::NetworkManager
    {
        draft.note(format!(
            "resolver options are not carried, the new system's resolver has its own: {}",
            dns.options.join(" ")
        ));
    }
    match resolver {
        Resolver::Resolved => resolved(view, draft),
        Resolver::Resolvconf => resolvconf(view, draft),
        Resolver::File => file(view, draft),
    }
}

fn resolved(view: &View<'_>, draft: &mut Draft) {
    let target = if view.stack.systemd >= STUB {
        "../run/systemd/resolve/stub-resolv.conf"
    } else {
        "../run/systemd/resolve/resolv.conf"
    };
    draft.link("/etc/resolv.conf", target);
    // ifupdown tells it nothing on its own.
    if view.stack.dialect != Dialect::Ifupdown {
        return;
    }
    let servers: Vec<IpAddr> = servers(view, false);
    let search = &view.network.dns.search;
    if servers.is_empty() && search.is_empty() {
        return;
    }
    let mut text = format!("{HEADER}[Resolve]\n");
    if !servers.is_empty() {
        let _ = writeln!(text, "DNS={}", words(&servers));
    }
    if !search.is_empty() {
        let _ = writeln!(text, "Domains={}", search.join(" "));
    }
    draft.file("/etc/systemd/resolved.conf.d/reroot.conf", 0o644, text);
}

fn resolvconf(view: &View<'_>, draft: &mut Draft) {
    // ifupdown's `dns-nameservers` and NetworkManager reach it by themselves.
    let told = [Dialect::Ifupdown, Dialect::NetworkManager].contains(&view.stack.dialect);
    let servers = servers(view, true);
    let nothing = servers.is_empty() && view.network.dns.search.is_empty();
    if !told && !nothing {
        let text = text(view, &servers, false, draft);
        draft.file("/etc/resolvconf/resolv.conf.d/base", 0o644, text);
    }
}

fn file(view: &View<'_>, draft: &mut Draft) {
    let dns = &view.network.dns;
    let own = servers(view, false);
    let by_networkd = [Dialect::Netplan, Dialect::Networkd].contains(&view.stack.dialect);
    let servers = if own.is_empty() && by_networkd {
        let all = servers(view, true);
        if !all.is_empty() {
            draft.note(
                "name servers that DHCP gave are written as they are now: nothing in the new \
                 system would take them from DHCP",
            );
        }
        all
    } else {
        own
    };
    if servers.is_empty() {
        if !dns.search.is_empty() && !by_networkd && view.stack.dialect == Dialect::Ifupdown {
            draft.note(format!(
                "search domains are not carried, DHCP's client writes /etc/resolv.conf: {}",
                dns.search.join(" ")
            ));
        }
        return;
    }
    let text = text(view, &servers, true, draft);
    draft.file("/etc/resolv.conf", 0o644, text);
}

/// A resolv.conf(5).
fn text(view: &View<'_>, servers: &[IpAddr], options: bool, draft: &mut Draft) -> String {
    let dns = &view.network.dns;
    let mut text = HEADER.to_owned();
    if !dns.search.is_empty() {
        let _ = writeln!(text, "search {}", dns.search.join(" "));
    }
    if servers.len() > ASKED {
        draft.note(format!(
            "of {} name servers the C library asks the first {ASKED}",
            servers.len()
        ));
    }
    for server in servers {
        if !is_link_local(*server) {
            let _ = writeln!(text, "nameserver {server}");
            continue;
        }
        let on = view.links.iter().find(|link| link.servers.contains(server));
        match on.and_then(|link| link.name) {
            Some(name) => {
                let _ = writeln!(text, "nameserver {server}%{name}");
            }
            None => draft.refuse(format!(
                "name server {server}: the name of its link is not known in the new system"
            )),
        }
    }
    if options && !dns.options.is_empty() {
        let _ = writeln!(text, "options {}", dns.options.join(" "));
    }
    text
}

/// Whether an address means something on one link alone (`fe80::/10`).
fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.segments()[0] & 0xffc0 == 0xfe80)
}

/// Servers in order, each once; those that DHCP gave only where `given`.
fn servers(view: &View<'_>, given: bool) -> Vec<IpAddr> {
    let mut servers = Vec::new();
    for server in &view.network.dns.servers {
        if (given || server.origin == Origin::Static) && !servers.contains(&server.address) {
            servers.push(server.address);
        }
    }
    servers
}

/// Values with blanks between.
pub(super) fn words<T: ToString>(values: &[T]) -> String {
    let texts: Vec<String> = values.iter().map(ToString::to_string).collect();
    texts.join(" ")
}

/// Whether a text is the name of a domain (RFC 1035, and underscores), perhaps with the `~` of
/// systemd-resolved before it.
fn is_domain(text: &str) -> bool {
    let name = text.strip_prefix('~').unwrap_or(text);
    if text == "~." {
        return true;
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        })
}
