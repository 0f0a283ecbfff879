//! Reading the accounts of an OS: a pure function of its files.

use std::collections::HashMap;

use super::AccountError;
use super::{lines, login_defs, password};
use formats::accounts::{AccountFiles, Accounts, Group, User};

/// Reads the account files and login.defs(5). All six files must be sound, for a merge writes all
/// of them.
pub fn parse(files: &AccountFiles, login_defs: &[u8]) -> Result<Accounts, AccountError> {
    let passwd = lines::passwd(&files.passwd)?;
    let shadow = lines::shadow(&files.shadow)?;
    let group = lines::group(&files.group)?;
    let gshadow = lines::gshadow(&files.gshadow)?;
    let user_ranges = lines::subuid(&files.subuid)?;
    let group_ranges = lines::subgid(&files.subgid)?;
    let (ranges, defaults) = login_defs::parse(login_defs);
    let skipped = [
        passwd.skipped,
        shadow.skipped,
        group.skipped,
        gshadow.skipped,
        user_ranges.skipped,
        group_ranges.skipped,
        defaults,
    ]
    .concat();
    let hashes: HashMap<&str, &[u8]> = shadow
        .entries
        .iter()
        .map(|line| (line.name, line.password))
        .collect();
    let (mut passwords, mut schemes, mut locked) = (Vec::new(), Vec::new(), Vec::new());
    let users = passwd.entries.iter().map(|line| {
        let field = match line.password {
            b"x" => hashes.get(line.name).copied().unwrap_or(b"*"),
            field => field,
        };
        if let Some(note) = password::note(field) {
            passwords.push((line.name.to_owned(), note.to_owned()));
        }
        // The server asks shadow(5) whatever passwd(5) says.
        let asked = hashes.get(line.name).copied().unwrap_or(line.password);
        if password::is_locked(asked) {
            locked.push(line.name.to_owned());
        }
        schemes.extend(password::scheme(field).map(|scheme| (line.name.to_owned(), scheme)));
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
        schemes,
        locked,
        expired: Vec::new(),
    })
}

/// The same of a machine on a day, in days since the beginning of 1970: with those whose account has ended by then.
pub fn parse_on(
    today: u64,
    files: &AccountFiles,
    login_defs: &[u8],
) -> Result<Accounts, AccountError> {
    Ok(Accounts {
        expired: expired(files, today),
        ..parse(files, login_defs)?
    })
}

/// Users whose account has ended, shadow(5), on `today` or before. Files that cannot be read say nothing here.
fn expired(files: &AccountFiles, today: u64) -> Vec<String> {
    let Ok(shadow) = lines::shadow(&files.shadow) else {
        return Vec::new();
    };
    let ended = |line: &&lines::Shadow| {
        let day = std::str::from_utf8(line.ageing[EXPIRES]);
        let day: Option<u64> = day.ok().and_then(|day| day.trim().parse().ok());
        day.is_some_and(|day| day <= today)
    };
    let ended = shadow.entries.iter().filter(ended);
    ended.map(|line| line.name.to_owned()).collect()
}

/// Among the fields behind the password the one with the day on which an account ends.
const EXPIRES: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    /// A plain name, a file, its text, how many users are found, and what is listed.
    type Tolerated = (
        &'static str,
        &'static str,
        &'static [u8],
        usize,
        &'static [&'static str],
    );

    fn files(file: &str, text: &[u8]) -> AccountFiles {
        let mut files = AccountFiles::default();
        let slot = match file {
            "passwd" => &mut files.passwd,
            "shadow" => &mut files.shadow,
            "group" => &mut files.group,
            "gshadow" => &mut files.gshadow,
            "subuid" => &mut files.subuid,
            _ => &mut files.subgid,
        };
        *slot = text.to_vec();
        files
    }

    #[test]
    fn what_is_no_account_is_passed_over_and_listed() {
        let cases: &[Tolerated] = &[
            ("nothing", "passwd", b"", 0, &[]),
            ("no last line end", "passwd", b"a:x:1:1:::", 1, &[]),
            (
                "the largest number",
                "passwd",
                b"a:x:4294967294:4294967294:::",
                1,
                &[],
            ),
            ("zeros before", "passwd", b"a:x:0042:1:::", 1, &[]),
            ("above 2^31", "group", b"g:x:3000000000:\n", 0, &[]),
            (
                "empty lines",
                "passwd",
                b"\n \t\na:x:1:1:::\n\n",
                1,
                &["line 1: empty", "line 2: empty", "line 4: empty"],
            ),
            (
                "a comment",
                "passwd",
                b"#a:x:1:1:::\n  # b\n",
                0,
                &["line 1: a comment", "line 2: a comment"],
            ),
            (
                "NIS in passwd",
                "passwd",
                b"+\n+::::::\n-bob::::::\n+@staff:x\n+ann:hash:\n",
                0,
                &[
                    "line 1: an entry for NIS, `+`",
                    "line 2: an entry for NIS, `+`",
                    "line 3: an entry for NIS, `-bob`",
                    "line 4: an entry for NIS, `+@staff`",
                    "line 5: an entry for NIS, `+ann`",
                ],
            ),
            (
                "NIS in group",
                "group",
                b"+:::\n",
                0,
                &["/etc/group, line 1: an entry for NIS"],
            ),
            (
                "CR LF, said once",
                "passwd",
                b"a:x:1:1:::/bin/sh\r\nb:x:2:2:::/bin/sh\r\n",
                2,
                &["/etc/passwd: lines end in CR LF"],
            ),
            (
                "doubles, the first counts",
                "passwd",
                b"a:x:1:1:::\na:x:2:2:::\n",
                1,
                &["line 2: a second line for a,"],
            ),
            (
                "a double in shadow",
                "shadow",
                b"a:!:::::::\na::::::::\n",
                0,
                &["/etc/shadow, line 2: a second line for a,"],
            ),
            ("the short shadow", "shadow", b"a:!:1:0:99999\n", 0, &[]),
            (
                "several ranges",
                "subuid",
                b"a:1:1\na:2:1\n1000:3:1\n",
                0,
                &[],
            ),
        ];
        for (case, file, text, users, skipped) in cases {
            let found = parse(&files(file, text), b"").expect(case);
            assert_eq!(found.users.len(), *users, "{case}");
            assert_eq!(
                found.skipped.len(),
                skipped.len(),
                "{case}: {:?}",
                found.skipped
            );
            for (found, text) in found.skipped.iter().zip(*skipped) {
                assert!(found.contains(text), "{case}: {found}");
            }
            assert!(
                found
                    .users
                    .iter()
                    .all(|user| matches!(user.uid, 1 | 2 | 42 | 4_294_967_294)),
                "{case}"
            );
            assert!(
                found.users.iter().all(|user| !user.shell.contains('\r')),
                "{case}"
            );
            let said = format!("{found:?}");
            assert!(!said.contains("hash"), "{case}: {said}");
        }
    }

    #[test]
    fn what_cannot_be_told_is_an_error_with_its_place() {
        let cases: &[(&str, &str, &[u8], &str)] = &[
            ("six fields", "passwd", b"a:x:1:1::\n", "/etc/passwd, line 1: it has 6 fields, not 7"),
            ("eight fields", "passwd", b"\na:x:1:1::::\n", "/etc/passwd, line 2: it has 8 fields, not 7"),
            ("no fields", "passwd", b"garbage\n", "/etc/passwd, line 1: it has 1 fields, not 7"),
            ("no number", "passwd", b"a:x:one:1:::\n", "/etc/passwd, line 1: a: the user number `one` is not a number from 0 to 4294967294"),
            ("an empty number", "passwd", b"a:x:1::::\n", "a: the group number `` is not"),
            ("the number of nobody", "passwd", b"a:x:4294967295:1:::\n", "the user number `4294967295`"),
            ("beyond 32 bits", "group", b"a:x:4294967296:\n", "/etc/group, line 1: a: the group number `4294967296`"),
            ("a sign", "passwd", b"a:x:+1:1:::\n", "the user number `+1`"),
            ("a negative number", "passwd", b"a:x:-2:1:::\n", "the user number `-2`"),
            ("an empty name", "passwd", b":x:1:1:::\n", "line 1: the name `` is empty"),
            ("a blank in the name", "passwd", b"a b:x:1:1:::\n", "the name `a b` has a blank"),
            ("a blank before the name", "passwd", b" a:x:1:1:::\n", "the name ` a` has a blank"),
            ("a slash in the name", "group", b"../a:x:1:\n", "the name `../a` has"),
            ("a comma in the name", "passwd", b"a,b:x:1:1:::\n", "the name `a,b` has"),
            ("NUL in the name", "passwd", b"a\0:x:1:1:::\n", "the name `a\\u{0}` has"),
            ("an escape in the name", "passwd", b"\x1b[2J:x:1:1:::\n", "the name `\\u{1b}[2J` has"),
            ("CR in the name", "passwd", b"a\rb:x:1:1:::\n", "the name `a\\rb` has"),
            ("no UTF-8", "passwd", b"\xe9:x:1:1:::\n", "the name `\\xe9` is not UTF-8"),
            ("a bad member", "group", b"g:x:1:a,b c\n", "/etc/group, line 1: g: the member `b c`"),
            ("a bad shadow line", "shadow", b"a:x\n", "/etc/shadow, line 1: it has 2 fields, not 9"),
            ("a bad gshadow line", "gshadow", b"a:x:\n", "/etc/gshadow, line 1: it has 3 fields, not 4"),
            ("a bad range", "subuid", b"a:b:c\n", "/etc/subuid, line 1: a: the first number `b`"),
            ("a bad count", "subgid", b"a:1:\n", "/etc/subgid, line 1: a: the count ``"),
        ];
        for (case, file, text, expected) in cases {
            let error = parse(&files(file, text), b"").expect_err(case).to_string();
            assert!(error.contains(expected), "{case}: {error}");
        }
    }

    #[test]
    fn an_account_ends_on_its_day() {
        let files = AccountFiles {
            shadow:
                b"ann:$6$a$b:1:0:99999:7::100:\nbob:!:1:0:99999:7:::\ncem:!:1:0:99999:7::101:\n\
                      dan:!:1:0:99999:7::0:\neve:!:1:0:99999:7::-1:\nfay:!:1:0:99999\n"
                    .to_vec(),
            ..AccountFiles::default()
        };
        assert_eq!(expired(&files, 100), ["ann", "dan"]);
        assert_eq!(expired(&files, 99), ["dan"]);
        let broken = AccountFiles {
            shadow: b"ann\n".to_vec(),
            ..AccountFiles::default()
        };
        assert_eq!(expired(&broken, 100), [""; 0]);
    }

    #[test]
    fn accounts_are_read_with_what_is_no_secret() {
        let files = AccountFiles {
            passwd: b"root:x:0:0:root:/root:/bin/bash\nann:x:1000:100:Al\xe9:/home/ann:/bin/sh\n\
                      bob:$1$a$b:1001:100::/:\neve::1002:100::/:\ngone:x:1003:100::/:\n"
                .to_vec(),
            shadow: b"root:!:1::::::\nann:$6$a$b:1::::::\nbob:!:1::::::\neve:!:1::::::\n".to_vec(),
            group: b"users:x:100: ann,,bob ,\n".to_vec(),
            ..AccountFiles::default()
        };
        let found = parse(&files, b"UID_MIN 500\n").unwrap();
        let users: Vec<_> = found
            .users
            .iter()
            .map(|u| (&*u.name, u.uid, u.gid, &*u.home, &*u.shell, u.password))
            .collect();
        assert_eq!(
            users,
            [
                ("root", 0, 0, "/root", "/bin/bash", false),
                ("ann", 1000, 100, "/home/ann", "/bin/sh", true),
                ("bob", 1001, 100, "/", "", true),
                ("eve", 1002, 100, "/", "", true),
                ("gone", 1003, 100, "/", "", false),
            ]
        );
        // bob's hash stands in passwd(5), and the lock where the server looks.
        assert_eq!(found.locked, ["root", "bob", "eve"]);
        assert_eq!(found.groups[0].members, ["ann", "bob"]);
        assert_eq!(found.ranges.users, (500, 60_000));
        let names: Vec<_> = found.passwords.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["bob", "eve"]);
        assert_eq!(found.skipped, [""; 0]);
        assert!(!format!("{files:?}").contains("$6$"));
    }
}
