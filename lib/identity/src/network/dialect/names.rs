//! Which name each link has in the new OS, and the files that give it.
//!
//! Names that mean something are kept. `eth0` and its like are what the kernel hands out in the
//! order of its finding: they are kept only where the new OS leaves them alone. Follows
//! systemd.link(5) and udev(7).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::card;
use super::draft::{Draft, HEADER};
use formats::network::{Dialect, Link, LinkKind, Mac, Network, Renamed, Stack};

/// Rules that bind names to MAC addresses where udev reads no `.link` files, or does not heed them.
pub(super) const RULES: &str = "/etc/udev/rules.d/70-persistent-net.rules";

/// The first udev that reads `.link` files.
const LINK_FILES: u32 = 209;

/// By old name, the name in the new OS; `None` where it is only known when that boots.
pub(super) type Names = BTreeMap<String, Option<String>>;

/// The address that a link is bound by.
pub(super) fn hardware(link: &Link) -> Option<Mac> {
    link.permanent_mac.or(link.mac)
}

/// Decides on names and writes the files that give them.
pub(super) fn plan(network: &Network, stack: &Stack, draft: &mut Draft) -> Names {
    check(network, stack, draft);
    let needed = needed(network, stack);
    let mut names = Names::new();
    let mut rules = String::new();
    for link in &network.links {
        let old = &link.name;
        if link.kind != LinkKind::Physical {
            names.insert(old.clone(), Some(old.clone()));
            let keys = card::link_keys(network, link, stack);
            if !keys.is_empty() {
                // It is made under its name, and has no address of its own before.
                draft.file(
                    card::link_file(stack, old),
                    0o644,
                    format!("{HEADER}[Match]\nOriginalName={old}\n\n[Link]\n{keys}"),
                );
            }
            continue;
        }
        let Some(mac) = hardware(link) else { continue };
        let new = if !is_kernels(old) || stack.kernel_names {
            Some(old.clone())
        } else if needed.contains(old.as_str()) {
            Some(fresh(old, network, &names))
        } else {
            None
        };
        if new.as_ref() != Some(old) {
            draft.written.renamed.push(Renamed {
                old: old.clone(),
                new: new.clone(),
            });
        }
        if let Some(new) = &new {
            if new != old {
                draft.note(format!(
                    "{old} is called {new} in the new system: its kernel gives {old} to whichever \
                     interface it finds first"
                ));
            }
            // netplan writes the file itself, from `set-name`.
            let named = !is_kernels(new) && stack.dialect != Dialect::Netplan;
            let keys = card::link_keys(network, link, stack);
            if stack.systemd >= LINK_FILES && (named || !keys.is_empty()) {
                // Such names are another file's, or nobody's, to give.
                let name = if is_kernels(new) {
                    String::new()
                } else {
                    format!("Name={new}\n")
                };
                draft.file(
                    card::link_file(stack, new),
                    0o644,
                    format!(
                        "{HEADER}[Match]\nMACAddress={mac}\nType=ether\n\n[Link]\n{name}{keys}"
                    ),
                );
            }
            if stack.kernel_names || stack.systemd < LINK_FILES {
                let _ = writeln!(
                    rules,
                    "SUBSYSTEM==\"net\", ACTION==\"add\", DRIVERS==\"?*\", \
                     ATTR{{address}}==\"{mac}\", ATTR{{type}}==\"1\", NAME=\"{new}\""
                );
            }
        }
        names.insert(old.clone(), new);
    }
    if !rules.is_empty() {
        draft.file(RULES, 0o644, format!("{HEADER}{rules}"));
    }
    names
}

/// Refuses names and addresses that nothing can be bound by.
fn check(network: &Network, stack: &Stack, draft: &mut Draft) {
    let mut seen_names = BTreeSet::new();
    let mut seen_macs: BTreeMap<Mac, &str> = BTreeMap::new();
    for link in &network.links {
        let name = &link.name;
        if !is_valid(name) {
            draft.refuse(format!(
                "{name:?}: no name for an interface that configuration files can carry"
            ));
        }
        if !seen_names.insert(name) {
            draft.refuse(format!("{name:?}: two links have this name"));
        }
        if link.kind != LinkKind::Physical {
            continue;
        }
        if stack.systemd == 0 {
            draft.refuse(format!(
                "{name:?}: the new system has no udev that gives it its name by its MAC address"
            ));
        }
        match hardware(link) {
            None => draft.refuse(format!("{name:?}: it has no MAC address to be bound by")),
            Some(mac) => {
                if let Some(other) = seen_macs.insert(mac, name) {
                    draft.refuse(format!(
                        "{name:?}: {other:?} has the same MAC address {mac}, and nothing else \
                         tells them apart"
                    ));
                }
            }
        }
    }
}

/// Links that something names, in a way that needs the name beforehand.
fn needed<'a>(network: &'a Network, stack: &Stack) -> BTreeSet<&'a str> {
    let mut needed = BTreeSet::new();
    for link in &network.links {
        if stack.dialect == Dialect::Ifupdown || card::needs_name(network, link, stack) {
            needed.insert(link.name.as_str());
        }
        if let LinkKind::Bond(bond) = &link.kind {
            if stack.dialect == Dialect::NetworkManager {
                needed.extend(bond.primary.as_deref());
            }
        }
    }
    for rule in &network.rules {
        needed.extend(rule.iif.as_deref());
        needed.extend(rule.oif.as_deref());
    }
    needed
}

/// A name that neither the kernel hands out nor another link has: `net0` for `eth0`.
fn fresh(old: &str, network: &Network, names: &Names) -> String {
    let digits = old.trim_start_matches(|c: char| !c.is_ascii_digit());
    let first: usize = digits.parse().unwrap_or(0);
    let taken = |name: &str| {
        network.links.iter().any(|link| link.name == name)
            || names.values().flatten().any(|new| new == name)
    };
    // One more candidate than there are links: one of them is free.
    (first..=first.saturating_add(network.links.len()))
        .map(|number| format!("net{number}"))
        .find(|name| !taken(name))
        .unwrap_or_else(|| old.to_owned())
}

/// Whether the kernel itself hands out such names.
pub(super) fn is_kernels(name: &str) -> bool {
    ["eth", "wlan"].iter().any(|stem| {
        name.strip_prefix(stem)
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    })
}

/// Whether a name is one that the kernel takes (15 bytes) and no configuration file misreads.
pub(super) fn is_valid(name: &str) -> bool {
    (1..=15).contains(&name.len())
        && !["lo", "all", "default", ".", ".."].contains(&name)
        && !name.starts_with(['-', '.'])
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}
