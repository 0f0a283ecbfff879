//! Who is promised to get in, as the first boot asks the new OS's server about it.

use formats::access::{Doors, Keys, LoggedIn, Login, Means, PublicKey, Session, Setting, Way};
use formats::accounts::Accounts;

use super::{matching, server};

/// Keys that are asked about for one person: a server breaks off after six that it does not take
/// (`MaxAuthTries`), and the plan promises a way in, not each key.
const MOST_KEYS: usize = 4;

/// Criteria of `Match` that are about where somebody comes from, or to.
const ORIGINS: [&str; 5] = ["address", "host", "localaddress", "localport", "rdomain"];

/// Everybody with a way in, once.
pub fn logins(
    ways: &[Way],
    (doors, accounts): (&Doors, &Accounts),
    (keys, session): (&[Keys], Option<&Session>),
    takes: &dyn Fn(&PublicKey) -> bool,
) -> Vec<Login> {
    let by_origin = doors.settings.iter().any(tells_origins);
    let most = server::value(doors, "MaxAuthTries").and_then(|tries| tries.parse::<usize>().ok());
    let most = most.map_or(MOST_KEYS, |tries| {
        tries.saturating_sub(1).clamp(1, MOST_KEYS)
    });
    let mut logins: Vec<Login> = Vec::new();
    for way in ways {
        let at = logins.iter().position(|login| login.user == way.user);
        let at = at.unwrap_or_else(|| {
            logins.push(Login {
                user: way.user.clone(),
                is_root: accounts
                    .users
                    .iter()
                    .any(|u| u.name == way.user && u.uid == 0),
                keys: Vec::new(),
                password: false,
                by_origin,
            });
            logins.len() - 1
        });
        let login = &mut logins[at];
        match way.means {
            Means::Password => login.password = true,
            Means::Key => {
                let own = keys.iter().filter(|of| of.user == way.user);
                let mut own: Vec<&PublicKey> = own
                    .flat_map(|of| &of.keys)
                    .filter(|key| takes(key))
                    .collect();
                let is_operators = |key: &PublicKey| {
                    let by = session.and_then(|session| session.by.as_ref());
                    matches!(by, Some(LoggedIn::Key(own)) if *own == key.fingerprint)
                };
                login.by_origin |= !own.is_empty() && own.iter().all(|key| key.narrowed);
                // The operator's own, then those that hold from everywhere.
                own.sort_by_key(|key| (!is_operators(key), key.narrowed));
                own.dedup_by_key(|key| &key.blob);
                login.keys = own.into_iter().take(most).cloned().collect();
            }
        }
    }
    logins
}

fn tells_origins(setting: &Setting) -> bool {
    let condition = setting.condition.as_deref().unwrap_or_default();
    let condition = condition.to_ascii_lowercase();
    let mut words = matching::words(&condition).into_iter();
    let lists = ["AllowUsers", "DenyUsers"].iter();
    let lists = lists.filter(|keyword| server::is(setting, keyword)).count() > 0;
    words.any(|word| ORIGINS.contains(&word.trim_start_matches('!')))
        || lists && setting.values.iter().any(|value| value.contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use formats::access::Becoming;
    use formats::accounts::User;

    fn key(blob: &str, narrowed: bool) -> PublicKey {
        PublicKey {
            kind: "ssh-ed25519".to_owned(),
            blob: blob.to_owned(),
            fingerprint: format!("SHA256:{blob}"),
            bits: None,
            narrowed,
        }
    }

    fn logins_of(settings: Vec<Setting>, keys: Vec<PublicKey>) -> Vec<Login> {
        let way = |means| Way {
            user: "root".to_owned(),
            means,
            root: Becoming::Is,
        };
        let doors = Doors {
            server: true,
            settings,
            ..Doors::default()
        };
        let accounts = Accounts {
            users: vec![User {
                name: "root".to_owned(),
                uid: 0,
                gid: 0,
                home: "/root".to_owned(),
                shell: "/bin/sh".to_owned(),
                password: true,
            }],
            ..Accounts::default()
        };
        let keys = [Keys {
            user: "root".to_owned(),
            keys,
            lines: Vec::new(),
            forced: 0,
            stay: true,
        }];
        let ways = [way(Means::Key), way(Means::Password)];
        let session = Session {
            by: Some(LoggedIn::Key("SHA256:mine".to_owned())),
            ..Session::default()
        };
        let keys = (&keys[..], Some(&session));
        logins(&ways, (&doors, &accounts), keys, &|key| key.blob != "no")
    }

    fn setting(condition: Option<&str>, keyword: &str, value: &str) -> Setting {
        Setting {
            path: String::new(),
            condition: condition.map(str::to_owned),
            keyword: keyword.to_owned(),
            values: vec![value.to_owned()],
        }
    }

    #[test]
    fn everybody_with_a_way_in_is_asked_about_once_by_keys_that_are_taken() {
        let keys = vec![
            key("far", true),
            key("no", false),
            key("near", false),
            key("mine", false),
        ];
        let found = logins_of(Vec::new(), keys);
        let [login] = &found[..] else {
            panic!("{found:?}")
        };
        assert!(
            login.is_root && login.password && !login.by_origin,
            "{login:?}"
        );
        let blobs: Vec<&str> = login.keys.iter().map(|key| key.blob.as_str()).collect();
        assert_eq!(blobs, ["mine", "near", "far"]);
        assert!(logins_of(Vec::new(), vec![key("far", true)])[0].by_origin);
    }

    #[test]
    fn a_server_that_looks_at_where_they_come_from_is_told_apart() {
        for (condition, keyword, value, expected) in [
            (None, "AllowUsers", "root@192.0.2.*", true),
            (None, "AllowUsers", "root", false),
            (None, "VersionAddendum", "root@home", false),
            (
                Some("User ann Address 192.0.2.0/24"),
                "X11Forwarding",
                "no",
                true,
            ),
            (Some("Address=192.0.2.0/24"), "X11Forwarding", "no", true),
            (Some("User=ann LocalPort = 22"), "X11Forwarding", "no", true),
            (Some("User ann"), "X11Forwarding", "no", false),
            (Some("User=ann"), "X11Forwarding", "no", false),
        ] {
            let found = logins_of(vec![setting(condition, keyword, value)], Vec::new());
            assert_eq!(
                found[0].by_origin, expected,
                "{condition:?} {keyword} {value}"
            );
        }
    }

    #[test]
    fn fewer_keys_are_asked_about_than_the_server_takes_tries() {
        let many = || (0..9).map(|n| key(&n.to_string(), false)).collect();
        let tries = |n| vec![setting(None, "MaxAuthTries", n)];
        for (settings, expected) in [(Vec::new(), 4), (tries("3"), 2), (tries("1"), 1)] {
            assert_eq!(logins_of(settings, many())[0].keys.len(), expected);
        }
    }
}
