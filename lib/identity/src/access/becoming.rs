//! How somebody who is in becomes root: by sudo or doas, of whose rules the last that is about them counts, or by
//! su. And the rules that are written for the new OS.

use formats::access::{Asks, Becoming, Doors, Sudoer};
use formats::accounts::{AccountPlan, AccountRow, Accounts, User};

use super::server;

/// How they do; the way that asks the least of them.
pub fn root(doors: &Doors, user: &User, accounts: &Accounts) -> Option<Becoming> {
    if user.uid == 0 {
        return Some(Becoming::Is);
    }
    let has_password = accounts.users.iter().any(|u| u.uid == 0 && u.password);
    let su = has_password.then_some(Becoming::Su);
    let by = |rules, asks, (free, asked)| {
        let rule = last(rules, user, accounts)?;
        match asks {
            _ if rule.without_password => Some(free),
            Asks::Root => su,
            Asks::Own | Asks::Nobody => user.password.then_some(asked),
        }
    };
    let sudoers = if doors.sudo { &doors.sudoers[..] } else { &[] };
    let sudo = (Becoming::Sudo, Becoming::SudoWithPassword);
    let doas = (Becoming::Doas, Becoming::DoasWithPassword);
    let ways = [
        by(sudoers, doors.sudo_asks, sudo),
        by(&doors.doas, Asks::Own, doas),
        su,
    ];
    ways.into_iter().flatten().min_by_key(|way| asks(*way))
}

/// How much is asked of whoever becomes root so.
pub fn asks(way: Becoming) -> u8 {
    match way {
        Becoming::Is => 0,
        Becoming::Sudo | Becoming::Doas => 1,
        Becoming::SudoWithPassword | Becoming::DoasWithPassword => 2,
        Becoming::Su => 3,
    }
}

/// The rule that counts for somebody, unless it holds them.
fn last<'r>(rules: &'r [Sudoer], user: &User, accounts: &Accounts) -> Option<&'r Sudoer> {
    let mut about = rules
        .iter()
        .filter(|rule| is_about(&rule.who, user, accounts));
    about.next_back().filter(|rule| !rule.held)
}

fn is_about(who: &str, user: &User, accounts: &Accounts) -> bool {
    let Some(group) = who.strip_prefix('%') else {
        let number = who.strip_prefix('#').and_then(|number| number.parse().ok());
        return who == "ALL" || who == user.name || number == Some(user.uid);
    };
    let groups = server::groups_of(&user.name, accounts);
    let Some(number) = group.strip_prefix('#') else {
        return groups.contains(&group);
    };
    let mut own = accounts.groups.iter();
    own.any(|group| groups.contains(&group.name.as_str()) && number.parse() == Ok(group.gid))
}

/// Rules for the new OS's sudo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The file with them.
    pub text: String,
    /// The rules that are in it.
    pub rules: Vec<Sudoer>,
}

/// Rules of sudo for those who come along and became root by it or by doas with a password of their own or none,
/// beside those that the payload has; nothing where there are none.
pub fn written(
    (old, accounts): (&Doors, &Accounts),
    new: &Doors,
    plan: &AccountPlan,
) -> Option<Written> {
    let mut wanted: Vec<Sudoer> = Vec::new();
    let sources = [(&old.sudoers, old.sudo_asks), (&old.doas, Asks::Own)];
    for (rules, asks) in sources {
        let of_source = of_source(rules, asks, accounts);
        let asks_less = |rule: &Sudoer| {
            let mut before = wanted.iter();
            before.any(|known| known.who == rule.who && known.without_password)
        };
        let of_source: Vec<Sudoer> = of_source.into_iter().filter(|r| !asks_less(r)).collect();
        wanted.extend(of_source);
    }
    let missing = |rule: &Sudoer| {
        let there = new.sudoers.iter().rfind(|known| known.who == rule.who);
        !there
            .is_some_and(|there| !there.held && (there.without_password || !rule.without_password))
    };
    let wanted = wanted.into_iter().filter_map(|rule| {
        Some(Sudoer {
            who: name_in_new(&rule.who, plan)?,
            ..rule
        })
    });
    let rules: Vec<Sudoer> = wanted.filter(missing).collect();
    let line = |rule: &Sudoer| {
        let tag = match (rule.without_password, new.sudo_asks) {
            (true, _) => "NOPASSWD: ",
            (false, Asks::Own) => "",
            // The image's own sudo would ask for none.
            (false, _) => "PASSWD: ",
        };
        format!("{} ALL=(ALL:ALL) {tag}ALL\n", rule.who)
    };
    let lines: String = rules.iter().map(line).collect();
    (!rules.is_empty()).then(|| Written {
        text: format!(
            "# Written by reroot: who became root by sudo or doas in the old OS.\n{lines}"
        ),
        rules,
    })
}

/// The rules of one file that are to hold on. A group has somebody in it for whom a later rule asks for more, or
/// takes away what it gives: then the others are named one by one.
fn of_source(rules: &[Sudoer], asks: Asks, accounts: &Accounts) -> Vec<Sudoer> {
    // Whoever gives root's password becomes root by su as well.
    let gives = |rule: &Sudoer| !rule.held && (rule.without_password || asks != Asks::Root);
    let mut found: Vec<Sudoer> = Vec::new();
    for rule in rules.iter().filter(|rule| gives(rule)) {
        let people = || {
            let users = accounts.users.iter();
            users.filter(|user| is_about(&rule.who, user, accounts))
        };
        let last = |user: &User| last(rules, user, accounts);
        let keeps_it = |user: &User| {
            last(user).is_some_and(|last| {
                gives(last) && (last.without_password || !rule.without_password)
            })
        };
        if people().all(keeps_it) {
            found.push(rule.clone());
            continue;
        }
        let own = people().filter(|user| last(user) == Some(rule));
        found.extend(own.map(|user| Sudoer {
            who: user.name.clone(),
            ..rule.clone()
        }));
    }
    found
}

/// Who that is in the new OS, as a rule names them: by number where the name is a number, or has letters that a
/// rule has other uses for. Nothing where they do not come along.
fn name_in_new(who: &str, plan: &AccountPlan) -> Option<String> {
    if who == "ALL" {
        return Some(who.to_owned());
    }
    let (sign, name, rows) = match who.strip_prefix('%') {
        Some(group) => ("%", group, &plan.groups),
        None => ("", who, &plan.users),
    };
    let number: Option<u32> = name.strip_prefix('#').and_then(|n| n.parse().ok());
    let is_it = |row: &&AccountRow| match number {
        Some(number) => row.old == Some(number),
        None => row.name == name && row.old.is_some(),
    };
    let row = rows.iter().find(is_it)?;
    Some(if number.is_none() && is_plain(name) {
        who.to_owned()
    } else {
        format!("{sign}#{}", row.number)
    })
}

/// A name that is one in a rule, and no alias.
fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let as_alias = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let alias = name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(as_alias);
    !name.is_empty() && name.chars().all(plain) && !alias
}

#[cfg(test)]
#[path = "becoming_tests.rs"]
mod tests;
