//! Every way in that ends in a root shell: in the old OS as it is, and in the new one as it will be.
//!
//! Counts what the files say. What is asked elsewhere (directories of accounts, PAM's modules, programs
//! that hand out keys, authorities) is not counted on either side, so that nobody's way in is promised
//! who may have none.

use formats::access::{Becoming, Doors, Keys, Means, Way};
use formats::accounts::{AccountPlan, Accounts, Group, User};

use super::server;
use crate::accounts::shell;

/// Those of one OS. `takes` says whether its server takes keys of a type.
pub fn ways(
    doors: &Doors,
    accounts: &Accounts,
    keys: &[Keys],
    takes: &dyn Fn(&str) -> bool,
) -> Vec<Way> {
    if !doors.server {
        return Vec::new();
    }
    let is = |keyword: &str| server::value(doors, keyword).as_deref() == Some("yes");
    let by_key = server::value(doors, "PubkeyAuthentication").as_deref() == Some("yes");
    let by_password = is("PasswordAuthentication") || is("KbdInteractiveAuthentication");
    let root_login = server::value(doors, "PermitRootLogin").unwrap_or_default();
    let su = accounts.users.iter().any(|u| u.uid == 0 && u.password);
    let mut found = Vec::new();
    for user in &accounts.users {
        if !shell::lets_in(&user.shell) || !server::lets_in(doors, &user.name, accounts) {
            continue;
        }
        let root = user.uid == 0;
        let has_key = keys
            .iter()
            .any(|k| k.user == user.name && k.kinds.iter().any(|kind| takes(kind)));
        let key_counts =
            !root || ["yes", "prohibit-password", "without-password"].contains(&&*root_login);
        let means = [
            (Means::Key, by_key && has_key && key_counts),
            (
                Means::Password,
                by_password && user.password && (!root || root_login == "yes"),
            ),
        ];
        let becoming = if root {
            Some(Becoming::Is)
        } else {
            by_sudo(doors, user, accounts).or(su.then_some(Becoming::Su))
        };
        for (means, _) in means.into_iter().filter(|(_, open)| *open) {
            found.extend(becoming.map(|root| Way {
                user: user.name.clone(),
                means,
                root,
            }));
        }
    }
    found
}

fn by_sudo(doors: &Doors, user: &User, accounts: &Accounts) -> Option<Becoming> {
    if !doors.sudo {
        return None;
    }
    let groups = server::groups_of(&user.name, accounts);
    let number = format!("#{}", user.uid);
    let fits = |who: &str| match who.strip_prefix('%') {
        Some(group) => groups.contains(&group),
        None => who == user.name || who == number,
    };
    let mut rules = doors.sudoers.iter().filter(|s| fits(&s.who)).peekable();
    rules.peek()?;
    if rules.any(|rule| rule.without_password) {
        Some(Becoming::Sudo)
    } else {
        user.password.then_some(Becoming::SudoWithPassword)
    }
}

/// The accounts of the new OS, as far as they count here.
pub fn new_accounts(old: &Accounts, payload: &Accounts, plan: &AccountPlan) -> Accounts {
    let users = plan.users.iter().filter_map(|row| {
        let in_old = old.users.iter().find(|u| u.name == row.name);
        let in_payload = payload.users.iter().find(|u| u.name == row.name);
        let mut user = in_payload.or(in_old)?.clone();
        if crate::accounts::brings_its_fields(row.rule) {
            user = in_old.cloned().unwrap_or(user);
        }
        user.uid = row.number;
        user.password = [in_old, in_payload].iter().flatten().any(|u| u.password);
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
        ..Accounts::default()
    }
}

#[cfg(test)]
#[path = "ways_tests.rs"]
mod tests;
