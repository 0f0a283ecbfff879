//! What commands set beside addresses and routes, in the new OS's words: for cards see [`super::card`], or `ethtool`
//! where ifupdown has it; sysctl.d(5); neighbours where a dialect has words for them. What has none is named, as
//! commands of an unknown kind are.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::card::{by_command, keys, link_file, of};
use super::draft::{Draft, HEADER};
use super::names::Names;
use super::view::View;
use formats::network::{Dialect, Link, Mac, Network, Stack};
use formats::tuning::{Tuned, Tuning};

/// Where the kernel's settings are written.
const SYSCTL: &str = "/etc/sysctl.d/90-reroot-network.conf";

/// `[Neighbor]` with `LinkLayerAddress=`.
const NEIGHBOUR: u32 = 243;

/// The neighbours of a link.
pub(super) fn neighbours<'n>(
    network: &'n Network,
    link: &'n Link,
) -> impl Iterator<Item = (IpAddr, Mac)> + 'n {
    of(network, link).filter_map(|tuning| match tuning.set {
        Tuned::Neighbour { address, mac } => Some((address, mac)),
        _ => None,
    })
}

/// The same as sections of systemd.network(5), each behind an empty line; nothing for a systemd that has none.
pub(super) fn neighbour_sections(network: &Network, link: &Link, stack: &Stack) -> String {
    let mut text = String::new();
    for (address, mac) in neighbours(network, link).filter(|_| stack.systemd >= NEIGHBOUR) {
        let _ = write!(
            text,
            "\n[Neighbor]\nAddress={address}\nLinkLayerAddress={mac}\n"
        );
    }
    text
}

/// Lines of ifupdown for a link of this name.
pub(super) fn commands(view: &View<'_>, link: &Link, name: &str) -> Vec<String> {
    let command = |tuning: &Tuning| match &tuning.set {
        Tuned::Feature { name: word, on } if by_command(view.stack) => {
            let value = if *on { "on" } else { "off" };
            // A card that cannot do so is no reason to have no network.
            Some(format!("up ethtool -K {name} {word} {value} || true"))
        }
        Tuned::Ring { name: word, size } if by_command(view.stack) => {
            Some(format!("up ethtool -G {name} {word} {size} || true"))
        }
        Tuned::Ethtool { option, pairs } if by_command(view.stack) => {
            let words: Vec<String> = pairs
                .iter()
                .map(|(word, v)| format!("{word} {v}"))
                .collect();
            let words = words.join(" ");
            Some(format!("up ethtool {option} {name} {words} || true"))
        }
        Tuned::Neighbour { address, mac } if view.has("ip") => Some(format!(
            "up ip neigh replace {address} lladdr {mac} dev {name} nud permanent"
        )),
        _ => None,
    };
    of(view.network, link).filter_map(command).collect()
}

/// Where a setting is written, or why it is not.
fn place(tuning: &Tuning, view: &View<'_>, names: &Names) -> Result<String, String> {
    let network = view.network;
    let link = match &tuning.link {
        Some(name) => {
            let mut links = network.links.iter();
            let link = links.find(|link| link.name == *name);
            Some(link.ok_or_else(|| format!("{name} does not come along"))?)
        }
        None => None,
    };
    let (stack, dialect) = (view.stack, view.stack.dialect);
    match (&tuning.set, link) {
        (Tuned::Sysctl { .. }, _) => Ok(SYSCTL.to_owned()),
        (_, None) => Err("it names no link".to_owned()),
        (Tuned::Feature { .. } | Tuned::Ring { .. } | Tuned::Ethtool { .. }, Some(link)) => {
            if by_command(stack) {
                return Ok("/etc/network/interfaces".to_owned());
            }
            let name = names.get(&link.name).and_then(Option::as_deref);
            let (Some(_), Some(name)) = (keys(tuning, stack.systemd), name) else {
                return Err("the new system has no words for it".to_owned());
            };
            Ok(link_file(stack, name))
        }
        (Tuned::Neighbour { .. }, Some(link)) => {
            let by_networkd = stack.systemd >= NEIGHBOUR && link.up;
            match dialect {
                Dialect::Ifupdown if view.has("ip") => Ok("/etc/network/interfaces".to_owned()),
                Dialect::Networkd | Dialect::Netplan if by_networkd => {
                    Ok(format!("[Neighbor] of {}", link.name))
                }
                _ => Err(format!("{dialect} has no words for it")),
            }
        }
    }
}

/// Writes what belongs to no link's own file, and says of each setting what becomes of it.
pub(super) fn write(view: &View<'_>, names: &Names, draft: &mut Draft) {
    let mut lines = String::new();
    for tuning in &view.network.tuning {
        match place(tuning, view, names) {
            Ok(place) => {
                draft.note(format!(
                    "{}: `{}` comes along, in {place}",
                    tuning.by, tuning.set
                ));
            }
            Err(why) => {
                draft.note(format!(
                    "{}: `{}` stays behind: {why}",
                    tuning.by, tuning.set
                ));
                continue;
            }
        }
        if let Tuned::Sysctl { path, value } = &tuning.set {
            let mut parts: Vec<&str> = path.split('/').collect();
            if let Some(old) = &tuning.link {
                let new = view.name_of(old).unwrap_or(old);
                let own = parts.iter_mut().filter(|part| *part == old);
                own.for_each(|part| *part = new);
            }
            let path = parts.join("/");
            let _ = writeln!(lines, "{path} = {value}");
        }
    }
    if !lines.is_empty() {
        draft.file(SYSCTL, 0o644, format!("{HEADER}{lines}"));
    }
}
