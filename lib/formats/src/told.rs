//! What a run tells the outside while it goes on, and whom: the body of each post, and the plan's part
//! about it.

use serde::{Deserialize, Serialize};

use crate::steps::Place;

/// Whom a run tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportTo {
    /// An `http://` URL.
    pub url: String,
    /// The addresses of its host with its port, found in the old OS: nothing looks names up in the RAM
    /// environment.
    pub addresses: Vec<String>,
    /// What every post is signed with: HMAC-SHA256 (RFC 2104) with the bytes of this text as its key.
    pub key: String,
}

/// The header of the signature, `sha256=` and hexadecimal digits of the body's.
pub const SIGNATURE: &str = "Reroot-Signature";

/// One thing that became of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The run's id.
    pub run: String,
    /// The machine's name.
    pub hostname: String,
    /// When, by the machine's clock, `YYYYMMDDTHHMMSSZ`.
    pub at: String,
    /// Where.
    pub place: Place,
    /// The step.
    pub step: String,
    /// What became of it.
    pub what: What,
    /// Which attempt at the step it was, from 1.
    pub attempt: u32,
    /// How long the step's attempts took together; absent while it runs.
    pub seconds: Option<f64>,
    /// What was attempted, on what, and why it failed.
    pub error: Option<String>,
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// It begins.
    Begun,
    /// It was done.
    Done,
    /// An attempt failed.
    Failed,
    /// It was undone.
    Reverted,
    /// The run fails in it, for good.
    GivenUp,
}

/// Why a URL cannot be told anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnUrl {
    /// There would have to be a TLS library, with the world's certificates, in the RAM environment.
    #[error(
        "https is not spoken: no certificates are in the RAM environment. Every post is signed, so that a \
         relay of yours can take it by http:// and prove who sent it"
    )]
    Tls,
    /// It has another shape.
    #[error("it has to be http://HOST[:PORT][/PATH], without a user's name, blanks or a fragment")]
    Shape,
}

/// The host and the port of an `http://` URL (RFC 9110, 4.2.1); an IPv6 address without its brackets.
///
/// # Errors
/// It is none that this program posts to.
pub fn host_and_port(url: &str) -> Result<(&str, u16), NotAnUrl> {
    if url.starts_with("https:") {
        return Err(NotAnUrl::Tls);
    }
    let rest = url.strip_prefix("http://").ok_or(NotAnUrl::Shape)?;
    if !url.bytes().all(|b| b.is_ascii_graphic()) || url.contains('#') {
        return Err(NotAnUrl::Shape);
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or(NotAnUrl::Shape)?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse().map_err(|_| NotAnUrl::Shape)?,
        None if port.is_empty() => 80,
        None => return Err(NotAnUrl::Shape),
    };
    let named = |b: u8| b.is_ascii_alphanumeric() || b"-._:".contains(&b);
    if host.is_empty() || host.starts_with('-') || !host.bytes().all(named) {
        return Err(NotAnUrl::Shape);
    }
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        for (url, expected) in [
            ("http://events.example", ("events.example", 80)),
            ("http://events.example:8080/a?b=c", ("events.example", 8080)),
            ("http://192.0.2.7?x", ("192.0.2.7", 80)),
            ("http://[2001:db8::7]:81/", ("2001:db8::7", 81)),
        ] {
            assert_eq!(host_and_port(url), Ok(expected), "{url}");
        }
        for url in [
            "",
            "http://",
            "http:///x",
            "ftp://a",
            "http://u@a/",
            "http://a:b/",
            "http://a:99999/",
            "http://a b/",
            "http://a/#x",
            "http://[::1",
            "http://[::1]x/",
            "http://-a/",
            "http://a/\n",
        ] {
            assert_eq!(host_and_port(url), Err(NotAnUrl::Shape), "{url:?}");
        }
        assert_eq!(host_and_port("https://a/"), Err(NotAnUrl::Tls));
    }
}
