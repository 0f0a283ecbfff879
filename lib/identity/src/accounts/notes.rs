//! What to know of a merge: what was skipped, shared, nameless or given to somebody else.

use std::collections::{BTreeMap, BTreeSet};

use super::side::{brings_its_fields, Rules, Side};
use formats::accounts::{AccountPlan, AccountRow, AccountRule, Accounts};
use formats::counted::counted;

/// How many runs of nameless numbers are listed.
const RUNS_NAMED: usize = 20;

/// Writes the notes of a plan whose rows are there.
pub(super) fn notes(
    plan: &mut AccountPlan,
    old: &Accounts,
    payload: &Accounts,
    sides: [&Side; 2],
    rules: [&Rules; 2],
) {
    let notes = &mut plan.notes;
    for (os, accounts) in [("old", old), ("new", payload)] {
        notes.extend(
            accounts
                .skipped
                .iter()
                .map(|what| format!("{os} OS: {what}")),
        );
    }
    if !old.users.iter().any(|user| user.uid == 0) {
        notes.push("the old OS has no user with the number 0".to_owned());
    }
    for (side, rows) in sides.iter().zip([&plan.users, &plan.groups]) {
        shared_numbers(side.kind, rows, notes);
        for row in rows {
            let (Some(theirs), Some(ours)) = (row.payload, row.old) else {
                continue;
            };
            let people = side.ranges[0];
            if row.rule == AccountRule::Person && !(people.0..=people.1).contains(&theirs) {
                notes.push(format!(
                    "{} {} is a person's in the old OS and a service's in the new one: what the \
                     service owns will be that person's",
                    side.kind, row.name
                ));
            } else if row.number != ours {
                notes.push(format!(
                    "{} {} has the number {ours} in the old OS and {} in the new one",
                    side.kind, row.name, row.number
                ));
            }
        }
        nameless(side, notes);
    }
    let gids: BTreeSet<u32> = old.groups.iter().map(|group| group.gid).collect();
    for user in &old.users {
        if brings_its_fields(rules[0].get(&*user.name)) && !gids.contains(&user.gid) {
            notes.push(format!(
                "user {}: the primary group {} has no name",
                user.name, user.gid
            ));
        }
    }
    let users: BTreeSet<&str> = old.users.iter().map(|user| &*user.name).collect();
    for group in old
        .groups
        .iter()
        .filter(|g| rules[1].contains_key(&*g.name))
    {
        let strangers = group.members.iter().filter(|m| !users.contains(&***m));
        notes.extend(strangers.map(|member| {
            let name = &group.name;
            format!("group {name}: the member {member} is no user of the old OS and is left out")
        }));
    }
    for (name, note) in &old.passwords {
        if rules[0].contains_key(&**name) {
            notes.push(format!("user {name}: {note}"));
        }
    }
}

/// Names that share a number, root's other names in plain words.
fn shared_numbers(kind: &str, rows: &[AccountRow], notes: &mut Vec<String>) {
    let mut names: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
    for row in rows {
        names.entry(row.number).or_default().push(&row.name);
    }
    for (number, names) in names {
        if number == 0 && kind == "user" {
            let others = names.iter().filter(|name| **name != "root");
            notes.extend(others.map(|name| {
                format!("user {name} has the number 0: it is root under another name, in the new OS too")
            }));
        } else if names.len() > 1 {
            let names = names.join(", ");
            notes.push(format!("{kind}s {names} share the number {number}"));
        }
    }
}

/// Numbers that own something kept and have no name in the old OS, in runs.
fn nameless(side: &Side, notes: &mut Vec<String>) {
    let named: BTreeSet<u32> = side.old.iter().map(|(_, number)| *number).collect();
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for &number in side.kept.difference(&named) {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let kind = side.kind;
    for (first, last) in runs.iter().take(RUNS_NAMED) {
        let numbers = if first == last {
            format!("{kind} number {first} owns")
        } else {
            format!("{kind} numbers {first} to {last} own")
        };
        notes.push(format!(
            "{numbers} something that is kept and has no name in the old OS"
        ));
    }
    if let Some(more @ 1..) = runs.len().checked_sub(RUNS_NAMED) {
        notes.push(format!(
            "{} of {kind} numbers likewise",
            counted(more, "more run", "more runs")
        ));
    }
}
