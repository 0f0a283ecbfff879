//! Every way in that ends in a root shell: in the old OS as it is, and in the new one as it will be.
//!
//! Counts what the files say. What is asked elsewhere (directories of accounts, PAM's modules, programs
//! that hand out keys, authorities) is not counted on either side, so that nobody's way in is promised
//! who may have none.

use formats::access::{Becoming, Doors, Keys, Means, PublicKey, Session, Sudoer, Way};
use formats::accounts::{AccountPlan, Accounts, Group, User};

use super::matching::{self, Connection};
use super::{locked, server, server_keys};
use crate::accounts::shell;

/// Those of one OS, as its server lets in everybody who comes the way that the operator came.
pub fn ways(
    doors: &Doors,
    accounts: &Accounts,
    keys: &[Keys],
    session: Option<&Session>,
) -> Vec<Way> {
    if !doors.server || doors.off {
        return Vec::new();
    }
    let su = accounts.users.iter().any(|u| u.uid == 0 && u.password);
    let mut found = Vec::new();
    for user in &accounts.users {
        let connection = Connection {
            user: &user.name,
            groups: server::groups_of(&user.name, accounts),
            session,
        };
        let doors = &matching::resolved(doors, &connection);
        if !shell::lets_in(&user.shell)
            || accounts.expired.contains(&user.name)
            || !server::lets_in(doors, &user.name, accounts)
            || locked::keeps_out(doors, &user.name, accounts)
        {
            continue;
        }
        let becoming = if user.uid == 0 {
            Some(Becoming::Is)
        } else {
            by_sudo(doors, user, accounts).or(su.then_some(Becoming::Su))
        };
        for means in means(doors, user, keys) {
            found.extend(becoming.map(|root| Way {
                user: user.name.clone(),
                means,
                root,
            }));
        }
    }
    found
}

/// By what somebody gets in.
fn means(doors: &Doors, user: &User, keys: &[Keys]) -> Vec<Means> {
    let is = |keyword: &str| server::value(doors, keyword).as_deref() == Some("yes");
    let root_login = server::value(doors, "PermitRootLogin").unwrap_or_default();
    let lets_in = |values: &[&str]| user.uid != 0 || values.contains(&&*root_login);
    let takes = |key: &PublicKey| server_keys::takes(doors, key);
    let mut own = keys.iter().filter(|k| k.user == user.name);
    let has_key = own.any(|own| own.keys.iter().any(takes));
    let by_key = is("PubkeyAuthentication") && has_key;
    let by_password = server::asks_for_passwords(doors) && user.password;
    let mut found = Vec::new();
    if by_key && lets_in(&["yes", "prohibit-password", "without-password"]) {
        found.push(Means::Key);
    }
    if by_password && lets_in(&["yes"]) {
        found.push(Means::Password);
    }
    found
}

fn by_sudo(doors: &Doors, user: &User, accounts: &Accounts) -> Option<Becoming> {
    let rules = if doors.sudo { &doors.sudoers[..] } else { &[] };
    let by_sudo = by_rules(
        rules,
        user,
        accounts,
        (Becoming::Sudo, Becoming::SudoWithPassword),
    );
    let by_doas = || {
        by_rules(
            &doors.doas,
            user,
            accounts,
            (Becoming::Doas, Becoming::DoasWithPassword),
        )
    };
    by_sudo.or_else(by_doas)
}

fn by_rules(
    rules: &[Sudoer],
    user: &User,
    accounts: &Accounts,
    (free, asked): (Becoming, Becoming),
) -> Option<Becoming> {
    let groups = server::groups_of(&user.name, accounts);
    let number = format!("#{}", user.uid);
    let fits = |who: &str| match who.strip_prefix('%') {
        Some(group) => groups.contains(&group),
        None => who == user.name || who == number,
    };
    let mut rules = rules.iter().filter(|s| fits(&s.who)).peekable();
    rules.peek()?;
    if rules.any(|rule| rule.without_password) {
        Some(free)
    } else {
        user.password.then_some(asked)
    }
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
        user.password = in_old.is_some_and(|u| u.password && known(&u.name))
            || in_payload.is_some_and(|u| u.password);
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
