//! By what people may get in that is not read here and does not come along: programs that hand out keys,
//! authorities whose certificates are taken, directories of accounts, tickets.

use formats::access::{Doors, Setting};

use super::server;
use crate::files::Files;

/// Sources of accounts, nsswitch.conf(5), that are files of this machine or made up.
const OWN_SOURCES: [&str; 8] = [
    "files",
    "compat",
    "db",
    "altfiles",
    "usrfiles",
    "extrausers",
    "systemd",
    "mymachines",
];

/// Keywords that name a program or a file by which people get in, and what that is.
const NAMED: [(&str, &str); 3] = [
    ("AuthorizedKeysCommand", "keys that a program hands out"),
    (
        "AuthorizedPrincipalsCommand",
        "certificates, for whom a program says",
    ),
    ("TrustedUserCAKeys", "certificates of an authority"),
];
/// Keywords that say yes to something from elsewhere.
const ASKED: [(&str, &str); 2] = [
    ("HostbasedAuthentication", "hosts that are trusted"),
    ("KerberosAuthentication", "passwords of Kerberos"),
];

/// Each of them, with where that is said. `stays` says of a setting whether the new server has it.
pub fn found(
    files: &dyn Files,
    settings: &[Setting],
    stays: &dyn Fn(&Setting) -> bool,
) -> Vec<String> {
    let mut found = of_settings(settings, stays);
    let switch = files.text("/etc/nsswitch.conf").unwrap_or_default();
    let lines = switch
        .lines()
        .filter_map(|line| line.trim().strip_prefix("passwd:"));
    let words = lines.flat_map(|line| {
        line.split('#')
            .next()
            .unwrap_or_default()
            .split_whitespace()
    });
    let source =
        |word: &&str| !word.starts_with('[') && !word.ends_with(']') && !OWN_SOURCES.contains(word);
    let sources: Vec<&str> = words.filter(source).collect();
    if !sources.is_empty() {
        found.push(format!(
            "accounts of {} (/etc/nsswitch.conf)",
            sources.join(", ")
        ));
    }
    // Lines of NIS, whoever looks at them.
    let passwd = files.text("/etc/passwd").unwrap_or_default();
    if passwd.lines().any(|line| line.starts_with('+')) {
        found.push("accounts of NIS (/etc/passwd)".to_owned());
    }
    found.dedup();
    found
}

/// Those that the server's settings say.
pub fn of_settings(settings: &[Setting], stays: &dyn Fn(&Setting) -> bool) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for setting in settings.iter().filter(|setting| !stays(setting)) {
        let Some(value) = setting.values.first() else {
            continue;
        };
        let named = NAMED.iter().filter(|_| !value.eq_ignore_ascii_case("none"));
        let asked = ASKED.iter().filter(|_| value.eq_ignore_ascii_case("yes"));
        let mut all = named.chain(asked);
        if let Some((keyword, what)) = all.find(|(keyword, _)| server::is(setting, keyword)) {
            found.push(format!("{what} ({keyword} {})", setting.values.join(" ")));
        }
    }
    found
}

/// Whether the new server has something of that kind: by its own settings, or of those of the old one.
pub fn is_there(old: &Doors, new: &Doors) -> bool {
    let nothing = |_: &Setting| false;
    let all = of_settings(&old.settings, &nothing);
    all.iter().any(|one| !old.elsewhere.contains(one))
        || !of_settings(&new.settings, &nothing).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests::Tree;

    #[test]
    fn what_comes_along_is_there_and_what_does_not_is_not() {
        let setting = |keyword: &str| Setting {
            path: String::new(),
            condition: None,
            keyword: keyword.to_owned(),
            values: vec!["/x".to_owned()],
        };
        let doors = |keyword: &str, elsewhere: &[&str]| Doors {
            settings: vec![setting(keyword)],
            elsewhere: elsewhere.iter().map(|text| (*text).to_owned()).collect(),
            ..Doors::default()
        };
        let lost = "certificates of an authority (TrustedUserCAKeys /x)";
        let (authority, port) = ("TrustedUserCAKeys", "Port");
        for (old, new, expected) in [
            (doors(port, &[]), doors(port, &[]), false),
            (doors(authority, &[]), doors(port, &[]), true),
            (doors(authority, &[lost]), doors(port, &[]), false),
            (doors(authority, &[lost]), doors(authority, &[]), true),
        ] {
            assert_eq!(is_there(&old, &new), expected, "{old:?} {new:?}");
        }
    }

    fn of(switch: &str, settings: &[(&str, &str)]) -> Vec<String> {
        let tree = [("/etc/nsswitch.conf", switch)];
        let setting = |(keyword, value): &(&str, &str)| Setting {
            path: String::new(),
            condition: None,
            keyword: (*keyword).to_owned(),
            values: vec![(*value).to_owned()],
        };
        let settings: Vec<Setting> = settings.iter().map(setting).collect();
        found(&Tree(&tree), &settings, &|setting| {
            setting.values == ["/carried"]
        })
    }

    #[test]
    fn what_lets_people_in_from_elsewhere_is_named() {
        let nothing = [""; 0];
        assert_eq!(of("", &[]), nothing);
        let debian = "# x\npasswd:         files systemd\ngroup: files sss\n";
        assert_eq!(
            of(
                debian,
                &[
                    ("AuthorizedKeysCommand", "none"),
                    ("HostbasedAuthentication", "no")
                ]
            ),
            nothing
        );
        assert_eq!(
            of("passwd: compat [NOTFOUND=return] extrausers\n", &[]),
            nothing
        );
        assert_eq!(
            of("passwd: sss files  # first\n", &[]),
            ["accounts of sss (/etc/nsswitch.conf)"]
        );
        assert_eq!(
            of(
                "passwd:\tfiles ldap winbind\n",
                &[("authorizedkeyscommand", "/usr/bin/keys")]
            ),
            [
                "keys that a program hands out (AuthorizedKeysCommand /usr/bin/keys)",
                "accounts of ldap, winbind (/etc/nsswitch.conf)"
            ]
        );
        assert_eq!(
            of(
                "",
                &[
                    ("TrustedUserCAKeys", "/etc/ca.pub"),
                    ("TrustedUserCAKeys", "/carried")
                ]
            ),
            ["certificates of an authority (TrustedUserCAKeys /etc/ca.pub)"]
        );
        let tree = Tree(&[("/etc/passwd", "root:x:0:0::/:/bin/sh\n+::::::\n")]);
        assert_eq!(
            found(&tree, &[], &|_| false),
            ["accounts of NIS (/etc/passwd)"]
        );
    }
}
