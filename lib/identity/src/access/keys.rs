//! `authorized_keys` files, sshd(8): which keys lead to a shell.

use formats::access::PublicKey;

use crate::public_key;

/// How types of keys begin; a line that does not begin so begins with options.
const KINDS: [&str; 4] = ["ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-"];

/// Options that say from where, or until when, a key holds.
const NARROW: [&str; 2] = ["from", "expiry-time"];

/// What a file has: keys that lead to a shell, and how many others there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Those that do.
    pub keys: Vec<PublicKey>,
    /// Their lines, whole.
    pub lines: Vec<String>,
    /// Keys with a command of their own, and lines that are for authorities.
    pub forced: usize,
}

/// Reads a file. A line whose key is none is passed over, as the server does.
pub fn parse(text: &str) -> Found {
    let mut found = Found::default();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (options, rest) = if KINDS.iter().any(|kind| line.starts_with(kind)) {
            (Vec::new(), line)
        } else {
            split_options(line)
        };
        let mut words = rest.split_whitespace();
        let kind = words.next().unwrap_or_default();
        if !KINDS.iter().any(|known| kind.starts_with(known)) {
            continue;
        }
        let has = |names: &[&str]| options.iter().any(|name| names.contains(&name.as_str()));
        if has(&["command", "cert-authority"]) {
            found.forced += 1;
        } else if let Some(key) = words.next().and_then(|blob| public_key::read(kind, blob)) {
            found.lines.push(line.to_owned());
            found.keys.push(PublicKey {
                narrowed: has(&NARROW),
                ..key
            });
        }
    }
    found
}

/// The names of a line's options, in lower case, and the key behind them. Options have commas between
/// them and end at the first space, each outside of quotes.
fn split_options(line: &str) -> (Vec<String>, &str) {
    let name = |option: &str| {
        let name = option.split('=').next().unwrap_or_default();
        name.trim().to_ascii_lowercase()
    };
    let mut names = Vec::new();
    let (mut quoted, mut escaped, mut begin) = (false, false, 0);
    for (at, c) in line.char_indices() {
        match c {
            '\\' if quoted && !escaped => {
                escaped = true;
                continue;
            }
            '"' if !escaped => quoted = !quoted,
            ',' if !quoted => {
                names.push(name(&line[begin..at]));
                begin = at + 1;
            }
            c if c.is_whitespace() && !quoted => {
                names.push(name(&line[begin..at]));
                return (names, line[at..].trim_start());
            }
            _ => {}
        }
        escaped = false;
    }
    (names, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINOrI44+iAoSAhb5bqy5jVYnmSlAVCHgtGiHnsN3ImoB";
    const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBPrleLxeg1ZQmBCFM+V9K660nhS6Y7Q6bUnMg/qsXAZXXypKWuPT7H8HqIEnFZ2ItmhJC5EfITEm5GB6+JDpO4U=";

    #[test]
    fn a_key_with_a_command_of_its_own_leads_to_no_shell() {
        let text = format!(
            "# keys\n\n{ED25519} ann@desk\n\
             from=\"192.0.2.0/24\",no-pty {ECDSA}\n\
             no-port-forwarding,command=\"echo 'Please login as \\\"debian\\\", not root'; sleep 10\" ssh-rsa AAAA cloud\n\
             COMMAND=\"x\" ssh-rsa AAAA\n\
             cert-authority,principals=\"a,b\" ssh-rsa AAAA\n\
             environment=\"A=b, command=c\" {ED25519}\n\
             1024 35 1234567 a key of protocol 1\nssh-ed25519 AAAA\nssh-rsa\nnonsense\n"
        );
        let found = parse(&text);
        let keys = found.keys.iter();
        let keys: Vec<_> = keys.map(|key| (key.kind.as_str(), key.narrowed)).collect();
        assert_eq!(
            keys,
            [
                ("ssh-ed25519", false),
                ("ecdsa-sha2-nistp256", true),
                ("ssh-ed25519", false)
            ]
        );
        assert_eq!(found.forced, 3);
        assert_eq!(found.lines.len(), 3);
        assert_eq!(found.lines[0], format!("{ED25519} ann@desk"));
        assert!(found.lines[1].starts_with("from=\"192.0.2.0/24\",no-pty ecdsa-"));
    }
}
