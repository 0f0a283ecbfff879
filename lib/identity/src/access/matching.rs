//! What the settings of an ssh server come to for one connection: its `Match` blocks, `sshd_config`(5).
//!
//! As the server does it: what stands below a `Match` that fits goes before what is for everybody, and among
//! those that fit the first word counts. A criterion that is not known here, or whose answer is not, does not
//! fit.

use std::net::IpAddr;

use formats::access::{Doors, Session, Setting};

use super::server;
use crate::network::old::glob;

/// Somebody who connects.
#[derive(Clone, Debug, Default)]
pub struct Connection<'a> {
    /// As whom.
    pub user: &'a str,
    /// Names of their groups.
    pub groups: Vec<&'a str>,
    /// From where, and to which address and port of the server, where that is known.
    pub session: Option<&'a Session>,
}

/// The settings that hold for a connection, as if there were no `Match`: what the server itself says of the
/// user, else what its files come to.
pub fn resolved(doors: &Doors, connection: &Connection) -> Doors {
    let said = doors
        .in_force
        .iter()
        .find(|(user, _)| user == connection.user);
    match said {
        Some((_, settings)) => Doors {
            settings: settings.clone(),
            ..doors.clone()
        },
        None => by_files(doors, connection),
    }
}

/// What the files come to.
pub fn by_files(doors: &Doors, connection: &Connection) -> Doors {
    let of = |setting: &&Setting| {
        let condition = setting.condition.as_deref();
        condition.is_some_and(|condition| fits(condition, connection))
    };
    let own: Vec<Setting> = doors.settings.iter().filter(of).cloned().collect();
    // Lists add up on one level, and the level of a `Match` takes the place of the other.
    let overridden = |setting: &Setting| {
        let keyword = server::current_name(&setting.keyword);
        own.iter().any(|own| server::is(own, keyword))
    };
    let everybody = doors
        .settings
        .iter()
        .filter(|s| s.condition.is_none() && !overridden(s));
    let settings = own.iter().chain(everybody).map(|setting| Setting {
        condition: None,
        ..setting.clone()
    });
    Doors {
        settings: settings.collect(),
        ..doors.clone()
    }
}

/// The words of a `Match`: criteria and their patterns in turn, those in quotes without these.
pub(super) fn words(condition: &str) -> Vec<&str> {
    let between = |c: char| c.is_whitespace() || c == '=';
    let mut words = Vec::new();
    let mut rest = condition.trim_start_matches(between);
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_at(rest.find(between).unwrap_or(rest.len())),
        };
        words.push(word);
        rest = after.trim_start_matches(between);
    }
    words
}

/// Whether a `Match` is about a connection: every one of its criteria is.
fn fits(condition: &str, connection: &Connection) -> bool {
    let words = words(condition);
    if words.len() == 1 {
        return words[0].eq_ignore_ascii_case("all");
    }
    let (pairs, rest) = words.as_chunks::<2>();
    let fits = |[criterion, patterns]: &[&str; 2]| {
        let from = connection
            .session
            .and_then(|session| session.client.parse().ok());
        let to = connection
            .session
            .and_then(|session| session.address.parse().ok());
        match criterion.to_ascii_lowercase().as_str() {
            "user" => listed(patterns, connection.user),
            "group" => group_listed(patterns, &connection.groups),
            "address" => from.is_some_and(|address| address_listed(patterns, address)),
            "localaddress" => to.is_some_and(|address| address_listed(patterns, address)),
            "localport" => connection
                .session
                .is_some_and(|s| listed(patterns, &s.port.to_string())),
            _ => false,
        }
    };
    rest.is_empty() && !pairs.is_empty() && pairs.iter().all(fits)
}

/// A list of patterns, any of which fits unless one with `!` does.
fn any_of(patterns: &str, fits: &dyn Fn(&str) -> bool) -> bool {
    let (mut found, mut denied) = (false, false);
    for pattern in patterns.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) => denied |= fits(pattern),
            None => found |= fits(pattern),
        }
    }
    found && !denied
}

/// One of a list of patterns, and none of those behind a `!`.
pub(super) fn listed(patterns: &str, name: &str) -> bool {
    any_of(patterns, &|pattern| glob::matches(pattern, name))
}

fn group_listed(patterns: &str, groups: &[&str]) -> bool {
    any_of(patterns, &|pattern| {
        groups.iter().any(|group| glob::matches(pattern, group))
    })
}

fn address_listed(patterns: &str, address: IpAddr) -> bool {
    let text = address.to_string();
    any_of(patterns, &|pattern| match pattern.split_once('/') {
        Some((network, bits)) => match (network.parse(), bits.parse()) {
            (Ok(network), Ok(bits)) => is_within(address, network, bits),
            _ => false,
        },
        None => glob::matches(pattern, &text),
    })
}

fn is_within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let (address, network, all): (u128, u128, u32) = match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => (u32::from(a).into(), u32::from(n).into(), 32),
        (IpAddr::V6(a), IpAddr::V6(n)) => (a.into(), n.into(), 128),
        _ => return false,
    };
    let rest = all.saturating_sub(bits);
    address.checked_shr(rest).unwrap_or(0) == network.checked_shr(rest).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(condition: Option<&str>, keyword: &str, value: &str) -> Setting {
        Setting {
            path: "/etc/ssh/sshd_config".to_owned(),
            condition: condition.map(str::to_owned),
            keyword: keyword.to_owned(),
            values: vec![value.to_owned()],
        }
    }

    #[test]
    fn a_match_is_about_those_whom_all_of_it_fits() {
        let session = Session {
            user: "ann".to_owned(),
            address: "198.51.100.4".to_owned(),
            port: 2222,
            client: "192.0.2.7".to_owned(),
            ..Session::default()
        };
        let ann = Connection {
            user: "ann",
            groups: vec!["ann", "wheel", "domain users"],
            session: Some(&session),
        };
        for (condition, expected) in [
            ("all", true),
            ("User ann", true),
            ("user=bob,a*", true),
            ("User *,!ann", false),
            ("Group wheel", true),
            ("Group *,!wheel", false),
            ("Group staff", false),
            ("Group \"domain users\" User ann", true),
            ("Group \"wheel,domain users\"", true),
            ("Group=\"domain  users\"", false),
            ("User ann Group staff", false),
            ("Address 192.0.2.0/24", true),
            ("Address 192.0.2.*", true),
            ("Address 192.0.3.0/24,10.0.0.0/8", false),
            ("Address 0.0.0.0/0,!192.0.2.7", false),
            ("LocalAddress 198.51.100.4 LocalPort 2222", true),
            ("LocalPort 22", false),
            ("Host *.example.net", false),
            ("User ann Weather fine", false),
            ("User", false),
        ] {
            assert_eq!(fits(condition, &ann), expected, "{condition}");
        }
        let unknown = Connection {
            session: None,
            ..ann
        };
        assert!(!fits("Address 0.0.0.0/0", &unknown));
    }

    #[test]
    fn what_fits_goes_before_what_is_for_everybody() {
        let doors = Doors {
            settings: vec![
                setting(None, "PasswordAuthentication", "no"),
                setting(None, "AllowUsers", "bob"),
                setting(Some("User ann"), "PasswordAuthentication", "yes"),
                setting(Some("Group ann"), "PasswordAuthentication", "no"),
                setting(Some("User ann"), "AllowUsers", "ann"),
            ],
            ..Doors::default()
        };
        let of = |user| {
            let connection = Connection {
                user,
                groups: vec![user],
                session: None,
            };
            let found = resolved(&doors, &connection);
            let password = server::value(&found, "PasswordAuthentication").unwrap();
            let users = found
                .settings
                .iter()
                .filter(|s| server::is(s, "AllowUsers"));
            (
                password,
                users.map(|s| s.values[0].clone()).collect::<Vec<_>>(),
            )
        };
        assert_eq!(of("ann"), ("yes".to_owned(), vec!["ann".to_owned()]));
        assert_eq!(of("bob"), ("no".to_owned(), vec!["bob".to_owned()]));
    }
}
