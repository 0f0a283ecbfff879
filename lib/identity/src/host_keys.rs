//! Host keys of the ssh server: what a key is called and which fingerprint it has, as told by its
//! public half (one line, RFC 4253 section 6.6) or by the private half (openssh-key-v1, whose
//! public part is not encrypted; the PEM forms of older servers tell the type only).

use formats::identity::{HostKey, OldIdentity};

use crate::access::server;
use crate::public_key::{decode, fingerprint, kind_of, string};

/// What OpenSSH's own form begins with.
const OPENSSH: &[u8] = b"openssh-key-v1\0";

/// Types by the heading of a PEM file.
const PEM: [(&str, &str); 3] = [
    ("-----BEGIN RSA PRIVATE KEY-----", "ssh-rsa"),
    ("-----BEGIN DSA PRIVATE KEY-----", "ssh-dss"),
    ("-----BEGIN EC PRIVATE KEY-----", "ecdsa-sha2-nistp256"),
];

/// How the files begin that a server looks for when nobody tells it otherwise.
pub const USUAL: &str = "/etc/ssh/ssh_host_";

/// The keys that the new server has to be told of to show what the old one shows: those that the old one is
/// told of, in its order, where one of them is elsewhere than every server looks. `takes` says whether the new
/// server takes keys of a type.
pub fn told<'a>(old: &'a OldIdentity, takes: &dyn Fn(&str) -> bool) -> Vec<&'a HostKey> {
    let named = server::host_keys(&old.doors);
    if named.iter().all(|path| path.starts_with(USUAL)) {
        return Vec::new();
    }
    let of = |path: &&str| old.host_keys.iter().find(|key| key.path == **path);
    let keys = named.iter().filter_map(of);
    keys.filter(|key| takes(&key.kind)).collect()
}

/// The keys that a server shows which is told of them, if need be.
pub fn shown<'a>(old: &'a OldIdentity, takes: &dyn Fn(&str) -> bool) -> Vec<&'a HostKey> {
    let told = told(old, takes);
    if !told.is_empty() {
        return told;
    }
    let usual = |key: &&HostKey| key.path.starts_with(USUAL) && takes(&key.kind);
    old.host_keys.iter().filter(usual).collect()
}

/// Reads a key from the file with its public half; nothing if that is not what the text is.
pub fn from_public(path: &str, text: &str) -> Option<HostKey> {
    let mut words = text.trim_start_matches('\u{feff}').split_whitespace();
    let kind = words.next()?;
    let blob = decode(words.next()?)?;
    (kind_of(&blob)? == kind).then(|| key(path, kind, &blob))
}

/// Reads a key from the file with its private half; nothing if that is not what the text is.
pub fn from_private(path: &str, text: &str) -> Option<HostKey> {
    let text = text.trim_start();
    if let Some((_, kind)) = PEM.iter().find(|(heading, _)| text.starts_with(heading)) {
        return Some(HostKey {
            path: path.to_owned(),
            kind: (*kind).to_owned(),
            fingerprint: String::new(),
        });
    }
    let body: String = text
        .strip_prefix("-----BEGIN OPENSSH PRIVATE KEY-----")?
        .split_once("-----END")?
        .0
        .split_whitespace()
        .collect();
    let bytes = decode(&body)?;
    let mut rest = bytes.strip_prefix(OPENSSH)?;
    // Cipher, key derivation, its options.
    for _ in 0..3 {
        rest = string(rest)?.1;
    }
    let (count, rest) = rest.split_first_chunk::<4>()?;
    if u32::from_be_bytes(*count) != 1 {
        return None;
    }
    let blob = string(rest)?.0;
    Some(key(path, kind_of(blob)?, blob))
}

fn key(path: &str, kind: &str, blob: &[u8]) -> HostKey {
    HostKey {
        path: path.to_owned(),
        kind: kind.to_owned(),
        fingerprint: fingerprint(blob),
    }
}

#[cfg(test)]
#[path = "host_keys_tests.rs"]
mod tests;
