//! How somebody logged in, by the ssh server's own log: `Accepted publickey for ann from 192.0.2.7 port 50122 ssh2:
//! ED25519 SHA256:…`. The client's address and port tell which line is theirs.

use formats::access::LoggedIn;

/// Who logged in from there, and how, by the last line about it.
pub fn find(log: &str, client: &str, port: u16) -> Option<(String, LoggedIn)> {
    let from = format!(" from {client} port {port} ");
    log.lines().rev().find_map(|line| {
        let (_, said) = line.split_once("Accepted ")?;
        let (head, tail) = said.split_once(&from)?;
        let (means, user) = head.split_once(" for ")?;
        let mut words = tail.split_whitespace().skip(1);
        let by = match means {
            "publickey" => {
                let kind = words.next()?;
                if kind.ends_with("-CERT") {
                    LoggedIn::Certificate
                } else {
                    LoggedIn::Key(words.next()?.to_owned())
                }
            }
            means if means == "password" || means.starts_with("keyboard-interactive") => {
                LoggedIn::Password
            }
            _ => return None,
        };
        Some((user.to_owned(), by))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_found_by_its_other_end() {
        let log = "\
Nov 29 10:00:00 shop sshd[7]: Accepted publickey for ann from 192.0.2.7 port 50122 ssh2: RSA SHA256:old
Nov 29 10:00:01 shop sshd[7]: Accepted password for bob from 192.0.2.7 port 501 ssh2
Nov 29 10:00:02 shop sshd[7]: Failed password for carl from 192.0.2.7 port 502 ssh2
Nov 29 10:00:03 shop sshd[7]: Accepted keyboard-interactive/pam for bob from 2001:db8::7 port 503 ssh2
Nov 29 10:00:04 shop sshd[7]: Accepted publickey for ann from 192.0.2.7 port 504 ssh2
Nov 29 10:00:05 shop sshd-session[7]: Accepted publickey for ann from 192.0.2.7 port 505 ssh2: ED25519-CERT SHA256:x ID a (serial 0) CA ED25519 SHA256:y
Nov 29 10:00:06 shop sshd[7]: Accepted publickey for ann from 192.0.2.7 port 50122 ssh2: ED25519 SHA256:new
Nov 29 10:00:07 shop sshd[7]: Accepted gssapi-with-mic for ann from 192.0.2.7 port 506 ssh2
";
        let key = |text: &str| LoggedIn::Key(text.to_owned());
        for (client, port, expected) in [
            ("192.0.2.7", 50122, Some(("ann", key("SHA256:new")))),
            ("192.0.2.7", 501, Some(("bob", LoggedIn::Password))),
            ("192.0.2.7", 502, None),
            ("2001:db8::7", 503, Some(("bob", LoggedIn::Password))),
            // A server before OpenSSH 6.3 does not say with which key.
            ("192.0.2.7", 504, None),
            ("192.0.2.7", 505, Some(("ann", LoggedIn::Certificate))),
            ("192.0.2.7", 506, None),
            ("192.0.2.70", 50122, None),
        ] {
            let expected = expected.map(|(user, by)| (user.to_owned(), by));
            assert_eq!(find(log, client, port), expected, "{client} {port}");
        }
    }
}
