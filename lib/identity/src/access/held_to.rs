//! Commands and directories that a server holds people to (`ForceCommand`, `ChrootDirectory`): whether they get to
//! a shell by them, and whether the new OS has the programs that they are held to.
//!
//! A command may record what is typed, ask once more, or refuse; what it does is not known here. It counts as a way
//! to a shell where its program is there and is none that gives no shell.

use formats::access::{Doors, Setting};
use formats::identity::{NewIdentity, OldIdentity};
use formats::keep::is_below;

use super::server;

/// Programs that give no shell, whatever their arguments are.
const NO_SHELL: [&str; 15] = [
    "borg",
    "cat",
    "echo",
    "exit",
    "false",
    "git-shell",
    "internal-sftp",
    "nologin",
    "printf",
    "rrsync",
    "rssh",
    "scponly",
    "sftp-server",
    "sleep",
    "true",
];
/// Programs that call the one that counts, which is the next that is named with its path.
const CALLERS: [&str; 15] = [
    "ash", "bash", "dash", "env", "ionice", "ksh", "nice", "nohup", "perl", "python3", "setsid",
    "sh", "sudo", "timeout", "zsh",
];
/// Where a program is that is named without its path.
const FOLDERS: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// Whether somebody for whom these settings hold gets to a shell of this OS. `has` says of a program whether the OS
/// has it.
pub fn leaves_a_shell(doors: &Doors, has: &dyn Fn(&str) -> bool) -> bool {
    let first = |keyword| {
        let mut said = server::said(doors, keyword);
        said.next().filter(|setting| holds(setting))
    };
    if first("ChrootDirectory").is_some() {
        return false;
    }
    first("ForceCommand").is_none_or(|setting| {
        let programs = programs(setting);
        let gives_one = programs
            .first()
            .is_none_or(|program| !NO_SHELL.contains(&base(program)));
        gives_one && programs.iter().all(|program| has(program))
    })
}

/// What a server is told to hold people to and the new OS does not have, one line each.
pub fn missing(settings: &[Setting], has: &dyn Fn(&str) -> bool) -> Vec<String> {
    let commands = settings
        .iter()
        .filter(|s| server::is(s, "ForceCommand") && holds(s));
    let lines = commands.filter_map(|setting| {
        let programs = programs(setting);
        let of_the_server = |program: &str| base(program) == "internal-sftp";
        let gone = programs.iter().find(|p| !of_the_server(p) && !has(p))?;
        let condition = match &setting.condition {
            Some(condition) => format!("Match {condition}: "),
            None => String::new(),
        };
        Some(format!(
            "{condition}ForceCommand {}: {gone} is not known to be in the new OS, and every login that it is for would end \
             there; bring it with --carry or --keep, or have the image bring it",
            setting.values.join(" ")
        ))
    });
    let mut lines: Vec<String> = lines.collect();
    lines.dedup();
    lines
}

/// Whether the new OS will have a program: kept, brought along (`copied`), of the overlay, of the image.
pub fn has(program: &str, (old, new): (&OldIdentity, &NewIdentity), copied: &[String]) -> bool {
    let by_name = |path: &String| {
        let (folder, name) = path.rsplit_once('/').unwrap_or_default();
        name == program && FOLDERS.contains(&folder)
    };
    let own = [&new.programs, &new.shells, &old.overlaid];
    let mut own = own.into_iter().flatten();
    if !program.contains('/') {
        return own.any(by_name) || copied.iter().any(by_name);
    }
    // `/bin` is a link there, or a folder of its own.
    let merged = format!("/usr{program}");
    let is_it = |path: &str| path == program || path == merged;
    own.any(|path| is_it(path))
        || [program, &merged]
            .iter()
            .any(|path| old.keeps(path) || copied.iter().any(|copied| is_below(path, copied)))
}

fn holds(setting: &Setting) -> bool {
    let value = setting.values.first().map_or("none", String::as_str);
    !value.eq_ignore_ascii_case("none")
}

fn base(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// The programs that a command needs: its first word, behind those that are the shell's own, and the one that this
/// calls.
fn programs(setting: &Setting) -> Vec<&str> {
    let words = setting
        .values
        .iter()
        .flat_map(|value| value.split_whitespace());
    let mut words = words
        .map(|word| word.trim_matches(['\'', '"', ';', '(', ')']))
        .skip_while(|word| {
            ["", "exec"].contains(word)
                || word
                    .split_once('=')
                    .is_some_and(|(name, _)| !name.contains('/'))
        });
    let Some(first) = words.next() else {
        return Vec::new();
    };
    let called = words
        .find(|word| word.starts_with('/'))
        .filter(|_| CALLERS.contains(&base(first)));
    std::iter::once(first).chain(called).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(keyword: &str, value: &str) -> Vec<Setting> {
        vec![Setting {
            path: String::new(),
            condition: None,
            keyword: keyword.to_owned(),
            values: value.split(' ').map(str::to_owned).collect(),
        }]
    }

    #[test]
    fn a_command_whose_program_is_there_may_end_in_a_shell() {
        let there = ["/usr/bin/record", "/bin/sh", "record", "/usr/bin/script"];
        let has = |program: &str| there.contains(&program);
        for (keyword, value, expected) in [
            ("ForceCommand", "none", true),
            ("ForceCommand", "/usr/bin/record", true),
            ("ForceCommand", "record --all", true),
            ("ForceCommand", "/usr/local/bin/record", false),
            ("ForceCommand", "/bin/sh -c '/usr/bin/record; exit'", true),
            ("ForceCommand", "/bin/sh /usr/local/bin/record", false),
            ("ForceCommand", "LANG=C exec /usr/bin/record", true),
            ("ForceCommand", "exec /usr/local/bin/record", false),
            ("ForceCommand", "/usr/bin/script -q /var/log/typed", true),
            ("ForceCommand", "internal-sftp -l INFO", false),
            ("ForceCommand", "/usr/lib/openssh/sftp-server", false),
            ("ForceCommand", "echo log in as debian", false),
            ("ChrootDirectory", "none", true),
            ("ChrootDirectory", "%h", false),
            ("X11Forwarding", "no", true),
        ] {
            let doors = Doors {
                settings: settings(keyword, value),
                ..Doors::default()
            };
            assert_eq!(leaves_a_shell(&doors, &has), expected, "{keyword} {value}");
        }
    }

    #[test]
    fn what_people_are_held_to_and_is_gone_is_named() {
        let has = |program: &str| program == "/usr/bin/record";
        let of = |value: &str| missing(&settings("ForceCommand", value), &has);
        for there in ["none", "/usr/bin/record -v", "internal-sftp"] {
            assert_eq!(of(there), [""; 0], "{there}");
        }
        let gone = of("/usr/local/bin/record -v");
        assert!(
            gone[0].starts_with(
                "ForceCommand /usr/local/bin/record -v: /usr/local/bin/record is not known to be"
            ),
            "{gone:?}"
        );
        let some = Setting {
            condition: Some("Group ops".to_owned()),
            ..settings("ForceCommand", "/opt/record").remove(0)
        };
        let gone = missing(&[some.clone(), some], &has);
        assert_eq!(gone.len(), 1);
        assert!(
            gone[0].starts_with("Match Group ops: ForceCommand"),
            "{gone:?}"
        );
    }

    #[test]
    fn a_program_is_there_that_is_kept_or_brought_or_the_images_own() {
        let own = |all: &[&str]| {
            all.iter()
                .map(|path| (*path).to_owned())
                .collect::<Vec<_>>()
        };
        let old = OldIdentity {
            kept: own(&["/srv"]),
            overlaid: own(&["/usr/local/sbin/gate"]),
            ..OldIdentity::default()
        };
        let new = NewIdentity {
            programs: own(&["/usr/bin/script"]),
            shells: own(&["/bin/sh"]),
            ..NewIdentity::default()
        };
        let copied = own(&["/opt/ops", "/usr/local/bin/record"]);
        for (program, expected) in [
            ("/srv/bin/record", true),
            ("/opt/ops/bin/record", true),
            ("/opt/other", false),
            ("/usr/local/bin/record", true),
            ("/usr/local/sbin/gate", true),
            ("/usr/bin/script", true),
            ("/bin/script", true),
            ("/bin/sh", true),
            ("/usr/bin/tlog", false),
            ("script", true),
            ("gate", true),
            ("record", true),
            ("tlog", false),
        ] {
            assert_eq!(has(program, (&old, &new), &copied), expected, "{program}");
        }
    }
}
