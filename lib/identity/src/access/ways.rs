//! Every way in that ends in a root shell: in the old OS as it is, and in the new one as it will be.
//!
//! Counts what the files say. What is asked elsewhere (directories of accounts, PAM's modules, programs
//! that hand out keys, authorities) is not counted on either side, so that nobody's way in is promised
//! who may have none.

use std::collections::BTreeSet;

use formats::access::{Becoming, Doors, Keys, Means, PublicKey, Session, Way};
use formats::accounts::{AccountPlan, Accounts, Group, User};

use super::matching::{self, Connection};
use super::{becoming, held_to, locked, server, server_keys};
use crate::accounts::shell;

/// Those of one OS, as its server lets in everybody who comes the way that the operator came, where the OS has every
/// program that it holds people to.
pub fn ways(
    doors: &Doors,
    accounts: &Accounts,
    keys: &[Keys],
    session: Option<&Session>,
) -> Vec<Way> {
    ways_where(doors, accounts, (keys, session), &|_| true)
}

/// The same where `has` says of a program whether the OS has it.
pub fn ways_where(
    doors: &Doors,
    accounts: &Accounts,
    (keys, session): (&[Keys], Option<&Session>),
    has: &dyn Fn(&str) -> bool,
) -> Vec<Way> {
    if !doors.is_read() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for user in &accounts.users {
        let Some((doors, root)) = let_in(doors, accounts, user, session, has) else {
            continue;
        };
        for means in means(&doors, user, keys) {
            found.push(Way {
                user: user.name.clone(),
                means,
                root,
            });
        }
    }
    found
}

/// Who becomes root of those whom the server lets in by whatever means.
pub fn by_whatever(
    doors: &Doors,
    accounts: &Accounts,
    session: Option<&Session>,
    has: &dyn Fn(&str) -> bool,
) -> Vec<String> {
    let users = accounts.users.iter().filter(|_| doors.is_read());
    let let_in = users.filter(|user| let_in(doors, accounts, user, session, has).is_some());
    let_in.map(|user| user.name.clone()).collect()
}

/// Whether somebody has a shell.
#[must_use]
pub fn has_shell(user: &User) -> bool {
    shell::lets_in(&user.shell)
}

/// What the server's settings come to for somebody who becomes root, and how they do, unless it keeps them out
/// whatever they show.
fn let_in(
    doors: &Doors,
    accounts: &Accounts,
    user: &User,
    session: Option<&Session>,
    has: &dyn Fn(&str) -> bool,
) -> Option<(Doors, Becoming)> {
    let connection = Connection {
        user: &user.name,
        groups: server::groups_of(&user.name, accounts),
        session,
    };
    let doors = matching::resolved(doors, &connection);
    let kept_out = !has_shell(user)
        || accounts.expired.contains(&user.name)
        || !held_to::leaves_a_shell(&doors, has)
        || !server::lets_in(&doors, &user.name, accounts)
        || locked::keeps_out(&doors, &user.name, accounts);
    let root = becoming::root(&doors, user, accounts).filter(|_| !kept_out)?;
    Some((doors, root))
}

/// By what somebody gets in.
fn means(doors: &Doors, user: &User, keys: &[Keys]) -> Vec<Means> {
    let is = |keyword: &str| server::value(doors, keyword).as_deref() == Some("yes");
    let root_login = server::value(doors, "PermitRootLogin").unwrap_or_default();
    let lets_in = |values: &[&str]| user.uid != 0 || values.contains(&&*root_login);
    let takes = |key: &&PublicKey| server_keys::takes(doors, key);
    let own = keys.iter().filter(|k| k.user == user.name);
    let own = own.flat_map(|own| &own.keys).filter(takes);
    let own: BTreeSet<&str> = own.map(|key| key.blob.as_str()).collect();
    let by_key = is("PubkeyAuthentication")
        && !own.is_empty()
        && lets_in(&["yes", "prohibit-password", "without-password"]);
    let by_password = user.password && lets_in(&["yes"]);
    let asked = by_password && is("PasswordAuthentication");
    let typed = by_password && is("KbdInteractiveAuthentication") && server::asks_pam(doors);
    let Some(lists) = lists_of_methods(doors) else {
        let found = [
            by_key.then_some(Means::Key),
            (asked || typed).then_some(Means::Password),
        ];
        return found.into_iter().flatten().collect();
    };
    // Of each list every method is asked for, and a key once.
    let has = |method: &str| match method {
        "publickey" => by_key,
        "password" => asked,
        "keyboard-interactive" | "keyboard-interactive:pam" => typed,
        _ => false,
    };
    let is_key = |method: &&&str| **method == "publickey";
    let whole = |list: &&Vec<&str>| {
        let keys = list.iter().filter(is_key).count();
        list.iter().all(|method| has(method)) && keys <= own.len()
    };
    let whole: Vec<&Vec<&str>> = lists.iter().filter(whole).collect();
    let mut methods = whole.iter().copied().flatten();
    let by_key = methods.clone().any(|method| is_key(&method));
    let by_password = methods.any(|method| !is_key(&method));
    let found = [
        by_key.then_some(Means::Key),
        by_password.then_some(Means::Password),
    ];
    found.into_iter().flatten().collect()
}

/// The lists of methods of which one has to be gone through whole (`AuthenticationMethods`); `None` where any
/// method will do.
fn lists_of_methods(doors: &Doors) -> Option<Vec<Vec<&str>>> {
    let setting = server::said(doors, "AuthenticationMethods").next()?;
    let lists = setting.values.iter().map(|list| list.split(',').collect());
    let lists: Vec<Vec<&str>> = lists.collect();
    (lists != [["any"]]).then_some(lists)
}

/// The accounts of the new OS, as far as they count here. A password whose hash is of none of `schemes` lets nobody
/// in there; where these are not known, each does.
pub fn new_accounts(
    old: &Accounts,
    payload: &Accounts,
    plan: &AccountPlan,
    schemes: &[String],
) -> Accounts {
    let known = |name: &str| {
        let mut own = old.schemes.iter().filter(|(user, _)| user == name);
        schemes.is_empty() || own.all(|(_, scheme)| schemes.contains(scheme))
    };
    let users = plan.users.iter().filter_map(|row| {
        let in_old = old.users.iter().find(|u| u.name == row.name);
        let in_payload = payload.users.iter().find(|u| u.name == row.name);
        let mut user = in_payload.or(in_old)?.clone();
        if crate::accounts::brings_its_fields(row.rule) {
            user = in_old.cloned().unwrap_or(user);
        }
        user.uid = row.number;
        // By the line of shadow(5) that they get.
        user.password = if locked::has_old_password(row, old) {
            in_old.is_some_and(|u| u.password && known(&u.name))
        } else {
            in_payload.is_some_and(|u| u.password)
        };
        if let Some((_, shell)) = plan.shells.iter().find(|(name, _)| *name == row.name) {
            user.shell.clone_from(shell);
        }
        // The number of a primary group is followed by its name.
        let sides = [(in_old, old), (in_payload, payload)];
        let own = sides.iter().find(|(side, _)| side.is_some());
        let name = own.and_then(|(side, accounts)| {
            let gid = side.as_ref()?.gid;
            accounts
                .groups
                .iter()
                .find(|g| g.gid == gid)
                .map(|g| &g.name)
        });
        if let Some(row) = plan.groups.iter().find(|g| Some(&g.name) == name) {
            user.gid = row.number;
        }
        Some(user)
    });
    let groups = plan.groups.iter().map(|row| {
        let members = [old, payload]
            .iter()
            .flat_map(|side| side.groups.iter().filter(|g| g.name == row.name))
            .flat_map(|group| group.members.iter().cloned())
            .collect();
        Group {
            name: row.name.clone(),
            gid: row.number,
            members,
        }
    });
    Accounts {
        users: users.collect(),
        groups: groups.collect(),
        locked: locked::new(old, payload, plan),
        expired: locked::expired(old, plan),
        ..Accounts::default()
    }
}

#[cfg(test)]
#[path = "ways_tests.rs"]
mod tests;
