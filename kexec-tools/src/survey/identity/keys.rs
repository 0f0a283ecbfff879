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

/// The keys of whoever may log in: people, those with a password, and those with a shell, whatever their number.
pub fn login_keys(accounts: &Accounts, old: &OldIdentity) -> Vec<Keys> {
    let root = Path::new("/");
    let tree = Tree::new(root);
    let (first, last) = accounts.ranges.users;
    let may = |user: &&User| {
        let a_persons = user.uid == 0 || (first..=last).contains(&user.uid);
        a_persons || user.password || ways::has_shell(user)
    };
    let places = server::key_files(&old.doors);
    let users = accounts.users.iter().filter(may);
    users
        .flat_map(|user| {
            places
                .iter()
                .filter_map(|place| read(root, &tree, user, place, old))
                .collect::<Vec<_>>()
        })
        .collect()
}

fn read(root: &Path, tree: &Tree, user: &User, place: &str, old: &OldIdentity) -> Option<Keys> {
    let (path, text, own) = if let Some(name) = server::in_home(place) {
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
        )
    } else {
        let path = place.replace("%u", &user.name);
        let text = tree
            .text(&path)
            .filter(|_| path.starts_with('/') && !path.contains('%'))?;
        let own = tree.at(&path).is_some_and(|at| is_roots_or(&at, user.uid));
        (path, text, own)
    };
    let found = keys::parse(&text);
    let copied = old.copied.iter().any(|copied| is_below(&path, copied));
    Some(Keys {
        user: user.name.clone(),
        keys: found.keys,
        forced: found.forced,
        lines: if own { found.lines } else { Vec::new() },
        stay: copied || old.keeps(&path),
    })
}

/// Whether nobody but root and this user may write a file or put another in its place: the server asks the
/// same (`StrictModes`).
fn is_roots_or(path: &Path, uid: u32) -> bool {
    path.ancestors().all(|part| {
        fs::metadata(part).is_ok_and(|m| [0, uid].contains(&m.uid()) && m.mode() & 0o022 == 0)
    })
}
