//! The accounts of a machine: users and groups, their numbers, and what is planned for them.
//!
//! Formats: passwd(5), shadow(5), group(5), gshadow(5), subuid(5). Names are text; everything else
//! in a line is bytes, for old GECOS fields are in old encodings.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

/// The account files of one OS, as they are on its disk. Absent files are empty.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AccountFiles {
    /// /etc/passwd.
    pub passwd: Vec<u8>,
    /// /etc/shadow.
    pub shadow: Vec<u8>,
    /// /etc/group.
    pub group: Vec<u8>,
    /// /etc/gshadow.
    pub gshadow: Vec<u8>,
    /// /etc/subuid.
    pub subuid: Vec<u8>,
    /// /etc/subgid.
    pub subgid: Vec<u8>,
}

impl fmt::Debug for AccountFiles {
    /// Without their content, for that holds password hashes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountFiles")
            .field("passwd", &self.passwd.len())
            .field("group", &self.group.len())
            .finish_non_exhaustive()
    }
}

/// Numbers that own something: as owner, as group, or in an access control list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owners {
    /// User numbers.
    pub users: BTreeSet<u32>,
    /// Group numbers.
    pub groups: BTreeSet<u32>,
}

/// What becomes of every account. Holds no password hash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountPlan {
    /// Users of the new OS, in order.
    pub users: Vec<AccountRow>,
    /// Groups of the new OS, in order.
    pub groups: Vec<AccountRow>,
    /// Old accounts that do not come along, as `user games (5)`, with the reason.
    pub left: Vec<String>,
    /// What to know: lines that were skipped, accounts that changed their shell.
    pub notes: Vec<String>,
    /// Users who come along and whose login shell is not in the new OS, with the one they get.
    #[serde(default)]
    pub shells: Vec<(String, String)>,
}

/// A user or a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRow {
    /// Its name.
    pub name: String,
    /// Its number in the old OS, if it was there.
    pub old: Option<u32>,
    /// Its number in the payload, if it is there.
    pub payload: Option<u32>,
    /// Its number in the new OS.
    pub number: u32,
    /// The rule that says so.
    pub rule: AccountRule,
}

/// Why an account has its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountRule {
    /// On both sides, under the same number.
    Same,
    /// On both sides: the old number wins, the payload's files follow.
    OldNumber,
    /// Only in the payload, number free.
    New,
    /// Only in the payload; its number belongs to somebody of the old OS, so it got another.
    Moved,
    /// A person of the old OS, on both sides or not: their number and their fields of passwd.
    Person,
    /// An old account that owns something that is kept, or that a person belongs to.
    Needed,
}

impl std::fmt::Display for AccountRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            AccountRule::Same => "same on both sides",
            AccountRule::OldNumber => "the old number wins",
            AccountRule::New => "new",
            AccountRule::Moved => "new; its number is the old OS's",
            AccountRule::Person => "a person",
            AccountRule::Needed => "owns something kept, or people belong to it",
        })
    }
}

/// From the payload's numbers to the new OS's: sorted pairs, only those that differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberMap {
    /// User numbers.
    pub users: Vec<(u32, u32)>,
    /// Group numbers.
    pub groups: Vec<(u32, u32)>,
}

impl AccountPlan {
    /// The payload's numbers that become others. A number with several names in the payload
    /// belongs to the first of them, as for everything that looks names up by number; root's
    /// always stays.
    pub fn number_map(&self) -> NumberMap {
        let map = |rows: &[AccountRow]| {
            let mut numbers = BTreeMap::from([(0, 0)]);
            for row in rows {
                if let Some(payload) = row.payload {
                    numbers.entry(payload).or_insert(row.number);
                }
            }
            numbers
                .into_iter()
                .filter(|(from, to)| from != to)
                .collect()
        };
        NumberMap {
            users: map(&self.users),
            groups: map(&self.groups),
        }
    }
}

impl NumberMap {
    /// What a user number of the payload becomes.
    pub fn user(&self, number: u32) -> u32 {
        mapped(&self.users, number)
    }

    /// What a group number of the payload becomes.
    pub fn group(&self, number: u32) -> u32 {
        mapped(&self.groups, number)
    }
}

fn mapped(pairs: &[(u32, u32)], number: u32) -> u32 {
    pairs
        .binary_search_by_key(&number, |pair| pair.0)
        .map_or(number, |at| pairs[at].1)
}

/// What can be told of an OS's accounts without a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accounts {
    /// Users, in the order of the file.
    pub users: Vec<User>,
    /// Groups, in the order of the file.
    pub groups: Vec<Group>,
    /// Lines that are no account (NIS, doubles), with the reason.
    pub skipped: Vec<String>,
    /// The numbers that the OS gives to people and to services, from login.defs(5).
    pub ranges: Ranges,
    /// What to know about users' passwords, by name.
    #[serde(default)]
    pub passwords: Vec<(String, String)>,
    /// How users' passwords are hashed, by name: `$6$`, `$y$`; those that one can log in with and that tell it,
    /// crypt(5).
    #[serde(default)]
    pub schemes: Vec<(String, String)>,
    /// Users whose password is locked with a `!`, which an ssh server without PAM lets in by nothing at all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locked: Vec<String>,
    /// Users whose account has ended (`chage -E`), shadow(5), who get in by nothing at all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expired: Vec<String>,
}

/// A user, from passwd(5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Login name.
    pub name: String,
    /// User number.
    pub uid: u32,
    /// Number of the primary group.
    pub gid: u32,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
    /// A password is set with which one can log in.
    pub password: bool,
}

/// A group, from group(5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its number.
    pub gid: u32,
    /// Its members beside those whose primary group it is.
    pub members: Vec<String>,
}

/// Ranges of numbers, both ends included, from login.defs(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ranges {
    /// `UID_MIN` and `UID_MAX`: people.
    pub users: (u32, u32),
    /// `SYS_UID_MIN` and `SYS_UID_MAX`: services.
    pub system_users: (u32, u32),
    /// `GID_MIN` and `GID_MAX`.
    pub groups: (u32, u32),
    /// `SYS_GID_MIN` and `SYS_GID_MAX`.
    pub system_groups: (u32, u32),
}

impl Default for Ranges {
    /// What Debian has.
    fn default() -> Ranges {
        Ranges {
            users: (1000, 60_000),
            system_users: (100, 999),
            groups: (1000, 60_000),
            system_groups: (100, 999),
        }
    }
}
