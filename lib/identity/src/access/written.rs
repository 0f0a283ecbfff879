//! What is written for the new OS so that the same people get in in the same way: the old ssh server's
//! settings that decide about it, in the new server's words, and who becomes root by sudo.

use std::fmt::Write;

use formats::access::{Doors, Setting};
use formats::identity::HostKey;

use super::{matching, server, server_keys};

/// The file with the ssh server's settings. It sorts before others, for what is said first holds.
pub const SETTINGS: &str = "/etc/ssh/sshd_config.d/00-reroot.conf";
/// The file with the rules of sudo.
pub const SUDOERS: &str = "/etc/sudoers.d/90-reroot";

/// The folder of the first, with what else the server reads.
pub const BESIDE: &str = "/etc/ssh/sshd_config.d";
/// What files that came along end in where the server does not take them: behind that none is read.
pub const ASIDE: &str = ".set-aside";
/// What the server is told of in the place of a main file that it does not take and that is kept.
pub const OTHER: &str = "/etc/reroot/sshd_config";

/// Both.
pub const FILES: [&str; 2] = [SETTINGS, SUDOERS];

/// What every server has a word for that decides who gets in, whatever its default was.
const ALWAYS: [&str; 4] = [
    "PermitRootLogin",
    "PasswordAuthentication",
    "KbdInteractiveAuthentication",
    "PubkeyAuthentication",
];

/// Keywords that are written if the old server has them. All of them are known since OpenSSH 8.2, the
/// first whose server includes the file.
const CARRIED: [&str; 31] = [
    "Port",
    "ListenAddress",
    "AddressFamily",
    "PermitRootLogin",
    "PasswordAuthentication",
    "KbdInteractiveAuthentication",
    "PubkeyAuthentication",
    "PermitEmptyPasswords",
    "AuthenticationMethods",
    "AllowUsers",
    "AllowGroups",
    "DenyUsers",
    "DenyGroups",
    "ForceCommand",
    "ChrootDirectory",
    "PermitTTY",
    "PermitOpen",
    "PermitListen",
    "PermitTunnel",
    "AllowTcpForwarding",
    "AllowStreamLocalForwarding",
    "AllowAgentForwarding",
    "DisableForwarding",
    "GatewayPorts",
    "X11Forwarding",
    "MaxAuthTries",
    "MaxSessions",
    KEYS,
    "PubkeyAuthOptions",
    "RequiredRSASize",
    "StrictModes",
];

/// The keyword for which keys are taken.
const KEYS: &str = "PubkeyAcceptedAlgorithms";

type Release = (u32, u32);

/// Keywords of these that came later, and with which release.
const SINCE: [(&str, Release); 2] = [("PubkeyAuthOptions", (8, 4)), ("RequiredRSASize", (9, 1))];

/// Names that a keyword had up to a release.
const UNTIL: [(&str, &str, Release); 2] = [
    (
        "KbdInteractiveAuthentication",
        "ChallengeResponseAuthentication",
        (8, 7),
    ),
    (KEYS, "PubkeyAcceptedKeyTypes", (8, 5)),
];

/// Whether a keyword says where the server listens, or by what means it lets in.
pub(super) fn is_door(keyword: &str) -> bool {
    let keyword = server::current_name(keyword);
    let mut doors = ALWAYS.iter().chain(&server::PLACES);
    doors.any(|door| door.eq_ignore_ascii_case(keyword))
}

/// Values that can be written, in quotes if need be.
fn is_plain(value: &str) -> bool {
    !value.is_empty()
        && value
            .chars()
            .all(|c| !c.is_control() && c != '"' && c != '\\')
}

/// Whether a command can be written as it stands: since 8.7 a server looks for the ends of quotes, whatever they
/// are for.
fn is_whole(command: &str) -> bool {
    let (mut quote, mut begins) = (None, true);
    let mut rest = command.chars().peekable();
    while let Some(c) = rest.next() {
        let escaped = |next: &char| "'\"\\".contains(*next) || quote.is_none() && *next == ' ';
        match c {
            c if c.is_control() && c != '\t' => return false,
            '#' if begins => return true,
            '\\' => drop(rest.next_if(escaped)),
            '"' | '\'' if quote.is_none() => quote = Some(c),
            c if quote == Some(c) => quote = None,
            _ => {}
        }
        begins = quote.is_none() && matches!(c, ' ' | '\t');
    }
    quote.is_none()
}

/// A new server, as far as it counts for what can be written for it.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// Its release; what came later than OpenSSH 8.2 is written where it is known.
    pub release: Option<Release>,
    /// Whether it has a setting of the old server's by a file that comes along.
    pub has: &'a dyn Fn(&Setting) -> bool,
}

/// Which settings of the old server are written for the new one.
pub fn written_of<'a>(old: &'a Doors, new: Reader<'a>) -> impl Fn(&Setting) -> bool + 'a {
    // Certificates of an authority let in whom their names allow: without these, anybody whom it ever signed.
    let mut principals = server::counting(old).filter(|setting| server::names_principals(setting));
    let principals = principals.all(|s| (new.has)(s) || is_written(s, new.release));
    move |setting| {
        let held_back = server::is(setting, server::AUTHORITY) && !principals;
        !held_back && is_written(setting, new.release)
    }
}

fn is_written(setting: &Setting, new: Option<Release>) -> bool {
    let keyword = server::current_name(&setting.keyword);
    let is = |known: &str| known.eq_ignore_ascii_case(keyword);
    // Keys come along from homes, and from folders that are copied for that.
    let place =
        |value: &String| server::in_home(value).is_some() || server::key_folder(value).is_some();
    if is("AuthorizedKeysFile") {
        return setting.condition.is_none() && setting.values.iter().all(place);
    }
    if server::named_file(setting).is_some() {
        // The host's own is everybody's.
        return !(is("HostCertificate") && setting.condition.is_some());
    }
    if is("AuthorizedPrincipalsFile") {
        let place = |value: &String| {
            server::principals_in_home(value) || server::key_folder(value).is_some()
        };
        return setting.values.iter().all(place);
    }
    let since = SINCE.iter().find(|(known, _)| is(known));
    let known = CARRIED.iter().any(|known| is(known))
        && since.is_none_or(|(_, since)| new.is_some_and(|new| new >= *since));
    let values = if is(server::COMMAND) {
        is_whole(&setting.values.join(" "))
    } else if is(KEYS) {
        let list = setting.values.first();
        list.is_some_and(|list| server_keys::known_list(list, new).is_some())
    } else {
        setting.values.iter().all(|value| is_plain(value))
    };
    let criteria = setting.condition.as_deref().map(matching::words);
    known
        && values
        && criteria.is_none_or(|words| words.into_iter().all(is_plain))
        && !(setting.condition.is_some() && server::is_place(setting))
}

/// The settings that are written, in the order in which they count. `keys` are host keys that the new server
/// has to be told of, `besides` what it is told for everybody besides: lists.
pub fn settings(old: &Doors, new: Reader, keys: &[&HostKey], besides: &[Setting]) -> Vec<Setting> {
    let is_written = written_of(old, new);
    // Who does not ask PAM has nothing to ask by this means, whatever the files say; the new server may have.
    let asks_nothing =
        |keyword: &str| keyword == "KbdInteractiveAuthentication" && !server::asks_pam(old);
    let always = ALWAYS.iter().filter_map(|keyword| {
        let said = || server::value(old, keyword);
        let none = asks_nothing(keyword).then(|| "no".to_owned());
        Some(Setting {
            path: SETTINGS.to_owned(),
            condition: None,
            keyword: (*keyword).to_owned(),
            values: vec![none.or_else(said)?],
        })
    });
    let said = |setting: &Setting| {
        setting.condition.is_none() && ALWAYS.iter().any(|keyword| server::is(setting, keyword))
    };
    let of_some = |setting: &&Setting| {
        !said(setting) && !asks_nothing(server::current_name(&setting.keyword))
    };
    let rest = server::counting(old).filter(|s| is_written(s) && of_some(s));
    // What is for everybody stands above the first `Match`.
    let (everybody, mut conditional): (Vec<_>, Vec<_>) = rest
        .cloned()
        .partition(|setting| setting.condition.is_none());
    // A list below a `Match` takes the place of everybody's.
    for list in besides {
        let own = conditional.iter_mut();
        for setting in own.filter(|setting| server::is(setting, &list.keyword)) {
            setting.values.extend(list.values.iter().cloned());
        }
    }
    let keys = keys.iter().map(|key| Setting {
        path: SETTINGS.to_owned(),
        condition: None,
        keyword: "HostKey".to_owned(),
        values: vec![key.path.clone()],
    });
    always
        .chain(everybody)
        .chain(besides.iter().cloned())
        .chain(keys)
        .chain(conditional)
        .collect()
}

/// What stands in for the old server's own configuration, kept or carried, where the new server does not take it:
/// the settings that would be written beside the image's own, and of the image's what a server needs to have.
pub fn reserve(old: &Doors, new: &Doors, keys: &[&HostKey], besides: &[Setting]) -> String {
    let own = |keyword: &str, values: &[&str]| Setting {
        path: SETTINGS.to_owned(),
        condition: None,
        keyword: keyword.to_owned(),
        values: values.iter().map(|value| (*value).to_owned()).collect(),
    };
    let pam = if server::asks_pam(new) { "yes" } else { "no" };
    let mut all = vec![
        own("UsePAM", &[pam]),
        own("Subsystem", &["sftp", "internal-sftp"]),
    ];
    // It includes nothing.
    let alone = Reader {
        release: new.release,
        has: &|_| false,
    };
    all.extend(settings(old, alone, keys, besides));
    text(&all, new.release)
}

/// These settings as a file, for a new server of this release.
pub fn text(settings: &[Setting], new: Option<(u32, u32)>) -> String {
    let mut text = "# Written by reroot: who gets in, as the old OS's ssh server had it. What is said first holds.\n"
        .to_owned();
    let mut condition = None;
    for setting in settings {
        if condition != setting.condition.as_deref() {
            condition = setting.condition.as_deref();
            let _ = writeln!(text, "Match {}", condition.unwrap_or("all"));
        }
        let indent = if condition.is_some() { "    " } else { "" };
        line(&mut text, indent, &setting.keyword, &setting.values, new);
    }
    text
}

fn line(
    text: &mut String,
    indent: &str,
    keyword: &str,
    values: &[String],
    new: Option<(u32, u32)>,
) {
    let keyword = server::current_name(keyword);
    let is = |known: &str| known.eq_ignore_ascii_case(keyword);
    let (is_command, of_keys) = (is(server::COMMAND), is(KEYS));
    let before = |(_, _, until): &&(_, _, Release)| new.is_some_and(|new| new < *until);
    let mut earlier = UNTIL.iter().filter(|(name, ..)| is(name)).filter(before);
    let keyword = earlier.next().map_or(keyword, |(_, earlier, _)| earlier);
    let values: Vec<String> = values
        .iter()
        .map(|value| {
            // A command is the rest of the line, quotes and all. Of others, since 8.7 a `'` quotes as well, and
            // what begins with `#` is a comment.
            let needs = |c: char| c.is_whitespace() || c == '\'';
            let quoted = value.contains(needs) || value.starts_with('#');
            if of_keys {
                server_keys::known_list(value, new).unwrap_or_default()
            } else if quoted && !is_command {
                format!("\"{value}\"")
            } else {
                value.clone()
            }
        })
        .collect();
    let _ = writeln!(text, "{indent}{keyword} {}", values.join(" "));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(condition: Option<&str>, keyword: &str, values: &[&str]) -> Setting {
        Setting {
            path: "/etc/ssh/sshd_config".to_owned(),
            condition: condition.map(str::to_owned),
            keyword: keyword.to_owned(),
            values: values.iter().map(|v| (*v).to_owned()).collect(),
        }
    }

    /// A server to which nothing comes along.
    const ALONE: Reader<'static> = Reader {
        release: None,
        has: &|_| false,
    };

    #[test]
    fn which_keys_are_taken_is_written_where_the_new_server_knows_the_words() {
        let old = |keyword: &str, value: &str| Doors {
            server: true,
            settings: vec![setting(None, keyword, &[value])],
            ..Doors::default()
        };
        for (keyword, value, release, expected) in [
            (
                "PubkeyAcceptedKeyTypes",
                "ssh-ed25519,x",
                (8, 4),
                "PubkeyAcceptedKeyTypes ssh-ed25519",
            ),
            (
                "PubkeyAcceptedKeyTypes",
                "ssh-ed25519",
                (9, 2),
                "PubkeyAcceptedAlgorithms ssh-ed25519",
            ),
            ("PubkeyAcceptedAlgorithms", "x", (9, 2), ""),
            ("RSAMinSize", "2048", (9, 2), "RequiredRSASize 2048"),
            ("RequiredRSASize", "3072", (8, 4), ""),
            (
                "PubkeyAuthOptions",
                "verify-required",
                (8, 4),
                "PubkeyAuthOptions verify-required",
            ),
            ("PubkeyAuthOptions", "verify-required", (8, 2), ""),
        ] {
            let reader = Reader {
                release: Some(release),
                ..ALONE
            };
            let text = text(
                &settings(&old(keyword, value), reader, &[], &[]),
                Some(release),
            );
            let last = text.lines().last().unwrap();
            let nothing = "PubkeyAuthentication yes";
            let expected = if expected.is_empty() {
                nothing
            } else {
                expected
            };
            assert_eq!(last, expected, "{keyword} {release:?}");
        }
    }

    /// An authority's certificates without the names that they may have would let in everybody.
    #[test]
    fn an_authority_is_written_with_the_names_of_its_certificates_and_not_without() {
        let authority = setting(None, "TrustedUserCAKeys", &["/etc/ssh/ca.pub"]);
        let is_written = |names: Option<Setting>, has: &dyn Fn(&Setting) -> bool| {
            let old = Doors {
                server: true,
                settings: [authority.clone()].into_iter().chain(names).collect(),
                ..Doors::default()
            };
            let reader = Reader { release: None, has };
            let is_written = written_of(&old, reader);
            is_written(&authority)
        };
        let file = |place: &str| Some(setting(None, "AuthorizedPrincipalsFile", &[place]));
        let command = |program: &str| setting(None, "AuthorizedPrincipalsCommand", &[program]);
        let by_program = Some(command("/usr/local/bin/names"));
        let no = |_: &Setting| false;
        for (names, expected) in [
            (None, true),
            (file("/etc/ssh/principals/%u"), true),
            (file("%h/.ssh/authorized_principals"), true),
            (file("none"), true),
            (file("/srv/principals/%u"), false),
            (by_program.clone(), false),
            (Some(command("none")), true),
            (
                Some(setting(
                    Some("User ann"),
                    "AuthorizedPrincipalsFile",
                    &["/srv/%u"],
                )),
                false,
            ),
        ] {
            assert_eq!(is_written(names.clone(), &no), expected, "{names:?}");
        }
        assert!(
            is_written(by_program, &server::names_principals),
            "it comes along in a file"
        );
    }

    #[test]
    fn what_decides_who_gets_in_is_written_in_the_new_servers_words() {
        let old = Doors {
            server: true,
            release: Some((5, 9)),
            settings: vec![
                setting(None, "Port", &["2222"]),
                setting(None, "Protocol", &["2"]),
                setting(None, "UsePrivilegeSeparation", &["yes"]),
                setting(None, "ChallengeResponseAuthentication", &["no"]),
                setting(None, "AllowGroups", &["domain users", "wheel"]),
                setting(
                    Some("Group sftponly"),
                    "ForceCommand",
                    &["internal-sftp", "-l", "INFO"],
                ),
                setting(Some("Group sftponly"), "ChrootDirectory", &["%h"]),
                setting(Some("Group sftponly"), "RSAAuthentication", &["no"]),
                setting(Some("User ann"), "PasswordAuthentication", &["no"]),
                setting(None, "AllowUsers", &["a\"b"]),
                setting(None, "TrustedUserCAKeys", &["/etc/ssh/ca.pub"]),
                setting(
                    None,
                    "AuthorizedPrincipalsFile",
                    &["/etc/ssh/principals/%u"],
                ),
                setting(None, "AuthorizedKeysCommand", &["/usr/bin/keys"]),
            ],
            ..Doors::default()
        };
        let head = "# Written by reroot: who gets in, as the old OS's ssh server had it. What is said first holds.\n\
                    PermitRootLogin yes\nPasswordAuthentication yes\n";
        let tail = "PubkeyAuthentication yes\nPort 2222\nAllowGroups \"domain users\" wheel\n\
                    TrustedUserCAKeys /etc/ssh/ca.pub\nAuthorizedPrincipalsFile /etc/ssh/principals/%u\n\
                    Match Group sftponly\n    ForceCommand internal-sftp -l INFO\n    ChrootDirectory %h\n\
                    Match User ann\n    PasswordAuthentication no\n";
        for (release, kbd) in [
            ((9, 2), "KbdInteractiveAuthentication"),
            ((8, 4), "ChallengeResponseAuthentication"),
        ] {
            let expected = format!("{head}{kbd} no\n{tail}");
            assert_eq!(
                text(&settings(&old, ALONE, &[], &[]), Some(release)),
                expected
            );
        }
    }

    #[test]
    fn quotes_are_written_where_they_were_and_where_they_are_needed() {
        let doors = |condition, keyword: &str, values: &[&str]| Doors {
            server: true,
            settings: vec![setting(condition, keyword, values)],
            ..Doors::default()
        };
        for (condition, keyword, values, expected) in [
            (
                None,
                "forcecommand",
                &["/bin/gate", "", "\"$SSH_ORIGINAL_COMMAND\"", "'a", "b'"][..],
                Some("forcecommand /bin/gate  \"$SSH_ORIGINAL_COMMAND\" 'a b'"),
            ),
            (
                None,
                "ForceCommand",
                &["echo", "don\\'t"],
                Some("ForceCommand echo don\\'t"),
            ),
            (
                None,
                "ForceCommand",
                &["true", "#", "don't"],
                Some("ForceCommand true # don't"),
            ),
            // A server that looks for the end of the quote would not start.
            (None, "ForceCommand", &["echo", "don't"], None),
            (
                None,
                "AllowUsers",
                &["o'brien", "#", "a#b"],
                Some("AllowUsers \"o'brien\" \"#\" a#b"),
            ),
            (
                Some("Group \"domain users\""),
                "PermitTTY",
                &["no"],
                Some("    PermitTTY no"),
            ),
            (
                Some("Group \"domain \u{7} users\""),
                "PermitTTY",
                &["no"],
                None,
            ),
        ] {
            let text = text(
                &settings(&doors(condition, keyword, values), ALONE, &[], &[]),
                None,
            );
            let line = expected.map(|line| format!("{line}\n"));
            assert_eq!(
                text.ends_with(line.as_deref().unwrap_or("AuthenticationX")),
                expected.is_some(),
                "{text}"
            );
            let head = condition
                .filter(|_| expected.is_some())
                .map(|c| format!("Match {c}\n"));
            assert_eq!(text.contains("Match"), head.is_some(), "{text}");
            assert!(text.contains(&head.unwrap_or_default()), "{text}");
        }
    }

    #[test]
    fn a_server_that_asks_nothing_at_the_keyboard_stays_so_where_pam_would_ask() {
        let of = |lines: &[(Option<&str>, &str, &str)]| {
            let lines = lines.iter();
            let old = Doors {
                server: true,
                settings: lines
                    .map(|(condition, keyword, value)| setting(*condition, keyword, &[value]))
                    .collect(),
                ..Doors::default()
            };
            text(&settings(&old, ALONE, &[], &[]), None)
        };
        let kbd = "KbdInteractiveAuthentication";
        let no_password = (None, "PasswordAuthentication", "no");
        let for_ann = (Some("User ann"), "ChallengeResponseAuthentication", "yes");
        let without = of(&[no_password, for_ann]);
        assert!(
            without.contains("PasswordAuthentication no\nKbdInteractiveAuthentication no\n"),
            "{without}"
        );
        assert!(!without.contains("Match"), "{without}");
        let with = of(&[no_password, (None, "UsePAM", "yes"), for_ann]);
        assert!(with.contains(&format!("{kbd} yes\n")), "{with}");
        assert!(
            with.ends_with(&format!("Match User ann\n    {kbd} yes\n")),
            "{with}"
        );
        let everybody = setting(None, "DenyUsers", &["ann"]);
        let old = Doors {
            settings: vec![
                setting(Some("LocalPort 22"), "PermitTTY", &["no"]),
                setting(Some("LocalPort 22"), "DenyUsers", &["bob"]),
            ],
            ..Doors::default()
        };
        let text = text(&settings(&old, ALONE, &[], &[everybody]), None);
        assert!(
            text.ends_with(
                "DenyUsers ann\nMatch LocalPort 22\n    PermitTTY no\n    DenyUsers bob ann\n"
            ),
            "{text}"
        );
    }
}
