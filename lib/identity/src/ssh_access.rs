//! What the ssh server's configuration, `sshd_config`(5), forbids to people who may log in otherwise.
//!
//! The accounts come along, the configuration of their server does not: somebody who may move files
//! and nothing else would have a shell in the new OS. Only what takes something away counts here,
//! and only where it takes away more than a server without any configuration does.

use formats::access::Setting;

use crate::access::{server, server_keys};
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
    // Of these, lists and numbers that take nothing away are told apart below.
    ("PubkeyAcceptedAlgorithms", &["any"]),
    ("PubkeyAuthOptions", &["none"]),
    ("RequiredRSASize", &["any"]),
    // What certificates may be for; where no authority is known, there are none.
    ("AuthorizedPrincipalsCommand", &["none"]),
    ("AuthorizedPrincipalsFile", &["none"]),
    ("ListenAddress", &["0.0.0.0", "::", "*"]),
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

/// Bits of an RSA key that every server asks for.
const LEAST_RSA: u32 = 1024;

/// Whether a value says no more than every server does, where that is no word of a list.
fn is_usual(keyword: &str, value: &str) -> bool {
    match keyword {
        // With whatever port: all addresses are all.
        "ListenAddress" => {
            let host = server::host_of(value);
            host != value && is_harmless(keyword, host)
        }
        "PubkeyAcceptedAlgorithms" => server_keys::takes_usual_keys(value),
        "RequiredRSASize" => value.parse::<u32>().is_ok_and(|bits| bits <= LEAST_RSA),
        _ => false,
    }
}

fn is_harmless(keyword: &str, value: &str) -> bool {
    let known = TAKES_AWAY.iter().find(|(known, _)| *known == keyword);
    let mut harmless = known.map_or(&[][..], |(_, harmless)| harmless).iter();
    harmless.any(|word| word.eq_ignore_ascii_case(value)) || is_usual(keyword, value)
}

/// What takes nothing away from anybody who has a name here: how the server works, and what it lets people do
/// besides. Everything else is named, known or not.
const TAKES_NOTHING: &[&str] = &[
    "AcceptEnv",
    "AddressFamily",
    "AuthorizedKeysCommand",
    "AuthorizedKeysCommandUser",
    "AuthorizedPrincipalsCommandUser",
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
    "GSSAPIKexAlgorithms",
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
    "RDomain",
    "RekeyLimit",
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

/// Whether words of a keyword add up, as lists of names and addresses do; of any other the first counts.
pub fn adds_up(keyword: &str) -> bool {
    let known = TAKES_AWAY
        .iter()
        .find(|(k, _)| k.eq_ignore_ascii_case(keyword));
    known.is_some_and(|(_, harmless)| harmless.is_empty())
        || ["ListenAddress", "Port", "HostKey"]
            .iter()
            .any(|k| k.eq_ignore_ascii_case(keyword))
}

/// Every setting that takes something away and will not be there, as
/// `/etc/ssh/sshd_config: Match Group sftp: ForceCommand internal-sftp`.
///
/// `stays` says of one whether the new OS's server has it: its file is there and read, or it is written
/// for the new server.
pub fn lost(settings: &[Setting], stays: &dyn Fn(&Setting) -> bool) -> Vec<String> {
    let authority = |s: &&Setting| server::is(s, server::AUTHORITY) && stays(s);
    let certified = settings.iter().any(|setting| authority(&setting));
    let mut said: Vec<&str> = Vec::new();
    let mut lost = Vec::new();
    for setting in settings {
        let current = server::current_name(&setting.keyword);
        let known = TAKES_AWAY
            .iter()
            .find(|(k, _)| k.eq_ignore_ascii_case(current));
        let is_it = |name: &&str| name.eq_ignore_ascii_case(&setting.keyword);
        let of_certificates = server::names_principals(setting) && !certified;
        if known.is_none() && TAKES_NOTHING.iter().any(is_it) || of_certificates {
            continue;
        }
        let keyword = known.map_or(setting.keyword.as_str(), |(keyword, _)| *keyword);
        // Of what is not known here nothing is known of that either.
        if setting.condition.is_none() && !(known.is_none() || adds_up(keyword)) {
            if said.contains(&keyword) {
                continue;
            }
            said.push(keyword);
        }
        let harmless = |value: &String| is_harmless(keyword, value);
        if setting.values.iter().all(harmless) || stays(setting) {
            continue;
        }
        let keyword = if keyword.eq_ignore_ascii_case(&setting.keyword) {
            keyword
        } else {
            &setting.keyword
        };
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

/// How many settings are read before those of a file would be, where it is read for everybody; all, where not.
pub fn read_before(files: &dyn Files, path: &str) -> usize {
    let with = With { files, path };
    let all = settings(&with);
    let mark = all
        .iter()
        .position(|s| s.keyword == MARK && s.condition.is_none());
    mark.unwrap_or(all.len())
}

/// A keyword that no server knows.
const MARK: &str = "RerootIsHere";

/// Files with one more, which has the mark.
struct With<'a> {
    files: &'a dyn Files,
    path: &'a str,
}

impl Files for With<'_> {
    fn text(&self, path: &str) -> Option<String> {
        if path == self.path {
            return Some(format!("{MARK} x\n"));
        }
        self.files.text(path)
    }

    fn folder(&self, path: &str) -> Vec<String> {
        let mut found = self.files.folder(path);
        if self
            .path
            .rsplit_once('/')
            .is_some_and(|(above, _)| above == path)
        {
            found.push(self.path.to_owned());
            found.sort();
            found.dedup();
        }
        found
    }
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
                self.condition = (!everybody).then(|| condition(&values));
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

/// Criteria of a `Match` and their patterns, one behind the other: one with blanks is in quotes again.
fn condition(values: &[String]) -> String {
    let word = |value: &String| {
        if !value.contains(char::is_whitespace) {
            return value.clone();
        }
        match value.split_once('=') {
            Some((name, patterns)) if name.chars().all(|c| c.is_ascii_alphabetic()) => {
                format!("{name} \"{patterns}\"")
            }
            _ => format!("\"{value}\""),
        }
    };
    let words: Vec<String> = values.iter().map(word).collect();
    words.join(" ")
}

/// A line's keyword and values: `Keyword value…`, `Keyword=value`, values in quotes or not. A command is the rest
/// of its line as it stands, quotes and all: what is between its blanks, to be put together again.
pub(crate) fn parse(line: &str) -> Option<(String, Vec<String>)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let end = line.find(|c: char| c.is_whitespace() || c == '=' || c == '"');
    let (keyword, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    if keyword.eq_ignore_ascii_case(server::COMMAND) {
        let command = rest.trim();
        let words = command.split(' ').map(str::to_owned).collect();
        return (!command.is_empty()).then(|| (keyword.to_owned(), words));
    }
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
#[path = "ssh_access_tests.rs"]
mod tests;
