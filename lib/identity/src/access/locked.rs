//! People whose password is locked (`!` first, shadow(5)): an ssh server that does not ask PAM lets them in by
//! nothing, not by a key either; with PAM a lock ends the password alone.
//!
//! And those whose account has ended, whom nobody lets in.
//!
//! The rule is OpenSSH's `allowed_user` with `LOCKED_PASSWD_PREFIX`, which is `!` on Linux.

use formats::access::{Doors, Setting, Way};
use formats::accounts::{AccountPlan, AccountRow, Accounts};
use formats::identity::{IdentityPlan, NewIdentity, OldIdentity};

use super::{server, written};
use crate::accounts::{brings_its_fields, shell};

/// Whether a server keeps somebody out for that.
pub fn keeps_out(doors: &Doors, user: &str, accounts: &Accounts) -> bool {
    !server::asks_pam(doors) && accounts.locked.iter().any(|locked| locked == user)
}

/// Who is locked in the new OS: whose line of shadow(5) is that of an OS in which they are.
pub fn new(old: &Accounts, payload: &Accounts, plan: &AccountPlan) -> Vec<String> {
    let rows = plan.users.iter();
    let locked = rows.filter(|row| {
        let accounts = if has_old_password(row, old) {
            old
        } else {
            payload
        };
        accounts.locked.contains(&row.name)
    });
    locked.map(|row| row.name.clone()).collect()
}

/// Whose account has ended in the new OS, for the day on which it does comes along.
pub fn expired(old: &Accounts, plan: &AccountPlan) -> Vec<String> {
    let rows = plan.users.iter();
    let ended = rows.filter(|row| has_old_password(row, old) && old.expired.contains(&row.name));
    ended.map(|row| row.name.clone()).collect()
}

/// Whether their line of shadow(5) is the old one, as it is written: see `accounts/render.rs`.
pub(super) fn has_old_password(row: &AccountRow, old: &Accounts) -> bool {
    let usable = || {
        let mut users = old.users.iter();
        users.any(|user| user.name == row.name && user.password)
    };
    brings_its_fields(row.rule) || row.old == Some(row.number) && (row.number == 0 || usable())
}

/// Whom the old server kept out for that, and the new one would let in, for it asks PAM. The operator is not among
/// them: they are in. Nobody is, where nothing is known of the old server.
pub fn let_in_by_pam(
    old: &OldIdentity,
    new: &NewIdentity,
    (accounts, payload): (&Accounts, &Accounts),
    merged: &AccountPlan,
) -> Vec<String> {
    let asks = new.doors.as_ref().is_some_and(server::asks_pam);
    if !old.doors.server || old.doors.settings.is_empty() || !asks {
        return Vec::new();
    }
    let has_shell = |name: &str| {
        let users = accounts.users.iter().chain(&payload.users);
        users
            .filter(|user| user.name == name)
            .any(|user| shell::lets_in(&user.shell))
    };
    let is_operator = |name: &str| old.session.as_ref().is_some_and(|s| s.user == name);
    let names = self::new(accounts, payload, merged).into_iter();
    names
        .filter(|name| keeps_out(&old.doors, name, accounts))
        .filter(|name| has_shell(name) && !is_operator(name))
        .collect()
}

/// What keeps them out of a server that asks PAM.
pub fn setting(names: &[String]) -> Option<Setting> {
    // In a list a name is a pattern.
    let pattern = |name: &String| -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.-$".contains(c);
        name.bytes()
            .map(|byte| Some(char::from(byte)).filter(|c| plain(*c)).unwrap_or('?'))
            .collect()
    };
    (!names.is_empty()).then(|| Setting {
        path: written::SETTINGS.to_owned(),
        condition: None,
        keyword: "DenyUsers".to_owned(),
        values: names.iter().map(pattern).collect(),
    })
}

/// Why some lose their way in, where it is for this.
pub fn lost(
    plan: &IdentityPlan,
    new: &Doors,
    (accounts, payload): (&Accounts, &Accounts),
    merged: &AccountPlan,
) -> Option<String> {
    if !new.server || server::asks_pam(new) {
        return None;
    }
    let (before, after) = &plan.ways;
    let is_in = |ways: &[Way], name: &String| ways.iter().any(|way| way.user == *name);
    let mut names = self::new(accounts, payload, merged);
    names.retain(|name| is_in(before, name) && !is_in(after, name));
    (!names.is_empty()).then(|| {
        format!(
            "the new ssh server does not ask PAM, and lets in nobody whose password is locked with a `!`, by key \
             neither ({}): give the image a server with `UsePAM yes`",
            names.join(", ")
        )
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use formats::access::Session;
    use formats::accounts::{AccountRule, User};

    fn doors(text: &str) -> Doors {
        Doors {
            server: true,
            settings: server::tests::settings(text),
            ..Doors::default()
        }
    }

    pub(in crate::access) fn accounts(
        users: &[(&str, u32, &str, bool)],
        locked: &[&str],
    ) -> Accounts {
        let users = users.iter().map(|(name, uid, shell, password)| User {
            name: (*name).to_owned(),
            uid: *uid,
            gid: *uid,
            home: String::new(),
            shell: (*shell).to_owned(),
            password: *password,
        });
        Accounts {
            users: users.collect(),
            locked: locked.iter().map(|name| (*name).to_owned()).collect(),
            ..Accounts::default()
        }
    }

    pub(in crate::access) fn row(
        name: &str,
        old: Option<u32>,
        number: u32,
        rule: AccountRule,
    ) -> AccountRow {
        AccountRow {
            name: name.to_owned(),
            old,
            payload: None,
            number,
            rule,
        }
    }

    #[test]
    fn a_lock_keeps_out_where_nobody_asks_pam() {
        let accounts = accounts(&[("ann", 1000, "/bin/sh", false)], &["ann"]);
        for (text, user, expected) in [
            ("", "ann", true),
            ("UsePAM no", "ann", true),
            ("usepam yes\nUsePAM no", "ann", false),
            ("UsePAM no", "bob", false),
        ] {
            assert_eq!(keeps_out(&doors(text), user, &accounts), expected, "{text}");
        }
    }

    #[test]
    fn who_is_locked_in_the_new_os_follows_the_line_that_they_get() {
        let old = accounts(
            &[
                ("root", 0, "/bin/sh", false),
                ("ann", 1000, "/bin/sh", false),
                ("www", 33, "/bin/sh", false),
                ("own", 34, "/bin/sh", true),
                ("moved", 35, "/bin/sh", false),
            ],
            &["root", "ann", "www", "moved"],
        );
        let payload = accounts(
            &[("new", 900, "/bin/sh", false)],
            &["new", "own", "moved", "nobody"],
        );
        let plan = AccountPlan {
            users: vec![
                row("root", Some(0), 0, AccountRule::Same),
                row("ann", Some(1000), 1000, AccountRule::Person),
                row("www", Some(33), 33, AccountRule::Same),
                row("own", Some(34), 34, AccountRule::Same),
                row("moved", Some(35), 990, AccountRule::Moved),
                row("new", None, 900, AccountRule::New),
            ],
            ..AccountPlan::default()
        };
        let gone = ["ann", "www", "own", "moved"].map(str::to_owned).to_vec();
        let old = Accounts {
            expired: gone,
            ..old
        };
        assert_eq!(expired(&old, &plan), ["ann", "own"]);
        // The payload's line of www is not locked; the old line of own, which has a password, is not either.
        assert_eq!(
            super::new(&old, &payload, &plan),
            ["root", "ann", "moved", "new"]
        );
    }

    #[test]
    fn whom_a_lock_kept_out_is_kept_out_by_name_where_pam_would_let_them_in() {
        let people = accounts(
            &[
                ("root", 0, "/bin/bash", false),
                ("ann", 1000, "/bin/sh", false),
                ("web", 1001, "/usr/sbin/nologin", false),
                ("bob", 1002, "/bin/sh", true),
            ],
            &["root", "ann", "web"],
        );
        let users = people.users.iter();
        let plan = AccountPlan {
            users: users
                .map(|u| row(&u.name, Some(u.uid), u.uid, AccountRule::Person))
                .collect(),
            ..AccountPlan::default()
        };
        let asked = |old: &str, new: &str, user: Option<&str>| {
            let old = OldIdentity {
                doors: doors(old),
                session: user.map(|user| Session {
                    user: user.to_owned(),
                    ..Session::default()
                }),
                ..OldIdentity::default()
            };
            let new = NewIdentity {
                doors: Some(doors(new)),
                ..NewIdentity::default()
            };
            let_in_by_pam(&old, &new, (&people, &Accounts::default()), &plan)
        };
        for (old, new, user, expected) in [
            ("UsePAM no", "UsePAM yes", None, &["root", "ann"][..]),
            ("Port 22", "UsePAM yes", None, &["root", "ann"]),
            // Whoever is in was let in, whatever is thought of their server.
            ("Port 22", "UsePAM yes", Some("root"), &["ann"]),
            ("UsePAM yes", "UsePAM yes", None, &[]),
            ("UsePAM no", "UsePAM no", None, &[]),
            ("", "UsePAM yes", None, &[]),
        ] {
            assert_eq!(asked(old, new, user), expected, "{old:?} {new:?} {user:?}");
        }
    }

    #[test]
    fn a_name_is_no_pattern_of_other_peoples() {
        let names = ["ann", "CORP\\bob", "!x", "a*"].map(str::to_owned);
        let setting = setting(&names).unwrap();
        assert_eq!(setting.keyword, "DenyUsers");
        assert_eq!(setting.values, ["ann", "CORP?bob", "?x", "a?"]);
        assert_eq!(super::setting(&[]), None);
    }
}
