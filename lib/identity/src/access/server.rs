//! What an ssh server's settings come to for one user, `sshd_config`(5): the first word counts.

use formats::access::{Doors, Setting};
use formats::accounts::Accounts;

use crate::network::old::glob;

/// The port of a server that is told none.
pub const PORT: u16 = 22;

/// Keywords that had another name in older releases.
const OLD_NAMES: [(&str, &str); 4] = [
    (
        "ChallengeResponseAuthentication",
        "KbdInteractiveAuthentication",
    ),
    ("SkeyAuthentication", "KbdInteractiveAuthentication"),
    ("PubkeyAcceptedKeyTypes", "PubkeyAcceptedAlgorithms"),
    // As RHEL 8 and 9 had it before OpenSSH did.
    ("RSAMinSize", "RequiredRSASize"),
];

/// The release from which on root does not get in with a password unless somebody says so.
const ROOT_WITHOUT_PASSWORD: (u32, u32) = (7, 0);

/// The release from which on it asks for no names of those who connect unless somebody says so.
const NO_NAMES: (u32, u32) = (6, 8);

/// The name that a keyword has today.
pub fn current_name(keyword: &str) -> &str {
    OLD_NAMES
        .iter()
        .find(|(old, _)| old.eq_ignore_ascii_case(keyword))
        .map_or(keyword, |(_, new)| new)
}

/// Whether a setting is of this keyword, under whatever name.
pub fn is(setting: &Setting, keyword: &str) -> bool {
    current_name(&setting.keyword).eq_ignore_ascii_case(keyword)
}

/// Keywords that say where the server listens; they stand for everybody alone, never below a `Match`.
pub(super) const PLACES: [&str; 3] = ["Port", "ListenAddress", "AddressFamily"];

/// Whether a setting says where the server listens.
pub(super) fn is_place(setting: &Setting) -> bool {
    PLACES.iter().any(|keyword| is(setting, keyword))
}

/// The settings that count: where systemd listens for the server, its places stand first, and those of the
/// configuration are left out.
pub fn counting(doors: &Doors) -> impl Iterator<Item = &Setting> {
    let by_itself = doors.socket.is_empty();
    let of_files = doors.settings.iter();
    let counts = move |setting: &&Setting| by_itself || !is_place(setting);
    doors.socket.iter().chain(of_files.filter(counts))
}

/// What holds for everybody, as it is written.
pub(super) fn said<'a>(doors: &'a Doors, keyword: &'a str) -> impl Iterator<Item = &'a Setting> {
    let unconditional = |setting: &&Setting| setting.condition.is_none();
    counting(doors)
        .filter(unconditional)
        .filter(move |setting| is(setting, keyword))
}

/// What a keyword with one value comes to; nothing where only a default holds that is not known here.
pub fn value(doors: &Doors, keyword: &str) -> Option<String> {
    let said = said(doors, keyword).next();
    let said = said.and_then(|setting| Some(setting.values.first()?.to_ascii_lowercase()));
    said.or_else(|| default(doors.release, keyword).map(str::to_owned))
}

fn default(release: Option<(u32, u32)>, keyword: &str) -> Option<&'static str> {
    match keyword {
        "PermitRootLogin" if release.is_some_and(|r| r < ROOT_WITHOUT_PASSWORD) => Some("yes"),
        "PermitRootLogin" => Some("prohibit-password"),
        "PasswordAuthentication"
        | "KbdInteractiveAuthentication"
        | "PubkeyAuthentication"
        | "StrictModes" => Some("yes"),
        "UseDNS" if release.is_some_and(|r| r < NO_NAMES) => Some("yes"),
        "UsePAM" | "UseDNS" => Some("no"),
        _ => None,
    }
}

/// Whether it asks PAM. Without, it looks at accounts itself, and has nobody to ask who types at a keyboard.
pub fn asks_pam(doors: &Doors) -> bool {
    value(doors, "UsePAM").as_deref() == Some("yes")
}

/// Whether it asks for a password, by either of its means for that.
pub fn asks_for_passwords(doors: &Doors) -> bool {
    let is = |keyword: &str| value(doors, keyword).as_deref() == Some("yes");
    is("PasswordAuthentication") || is("KbdInteractiveAuthentication") && asks_pam(doors)
}

/// The ports that it listens on.
pub fn ports(doors: &Doors) -> Vec<u16> {
    let numbers = said(doors, "Port").flat_map(|setting| &setting.values);
    let mut ports: Vec<u16> = numbers.filter_map(|value| value.parse().ok()).collect();
    // An address may have a port of its own, and then the others do not hold for it.
    let addresses = said(doors, "ListenAddress").filter_map(|setting| setting.values.first());
    let addresses: Vec<Option<u16>> = addresses.map(|address| port_of(address)).collect();
    if !addresses.is_empty() && addresses.iter().all(Option::is_some) {
        ports.clear();
    }
    ports.extend(addresses.into_iter().flatten());
    if ports.is_empty() {
        ports.push(PORT);
    }
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// The address of `192.0.2.1:2222`, `[2001:db8::1]:2222` or `2001:db8::1`.
pub(crate) fn host_of(address: &str) -> &str {
    let host = match (port_of(address), address.rsplit_once(':')) {
        (Some(_), Some((host, _))) => host,
        _ => address,
    };
    let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    inner.unwrap_or(host)
}

/// The port of `192.0.2.1:2222` or `[2001:db8::1]:2222`.
fn port_of(address: &str) -> Option<u16> {
    let (host, port) = address.rsplit_once(':')?;
    let is_plain = !host.contains(':') || host.starts_with('[') && host.ends_with(']');
    port.parse().ok().filter(|_| is_plain)
}

/// Places of keys that every server looks at, in homes.
pub const HOME_KEYS: [&str; 2] = [".ssh/authorized_keys", ".ssh/authorized_keys2"];

/// The places where it looks for somebody's keys, as they are written.
pub fn key_files(doors: &Doors) -> Vec<String> {
    let said = said(doors, "AuthorizedKeysFile").next();
    said.map_or_else(
        || HOME_KEYS.map(str::to_owned).to_vec(),
        |setting| setting.values.clone(),
    )
}

/// The place in somebody's home that a place of keys is, if it is one that every server looks at.
pub fn in_home(place: &str) -> Option<&str> {
    let inner = place.strip_prefix("%h/").unwrap_or(place);
    HOME_KEYS.contains(&inner).then_some(inner)
}

/// The folder of a place of keys that is outside of homes, one file for each user. Folders that have
/// other things too are none.
pub fn key_folder(place: &str) -> Option<&str> {
    let (folder, name) = place.rsplit_once('/')?;
    let inner = folder.strip_prefix("/etc/")?;
    let other = ["", "ssh", "ssh/sshd_config.d"].contains(&inner);
    (name.contains("%u") && !folder.contains('%') && !other).then_some(folder)
}

/// Keywords that name one file, which comes along with the setting.
const ONE_FILE: [&str; 4] = [
    "TrustedUserCAKeys",
    "RevokedKeys",
    "HostCertificate",
    "AuthorizedPrincipalsFile",
];

/// The files with private keys of the host's that it is told of, as absolute paths that can be written in any
/// configuration; none where it looks for those that every server looks for.
pub fn host_keys(doors: &Doors) -> Vec<&str> {
    let can_be_written = |path: &str| {
        path.starts_with('/') && !path.contains(|c: char| c.is_control() || "\"\\".contains(c))
    };
    let lasts = |path: &str| !PASSING.iter().any(|place| path.starts_with(place));
    let mut found: Vec<&str> = Vec::new();
    for setting in said(doors, "HostKey") {
        let path = setting.values.first().map_or("", String::as_str);
        if can_be_written(path) && lasts(path) && !found.contains(&path) {
            found.push(path);
        }
    }
    found
}

/// Where files are that are made anew at each start.
const PASSING: [&str; 5] = ["/dev/", "/proc/", "/run/", "/sys/", "/tmp/"];

/// The file that a setting names, which is the same for everybody: an authority's keys, revoked ones, a
/// certificate of the host's, names that certificates may have.
pub fn named_file(setting: &Setting) -> Option<&str> {
    let [path] = &setting.values[..] else {
        return None;
    };
    let names_one = ONE_FILE.iter().any(|keyword| is(setting, keyword));
    let lasts = path.starts_with('/') && !PASSING.iter().any(|place| path.starts_with(place));
    (names_one && lasts && !path.contains('%')).then_some(path.as_str())
}

/// The place where names that somebody's certificates may have are in their home.
pub const HOME_PRINCIPALS: &str = ".ssh/authorized_principals";

/// Whether a place of such names is in everybody's home, at the usual place.
pub fn principals_in_home(place: &str) -> bool {
    place.strip_prefix("%h/").unwrap_or(place) == HOME_PRINCIPALS
}

/// The keyword whose value is a command, by a shell's rules.
pub const COMMAND: &str = "ForceCommand";

/// The keyword for an authority whose certificates are taken.
pub const AUTHORITY: &str = "TrustedUserCAKeys";

/// Whether a setting says which names a certificate may have for whom.
pub fn names_principals(setting: &Setting) -> bool {
    let keywords = ["AuthorizedPrincipalsFile", "AuthorizedPrincipalsCommand"];
    let is_one = keywords.iter().any(|keyword| is(setting, keyword));
    let none = |value: &String| value.eq_ignore_ascii_case("none");
    is_one && !setting.values.iter().all(none)
}

/// Whether the lists of users and groups let somebody in, from wherever they come.
pub fn lets_in(doors: &Doors, user: &str, accounts: &Accounts) -> bool {
    let groups = groups_of(user, accounts);
    let listed = |keyword: &str, names: &[&str]| {
        let mut patterns = said(doors, keyword).flat_map(|s| &s.values).peekable();
        let any = patterns.peek().is_some();
        // What is behind `@` is where they come from.
        let fits = patterns.any(|pattern| {
            let pattern = pattern.split('@').next().unwrap_or_default();
            names.iter().any(|name| glob::matches(pattern, name))
        });
        (any, fits)
    };
    let users = [user];
    let denied = listed("DenyUsers", &users).1 || listed("DenyGroups", &groups).1;
    let allowed = [listed("AllowUsers", &users), listed("AllowGroups", &groups)]
        .iter()
        .all(|(any, fits)| !any || *fits);
    allowed && !denied
}

/// From where patterns of `AllowUsers` let somebody in: their name with each place, or alone where that is
/// everywhere. Nothing where none of them is theirs.
pub(super) fn from_where<'p>(user: &str, patterns: impl Iterator<Item = &'p str>) -> Vec<String> {
    let own = patterns.filter_map(|pattern| {
        let (name, from) = match pattern.split_once('@') {
            Some((name, from)) => (name, Some(from)),
            None => (pattern, None),
        };
        glob::matches(name, user).then(|| match from {
            Some(from) => format!("{user}@{from}"),
            None => user.to_owned(),
        })
    });
    let own: Vec<String> = own.collect();
    if own.iter().any(|pattern| pattern == user) {
        vec![user.to_owned()]
    } else {
        own
    }
}

/// Names of somebody's groups.
pub fn groups_of<'a>(user: &str, accounts: &'a Accounts) -> Vec<&'a str> {
    let primary = accounts
        .users
        .iter()
        .find(|u| u.name == user)
        .map(|u| u.gid);
    let is_in = |group: &&formats::accounts::Group| {
        Some(group.gid) == primary || group.members.iter().any(|member| member == user)
    };
    let groups = accounts.groups.iter().filter(is_in);
    groups.map(|group| group.name.as_str()).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use formats::accounts::{Group, User};

    /// The settings of such a file, by themselves.
    pub fn settings(text: &str) -> Vec<Setting> {
        let mut condition = None;
        let mut settings = Vec::new();
        for line in text.lines() {
            let mut words = line.split_whitespace().map(str::to_owned);
            let Some(keyword) = words.next() else {
                continue;
            };
            let values: Vec<String> = words.collect();
            if keyword == "Match" {
                condition = Some(values.join(" "));
            } else {
                settings.push(Setting {
                    path: "/etc/ssh/sshd_config".to_owned(),
                    condition: condition.clone(),
                    keyword,
                    values,
                });
            }
        }
        settings
    }

    fn doors(text: &str) -> Doors {
        let settings = settings(text);
        Doors {
            server: true,
            settings,
            ..Doors::default()
        }
    }

    #[test]
    fn the_first_word_counts_and_defaults_are_the_releases_own() {
        let found = value(
            &doors("PermitRootLogin no\npermitrootlogin yes"),
            "PermitRootLogin",
        );
        assert_eq!(found.as_deref(), Some("no"));
        let none = doors("Match User ann\nPermitRootLogin no");
        assert_eq!(
            value(&none, "PermitRootLogin").as_deref(),
            Some("prohibit-password")
        );
        let old = Doors {
            release: Some((5, 9)),
            ..none
        };
        assert_eq!(value(&old, "PermitRootLogin").as_deref(), Some("yes"));
        let renamed = doors("ChallengeResponseAuthentication no");
        let found = value(&renamed, "KbdInteractiveAuthentication");
        assert_eq!(found.as_deref(), Some("no"));
    }

    #[test]
    fn ports_are_those_of_the_server_and_of_its_addresses() {
        for (text, expected) in [
            ("", &[22][..]),
            ("Port 2222\nPort 22", &[22, 2222]),
            ("ListenAddress 192.0.2.1\nPort 2222", &[2222]),
            ("ListenAddress 192.0.2.1:2200\nPort 2222", &[2200]),
            (
                "ListenAddress [2001:db8::1]:2200\nListenAddress 2001:db8::2",
                &[2200],
            ),
            ("Match User ann\nPort 1", &[22]),
        ] {
            assert_eq!(ports(&doors(text)), expected, "{text}");
        }
    }

    #[test]
    fn places_of_keys_are_in_homes_or_in_a_folder_of_their_own() {
        assert_eq!(key_files(&doors("")), HOME_KEYS);
        let other = doors("AuthorizedKeysFile /etc/ssh/keys/%u .ssh/authorized_keys");
        assert_eq!(
            key_files(&other),
            ["/etc/ssh/keys/%u", ".ssh/authorized_keys"]
        );
        assert_eq!(
            in_home("%h/.ssh/authorized_keys"),
            Some(".ssh/authorized_keys")
        );
        for (place, folder) in [
            ("/etc/ssh/keys/%u", Some("/etc/ssh/keys")),
            (
                "/etc/ssh/authorized_keys/%u.pub",
                Some("/etc/ssh/authorized_keys"),
            ),
            ("/etc/ssh/%u", None),
            ("/etc/%u", None),
            ("/etc/ssh/keys/all", None),
            ("/etc/ssh/%u/keys", None),
            ("/var/keys/%u", None),
            (".ssh/authorized_keys", None),
        ] {
            assert_eq!(key_folder(place), folder, "{place}");
        }
    }

    #[test]
    fn files_that_settings_name_are_those_that_last() {
        let of = |text: &str| {
            let doors = doors(text);
            named_file(&doors.settings[0]).map(str::to_owned)
        };
        for (text, expected) in [
            ("TrustedUserCAKeys /etc/ssh/ca.pub", Some("/etc/ssh/ca.pub")),
            ("revokedkeys /etc/ssh/revoked", Some("/etc/ssh/revoked")),
            ("RevokedKeys /dev/null", None),
            ("TrustedUserCAKeys none", None),
            (
                "AuthorizedPrincipalsFile /etc/ssh/principals",
                Some("/etc/ssh/principals"),
            ),
            ("AuthorizedPrincipalsFile /etc/ssh/principals/%u", None),
            ("AuthorizedPrincipalsFile .ssh/authorized_principals", None),
            ("Banner /etc/issue", None),
        ] {
            assert_eq!(of(text).as_deref(), expected, "{text}");
        }
        assert!(principals_in_home("%h/.ssh/authorized_principals"));
        assert!(!principals_in_home(".ssh/other"));
    }

    #[test]
    fn lists_of_users_and_groups_let_in_who_is_on_them() {
        let accounts = Accounts {
            users: vec![User {
                name: "ann".to_owned(),
                uid: 1000,
                gid: 1000,
                home: "/home/ann".to_owned(),
                shell: "/bin/bash".to_owned(),
                password: true,
            }],
            groups: vec![Group {
                name: "wheel".to_owned(),
                gid: 10,
                members: vec!["ann".to_owned()],
            }],
            ..Accounts::default()
        };
        for (text, expected) in [
            ("", true),
            ("AllowUsers bob a*@192.0.2.*", true),
            ("AllowUsers bob", false),
            ("AllowGroups wheel", true),
            ("AllowGroups staff", false),
            ("AllowUsers ann\nDenyGroups wheel", false),
        ] {
            assert_eq!(lets_in(&doors(text), "ann", &accounts), expected, "{text}");
        }
    }
}
