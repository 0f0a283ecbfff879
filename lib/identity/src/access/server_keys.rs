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

/// What `PubkeyAcceptedAlgorithms` makes of it: a list in place of the release's own, or one that is added to
/// it (`+`, `^`) or taken from it (`-`). A key is taken while one of its signatures is.
fn accepted(doors: &Doors, kind: &str, by_release: bool) -> bool {
    let Some(said) = server::value(doors, "PubkeyAcceptedAlgorithms") else {
        return by_release;
    };
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
        any(&said)
    }
}
