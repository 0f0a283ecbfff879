//! Which of people's keys an ssh server takes: by its release, and by its settings.

use formats::access::{Doors, PublicKey};

use super::server;
use crate::network::old::glob;

type Release = (u32, u32);

/// How types of keys begin, and the releases that take them without being told to: from, up to but without.
const TYPES: [(&str, Release, Release); 6] = [
    ("ssh-dss", (0, 0), (7, 0)),
    ("ssh-rsa", (0, 0), EVER),
    ("ecdsa-sha2-", (5, 7), EVER),
    ("ssh-ed25519", (6, 5), EVER),
    ("sk-ecdsa-sha2-", (8, 2), EVER),
    ("sk-ssh-ed25519", (8, 2), EVER),
];
const EVER: Release = (u32::MAX, 0);

/// One whose release is not known is taken for a recent one.
const RECENT: Release = (u32::MAX - 1, 0);

/// Signatures that are made with a key of another name.
const SIGNATURES: [(&str, &str); 3] = [
    ("ssh-rsa", "ssh-rsa"),
    ("ssh-rsa", "rsa-sha2-256"),
    ("ssh-rsa", "rsa-sha2-512"),
];

/// Bits that an RSA key has to have, by release.
const SMALLEST_RSA: [(Release, u32); 2] = [((7, 6), 1024), ((0, 0), 768)];
/// The release that brought `RequiredRSASize`.
const REQUIRED_RSA_SIZE: Release = (9, 1);

/// Whether it takes a key of somebody's.
pub fn takes(doors: &Doors, key: &PublicKey) -> bool {
    let release = doors.release.unwrap_or(RECENT);
    let long_enough = key.bits.is_none_or(|bits| bits >= smallest_rsa(doors));
    let of_type = |kind: &str| key.kind.starts_with(kind);
    let row = TYPES.iter().find(|(kind, ..)| of_type(kind));
    let by_release = row.is_some_and(|(_, from, to)| (from..to).contains(&&release));
    long_enough && accepted(doors, &key.kind, by_release)
}

/// Bits that an RSA key has to have.
fn smallest_rsa(doors: &Doors) -> u32 {
    let release = doors.release.unwrap_or(RECENT);
    let row = SMALLEST_RSA.iter().find(|(from, _)| release >= *from);
    let least = row.map_or(0, |(_, bits)| *bits);
    let said = server::value(doors, "RequiredRSASize").filter(|_| release >= REQUIRED_RSA_SIZE);
    let said = said.and_then(|bits| bits.parse().ok()).unwrap_or(0);
    least.max(said)
}

/// What `PubkeyAcceptedAlgorithms` makes of it.
fn accepted(doors: &Doors, kind: &str, by_release: bool) -> bool {
    match server::value(doors, "PubkeyAcceptedAlgorithms") {
        Some(list) => by_list(&list, kind, by_release),
        None => by_release,
    }
}

/// A list in place of the release's own, or one that is added to it (`+`, `^`) or taken from it (`-`). A key is
/// taken while one of its signatures is.
fn by_list(said: &str, kind: &str, by_release: bool) -> bool {
    let of_key = SIGNATURES.iter().filter(|(of, _)| *of == kind);
    let mut signatures: Vec<&str> = of_key.map(|(_, name)| *name).collect();
    if signatures.is_empty() {
        signatures.push(kind);
    }
    let listed =
        |list: &str, name: &str| list.split(',').any(|pattern| glob::matches(pattern, name));
    let any = |list: &str| signatures.iter().any(|name| listed(list, name));
    let all = |list: &str| signatures.iter().all(|name| listed(list, name));
    if let Some(list) = said.strip_prefix(['+', '^']) {
        by_release || any(list)
    } else if let Some(list) = said.strip_prefix('-') {
        by_release && !all(list)
    } else {
        any(said)
    }
}

/// Types of keys that people have: a list that takes all of them takes nobody's away.
const USUAL: [&str; 5] = [
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-ed25519",
];

/// Whether a list of `PubkeyAcceptedAlgorithms` takes keys of every usual type.
pub fn takes_usual_keys(list: &str) -> bool {
    USUAL.iter().all(|kind| by_list(list, kind, true))
}

/// Signatures that a server knows since OpenSSH 8.2, each with a name for certificates.
const KNOWN: [&str; 8] = [
    "ssh-ed25519",
    "ssh-rsa",
    "rsa-sha2-256",
    "rsa-sha2-512",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    DSA,
];
/// The same of keys in hardware, which carry their maker's name.
const KNOWN_HARDWARE: [&str; 2] = ["sk-ssh-ed25519", "sk-ecdsa-sha2-nistp256"];
const DSA: &str = "ssh-dss";
/// Servers may be without it from here on.
const DSA_ENDS: Release = (9, 8);

/// A list in words that a server of this release knows, for it does not start by any other; nothing where none of
/// its words is known. Where RSA keys sign as they did before 2018, they may sign as they do today: clients do
/// no other, and the key is the same.
pub fn known_list(list: &str, new: Option<Release>) -> Option<String> {
    let new = new.unwrap_or(RECENT);
    let certificate = |name: &str| format!("{name}-cert-v01@openssh.com");
    let plain = KNOWN.iter().filter(|name| **name != DSA || new < DSA_ENDS);
    let mut known: Vec<String> = plain
        .flat_map(|name| [(*name).to_owned(), certificate(name)])
        .collect();
    let hardware = KNOWN_HARDWARE.iter();
    known.extend(hardware.flat_map(|name| [format!("{name}@openssh.com"), certificate(name)]));
    let (sign, words) = match list.chars().next() {
        Some(sign @ ('+' | '-' | '^')) => (Some(sign), &list[1..]),
        _ => (None, list),
    };
    let mut said: Vec<&str> = Vec::new();
    let is_known = |word: &&str| known.iter().any(|name| glob::matches(word, name));
    for word in words.split(',').filter(is_known) {
        said.push(word);
        if word == "ssh-rsa" && sign != Some('-') {
            said.extend(["rsa-sha2-512", "rsa-sha2-256"]);
        }
    }
    let mut once: Vec<&str> = Vec::new();
    for word in said {
        if !once.contains(&word) {
            once.push(word);
        }
    }
    let sign = sign.map(String::from).unwrap_or_default();
    (!once.is_empty()).then(|| format!("{sign}{}", once.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As RHEL's policies give it to every server: 8 by an argument, 9 by a file.
    pub const RHEL_8: &str = "rsa-sha2-256,rsa-sha2-256-cert-v01@openssh.com,ecdsa-sha2-nistp256,\
        ecdsa-sha2-nistp256-cert-v01@openssh.com,ecdsa-sha2-nistp384,ecdsa-sha2-nistp384-cert-v01@openssh.com,\
        rsa-sha2-512,rsa-sha2-512-cert-v01@openssh.com,ecdsa-sha2-nistp521,ecdsa-sha2-nistp521-cert-v01@openssh.com,\
        ssh-ed25519,ssh-ed25519-cert-v01@openssh.com,ssh-rsa,ssh-rsa-cert-v01@openssh.com";

    #[test]
    fn a_list_that_takes_all_usual_keys_takes_nobodys_away() {
        for (list, expected) in [
            (RHEL_8, true),
            ("+ssh-dss", true),
            ("+ssh-rsa", true),
            ("^ssh-ed25519", true),
            ("-ssh-rsa", true),
            ("-ssh-rsa*,rsa-sha2-*", false),
            ("ssh-*,ecdsa-*,rsa-*", true),
            ("*", true),
            ("ssh-ed25519", false),
            (
                "sk-ssh-ed25519@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com",
                false,
            ),
            // Without ed25519, as FIPS has it.
            (
                "rsa-sha2-512,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521",
                false,
            ),
        ] {
            assert_eq!(takes_usual_keys(list), expected, "{list}");
        }
    }

    #[test]
    fn a_list_is_written_in_words_that_the_server_knows() {
        for (list, new, expected) in [
            ("ssh-ed25519,ssh-ed448", (9, 2), Some("ssh-ed25519")),
            ("ssh-rsa", (9, 2), Some("ssh-rsa,rsa-sha2-512,rsa-sha2-256")),
            (
                "rsa-sha2-512,ssh-rsa",
                (9, 2),
                Some("rsa-sha2-512,ssh-rsa,rsa-sha2-256"),
            ),
            (
                "+ssh-rsa",
                (8, 4),
                Some("+ssh-rsa,rsa-sha2-512,rsa-sha2-256"),
            ),
            ("-ssh-rsa", (9, 2), Some("-ssh-rsa")),
            ("+ssh-dss", (9, 2), Some("+ssh-dss")),
            ("+ssh-dss", (10, 0), None),
            ("ssh-dss*,ssh-ed25519", (10, 0), Some("ssh-ed25519")),
            ("sk-*@openssh.com", (9, 2), Some("sk-*@openssh.com")),
            ("x-*", (9, 2), None),
        ] {
            assert_eq!(
                known_list(list, Some(new)).as_deref(),
                expected,
                "{list} {new:?}"
            );
        }
        assert_eq!(known_list(RHEL_8, Some((9, 2))).as_deref(), Some(RHEL_8));
    }
}
