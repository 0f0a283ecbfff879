//! What one question to a machine came to, from what ssh printed and ended with: pure.

use formats::Document;
use plan::status::Status;

/// What came of a question.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// The machine answered.
    Answer(Box<Status>),
    /// It lets us in, and nothing is there that tells of runs.
    NoRuns,
    /// It lets us in, and says something else.
    Other(String),
    /// It does not answer, for this reason: it is down, stopping, starting, or out of reach.
    Silent(String),
    /// It answers and does not let us in, or is another machine: this does not go away by itself.
    Refused(String),
}

/// What ssh ends with when the connection failed or broke.
pub const SSH_FAILED: i32 = 255;
/// What ends with this status found nothing that tells of runs.
pub const NOTHING_TELLS: i32 = 69;

/// ssh's own words for what no patience mends.
const REFUSALS: &[&str] = &[
    "Permission denied",
    "Host key verification failed",
    "REMOTE HOST IDENTIFICATION HAS CHANGED",
    "Could not resolve hostname",
    "Bad configuration option",
    "Too many authentication failures",
    "no matching host key type found",
];

impl Seen {
    /// By ssh's exit status (absent where it was ended for taking too long), standard output and error.
    pub fn of(status: Option<i32>, out: &[u8], err: &str) -> Seen {
        match status {
            None => Seen::Silent("no answer in time".to_owned()),
            Some(SSH_FAILED) => {
                let why = last_line(err);
                if REFUSALS.iter().any(|words| err.contains(words)) {
                    Seen::Refused(why)
                } else {
                    Seen::Silent(why)
                }
            }
            Some(NOTHING_TELLS) => Seen::NoRuns,
            Some(status) => match Status::from_json(out) {
                Ok(answer) => Seen::Answer(Box::new(answer)),
                Err(_) if !last_line(err).is_empty() => Seen::Other(last_line(err)),
                Err(e) => Seen::Other(format!("exit status {status}, and no answer in it: {e}")),
            },
        }
    }
}

/// What a server's banner and a user's own settings print comes first, what ssh says of the failure last.
fn last_line(text: &str) -> String {
    let line = text.lines().map(str::trim).rfind(|l| !l.is_empty());
    line.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_ssh_are_told_apart_by_whether_waiting_helps() {
        for (err, helps) in [
            ("ssh: connect to host shop1 port 22: Connection refused\r\n", true),
            ("ssh: connect to host shop1 port 22: Connection timed out", true),
            ("ssh: connect to host shop1 port 22: No route to host", true),
            ("kex_exchange_identification: read: Connection reset by peer\n", true),
            ("Connection closed by 192.0.2.7 port 22\n", true),
            ("Timeout, server shop1 not responding.\n", true),
            ("", true),
            ("root@shop1: Permission denied (publickey).\n", false),
            ("ssh: Could not resolve hostname shpo1: Name or service not known\n", false),
            ("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.\n", false),
        ] {
            let seen = Seen::of(Some(SSH_FAILED), b"", err);
            assert_eq!(matches!(seen, Seen::Silent(_)), helps, "{err:?}: {seen:?}");
            assert_eq!(matches!(seen, Seen::Refused(_)), !helps, "{err:?}: {seen:?}");
        }
        assert!(matches!(Seen::of(None, b"", ""), Seen::Silent(_)));
    }

    #[test]
    fn an_answer_is_read_whatever_the_status_and_the_noise_beside_it() {
        let status = Status {
            hostname: "shop1".to_owned(),
            ..Status::default()
        };
        let json = status.to_json();
        let seen = Seen::of(Some(0), json.as_bytes(), "*** Authorised use only ***\n");
        assert_eq!(seen, Seen::Answer(Box::new(status)));
        for (code, out, err) in [
            (0, "Last login: today", ""),
            (1, "", "error: this needs root\n"),
            (127, "", "sh: sudo: not found\n"),
            (0, r#"{"kind":"reroot-status","version":99}"#, ""),
        ] {
            let seen = Seen::of(Some(code), out.as_bytes(), err);
            let Seen::Other(words) = &seen else {
                panic!("{seen:?}");
            };
            assert!(!words.is_empty());
        }
        assert_eq!(Seen::of(Some(NOTHING_TELLS), b"", ""), Seen::NoRuns);
    }
}
