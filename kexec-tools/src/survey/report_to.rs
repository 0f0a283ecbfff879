//! Whom the operator wants told of the run: where that is, and the key that every post is signed with.

use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{bail, Context, Result};
use formats::figures::hex;
use formats::told::{host_and_port, ReportTo};
use machine::answers::{self, Answer};

/// A key that is too short to be one.
const SHORTEST: usize = 16;
/// Addresses that are tried at most.
const MOST: usize = 8;

/// The operator's wish.
#[derive(Clone, Debug)]
pub struct Wish {
    /// An `http://` URL.
    pub url: String,
    /// The file with the key; without, the run gets a key of its own.
    pub key: Option<PathBuf>,
}

/// Finds the host's addresses, by what the OS says (`getent`), and the key.
pub fn find(wish: &Wish) -> Result<ReportTo> {
    let what = || format!("--report-to {}", wish.url);
    let (host, port) = host_and_port(&wish.url).with_context(what)?;
    let addresses = match host.parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) => look_up(host).with_context(what)?,
    };
    let key = match &wish.key {
        Some(path) => {
            read_key(path).with_context(|| format!("read the key in {}", path.display()))?
        }
        None => new_key().context("make a key")?,
    };
    let with_port = |address| SocketAddr::new(address, port).to_string();
    Ok(ReportTo {
        url: wish.url.clone(),
        addresses: addresses.into_iter().map(with_port).collect(),
        key,
    })
}

fn look_up(host: &str) -> Result<Vec<IpAddr>> {
    let mut getent = Command::new("getent");
    getent.args(["ahosts", host]);
    let said = match answers::ask(getent).context("ask getent for its addresses")? {
        Answer::Said(bytes) => addresses(&String::from_utf8_lossy(&bytes)),
        Answer::Silent => bail!("the name servers do not answer for {host}"),
    };
    if said.is_empty() {
        bail!("no address of {host} is known on this machine; name one in the URL");
    }
    Ok(said)
}

/// The addresses in what `getent ahosts` prints, each once: a line for each kind of socket.
fn addresses(text: &str) -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = Vec::new();
    for line in text.lines() {
        let address = line.split_whitespace().next().and_then(|w| w.parse().ok());
        if let Some(address) = address.filter(|a| !found.contains(a)) {
            found.push(address);
        }
    }
    found.truncate(MOST);
    found
}

/// The first line; a key is a text, so that it can be copied and typed.
fn read_key(path: &PathBuf) -> Result<String> {
    let text = std::fs::read_to_string(path)?;
    let key = text.lines().next().unwrap_or_default().trim();
    if key.len() < SHORTEST {
        bail!("its first line has less than {SHORTEST} characters");
    }
    Ok(key.to_owned())
}

fn new_key() -> Result<String> {
    let mut bytes = [0_u8; 16];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("read /dev/urandom")?;
    Ok(hex(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_once_in_order() {
        let text = "2001:db8::7     STREAM events.example\n2001:db8::7     DGRAM  \n\
                    192.0.2.7       STREAM \n192.0.2.7       RAW    \nnonsense\n";
        let expected: Vec<IpAddr> =
            vec!["2001:db8::7".parse().unwrap(), "192.0.2.7".parse().unwrap()];
        assert_eq!(addresses(text), expected);
    }

    #[test]
    fn a_key_is_the_first_line_and_long_enough() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let wish = |url: &str| Wish {
            url: url.to_owned(),
            key: Some(path.clone()),
        };
        assert!(find(&wish("http://127.0.0.1/")).is_err(), "there is none");
        std::fs::write(&path, "short\n").unwrap();
        assert!(find(&wish("http://127.0.0.1/")).is_err());
        std::fs::write(&path, " 0123456789abcdef \nmore\n").unwrap();
        let found = find(&wish("http://[::1]:8080/x")).unwrap();
        assert_eq!(found.key, "0123456789abcdef");
        assert_eq!(found.addresses, ["[::1]:8080"]);
        assert!(find(&wish("https://127.0.0.1/")).is_err());
    }

    #[test]
    fn every_run_has_a_key_of_its_own() {
        let wish = Wish {
            url: "http://127.0.0.1/".to_owned(),
            key: None,
        };
        let (a, b) = (find(&wish).unwrap().key, find(&wish).unwrap().key);
        assert!(a.len() == 32 && a != b, "{a} {b}");
    }
}
