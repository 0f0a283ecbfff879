//! What an ssh server said to a client that has public keys alone: which of them it would take, and what
//! other means it takes. RFC 4252, sections 5.2 and 7: the list of means answers the method `none`, and
//! `SSH_MSG_USERAUTH_PK_OK` a key without a signature.
//!
//! Read from what OpenSSH's own client says with `-v`: `Offering public key: FILE …`, `Server accepts key: …`,
//! `Authentications that can continue: …`. Releases order the words behind the colon differently, so that the
//! file's name tells which key is meant.

/// The answer to one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Means that the server takes, as it calls them; none where it did not come to that.
    pub means: Vec<String>,
    /// Keys that it would take, by their place in what was offered.
    pub taken: Vec<usize>,
    /// Keys that it does not take.
    pub refused: Vec<usize>,
    /// The release of the server, if it is OpenSSH.
    pub release: Option<(u32, u32)>,
    /// The last that the client said, which is why it ended.
    pub last: String,
}

/// Reads it; `files` are the names of the offered keys' files.
pub fn parse(text: &str, files: &[String]) -> Answer {
    let mut answer = Answer::default();
    let mut offered: Option<usize> = None;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let said = line.strip_prefix("debug1: ").unwrap_or(line);
        if let Some((_, rest)) = said.split_once("remote software version OpenSSH_") {
            answer.release = release(rest);
        } else if said.starts_with("Offering ") {
            offered = files.iter().position(|file| said.contains(file.as_str()));
        } else if said.starts_with("Server accepts key") {
            answer.taken.extend(offered.take());
        } else if let Some(list) = said.strip_prefix("Authentications that can continue: ") {
            answer.refused.extend(offered.take());
            answer.means = list.split(',').map(|name| name.trim().to_owned()).collect();
        } else if line == said {
            said.clone_into(&mut answer.last);
        }
    }
    answer
}

/// `9.2p1 Debian-2+deb12u10` is 9.2.
fn release(text: &str) -> Option<(u32, u32)> {
    let (major, rest) = text.split_once('.')?;
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    Some((major.parse().ok()?, rest[..end].parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Vec<String> {
        (0..3)
            .map(|n| format!("/run/reroot-login/{n}.pub"))
            .collect()
    }

    /// As OpenSSH 9.2 says it, shortened.
    #[test]
    fn what_the_server_takes_is_told_apart_from_what_it_does_not() {
        let text = "OpenSSH_9.2p1 Debian-2, OpenSSL 3.0.19\r\n\
            debug1: identity file /run/reroot-login/0.pub type 3\n\
            debug1: Remote protocol version 2.0, remote software version OpenSSH_9.2p1 Debian-2+deb12u10\n\
            debug1: Will attempt key: /run/reroot-login/0.pub ED25519 SHA256:V explicit\n\
            debug1: Authentications that can continue: publickey,password\n\
            debug1: Next authentication method: publickey\n\
            debug1: Offering public key: /run/reroot-login/0.pub ED25519 SHA256:V explicit\n\
            debug1: Authentications that can continue: publickey,password\n\
            debug1: Offering public key: /run/reroot-login/1.pub RSA SHA256:R explicit\n\
            debug1: Server accepts key: /run/reroot-login/1.pub RSA SHA256:R explicit\n\
            Load key \"/run/reroot-login/1.pub\": error in libcrypto\n\
            debug1: send_pubkey_test: no mutual signature algorithm\n\
            debug1: No more authentication methods to try.\n\
            root@192.0.2.7: Permission denied (publickey,password).\n";
        assert_eq!(
            parse(text, &files()),
            Answer {
                means: vec!["publickey".to_owned(), "password".to_owned()],
                taken: vec![1],
                refused: vec![0],
                release: Some((9, 2)),
                last: "root@192.0.2.7: Permission denied (publickey,password).".to_owned(),
            }
        );
    }

    /// As OpenSSH 7.2 says it: the file's name comes last.
    #[test]
    fn older_clients_are_understood() {
        let text =
            "debug1: Remote protocol version 2.0, remote software version OpenSSH_7.2p2 Ubuntu-4\n\
            debug1: Authentications that can continue: publickey\n\
            debug1: Offering RSA public key: /run/reroot-login/2.pub\n\
            debug1: Server accepts key: pkalg rsa-sha2-512 blen 279\n";
        let answer = parse(text, &files());
        assert_eq!((answer.taken, answer.release), (vec![2], Some((7, 2))));
    }

    #[test]
    fn a_server_that_breaks_off_says_no_means() {
        let text = "debug1: Connection established.\n\
            kex_exchange_identification: read: Connection reset by peer\n";
        let answer = parse(text, &files());
        assert_eq!(answer.means, [""; 0]);
        assert!(answer.last.contains("reset by peer"), "{answer:?}");
        assert_eq!(parse("", &files()), Answer::default());
    }
}
