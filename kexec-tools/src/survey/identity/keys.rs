//! Everybody's keys: those that let somebody in by ssh, read as their owner would.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use formats::access::Keys;
use formats::accounts::{Accounts, User};
use formats::identity::{Home, InHome, OldIdentity};
use formats::keep::is_below;
use identity::access::{keys, server, ways};

use super::files::{in_home, plain, Tree};

/// The keys of whoever may log in: people, those with a password, and those with a shell, whatever their number. The
/// second are those in files that others may write.
pub fn login_keys(accounts: &Accounts, old: &OldIdentity) -> (Vec<Keys>, Vec<Keys>) {
    let root = Path::new("/");
    let tree = Tree::new(root);
    let (first, last) = accounts.ranges.users;
    let may = |user: &&User| {
        let a_persons = user.uid == 0 || (first..=last).contains(&user.uid);
        a_persons || user.password || ways::has_shell(user)
    };
    let places = server::key_files(&old.doors);
    let (mut login, mut open) = (Vec::new(), Vec::new());
    for user in accounts.users.iter().filter(may) {
        let private = |group: u32| is_private(group, user, accounts);
        for place in &places {
            match read(root, &tree, (user, &private), place, old) {
                Some((keys, Open::No)) => login.push(keys),
                Some((keys, Open::Yes)) => open.push(keys),
                None => {}
            }
        }
    }
    (login, open)
}

/// Whether others may write a file with keys, or put another in its place.
#[derive(Clone, Copy)]
enum Open {
    No,
    Yes,
}

/// Whether nobody is in a group but this user: to Debian's server it is as good as none.
fn is_private(group: u32, user: &User, accounts: &Accounts) -> bool {
    let groups = accounts.groups.iter().filter(|g| g.gid == group);
    let mut members = groups.flat_map(|group| &group.members);
    let mut primary = accounts.users.iter().filter(|other| other.gid == group);
    primary.all(|other| other.uid == user.uid) && members.all(|member| *member == user.name)
}

fn read(
    root: &Path,
    tree: &Tree,
    (user, private): (&User, &dyn Fn(u32) -> bool),
    place: &str,
    old: &OldIdentity,
) -> Option<(Keys, Open)> {
    let (path, text, own, open) = if let Some(name) = server::in_home(place) {
        let file = InHome {
            home: Home {
                path: user.home.trim_end_matches('/').to_owned(),
                uid: user.uid,
                gid: user.gid,
            },
            name: name.to_owned(),
        };
        if !plain(&file.home.path) {
            return None;
        }
        let read = in_home(root, &file).ok()??;
        (
            file.path(),
            String::from_utf8_lossy(read.bytes()).into_owned(),
            read.is_its_owners(),
            read.is_open(private),
        )
    } else {
        let path = place.replace("%u", &user.name);
        let text = tree
            .text(&path)
            .filter(|_| path.starts_with('/') && !path.contains('%'))?;
        let at = tree.at(&path)?;
        let own = is_roots_or(&at, user.uid);
        let open = is_open(&at, user.uid, private);
        (path, text, own, open)
    };
    let found = keys::parse(&text);
    let copied = old.copied.iter().any(|copied| is_below(&path, copied));
    let keys = Keys {
        user: user.name.clone(),
        keys: found.keys,
        forced: found.forced,
        lines: if own { found.lines } else { Vec::new() },
        stay: copied || old.keeps(&path),
    };
    Some((keys, if open { Open::Yes } else { Open::No }))
}

/// Whether nobody but root and this user may write a file or put another in its place: the server asks the
/// same (`StrictModes`).
fn is_roots_or(path: &Path, uid: u32) -> bool {
    path.ancestors().all(|part| {
        fs::metadata(part).is_ok_and(|m| [0, uid].contains(&m.uid()) && m.mode() & 0o022 == 0)
    })
}

/// Whether a server that asks that certainly takes no keys from a file: see [`tree::FromHome::is_open`].
fn is_open(path: &Path, uid: u32, private: &dyn Fn(u32) -> bool) -> bool {
    path.ancestors().any(|part| {
        fs::metadata(part).is_ok_and(|m| {
            let by_group = m.mode() & 0o020 != 0 && !private(m.gid());
            ![0, uid].contains(&m.uid()) || m.mode() & 0o002 != 0 || by_group
        })
    })
}

#[cfg(test)]
mod tests {
    use formats::accounts::Group;

    use super::*;

    #[test]
    fn a_group_is_private_where_nobody_else_is_in_it() {
        let user = |name: &str, uid: u32, gid: u32| User {
            name: name.to_owned(),
            uid,
            gid,
            home: String::new(),
            shell: String::new(),
            password: false,
        };
        let group = |name: &str, gid: u32, members: &[&str]| Group {
            name: name.to_owned(),
            gid,
            members: members.iter().map(|m| (*m).to_owned()).collect(),
        };
        let accounts = Accounts {
            users: vec![
                user("ann", 1000, 1000),
                user("bob", 1001, 100),
                user("eve", 1002, 100),
            ],
            groups: vec![
                group("ann", 1000, &[]),
                group("users", 100, &[]),
                group("own", 1500, &["ann"]),
                group("web", 1501, &["ann", "bob"]),
            ],
            ..Accounts::default()
        };
        let ann = &accounts.users[0];
        for (gid, expected) in [(1000, true), (100, false), (1500, true), (1501, false)] {
            assert_eq!(is_private(gid, ann, &accounts), expected, "{gid}");
        }
    }
}
