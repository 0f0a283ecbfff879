//! `authorized_keys` files, sshd(8): which keys lead to a shell.

/// How types of keys begin; a line that does not begin so begins with options.
const KINDS: [&str; 4] = ["ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-"];

/// What a file has: types of keys that lead to a shell, and how many others there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Types: `ssh-ed25519`…
    pub kinds: Vec<String>,
    /// The lines of those.
    pub lines: Vec<String>,
    /// Keys with a command of their own, and lines that are for authorities.
    pub forced: usize,
}

/// Reads a file.
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
        let kind = rest.split_whitespace().next().unwrap_or_default();
        if !KINDS.iter().any(|known| kind.starts_with(known)) {
            continue;
        }
        if options
            .iter()
            .any(|name| name == "command" || name == "cert-authority")
        {
            found.forced += 1;
        } else {
            found.kinds.push(kind.to_owned());
            found.lines.push(line.to_owned());
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

    #[test]
    fn a_key_with_a_command_of_its_own_leads_to_no_shell() {
        let text = "# keys\n\nssh-ed25519 AAAA ann@desk\n\
            from=\"192.0.2.0/24\",no-pty ecdsa-sha2-nistp256 AAAA\n\
            no-port-forwarding,command=\"echo 'Please login as \\\"debian\\\", not root'; sleep 10\" ssh-rsa AAAA cloud\n\
            COMMAND=\"x\" ssh-rsa AAAA\n\
            cert-authority,principals=\"a,b\" ssh-rsa AAAA\n\
            environment=\"A=b, command=c\" sk-ssh-ed25519@openssh.com AAAA\n\
            1024 35 1234567 a key of protocol 1\nnonsense\n";
        assert_eq!(
            parse(text),
            Found {
                kinds: [
                    "ssh-ed25519",
                    "ecdsa-sha2-nistp256",
                    "sk-ssh-ed25519@openssh.com"
                ]
                .map(str::to_owned)
                .to_vec(),
                lines: [
                    "ssh-ed25519 AAAA ann@desk",
                    "from=\"192.0.2.0/24\",no-pty ecdsa-sha2-nistp256 AAAA",
                    "environment=\"A=b, command=c\" sk-ssh-ed25519@openssh.com AAAA"
                ]
                .map(str::to_owned)
                .to_vec(),
                forced: 3,
            }
        );
    }
}
