//! Who gets into the RAM environment by ssh: whoever becomes root in the old OS and logs in there by key,
//! and nobody else. Pure.
//!
//! Counted is as for the ways in ([`ways`]), and once more on the careful side, for there is no password
//! here and no group: what may keep somebody out of the old OS's shell keeps them out. Whoever becomes root
//! by somebody else's password (su) has no key that makes them root, and stays out too.

use std::net::{IpAddr, SocketAddr};

use formats::access::{Becoming, Doors, Keys, Means, RamLogin, RamServer};
use formats::accounts::Accounts;
use formats::identity::OldIdentity;

use super::matching::{self, listed, Connection};
use super::server::{self, said};
use super::ways;
use crate::host_keys;

/// Settings that, wherever they count, leave somebody without a shell of their own or ask for more than
/// a key. With each the values that take nothing away.
const HOLD_BACK: [(&str, &[&str]); 10] = [
    ("ForceCommand", &["none"]),
    ("ChrootDirectory", &["none"]),
    ("PubkeyAuthentication", &["yes"]),
    ("PermitTTY", &["yes"]),
    (
        "PermitRootLogin",
        &["yes", "prohibit-password", "without-password"],
    ),
    ("AuthenticationMethods", &["any", "publickey"]),
    ("AllowUsers", &[]),
    ("AllowGroups", &[]),
    ("DenyUsers", &[]),
    ("DenyGroups", &[]),
];
/// Those of them that are lists of names. What they say for everybody is asked name by name, and of no
/// more account here; below a `Match` they are not read.
const LISTS: [&str; 4] = ["AllowUsers", "AllowGroups", "DenyUsers", "DenyGroups"];

/// What the server is told, or why there can be none. `takes` says whether it takes keys of a type;
/// `also` are ports that the old OS's server is known to listen on besides.
pub fn server(
    old: &OldIdentity,
    accounts: &Accounts,
    takes: &dyn Fn(&str) -> bool,
    also: &[u16],
) -> Result<RamServer, String> {
    let doors = &old.doors;
    if !doors.server {
        return Err("the old OS has no ssh server".to_owned());
    }
    if said(doors, "RevokedKeys").any(|s| s.values != ["none"]) {
        return Err("the old ssh server has a list of revoked keys, which is not read".to_owned());
    }
    let people = people(doors, accounts, &old.login_keys, takes);
    if people.is_empty() {
        return Err("nobody becomes root in the old OS who logs in by key".to_owned());
    }
    let host_keys: Vec<String> = host_keys::shown(old, takes)
        .into_iter()
        .map(|key| key.path.clone())
        .collect();
    if host_keys.is_empty() {
        return Err("the old OS has no host key that the new ssh server takes".to_owned());
    }
    let (ports, addresses) = listens(doors, also)?;
    Ok(RamServer {
        ports,
        addresses,
        host_keys,
        allowed: allowed(doors, accounts, &people)?,
        people,
    })
}

fn people(
    doors: &Doors,
    accounts: &Accounts,
    keys: &[Keys],
    takes: &dyn Fn(&str) -> bool,
) -> Vec<RamLogin> {
    let takes_kind = |kind: &str| kind.starts_with("sk-") || takes(kind);
    // Where somebody comes from is not asked: what a `Match` may say of anybody keeps them out.
    let ways = ways::ways(doors, accounts, keys, None);
    let by_key = ways
        .into_iter()
        .filter(|way| way.means == Means::Key && way.root != Becoming::Su);
    by_key
        .filter(|way| is_name(&way.user) && !held_back(doors, &way.user, accounts))
        .map(|way| RamLogin {
            keys: keys
                .iter()
                .filter(|k| k.user == way.user)
                .flat_map(|k| k.keys.iter().zip(&k.lines))
                .filter(|(key, _)| takes_kind(&key.kind))
                .map(|(_, line)| line.clone())
                .collect(),
            user: way.user,
        })
        .filter(|login| !login.keys.is_empty())
        .collect()
}

/// A name that is one in every file that it will be in.
fn is_name(user: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    user != "sshd" && !user.starts_with(['-', '.']) && !user.is_empty() && user.chars().all(plain)
}

fn held_back(doors: &Doors, user: &str, accounts: &Accounts) -> bool {
    let groups = server::groups_of(user, accounts);
    let root = accounts.users.iter().any(|u| u.name == user && u.uid == 0);
    let own = doors.in_force.iter().filter(|(name, _)| name == user);
    let in_force = own.flat_map(|(_, settings)| settings);
    doors.settings.iter().chain(in_force).any(|setting| {
        let Some((keyword, harmless)) = HOLD_BACK.iter().find(|(k, _)| server::is(setting, k))
        else {
            return false;
        };
        let counts = match &setting.condition {
            None => !LISTS.contains(keyword),
            Some(condition) => may_fit(condition, user, &groups),
        };
        let is_harmless = setting.values.iter().any(|value| {
            let value = value.to_ascii_lowercase();
            harmless.contains(&value.as_str())
        });
        counts && !is_harmless && (root || *keyword != "PermitRootLogin")
    })
}

/// Whether the criteria of a `Match` may be somebody's: those about users and groups are asked, and all
/// others are taken to fit.
fn may_fit(condition: &str, user: &str, groups: &[&str]) -> bool {
    matching::words(condition).chunks(2).all(|pair| match pair {
        [word, patterns] if word.eq_ignore_ascii_case("User") => listed(patterns, user),
        [word, patterns] if word.eq_ignore_ascii_case("Group") => {
            groups.iter().any(|group| listed(patterns, group))
        }
        _ => true,
    })
}

/// Who comes from where, as `AllowUsers` has it: everybody by name, and nobody where it names no places.
fn allowed(doors: &Doors, accounts: &Accounts, people: &[RamLogin]) -> Result<Vec<String>, String> {
    let mut allowed = Vec::new();
    for RamLogin { user, .. } in people {
        // What the server itself says of somebody may be more than its files.
        let connection = Connection {
            user,
            groups: server::groups_of(user, accounts),
            session: None,
        };
        let own = matching::resolved(doors, &connection);
        let patterns = said(&own, "AllowUsers").flat_map(|setting| &setting.values);
        let from = server::from_where(user, patterns.map(String::as_str));
        if from.is_empty() {
            allowed.push(user.clone());
        }
        allowed.extend(from);
    }
    if !allowed.iter().any(|pattern| pattern.contains('@')) {
        return Ok(Vec::new());
    }
    let plain = |c: char| c.is_ascii_graphic() && !"\"\\#".contains(c);
    if allowed.iter().all(|pattern| pattern.chars().all(plain)) {
        Ok(allowed)
    } else {
        Err("the old ssh server's AllowUsers has patterns that cannot be written".to_owned())
    }
}

/// Ports, or addresses with theirs.
fn listens(doors: &Doors, also: &[u16]) -> Result<(Vec<u16>, Vec<String>), String> {
    let numbers = said(doors, "Port").flat_map(|setting| &setting.values);
    let mut ports: Vec<u16> = numbers.filter_map(|value| value.parse().ok()).collect();
    if ports.is_empty() {
        ports.push(server::PORT);
    }
    let named: Vec<&str> = said(doors, "ListenAddress")
        .filter_map(|setting| setting.values.first())
        .map(String::as_str)
        .collect();
    if named.is_empty() {
        ports.extend(also);
        ports.sort_unstable();
        ports.dedup();
        let any: &[&str] = match server::value(doors, "AddressFamily").as_deref() {
            Some("inet") => &["0.0.0.0"],
            Some("inet6") => &["::"],
            _ => return Ok((ports, Vec::new())),
        };
        let addresses = any.iter().flat_map(|address| with_ports(address, &ports));
        return Ok((Vec::new(), addresses.collect()));
    }
    let addresses: Vec<String> = named
        .iter()
        .flat_map(|address| with_ports(address, &ports))
        .collect();
    if addresses.is_empty() {
        return Err(format!(
            "the old ssh server listens on names, not addresses: {}",
            named.join(", ")
        ));
    }
    Ok((Vec::new(), addresses))
}

/// An address with the port that it has, or with each of these; nothing where it is a name.
fn with_ports(address: &str, ports: &[u16]) -> Vec<String> {
    if let Ok(whole) = address.parse::<SocketAddr>() {
        return vec![whole.to_string()];
    }
    let bare = address.trim_start_matches('[').trim_end_matches(']');
    let Ok(ip) = bare.parse::<IpAddr>() else {
        return Vec::new();
    };
    let all = ports.iter();
    all.map(|port| SocketAddr::new(ip, *port).to_string())
        .collect()
}

#[cfg(test)]
#[path = "ram_tests.rs"]
mod tests;
