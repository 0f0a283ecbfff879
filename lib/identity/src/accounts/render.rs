//! The account files of the new OS: a pure function of both OSes' files and the plan.
//!
//! | Account | passwd | shadow |
//! |---|---|---|
//! | root | payload's | old |
//! | `Person`, `Needed` | old, with the planned shell | old |
//! | on both sides otherwise | payload's, with the planned number | old if one can log in with it, else payload's |
//! | only in the payload | payload's, with the planned number | payload's |
//!
//! A whole line of shadow(5) is taken, with its ageing. A hash that stands in passwd(5) or group(5)
//! moves to the shadowed file. A payload's primary group follows its name. Groups have the members
//! of both sides who are in the new OS, and their gshadow(5) lines the same ones. Subordinate
//! numbers come from the old OS for those who come along; a range of the payload that overlaps
//! one of those is left out, for it would give one user's containers to another.
//!
//! Rendering again with the result in the payload's place changes nothing. Lines for NIS, comments
//! and doubles are not written.

use std::collections::{BTreeMap, BTreeSet};

use super::lines::{self, Group, Gshadow, Lines, Passwd, Shadow, Subordinate};
use super::{password, AccountError};
use formats::accounts::{AccountFiles, AccountPlan, AccountRow, AccountRule};

/// Writes the six files. Fails where a file does not parse, or has not the accounts that the plan
/// was made of.
pub fn render(
    old: &AccountFiles,
    payload: &AccountFiles,
    plan: &AccountPlan,
) -> Result<AccountFiles, AccountError> {
    let old = Files::read(old)?;
    let payload = Files::read(payload)?;
    for (file, rows, names) in [
        (
            "/etc/passwd",
            &plan.users,
            payload.users.keys().collect::<Vec<_>>(),
        ),
        ("/etc/group", &plan.groups, payload.groups.keys().collect()),
    ] {
        let planned: BTreeSet<&str> = rows.iter().map(|row| &*row.name).collect();
        if let Some(name) = names.into_iter().find(|name| !planned.contains(**name)) {
            let what = format!("{name} of the new OS is not in the plan");
            return Err(AccountError::NotAsPlanned { file, what });
        }
    }
    let (passwd, shadow) = users(&old, &payload, plan)?;
    let (group, gshadow) = groups(&old, &payload, plan)?;
    Ok(AccountFiles {
        passwd,
        shadow,
        group,
        gshadow,
        subuid: subordinate(&old, &payload, plan, |files| &files.subuid),
        subgid: subordinate(&old, &payload, plan, |files| &files.subgid),
    })
}

/// The lines of one OS, by name.
struct Files<'a> {
    users: BTreeMap<&'a str, Passwd<'a>>,
    shadow: BTreeMap<&'a str, Shadow<'a>>,
    groups: BTreeMap<&'a str, Group<'a>>,
    gshadow: BTreeMap<&'a str, Gshadow<'a>>,
    subuid: Vec<Subordinate<'a>>,
    subgid: Vec<Subordinate<'a>>,
    /// The first name of each number.
    user_names: BTreeMap<u32, &'a str>,
    group_names: BTreeMap<u32, &'a str>,
}

impl<'a> Files<'a> {
    fn read(files: &'a AccountFiles) -> Result<Self, AccountError> {
        fn by_name<'a, T>(lines: Lines<T>, name: impl Fn(&T) -> &'a str) -> BTreeMap<&'a str, T> {
            let entries = lines.entries.into_iter();
            entries.map(|entry| (name(&entry), entry)).collect()
        }
        let passwd = lines::passwd(&files.passwd)?;
        let group = lines::group(&files.group)?;
        let mut user_names = BTreeMap::new();
        for line in &passwd.entries {
            user_names.entry(line.uid).or_insert(line.name);
        }
        let mut group_names = BTreeMap::new();
        for line in &group.entries {
            group_names.entry(line.gid).or_insert(line.name);
        }
        Ok(Self {
            users: by_name(passwd, |line| line.name),
            shadow: by_name(lines::shadow(&files.shadow)?, |line| line.name),
            groups: by_name(group, |line| line.name),
            gshadow: by_name(lines::gshadow(&files.gshadow)?, |line| line.name),
            subuid: lines::subuid(&files.subuid)?.entries,
            subgid: lines::subgid(&files.subgid)?.entries,
            user_names,
            group_names,
        })
    }

    /// What shadow(5) says of a user, or would if passwd(5) held no hashes.
    fn shadow_of(&self, user: &Passwd<'a>) -> Shadow<'a> {
        // As pwconv(8) makes one, with a day of change that ages nothing.
        let blank = Shadow {
            name: user.name,
            password: b"*",
            ageing: [b"", b"0", b"99999", b"7", b"", b"", b""],
        };
        let line = self.shadow.get(user.name).copied();
        match user.password {
            b"x" => line.unwrap_or(blank),
            password => Shadow {
                password,
                ..line.unwrap_or(blank)
            },
        }
    }

    /// The group's password as gshadow(5) has it, or would if group(5) held none.
    fn group_password(&self, group: &Group<'a>) -> &'a [u8] {
        match (group.password, self.gshadow.get(group.name)) {
            (b"x" | b"", Some(line)) => line.password,
            // No password at all: nobody joins who is no member.
            (b"x" | b"", None) => b"!",
            (password, _) => password,
        }
    }
}

fn missing<T>(
    found: Option<T>,
    file: &'static str,
    name: &str,
    os: &str,
) -> Result<T, AccountError> {
    found.ok_or_else(|| AccountError::NotAsPlanned {
        file,
        what: format!("{name} of the plan is not in the {os} OS"),
    })
}

fn users(
    old: &Files,
    payload: &Files,
    plan: &AccountPlan,
) -> Result<(Vec<u8>, Vec<u8>), AccountError> {
    const FILE: &str = "/etc/passwd";
    let shells: BTreeMap<&str, &str> = plan.shells.iter().map(|(n, s)| (&**n, &**s)).collect();
    let groups: BTreeMap<&str, u32> = plan.groups.iter().map(|r| (&*r.name, r.number)).collect();
    let (mut passwd, mut shadow) = (Vec::new(), Vec::new());
    for row in &plan.users {
        let name = row.name.as_str();
        let ours = || missing(old.users.get(name), FILE, name, "old");
        let theirs = || missing(payload.users.get(name), FILE, name, "new");
        let (line, gid, secret) = if brings_its_fields(row) {
            let mut line = *ours()?;
            if let Some(shell) = shells.get(name) {
                line.shell = shell.as_bytes();
            }
            (line, line.gid, old.shadow_of(&line))
        } else {
            let line = *theirs()?;
            let group = payload.group_names.get(&line.gid);
            let gid = group.and_then(|name| groups.get(name)).copied();
            let mut secret = payload.shadow_of(&line);
            // Not for who merely has the name of another number: that one's password must not
            // become, say, root's.
            if row.old == Some(row.number) {
                let ours = old.shadow_of(ours()?);
                if row.number == 0 || password::is_usable(ours.password) {
                    secret = ours;
                }
            }
            (line, gid.unwrap_or(line.gid), secret)
        };
        let (uid, gid) = (row.number.to_string(), gid.to_string());
        let (uid, gid) = (uid.as_bytes(), gid.as_bytes());
        let fields = [
            name.as_bytes(),
            b"x",
            uid,
            gid,
            line.gecos,
            line.home,
            line.shell,
        ];
        push(&mut passwd, &fields);
        push(
            &mut shadow,
            &[&[name.as_bytes(), secret.password], &secret.ageing[..]].concat(),
        );
    }
    Ok((passwd, shadow))
}

/// Whether a user's fields of passwd come from the old OS.
fn brings_its_fields(row: &AccountRow) -> bool {
    matches!(row.rule, AccountRule::Person | AccountRule::Needed)
}

fn groups(
    old: &Files,
    payload: &Files,
    plan: &AccountPlan,
) -> Result<(Vec<u8>, Vec<u8>), AccountError> {
    const FILE: &str = "/etc/group";
    let users: BTreeMap<&str, Option<u32>> =
        plan.users.iter().map(|row| (&*row.name, row.old)).collect();
    let (mut group, mut gshadow) = (Vec::new(), Vec::new());
    for row in &plan.groups {
        let name = row.name.as_str();
        let ours = match row.old {
            Some(_) => Some(missing(old.groups.get(name), FILE, name, "old")?),
            None => None,
        };
        let theirs = payload.groups.get(name);
        if row.payload.is_some() {
            missing(theirs, FILE, name, "new")?;
        }
        let (mut members, mut administrators) = (Vec::new(), Vec::new());
        let mut from = |files: &Files, group: Option<&Group>, counts: &dyn Fn(&str) -> bool| {
            let admins = files.gshadow.get(name).map(|line| &line.administrators);
            for (list, names) in [
                (&mut members, group.map(|group| &group.members)),
                (&mut administrators, admins),
            ] {
                for member in names.into_iter().flatten().filter(|name| counts(name)) {
                    if !list.iter().any(|known| known == member) {
                        list.push((*member).to_owned());
                    }
                }
            }
        };
        from(payload, theirs, &|name| users.contains_key(name));
        if ours.is_some() {
            from(old, ours, &|name| {
                users.get(name).is_some_and(Option::is_some)
            });
        }
        let passwords = [
            ours.map(|group| old.group_password(group)),
            theirs.map(|group| payload.group_password(group)),
        ];
        let mut passwords = passwords.into_iter().flatten();
        let usable = passwords
            .clone()
            .find(|p| !p.is_empty() && password::is_usable(p));
        let secret = usable.or(passwords.next_back()).unwrap_or(b"!");
        let (members, administrators) = (members.join(","), administrators.join(","));
        let number = row.number.to_string();
        let (name, members) = (name.as_bytes(), members.as_bytes());
        push(&mut group, &[name, b"x", number.as_bytes(), members]);
        push(
            &mut gshadow,
            &[name, secret, administrators.as_bytes(), members],
        );
    }
    Ok((group, gshadow))
}

/// Subordinate numbers, the payload's first.
fn subordinate(
    old: &Files,
    payload: &Files,
    plan: &AccountPlan,
    lines: impl for<'f, 'a> Fn(&'f Files<'a>) -> &'f Vec<Subordinate<'a>>,
) -> Vec<u8> {
    let rows: BTreeMap<&str, &AccountRow> = plan.users.iter().map(|r| (&*r.name, r)).collect();
    let row = |files: &Files, owner: &str| -> Option<&AccountRow> {
        let number = owner.parse().ok();
        // A name may be all digits, and is a name first.
        let by_number = || files.user_names.get(&number?).copied();
        let name = if files.users.contains_key(owner) {
            Some(owner)
        } else {
            by_number()
        };
        rows.get(name?).copied()
    };
    let ours: Vec<(&Subordinate, &AccountRow)> = lines(old)
        .iter()
        .filter_map(|line| Some((line, row(old, line.owner)?)))
        .filter(|(_, row)| row.old.is_some())
        .collect();
    let overlaps = |a: &Subordinate, b: &Subordinate| {
        a.first < b.first + b.count && b.first < a.first + a.count
    };
    let theirs = lines(payload).iter().filter_map(|line| {
        let row = row(payload, line.owner)?;
        let replaced = ours
            .iter()
            .any(|(ours, owner)| owner.name == row.name || overlaps(ours, line));
        (!replaced).then_some((line, row))
    });
    let mut out = Vec::new();
    for (line, row) in theirs.chain(ours.iter().copied()) {
        // By name, also what was by number: two accounts may have that.
        let (first, count) = (line.first.to_string(), line.count.to_string());
        push(
            &mut out,
            &[row.name.as_bytes(), first.as_bytes(), count.as_bytes()],
        );
    }
    out
}

fn push(out: &mut Vec<u8>, fields: &[&[u8]]) {
    out.extend_from_slice(&fields.join(&b':'));
    out.push(b'\n');
}
