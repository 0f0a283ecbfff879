//! Reading the accounts of an OS: a pure function of its files.

use std::collections::HashMap;

use super::{lines, login_defs, password};
use super::{AccountError, AccountFiles, Accounts, Group, User};

/// Reads the account files and login.defs(5). All six files must be sound, for a merge writes all
/// of them.
pub fn parse(files: &AccountFiles, login_defs: &[u8]) -> Result<Accounts, AccountError> {
    let passwd = lines::passwd(&files.passwd)?;
    let shadow = lines::shadow(&files.shadow)?;
    let group = lines::group(&files.group)?;
    let gshadow = lines::gshadow(&files.gshadow)?;
    let subuid = lines::subuid(&files.subuid)?;
    let subgid = lines::subgid(&files.subgid)?;
    let (ranges, defaults) = login_defs::parse(login_defs);
    let skipped = [
        passwd.skipped,
        shadow.skipped,
        group.skipped,
        gshadow.skipped,
        subuid.skipped,
        subgid.skipped,
        defaults,
    ]
    .concat();
    let hashes: HashMap<&str, &[u8]> = shadow
        .entries
        .iter()
        .map(|line| (line.name, line.password))
        .collect();
    let mut passwords = Vec::new();
    let users = passwd.entries.iter().map(|line| {
        let field = match line.password {
            b"x" => hashes.get(line.name).copied().unwrap_or(b"*"),
            field => field,
        };
        if let Some(note) = password::note(field) {
            passwords.push((line.name.to_owned(), note.to_owned()));
        }
        User {
            name: line.name.to_owned(),
            uid: line.uid,
            gid: line.gid,
            home: String::from_utf8_lossy(line.home).into_owned(),
            shell: String::from_utf8_lossy(line.shell).into_owned(),
            password: password::is_usable(field),
        }
    });
    Ok(Accounts {
        users: users.collect(),
        groups: group
            .entries
            .into_iter()
            .map(|line| Group {
                name: line.name.to_owned(),
                gid: line.gid,
                members: line.members.into_iter().map(str::to_owned).collect(),
            })
            .collect(),
        skipped,
        ranges,
        passwords,
    })
}
