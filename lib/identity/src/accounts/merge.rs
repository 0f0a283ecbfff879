//! Which accounts the new OS has, and under which numbers: a pure function.
//!
//! The rules, first match wins; they hold for users and for groups alike unless it says otherwise:
//!
//! | Account | Becomes | Rule |
//! |---|---|---|
//! | payload's, number 0 | stays 0 | `Same`, `New` |
//! | payload's, number 65534 (nobody, nogroup) | stays 65534, whatever the name has in the old OS | `Same`, `New` |
//! | on both sides, a person's number in the old OS | old number, old fields | `Person` |
//! | on both sides | old number, payload's fields | `Same`, `OldNumber` |
//! | old only, number 0 (another name of root) | comes along, with a note | `Person` |
//! | old only, number 65534, and the payload has that number | left | |
//! | old only, a person's number | comes along | `Person` |
//! | old only, user with a password to log in with | comes along | `Person` |
//! | old only, number owns something kept | comes along | `Needed` |
//! | old only, group that is the primary one of a user who comes along, or has one as member | comes along | `Needed` |
//! | old only, anything else | left | |
//! | payload only, number free | stays | `New` |
//! | payload only, number taken | highest free number of its range | `Moved` |
//!
//! A person's number is one in the old OS's `UID_MIN` to `UID_MAX` (`GID_MIN` to `GID_MAX`), or one
//! beyond 16 bits; 0 and 65534 never are.
//!
//! A number is taken when an account that comes along has it, when it owns something kept, and, for
//! groups, when it is the primary one of a user who comes along. A number is free to move to when
//! neither OS has it in use, whether its account comes along or not, and it owns nothing kept. A
//! payload's user and group of one name and one number move together where both can.
//!
//! Two names with one number stay as they are. Names are never made: a kept number without a name
//! in the old OS is only noted.

use std::collections::{BTreeMap, BTreeSet};

use super::notes::notes;
use super::shell::{self, Shell};
use super::side::{brings_its_fields, Rules, Side};
use formats::accounts::{AccountPlan, AccountRule, Accounts, Owners};

/// Merges. `kept` are the numbers that own something kept; `shells` are the payload's.
///
/// Fails with everything that stands in the way: root under another number than 0, and ranges
/// without a free number.
pub fn merge(
    old: &Accounts,
    payload: &Accounts,
    kept: &Owners,
    shells: &[String],
) -> Result<AccountPlan, Vec<String>> {
    let errors = misplaced_roots(old, payload);
    if !errors.is_empty() {
        return Err(errors);
    }
    let users = Side {
        kind: "user",
        old: old.users.iter().map(|u| (&*u.name, u.uid)).collect(),
        payload: payload.users.iter().map(|u| (&*u.name, u.uid)).collect(),
        people: old.ranges.users,
        ranges: [payload.ranges.users, payload.ranges.system_users],
        kept: &kept.users,
    };
    let groups = Side {
        kind: "group",
        old: old.groups.iter().map(|g| (&*g.name, g.gid)).collect(),
        payload: payload.groups.iter().map(|g| (&*g.name, g.gid)).collect(),
        people: old.ranges.groups,
        ranges: [payload.ranges.groups, payload.ranges.system_groups],
        kept: &kept.groups,
    };
    let mut plan = AccountPlan::default();

    let passwords: BTreeSet<&str> = old
        .users
        .iter()
        .filter(|u| u.password)
        .map(|u| &*u.name)
        .collect();
    let user_rules = users.rules(&mut plan.left, |name, _| {
        passwords.contains(name).then_some(AccountRule::Person)
    });
    let primary: BTreeSet<u32> = old
        .users
        .iter()
        .filter(|u| brings_its_fields(user_rules.get(&*u.name)))
        .map(|u| u.gid)
        .collect();
    let with_members: BTreeSet<&str> = old
        .groups
        .iter()
        .filter(|g| g.members.iter().any(|m| user_rules.contains_key(&**m)))
        .map(|g| &*g.name)
        .collect();
    let group_rules = groups.rules(&mut plan.left, |name, gid| {
        let needed = primary.contains(&gid) || with_members.contains(name);
        needed.then_some(AccountRule::Needed)
    });

    let moved = place(&users, &user_rules, &groups, &group_rules, &primary)?;
    plan.users = users.rows(&user_rules, &moved.users);
    plan.groups = groups.rows(&group_rules, &moved.groups);
    notes(
        &mut plan,
        old,
        payload,
        [&users, &groups],
        [&user_rules, &group_rules],
    );
    login_shells(&mut plan, old, shells);
    Ok(plan)
}

/// Root is 0 on both sides, as a user and as a group, or there is no plan.
fn misplaced_roots(old: &Accounts, payload: &Accounts) -> Vec<String> {
    let mut errors = Vec::new();
    for (os, accounts) in [("old", old), ("new", payload)] {
        let users = accounts.users.iter().map(|u| ("user", &u.name, u.uid));
        let groups = accounts.groups.iter().map(|g| ("group", &g.name, g.gid));
        for (kind, name, number) in users.chain(groups) {
            if name == "root" && number != 0 {
                errors.push(format!(
                    "the {kind} root of the {os} OS has the number {number}, not 0"
                ));
            }
        }
    }
    errors
}

/// From the payload's numbers of accounts that only it has to those that they move to.
#[derive(Default)]
struct Moves {
    users: BTreeMap<u32, u32>,
    groups: BTreeMap<u32, u32>,
}

/// Finds places for what only the payload has and whose number is taken.
fn place(
    users: &Side,
    user_rules: &Rules,
    groups: &Side,
    group_rules: &Rules,
    primary: &BTreeSet<u32>,
) -> Result<Moves, Vec<String>> {
    let taken_users = users.taken(user_rules);
    let mut taken_groups = groups.taken(group_rules);
    // Also one without a line of its own: who has it must not find himself in another group.
    taken_groups.extend(primary);
    let mut used_users = users.used(&taken_users);
    let mut used_groups = groups.used(&taken_groups);
    let new_groups: BTreeMap<&str, u32> = groups.payload_only().into_iter().collect();
    let mut moves = Moves::default();
    let mut errors = Vec::new();
    for (name, uid) in users.payload_only() {
        if moves.users.contains_key(&uid) {
            continue;
        }
        let pair = new_groups.get(name) == Some(&uid) && !moves.groups.contains_key(&uid);
        let group_is_taken = pair && taken_groups.contains(&uid);
        if !taken_users.contains(&uid) && !group_is_taken {
            continue;
        }
        if pair {
            let (a, b) = (users.range(uid), groups.range(uid));
            let common = (a.0.max(b.0), a.1.min(b.1));
            if let Some(number) = highest_free(common, &[&used_users, &used_groups]) {
                used_users.insert(number);
                used_groups.insert(number);
                moves.users.insert(uid, number);
                moves.groups.insert(uid, number);
                continue;
            }
        }
        if taken_users.contains(&uid) {
            move_one(
                users,
                name,
                uid,
                &mut used_users,
                &mut moves.users,
                &mut errors,
            );
        }
    }
    for (name, gid) in groups.payload_only() {
        if taken_groups.contains(&gid) && !moves.groups.contains_key(&gid) {
            move_one(
                groups,
                name,
                gid,
                &mut used_groups,
                &mut moves.groups,
                &mut errors,
            );
        }
    }
    if errors.is_empty() {
        Ok(moves)
    } else {
        Err(errors)
    }
}

fn move_one(
    side: &Side,
    name: &str,
    number: u32,
    used: &mut BTreeSet<u32>,
    moves: &mut BTreeMap<u32, u32>,
    errors: &mut Vec<String>,
) {
    let range = side.range(number);
    if let Some(free) = highest_free(range, &[used]) {
        used.insert(free);
        moves.insert(number, free);
    } else {
        errors.push(format!(
            "the {} {name} of the new OS cannot have its number {number}, which belongs to the old \
             OS, and no number from {} to {} is free",
            side.kind, range.0, range.1
        ));
    }
}

fn highest_free(range: (u32, u32), used: &[&BTreeSet<u32>]) -> Option<u32> {
    // As many steps as there are numbers in use, and one.
    (range.0..=range.1)
        .rev()
        .find(|number| used.iter().all(|used| !used.contains(number)))
}

/// Login shells of those who bring their own.
fn login_shells(plan: &mut AccountPlan, old: &Accounts, shells: &[String]) {
    let there: BTreeSet<&str> = shells.iter().map(String::as_str).collect();
    let carried: BTreeSet<&str> = plan
        .users
        .iter()
        .filter(|row| brings_its_fields(Some(&row.rule)))
        .map(|row| &*row.name)
        .collect();
    for user in old
        .users
        .iter()
        .filter(|user| carried.contains(&*user.name))
    {
        let (name, shell) = (&user.name, user.shell.escape_debug());
        let (note, new) = match shell::choose(&user.shell, &there) {
            Shell::Stays => continue,
            Shell::MovedTo(path) => (format!("user {name}: the shell {shell} is {path} in the new OS"), Some(path)),
            Shell::ReplacedBy(path) => (
                format!("user {name}: the shell {shell} is not in the new OS, and becomes {path}"),
                Some(path),
            ),
            Shell::Missing => (
                format!("user {name}: the shell {shell} is not in the new OS; no login until it is there"),
                None,
            ),
        };
        plan.notes.push(note);
        plan.shells.extend(new.map(|path| (name.clone(), path)));
    }
}
