//! What the new OS's server says of itself once its tree is finished (`sshd -T`, with `-C` for one connection), compared
//! with what the plan promised by its own reading of what the server is told.
//!
//! Only what decides who gets in is compared, and what they are held to. A word that differs without letting in more, or
//! shutting out somebody who has a way in, is no difference: a server says some things in its own way.

use std::collections::BTreeSet;

use formats::access::{Doors, Login, Promise, Promised, Session, Setting};
use formats::accounts::{Accounts, User};

use super::matching::{self, Connection};
use super::{in_force, server};
use crate::network::old::glob;

/// Criteria of `Match` whose answer is the same here as in the server.
const KNOWN: [&str; 6] = [
    "all",
    "user",
    "group",
    "address",
    "localaddress",
    "localport",
];

/// Keywords that say yes or no, of which `no` lets in less.
const YES_OR_NO: [&str; 3] = [
    "PasswordAuthentication",
    "PubkeyAuthentication",
    "PermitEmptyPasswords",
];

/// How far root gets in, from not at all on.
const ROOT: [&str; 4] = ["no", "forced-commands-only", "prohibit-password", "yes"];

/// What people are held to, with the word that holds them to nothing.
const HELD_TO: [(&str, &str); 3] = [
    ("ForceCommand", "none"),
    ("ChrootDirectory", "none"),
    ("AuthenticationMethods", "any"),
];

/// Lists of those who get in, and of those who do not.
const ALLOW: [&str; 2] = ["AllowUsers", "AllowGroups"];
const DENY: [&str; 2] = ["DenyUsers", "DenyGroups"];

/// How a server differs from what was promised, one line each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// It lets in more, or holds to less.
    pub weaker: Vec<String>,
    /// It does not let in who was promised to get in.
    pub shut_out: Vec<String>,
}

impl Differences {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.weaker.is_empty() && self.shut_out.is_empty()
    }

    /// Adds another's.
    pub fn extend(&mut self, other: Differences) {
        self.weaker.extend(other.weaker);
        self.shut_out.extend(other.shut_out);
    }
}

impl std::fmt::Display for Differences {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let weaker = self
            .weaker
            .iter()
            .map(|line| format!("lets in more: {line}"));
        let shut_out = self
            .shut_out
            .iter()
            .map(|line| format!("shuts out: {line}"));
        let all: Vec<String> = weaker.chain(shut_out).collect();
        write!(f, "{}", all.join("; "))
    }
}

/// What is promised of the new server, `doors`, for everybody who has a way in, and for others who may log in; nothing
/// where a `Match` asks what is not known here. `has_key` says of a name whether the server has keys of theirs.
pub fn promise(
    doors: &Doors,
    accounts: &Accounts,
    session: Option<&Session>,
    logins: &[Login],
    has_key: &dyn Fn(&str) -> bool,
) -> Option<Promise> {
    let is_known = |setting: &Setting| {
        let condition = setting.condition.as_deref();
        condition.is_none_or(|condition| {
            let criteria = matching::words(condition).into_iter().step_by(2);
            criteria
                .map(str::to_ascii_lowercase)
                .all(|criterion| KNOWN.contains(&criterion.as_str()))
        })
    };
    if !doors.is_read() || !doors.settings.iter().all(is_known) {
        return None;
    }
    let ports = server::ports(doors);
    let port = ports.first().copied().unwrap_or(server::PORT);
    let session = in_force::session_or_local(session, port);
    let login = |name: &str| logins.iter().find(|login| login.user == name);
    let may = |name: &str, password: bool| password || has_key(name);
    let mut people: Vec<&User> = accounts
        .users
        .iter()
        .filter(|user| {
            user.uid == 0 || login(&user.name).is_some() || may(&user.name, user.password)
        })
        .collect();
    people.sort_by_key(|user| login(&user.name).is_none());
    let people = people.into_iter().take(in_force::MOST).map(|user| {
        let connection = Connection {
            user: &user.name,
            groups: server::groups_of(&user.name, accounts),
            session: Some(&session),
        };
        let own = matching::resolved(doors, &connection);
        let login = login(&user.name);
        Promised {
            user: user.name.clone(),
            is_root: user.uid == 0,
            key: login.is_some_and(|login| !login.keys.is_empty()),
            password: login.is_some_and(|login| login.password),
            settings: counted(&own),
        }
    });
    let mut files: Vec<String> = doors.settings.iter().map(|s| s.path.clone()).collect();
    files.sort();
    files.dedup();
    Some(Promise {
        people: people.collect(),
        release: doors.release,
        session,
        files,
    })
}

/// The settings that are compared.
fn counted(doors: &Doors) -> Vec<Setting> {
    let held_to = HELD_TO.iter().map(|(keyword, _)| *keyword);
    let others = [
        "PermitRootLogin",
        "KbdInteractiveAuthentication",
        "UsePAM",
        "AuthorizedKeysFile",
        server::AUTHORITY,
    ];
    let lists = ALLOW.into_iter().chain(DENY);
    let keywords: Vec<&str> = YES_OR_NO
        .into_iter()
        .chain(held_to)
        .chain(others)
        .chain(lists)
        .collect();
    let counts = |setting: &&Setting| keywords.iter().any(|keyword| server::is(setting, keyword));
    // Where they stand says nothing to whoever compares.
    let plain = |setting: &Setting| Setting {
        path: String::new(),
        ..setting.clone()
    };
    doors.settings.iter().filter(counts).map(plain).collect()
}

/// How what the server says for one of them differs from what was promised; nothing where it said nothing.
#[must_use]
pub fn differences(
    promised: &Promised,
    release: Option<(u32, u32)>,
    said: &[Setting],
) -> Differences {
    if said.is_empty() {
        return Differences::default();
    }
    let doors = |settings: &[Setting]| Doors {
        server: true,
        release,
        settings: settings.to_vec(),
        ..Doors::default()
    };
    let mut sides = Sides {
        promised,
        then: doors(&promised.settings),
        now: doors(said),
        found: Differences::default(),
    };
    sides.means();
    sides.root();
    sides.held_to();
    sides.keys();
    sides.lists();
    sides.found
}

/// Whether something lets in more, and whether it shuts out somebody who has a way in.
#[derive(Clone, Copy)]
struct Is {
    weaker: bool,
    shut_out: bool,
}

/// What was promised of somebody, and what the server says.
struct Sides<'p> {
    promised: &'p Promised,
    then: Doors,
    now: Doors,
    found: Differences,
}

impl Sides<'_> {
    fn tell(&mut self, is: Is, keyword: &str, (then, now): (&str, &str)) {
        let user = &self.promised.user;
        let line = format!("{keyword} is {now} for {user}, and {then} was promised");
        if is.weaker {
            self.found.weaker.push(line.clone());
        }
        if is.shut_out {
            self.found.shut_out.push(line);
        }
    }

    /// What both come to.
    fn both<T>(&self, of: impl Fn(&Doors) -> T) -> (T, T) {
        (of(&self.then), of(&self.now))
    }

    fn has_way(&self) -> bool {
        self.promised.key || self.promised.password
    }

    fn means(&mut self) {
        for keyword in YES_OR_NO {
            let is_yes = |doors: &Doors| server::value(doors, keyword).as_deref() == Some("yes");
            let (was, is) = self.both(is_yes);
            let needed = keyword == "PubkeyAuthentication" && self.promised.key;
            self.tell_switch(keyword, (was, is), needed);
        }
        // Whoever asks nobody has nothing to ask by it.
        let typed = |doors: &Doors| {
            let said = server::value(doors, "KbdInteractiveAuthentication");
            said.as_deref() == Some("yes") && server::asks_pam(doors)
        };
        let typed = self.both(typed);
        self.tell_switch("KbdInteractiveAuthentication", typed, false);
        // A password is asked for by either.
        let (was, is) = self.both(server::asks_for_passwords);
        let gone = Is {
            weaker: false,
            shut_out: self.promised.password && was && !is,
        };
        self.tell(
            gone,
            "a password asked for",
            (yes_or_no(was), yes_or_no(is)),
        );
    }

    fn tell_switch(&mut self, keyword: &str, (was, is): (bool, bool), needed: bool) {
        let differs = Is {
            weaker: is && !was,
            shut_out: was && !is && needed,
        };
        self.tell(differs, keyword, (yes_or_no(was), yes_or_no(is)));
    }

    fn root(&mut self) {
        if !self.promised.is_root {
            return;
        }
        let (then, now) = self.both(|doors| {
            in_force::one_word(&server::value(doors, "PermitRootLogin").unwrap_or_default())
        });
        let rank = |value: &str| ROOT.iter().position(|word| *word == value);
        let (was, is) = (rank(&then), rank(&now));
        let least = rank(if self.promised.password {
            "yes"
        } else {
            "prohibit-password"
        });
        let differs = Is {
            // A word that is not known here may let in anybody.
            weaker: is.is_none_or(|is| was.is_some_and(|was| is > was)),
            shut_out: self.has_way() && is < least && was >= least,
        };
        self.tell(differs, "PermitRootLogin", (&then, &now));
    }

    fn held_to(&mut self) {
        for (keyword, none) in HELD_TO {
            let (then, now) = self.both(|doors| {
                let first = server::said(doors, keyword).next();
                let text = first.map_or_else(String::new, |setting| setting.values.join(" "));
                let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
                let is_none = text.is_empty() || text.eq_ignore_ascii_case(none);
                if is_none {
                    none.to_owned()
                } else {
                    text
                }
            });
            let differs = Is {
                weaker: then != now && then != none,
                shut_out: then != now && now != none && self.has_way(),
            };
            self.tell(differs, keyword, (&then, &now));
        }
    }

    fn keys(&mut self) {
        let (was, is) = self.both(|doors| {
            let said = server::said(doors, server::AUTHORITY).next();
            let path = said.and_then(|setting| setting.values.first().cloned());
            path.filter(|path| !path.eq_ignore_ascii_case("none"))
        });
        let differs = Is {
            weaker: is.is_some() && is != was,
            shut_out: false,
        };
        let word = |path: &Option<String>| path.clone().unwrap_or_else(|| "none".to_owned());
        self.tell(differs, server::AUTHORITY, (&word(&was), &word(&is)));

        let (was, is) = self.both(|doors| {
            let all = server::key_files(doors).into_iter();
            all.map(|place| server::in_home(&place).map_or(place.clone(), str::to_owned))
                .filter(|place| !place.eq_ignore_ascii_case("none"))
                .collect::<BTreeSet<String>>()
        });
        let differs = Is {
            weaker: !is.is_subset(&was),
            shut_out: !was.is_subset(&is) && self.promised.key,
        };
        self.tell(differs, "AuthorizedKeysFile", (&listed(&was), &listed(&is)));
    }

    fn lists(&mut self) {
        for keyword in ALLOW {
            let (was, is) = self.both(|doors| words(doors, keyword));
            let mut gone = was.difference(&is);
            let without = gone.any(|pattern| self.is_theirs(keyword, pattern));
            let differs = Is {
                weaker: !was.is_empty() && (is.is_empty() || !is.is_subset(&was)),
                shut_out: !is.is_empty() && (was.is_empty() || without) && self.has_way(),
            };
            self.tell(differs, keyword, (&listed(&was), &listed(&is)));
        }
        for keyword in DENY {
            let (was, is) = self.both(|doors| words(doors, keyword));
            let mut more = is.difference(&was);
            let against = more.any(|pattern| self.is_theirs(keyword, pattern));
            let differs = Is {
                weaker: !was.is_subset(&is),
                shut_out: against && self.has_way(),
            };
            self.tell(differs, keyword, (&listed(&was), &listed(&is)));
        }
    }

    /// Whether a pattern is about them. Which groups they are in is not known here: each may be theirs.
    fn is_theirs(&self, keyword: &str, pattern: &str) -> bool {
        let name = pattern.split('@').next().unwrap_or_default();
        keyword.ends_with("Groups") || glob::matches(name, &self.promised.user)
    }
}

/// The patterns of a list. Which blanks are a name's own the server does not say.
fn words(doors: &Doors, keyword: &str) -> BTreeSet<String> {
    let values = server::said(doors, keyword).flat_map(|setting| &setting.values);
    let words = values.flat_map(|value| value.split_whitespace());
    words.map(str::to_owned).collect()
}

fn yes_or_no(yes: bool) -> &'static str {
    if yes {
        "yes"
    } else {
        "no"
    }
}

fn listed(words: &BTreeSet<String>) -> String {
    if words.is_empty() {
        return "nothing".to_owned();
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    words.join(" ")
}

#[cfg(test)]
#[path = "compared_tests.rs"]
mod tests;
