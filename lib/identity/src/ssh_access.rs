//! What the ssh server's configuration, `sshd_config`(5), forbids to people who may log in otherwise.
//!
//! The accounts come along, the configuration of their server does not: somebody who may move files
//! and nothing else would have a shell in the new OS. Only what takes something away counts here,
//! and only where it takes away more than a server without any configuration does.

use formats::access::Setting;

use crate::files::Files;
use crate::network::old::glob;

/// How deep files may include others, as in sshd itself.
const DEEPEST: usize = 16;

/// The configuration's main file.
pub const MAIN: &str = "/etc/ssh/sshd_config";

/// What takes away from whom it is said, with which values it does not.
const TAKES_AWAY: &[(&str, &[&str])] = &[
    ("AllowGroups", &[]),
    ("AllowUsers", &[]),
    ("DenyGroups", &[]),
    ("DenyUsers", &[]),
    ("ForceCommand", &["none"]),
    ("ChrootDirectory", &["none"]),
    ("AuthenticationMethods", &["any"]),
    ("PasswordAuthentication", &["yes"]),
    ("PubkeyAuthentication", &["yes"]),
    (
        "PermitRootLogin",
        &["yes", "prohibit-password", "without-password"],
    ),
    ("PermitTTY", &["yes"]),
    ("PermitOpen", &["any"]),
    ("PermitListen", &["any"]),
    ("AllowTcpForwarding", &["yes", "all"]),
    ("AllowStreamLocalForwarding", &["yes", "all"]),
    ("AllowAgentForwarding", &["yes"]),
    ("DisableForwarding", &["no"]),
    ("ListenAddress", &["0.0.0.0", "::", "[::]", "*"]),
    // Elsewhere than in the homes, people cannot give themselves keys.
    (
        "AuthorizedKeysFile",
        &[
            ".ssh/authorized_keys",
            ".ssh/authorized_keys2",
            "%h/.ssh/authorized_keys",
            "%h/.ssh/authorized_keys2",
        ],
    ),
];

/// What takes nothing away from anybody who has a name here: how the server works, and what it lets people do
/// besides. Everything else is named, known or not.
const TAKES_NOTHING: &[&str] = &[
    "AcceptEnv",
    "AddressFamily",
    "AuthorizedKeysCommand",
    "AuthorizedKeysCommandUser",
    "AuthorizedPrincipalsCommand",
    "AuthorizedPrincipalsCommandUser",
    "AuthorizedPrincipalsFile",
    "Banner",
    "CASignatureAlgorithms",
    "ChallengeResponseAuthentication",
    "ChannelTimeout",
    "Ciphers",
    "ClientAliveCountMax",
    "ClientAliveInterval",
    "Compression",
    "DebianBanner",
    "DSAAuthentication",
    "ExposeAuthInfo",
    "FingerprintHash",
    "GatewayPorts",
    "GSSAPIAuthentication",
    "GSSAPICleanupCredentials",
    "GSSAPIKeyExchange",
    "GSSAPIStoreCredentialsOnRekey",
    "GSSAPIStrictAcceptorCheck",
    "HostbasedAcceptedAlgorithms",
    "HostbasedAcceptedKeyTypes",
    "HostbasedAuthentication",
    "HostbasedUsesNameFromPacketOnly",
    "HostCertificate",
    "HostKey",
    "HostKeyAgent",
    "HostKeyAlgorithms",
    "IgnoreRhosts",
    "IgnoreUserKnownHosts",
    "IPQoS",
    "KbdInteractiveAuthentication",
    "KeepAlive",
    "KerberosAuthentication",
    "KerberosGetAFSToken",
    "KerberosOrLocalPasswd",
    "KerberosTicketCleanup",
    "KexAlgorithms",
    "KeyRegenerationInterval",
    "LoginGraceTime",
    "LogLevel",
    "LogVerbose",
    "MACs",
    "MaxAuthTries",
    "MaxSessions",
    "MaxStartups",
    "ModuliFile",
    "PAMAuthenticationViaKBDInt",
    "PermitEmptyPasswords",
    "PermitTunnel",
    "PermitUserEnvironment",
    "PermitUserRC",
    "PerSourceMaxStartups",
    "PerSourceNetBlockSize",
    "PerSourcePenalties",
    "PerSourcePenaltyExemptList",
    "PidFile",
    "Port",
    "PrintLastLog",
    "PrintMotd",
    "Protocol",
    "PubkeyAcceptedAlgorithms",
    "PubkeyAcceptedKeyTypes",
    "PubkeyAuthOptions",
    "RDomain",
    "RekeyLimit",
    "RequiredRSASize",
    "RhostsRSAAuthentication",
    "RSAAuthentication",
    "SecurityKeyProvider",
    "ServerKeyBits",
    "SetEnv",
    "SshdSessionPath",
    "StreamLocalBindMask",
    "StreamLocalBindUnlink",
    "StrictModes",
    "Subsystem",
    "SyslogFacility",
    "TCPKeepAlive",
    "TrustedUserCAKeys",
    "UnusedConnectionTimeout",
    "UseDNS",
    "UseLogin",
    "UsePAM",
    "UsePrivilegeSeparation",
    "VersionAddendum",
    "X11DisplayOffset",
    "X11Forwarding",
    "X11UseLocalhost",
    "XAuthLocation",
];

/// Every setting that takes something away and will not be there, as
/// `/etc/ssh/sshd_config: Match Group sftp: ForceCommand internal-sftp`.
///
/// `stays` says of one whether the new OS's server has it: its file is there and read, or it is written
/// for the new server.
pub fn lost(settings: &[Setting], stays: &dyn Fn(&Setting) -> bool) -> Vec<String> {
    let mut said: Vec<&str> = Vec::new();
    let mut lost = Vec::new();
    for setting in settings {
        let known = TAKES_AWAY
            .iter()
            .find(|(k, _)| k.eq_ignore_ascii_case(&setting.keyword));
        let is_it = |name: &&str| name.eq_ignore_ascii_case(&setting.keyword);
        if known.is_none() && TAKES_NOTHING.iter().any(is_it) {
            continue;
        }
        let of_its_own = (setting.keyword.as_str(), &[][..]);
        let (keyword, harmless) =
            known.map_or(of_its_own, |(keyword, harmless)| (*keyword, *harmless));
        // Lists of names and addresses add up, everything else is what was said first.
        let adds_up = harmless.is_empty() || keyword == "ListenAddress";
        if setting.condition.is_none() && !adds_up {
            if said.contains(&keyword) {
                continue;
            }
            said.push(keyword);
        }
        let harmless = |value: &String| harmless.iter().any(|h| h.eq_ignore_ascii_case(value));
        if setting.values.iter().all(harmless) || stays(setting) {
            continue;
        }
        let condition = match &setting.condition {
            Some(condition) => format!("Match {condition}: "),
            None => String::new(),
        };
        lost.push(format!(
            "{}: {condition}{keyword} {}",
            setting.path,
            setting.values.join(" ")
        ));
    }
    lost
}

/// Every setting of an OS's ssh server, in the order in which they count: what is said first holds.
pub fn settings(files: &dyn Files) -> Vec<Setting> {
    settings_from(files, MAIN)
}

/// The same where its main file is another one.
pub fn settings_from(files: &dyn Files, main: &str) -> Vec<Setting> {
    let mut reader = Reader {
        files,
        condition: None,
        settings: Vec::new(),
    };
    reader.file(main, 0);
    reader.settings
}

/// The patterns that a main file includes for everybody, each an absolute path.
pub fn includes(main: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (keyword, values) in main.lines().filter_map(parse) {
        // What is included below a condition counts for some, and is not relied on.
        if keyword.eq_ignore_ascii_case("Match") {
            break;
        }
        if keyword.eq_ignore_ascii_case("Include") {
            found.extend(values.iter().map(|pattern| absolute(pattern)));
        }
    }
    found
}

/// Whether one of these patterns names a file.
pub fn is_included(path: &str, patterns: &[String]) -> bool {
    let parts = |path: &str| -> Vec<String> { path.split('/').map(str::to_owned).collect() };
    let path = parts(path);
    patterns.iter().any(|pattern| {
        let pattern = parts(pattern);
        pattern.len() == path.len()
            && pattern
                .iter()
                .zip(&path)
                .all(|(part, name)| fits(part, name))
    })
}

/// A pattern as written is relative to the folder of the main file.
fn absolute(pattern: &str) -> String {
    if pattern.starts_with('/') {
        pattern.to_owned()
    } else {
        format!("/etc/ssh/{pattern}")
    }
}

/// Whether a name is one that a part of a pattern means; hidden ones have to be asked for.
fn fits(part: &str, name: &str) -> bool {
    (part.starts_with('.') || !name.starts_with('.')) && glob::matches(part, name)
}

struct Reader<'a> {
    files: &'a dyn Files,
    /// What the `Match` says that the lines are below.
    condition: Option<String>,
    settings: Vec<Setting>,
}

impl Reader<'_> {
    fn file(&mut self, path: &str, depth: usize) {
        let Some(text) = self.files.text(path).filter(|_| depth < DEEPEST) else {
            return;
        };
        for line in text.lines() {
            let Some((keyword, values)) = parse(line) else {
                continue;
            };
            if keyword.eq_ignore_ascii_case("Match") {
                let everybody = values.len() == 1 && values[0].eq_ignore_ascii_case("all");
                self.condition = (!everybody).then(|| values.join(" "));
            } else if keyword.eq_ignore_ascii_case("Include") {
                // A condition ends with the file that it is in.
                let condition = self.condition.clone();
                for pattern in &values {
                    for file in self.matching(pattern) {
                        self.file(&file, depth + 1);
                        self.condition.clone_from(&condition);
                    }
                }
            } else {
                self.settings.push(Setting {
                    path: path.to_owned(),
                    condition: self.condition.clone(),
                    keyword,
                    values,
                });
            }
        }
    }

    /// Files that a pattern of `Include` names.
    fn matching(&self, pattern: &str) -> Vec<String> {
        let pattern = absolute(pattern);
        let mut found = vec![String::new()];
        for part in pattern.split('/').filter(|part| !part.is_empty()) {
            let plain = !part.contains(['*', '?', '[']);
            let below = |above: &String| -> Vec<String> {
                if plain {
                    return vec![format!("{above}/{part}")];
                }
                let entries = self
                    .files
                    .folder(if above.is_empty() { "/" } else { above });
                let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
                entries
                    .into_iter()
                    .filter(|path| fits(part, &name(path)))
                    .collect()
            };
            found = found.iter().flat_map(below).collect();
        }
        found
    }
}

/// A line's keyword and values: `Keyword value…`, `Keyword=value`, values in quotes or not.
pub(crate) fn parse(line: &str) -> Option<(String, Vec<String>)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let end = line.find(|c: char| c.is_whitespace() || c == '=' || c == '"');
    let (keyword, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    let mut values = Vec::new();
    let (mut value, mut quoted, mut begun) = (String::new(), false, false);
    for c in rest.chars() {
        match c {
            '"' => (quoted, begun) = (!quoted, true),
            // What follows is a comment since OpenSSH 8.5, and part of a value before; with it no
            // value is taken for harmless that is not.
            c if c.is_whitespace() && !quoted => {
                if begun {
                    values.push(std::mem::take(&mut value));
                }
                begun = false;
            }
            c => {
                value.push(c);
                begun = true;
            }
        }
    }
    if begun {
        values.push(value);
    }
    (!values.is_empty()).then(|| (keyword.to_owned(), values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests::Tree;

    /// A keyword that nobody here has heard of may take anything away.
    #[test]
    fn what_is_not_known_to_take_nothing_away_is_named() {
        let setting = |keyword: &str, value: &str| Setting {
            path: "c".to_owned(),
            condition: None,
            keyword: keyword.to_owned(),
            values: vec![value.to_owned()],
        };
        let lost_of = |keyword, value| lost(&[setting(keyword, value)], &|_| false);
        assert_eq!(
            lost_of("RevokedKeys", "/etc/ssh/revoked"),
            ["c: RevokedKeys /etc/ssh/revoked"]
        );
        assert_eq!(
            lost_of("RefuseOnMondays", "yes"),
            ["c: RefuseOnMondays yes"]
        );
        for harmless in ["UsePAM", "ciphers", "X11DisplayOffset", "Subsystem"] {
            assert_eq!(lost_of(harmless, "x"), [""; 0], "{harmless}");
        }
    }

    fn main_file(text: &str) -> Vec<String> {
        lost(&settings(&Tree(&[(MAIN, text)])), &|_| false)
    }

    #[test]
    fn what_takes_away_is_found_and_what_every_server_has_is_not() {
        for (text, found) in [
            ("", None),
            // What Debian's packages wrote since 2011.
            (
                "Port 22\nPermitRootLogin without-password\nStrictModes yes\nPermitEmptyPasswords no\n\
                 ChallengeResponseAuthentication no\nX11Forwarding yes\nUsePAM yes\nUseDNS no\n\
                 Subsystem sftp /usr/lib/openssh/sftp-server\n#PasswordAuthentication no\n",
                None,
            ),
            ("PermitRootLogin no", Some("PermitRootLogin no")),
            ("permitrootlogin = forced-commands-only", Some("PermitRootLogin forced-commands-only")),
            ("\tpasswordauthentication=\"no\"", Some("PasswordAuthentication no")),
            ("PasswordAuthentication yes\nPasswordAuthentication no", None),
            ("AllowUsers ann  bob@192.0.2.*", Some("AllowUsers ann bob@192.0.2.*")),
            ("DenyGroups \"domain users\"", Some("DenyGroups domain users")),
            ("ListenAddress 0.0.0.0\nListenAddress ::", None),
            ("ListenAddress 192.0.2.1", Some("ListenAddress 192.0.2.1")),
            ("AuthorizedKeysFile %h/.ssh/authorized_keys .ssh/authorized_keys2", None),
            ("AuthorizedKeysFile /etc/ssh/keys/%u", Some("AuthorizedKeysFile /etc/ssh/keys/%u")),
            ("AllowTcpForwarding local", Some("AllowTcpForwarding local")),
            (
                "Match Group sftponly\n  ForceCommand internal-sftp\n",
                Some("Match Group sftponly: ForceCommand internal-sftp"),
            ),
            ("Match User x\nPasswordAuthentication yes\nMatch all\nX11Forwarding no", None),
        ] {
            let found: Vec<_> = found.iter().map(|f| format!("{MAIN}: {f}")).collect();
            assert_eq!(main_file(text), found, "{text}");
        }
    }

    #[test]
    fn files_are_included_as_the_server_does() {
        let files = [
            (MAIN, "Include /etc/ssh/sshd_config.d/*.conf more\nMatch User ann\nInclude ann\nPermitTTY no"),
            ("/etc/ssh/sshd_config.d/10.conf", "Match Group sftp\nChrootDirectory %h\n"),
            ("/etc/ssh/sshd_config.d/20.conf", "PasswordAuthentication no"),
            ("/etc/ssh/sshd_config.d/.hidden.conf", "DenyUsers x"),
            ("/etc/ssh/sshd_config.d/30.off", "DenyUsers y"),
            ("/etc/ssh/more", "PasswordAuthentication yes\nInclude more"),
            ("/etc/ssh/ann", "AllowAgentForwarding no"),
        ];
        let all = [
            "/etc/ssh/sshd_config.d/10.conf: Match Group sftp: ChrootDirectory %h",
            "/etc/ssh/sshd_config.d/20.conf: PasswordAuthentication no",
            "/etc/ssh/ann: Match User ann: AllowAgentForwarding no",
            "/etc/ssh/sshd_config: Match User ann: PermitTTY no",
        ];
        let found = settings(&Tree(&files));
        assert_eq!(lost(&found, &|_| false), all);
        let stays = ["/etc/ssh/sshd_config.d/10.conf", "/etc/ssh/ann"];
        let stays = |setting: &Setting| stays.contains(&setting.path.as_str());
        assert_eq!(lost(&found, &stays), [all[1], all[3]]);
    }

    #[test]
    fn a_file_is_read_where_the_main_file_includes_it_for_everybody() {
        let path = "/etc/ssh/sshd_config.d/sftp.conf";
        for (main, expected) in [
            ("Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\n", true),
            ("include sshd_config.d/s*", true),
            ("Include /etc/ssh/sshd_config.d/*.cfg /etc/ssh/*", false),
            // OpenSSH before 8.2, as Ubuntu 16.04 has it.
            (
                "Port 22\nUsePAM yes\nSubsystem sftp /usr/lib/openssh/sftp-server\n",
                false,
            ),
            (
                "Match User ann\nInclude /etc/ssh/sshd_config.d/*.conf\n",
                false,
            ),
        ] {
            assert_eq!(is_included(path, &includes(main)), expected, "{main}");
        }
        let hidden = "/etc/ssh/sshd_config.d/.x.conf";
        assert!(!is_included(
            hidden,
            &["/etc/ssh/sshd_config.d/*.conf".to_owned()]
        ));
    }
}
