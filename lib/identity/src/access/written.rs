//! What is written for the new OS so that the same people get in in the same way: the old ssh server's
//! settings that decide about it, in the new server's words, and who becomes root by sudo.

use std::fmt::Write;

use formats::access::{Doors, Setting};
use formats::identity::HostKey;

use super::server;

/// The file with the ssh server's settings. It sorts before others, for what is said first holds.
pub const SETTINGS: &str = "/etc/ssh/sshd_config.d/00-reroot.conf";
/// The file with the rules of sudo.
pub const SUDOERS: &str = "/etc/sudoers.d/90-reroot";

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
const CARRIED: [&str; 27] = [
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
];

/// Whether a keyword says where the server listens, or by what means it lets in.
pub(super) fn is_door(keyword: &str) -> bool {
    let keyword = server::current_name(keyword);
    let mut doors = ALWAYS.iter().chain(&server::PLACES);
    doors.any(|door| door.eq_ignore_ascii_case(keyword))
}

/// The first release with the name `KbdInteractiveAuthentication`.
const KBD_INTERACTIVE: (u32, u32) = (8, 7);

/// Values that no server since 8.2 takes: protocol 1 and what came with it has other keywords.
fn is_plain(value: &str) -> bool {
    !value.is_empty()
        && value
            .chars()
            .all(|c| !c.is_control() && c != '"' && c != '\\')
}

/// Whether a setting of the old server is written for the new one.
pub fn is_written(setting: &Setting) -> bool {
    let keyword = server::current_name(&setting.keyword);
    let known = |list: &[&str]| list.iter().any(|k| k.eq_ignore_ascii_case(keyword));
    // Keys come along from homes, and from folders that are copied for that.
    let place =
        |value: &String| server::in_home(value).is_some() || server::key_folder(value).is_some();
    if server::is(setting, "AuthorizedKeysFile") {
        return setting.condition.is_none() && setting.values.iter().all(place);
    }
    if server::named_file(setting).is_some() {
        // The host's own is everybody's.
        return !(server::is(setting, "HostCertificate") && setting.condition.is_some());
    }
    if server::is(setting, "AuthorizedPrincipalsFile") {
        let place = |value: &String| {
            server::principals_in_home(value) || server::key_folder(value).is_some()
        };
        return setting.values.iter().all(place);
    }
    known(&CARRIED)
        && setting.values.iter().all(|value| is_plain(value))
        && setting.condition.as_deref().is_none_or(is_plain)
        && !(setting.condition.is_some() && server::is_place(setting))
}

/// The settings that are written, in the order in which they count. `keys` are host keys that the new server
/// has to be told of, `besides` a list that it is told for everybody besides.
pub fn settings(old: &Doors, keys: &[&HostKey], besides: Option<Setting>) -> Vec<Setting> {
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
    if let Some(list) = &besides {
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
        .chain(besides)
        .chain(keys)
        .chain(conditional)
        .collect()
}

/// These settings as a file, for a new server of this release.
pub fn text(settings: &[Setting], new: Option<(u32, u32)>) -> String {
    let mut text = "# Written by reroot: who gets in, as the old OS's ssh server had it. What is said first holds.\n"
        .to_owned();
    let mut condition = None;
    for setting in settings {
        if condition != setting.condition.as_deref() {
            condition = setting.condition.as_deref();
            let _ = writeln!(text, "Match {}", condition.unwrap_or_default());
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
    let keyword = match server::current_name(keyword) {
        "KbdInteractiveAuthentication" if new.is_some_and(|new| new < KBD_INTERACTIVE) => {
            "ChallengeResponseAuthentication"
        }
        keyword => keyword,
    };
    let values: Vec<String> = values
        .iter()
        .map(|value| {
            // A command is the rest of the line, quotes and all.
            let quoted = value.contains(char::is_whitespace) && keyword != "ForceCommand";
            if quoted {
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
            assert_eq!(text(&settings(&old, &[], None), Some(release)), expected);
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
            text(&settings(&old, &[], None), None)
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
        let text = text(&settings(&old, &[], Some(everybody)), None);
        assert!(
            text.ends_with(
                "DenyUsers ann\nMatch LocalPort 22\n    PermitTTY no\n    DenyUsers bob ann\n"
            ),
            "{text}"
        );
    }
}
