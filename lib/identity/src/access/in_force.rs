//! The ssh server's settings as they are in force: the arguments that it was started with, and what it says of
//! itself (`sshd -T`, with `-C` for one connection), sshd(8).

use std::collections::BTreeSet;

use formats::access::{Doors, Session, Setting};

use super::server;

/// The file that arguments are from, in the place of one of the configuration.
pub const ARGUMENTS: &str = "the arguments of sshd";
/// The same for what the server says.
pub const SAID: &str = "sshd -T";

/// What the server says that decides who gets in. Names of algorithms and what it does besides are left out.
const DECIDES: [&str; 24] = [
    "Port",
    "ListenAddress",
    "PermitRootLogin",
    "PasswordAuthentication",
    "KbdInteractiveAuthentication",
    "PubkeyAuthentication",
    "PubkeyAcceptedAlgorithms",
    "RequiredRSASize",
    "PermitEmptyPasswords",
    "AuthenticationMethods",
    "AuthorizedKeysFile",
    "AuthorizedKeysCommand",
    "TrustedUserCAKeys",
    "AuthorizedPrincipalsFile",
    "AuthorizedPrincipalsCommand",
    "AllowUsers",
    "AllowGroups",
    "DenyUsers",
    "DenyGroups",
    "MaxAuthTries",
    "ForceCommand",
    "ChrootDirectory",
    "UseDNS",
    "UsePAM",
];

/// Keywords with one value about which files may be silent where the server is not: a distribution's own defaults.
const ONE_VALUE: [&str; 6] = [
    "PermitRootLogin",
    "PasswordAuthentication",
    "KbdInteractiveAuthentication",
    "PubkeyAuthentication",
    "UseDNS",
    "UsePAM",
];

/// Lists of names, which add up.
const LISTS: [&str; 4] = ["AllowUsers", "AllowGroups", "DenyUsers", "DenyGroups"];

/// People who are asked about, of the old server and of the new one: each is a call of its program, and a server with
/// more of those who may log in has a directory of them.
pub const MOST: usize = 24;

/// Where somebody comes from who is on the machine itself.
pub(super) const LOCAL: &str = "127.0.0.1";

/// The session that a server is asked about: the operator's, or one from the machine itself to this port.
#[must_use]
pub fn session_or_local(session: Option<&Session>, port: u16) -> Session {
    session.cloned().unwrap_or_else(|| Session {
        address: LOCAL.to_owned(),
        client: LOCAL.to_owned(),
        port,
        ..Session::default()
    })
}

/// The words of `-C` for a user who comes by a session.
#[must_use]
pub fn connection(user: &str, session: &Session) -> String {
    let (address, port) = (&session.address, session.port);
    format!(
        "{},laddr={address},lport={port}",
        old_connection(user, session)
    )
}

/// Those of them that servers before OpenSSH 6.2 know.
#[must_use]
pub fn old_connection(user: &str, session: &Session) -> String {
    format!("user={user},host={0},addr={0}", session.client)
}

/// How the server was started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Started {
    /// Its configuration, where that is not the usual file.
    pub file: Option<String>,
    /// Settings in its arguments (`-o`, `-p`), which go before those of files.
    pub settings: Vec<Setting>,
    /// The arguments that say so, to ask it again.
    pub arguments: Vec<String>,
}

/// Reads the title of the process that listens. It is the command line, or since OpenSSH 8.2 a text around it:
/// `sshd: /usr/sbin/sshd -D -p 2222 [listener] 0 of 10-100 startups`.
pub fn started(title: &str) -> Option<Started> {
    let title = title.strip_prefix("sshd: ").unwrap_or(title);
    let title = title.split(" [listener]").next().unwrap_or_default();
    let mut words = title.split_whitespace();
    // A session's process calls itself by its user.
    words
        .next()
        .filter(|program| program.starts_with('/') && program.ends_with("/sshd"))?;
    let mut started = Started::default();
    while let Some(word) = words.next() {
        let Some(flag) = word.strip_prefix('-').and_then(|rest| rest.chars().next()) else {
            continue;
        };
        if !"bCcEfgHhkoPpuw".contains(flag) {
            continue;
        }
        // What belongs to a flag stands behind it, or is the next word.
        let inner = &word[2..];
        let Some(value) = Some(inner)
            .filter(|v| !v.is_empty())
            .or_else(|| words.next())
        else {
            break;
        };
        match flag {
            'f' => started.file = Some(value.to_owned()),
            'p' => started.settings.push(setting(ARGUMENTS, "Port", &[value])),
            'h' => started
                .settings
                .push(setting(ARGUMENTS, "HostKey", &[value])),
            'o' => {
                // `-o Key=value` and `-o "Key value"`, whose quotes the title has not.
                let (keyword, first) = match value.split_once('=') {
                    Some((keyword, value)) => (keyword, Some(value)),
                    None => (value, words.next()),
                };
                let value = first.unwrap_or_default();
                started.settings.push(setting(ARGUMENTS, keyword, &[value]));
                started
                    .arguments
                    .extend(["-o".to_owned(), format!("{keyword}={value}")]);
                continue;
            }
            _ => continue,
        }
        started
            .arguments
            .extend([format!("-{flag}"), value.to_owned()]);
    }
    Some(started)
}

/// What the server says of itself, as settings for everybody.
pub fn parse(text: &str) -> Vec<Setting> {
    let lines = text.lines().map(str::split_whitespace);
    let of = |mut words: std::str::SplitWhitespace| {
        let keyword = server::current_name(words.next()?);
        let known = DECIDES
            .iter()
            .find(|known| known.eq_ignore_ascii_case(keyword))?;
        let mut values: Vec<&str> = words.collect();
        if *known == "UsePAM" {
            // Releases before 7 say numbers.
            let word = |value: &str| {
                if matches!(value, "1" | "yes") {
                    "yes"
                } else {
                    "no"
                }
            };
            values = values.into_iter().map(word).collect();
        }
        (!values.is_empty()).then(|| setting(SAID, known, &values))
    };
    let mut said: Vec<Setting> = lines.filter_map(of).collect();
    // Built without PAM it says nothing of it, whatever its files ask for.
    if !said.is_empty() && !said.iter().any(|setting| server::is(setting, "UsePAM")) {
        said.push(setting(SAID, "UsePAM", &["no"]));
    }
    said
}

fn setting(path: &str, keyword: &str, values: &[&str]) -> Setting {
    Setting {
        path: path.to_owned(),
        condition: None,
        keyword: keyword.to_owned(),
        values: values.iter().map(|value| (*value).to_owned()).collect(),
    }
}

/// Puts what the server says of everybody before what its files say, where they differ: a distribution has
/// defaults of its own, and a file may be in a form that is not understood here.
pub fn adjust(doors: &mut Doors, said: &[Setting]) {
    let of_server = Doors {
        settings: said.to_vec(),
        release: doors.release,
        ..Doors::default()
    };
    for keyword in ONE_VALUE {
        let Some(said) = said.iter().find(|setting| server::is(setting, keyword)) else {
            continue;
        };
        if differs(doors, &of_server, keyword) {
            doors.settings.insert(0, said.clone());
        }
    }
    let everybody = |setting: &Setting, keyword: &str| {
        setting.condition.is_none() && server::is(setting, keyword)
    };
    for keyword in LISTS {
        let of = |settings: &[Setting]| -> Vec<Setting> {
            let own = settings.iter().filter(|s| everybody(s, keyword));
            own.cloned().collect()
        };
        let of_server = of(said);
        // It does not say which blanks are a name's own.
        let words = |list: &[Setting]| -> BTreeSet<String> {
            let values = list.iter().flat_map(|setting| &setting.values);
            let words = values.flat_map(|value| value.split_whitespace());
            words.map(str::to_owned).collect()
        };
        if !of_server.is_empty() && words(&of_server) != words(&of(&doors.settings)) {
            doors.settings.retain(|s| !everybody(s, keyword));
            doors.settings.splice(0..0, of_server);
        }
    }
    let is_place = |setting: &Setting| {
        let mut places = ["Port", "ListenAddress"].iter();
        places.any(|keyword| everybody(setting, keyword))
    };
    let places: Vec<Setting> = said
        .iter()
        .filter(|setting| is_place(setting))
        .cloned()
        .collect();
    if !places.is_empty() && server::ports(&of_server) != server::ports(doors) {
        // Every address that it says has its port.
        doors.settings.retain(|setting| !is_place(setting));
        doors.settings.splice(0..0, places);
    }
}

/// Where a server, as it says itself, and its files differ about a keyword with one value.
pub fn differences(files: &Doors, said: &Doors) -> Vec<String> {
    let keywords = ONE_VALUE
        .iter()
        .filter(|keyword| differs(files, said, keyword));
    let told = |doors: &Doors, keyword: &str| server::value(doors, keyword).unwrap_or_default();
    keywords
        .map(|keyword| {
            format!(
                "{keyword} {}, not {}",
                told(said, keyword),
                told(files, keyword)
            )
        })
        .collect()
}

/// A value with one word where there are two for one thing.
pub(super) fn one_word(value: &str) -> String {
    value.replace("without-password", "prohibit-password")
}

fn differs(files: &Doors, said: &Doors, keyword: &str) -> bool {
    let one = |doors: &Doors| server::value(doors, keyword).map(|value| one_word(&value));
    one(files) != one(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_says_in_its_own_way_whether_it_asks_pam() {
        for (text, expected) in [
            ("port 22\nusepam yes\n", "yes"),
            ("port 22\nusepam 1\n", "yes"),
            ("port 22\nusepam 0\n", "no"),
            ("port 22\n", "no"),
        ] {
            let said = parse(text);
            let pam = said.iter().find(|s| server::is(s, "UsePAM")).unwrap();
            assert_eq!(pam.values, [expected], "{text}");
            let mut doors = Doors {
                settings: vec![setting("f", "UsePAM", &["yes"])],
                ..Doors::default()
            };
            adjust(&mut doors, &said);
            assert_eq!(server::asks_pam(&doors), expected == "yes", "{text}");
        }
        assert_eq!(parse("no such option\n"), []);
    }

    #[test]
    fn the_listeners_title_tells_how_it_was_started() {
        let plain = Started::default();
        for title in [
            "/usr/sbin/sshd -D",
            "/usr/sbin/sshd",
            "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups",
        ] {
            assert_eq!(started(title), Some(plain.clone()), "{title}");
        }
        for title in [
            "sshd: root@pts/0",
            "sshd: ann [priv]",
            "/usr/bin/ssh-agent",
            "sshd-session: ann",
            "",
        ] {
            assert_eq!(started(title), None, "{title}");
        }
        let title = "sshd: /usr/sbin/sshd -D -p 2222 -f /etc/ssh/other -oPermitRootLogin=no \
            -o PasswordAuthentication no -u0 -E /var/log/x [listener] 1 of 10-100 startups";
        let found = started(title).unwrap();
        assert_eq!(found.file.as_deref(), Some("/etc/ssh/other"));
        assert_eq!(
            found.settings,
            [
                setting(ARGUMENTS, "Port", &["2222"]),
                setting(ARGUMENTS, "PermitRootLogin", &["no"]),
                setting(ARGUMENTS, "PasswordAuthentication", &["no"]),
            ]
        );
        let asked = "-p 2222 -f /etc/ssh/other -o PermitRootLogin=no -o PasswordAuthentication=no";
        assert_eq!(found.arguments.join(" "), asked);
    }

    /// As OpenSSH 5.9 and 9.2 say it.
    #[test]
    fn what_the_server_says_goes_before_files_that_say_otherwise() {
        let said = parse(
            "port 22\nport 2222\nlistenaddress [::]:22\nlistenaddress 0.0.0.0:2222\nchallengeresponseauthentication no\n\
             permitrootlogin without-password\npasswordauthentication yes\nciphers a,b\nallowusers ann\npubkeyauthentication yes\n",
        );
        assert!(said.iter().all(|setting| setting.keyword != "ciphers"));
        let mut doors = Doors {
            settings: vec![
                setting("f", "Port", &["22"]),
                setting("f", "PermitRootLogin", &["prohibit-password"]),
                setting("f", "AllowUsers", &["ann", "#", "root"]),
                Setting {
                    condition: Some("User ann".to_owned()),
                    ..setting("f", "PermitRootLogin", &["no"])
                },
            ],
            ..Doors::default()
        };
        adjust(&mut doors, &said);
        assert_eq!(server::ports(&doors), [22, 2222]);
        let list = doors
            .settings
            .iter()
            .filter(|s| server::is(s, "AllowUsers"));
        assert_eq!(
            list.map(|s| s.values.join(" ")).collect::<Vec<_>>(),
            ["ann"],
            "as it says, which knows what is a comment"
        );
        let of = |keyword| server::value(&doors, keyword).unwrap();
        assert_eq!(of("KbdInteractiveAuthentication"), "no");
        assert_eq!(of("PermitRootLogin"), "prohibit-password");
        let by_files = |setting: &&Setting| setting.path == "f";
        assert_eq!(
            doors.settings.iter().filter(by_files).count(),
            2,
            "{doors:?}"
        );
        let before = doors.clone();
        adjust(&mut doors, &said);
        assert_eq!(doors, before);
        adjust(&mut doors, &[]);
        assert_eq!(doors, before);
    }
}
