//! Host keys of the ssh server: what a key is called and which fingerprint it has, as told by its
//! public half (one line, RFC 4253 section 6.6) or by the private half (openssh-key-v1, whose
//! public part is not encrypted; the PEM forms of older servers tell the type only).

use sha2::{Digest, Sha256};

use formats::identity::HostKey;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// What OpenSSH's own form begins with.
const OPENSSH: &[u8] = b"openssh-key-v1\0";

/// Types by the heading of a PEM file.
const PEM: [(&str, &str); 3] = [
    ("-----BEGIN RSA PRIVATE KEY-----", "ssh-rsa"),
    ("-----BEGIN DSA PRIVATE KEY-----", "ssh-dss"),
    ("-----BEGIN EC PRIVATE KEY-----", "ecdsa-sha2-nistp256"),
];

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
        fingerprint: format!("SHA256:{}", encode(&Sha256::digest(blob))),
    }
}

/// The type that a public key names itself.
fn kind_of(blob: &[u8]) -> Option<&str> {
    let kind = std::str::from_utf8(string(blob)?.0).ok()?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-@._".contains(&b);
    (!kind.is_empty() && kind.bytes().all(plain)).then_some(kind)
}

/// A string with its length before it, and what follows.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut have) = (0u32, 0);
    for byte in text.bytes() {
        let digit = ALPHABET.iter().position(|a| *a == byte)?;
        bits = bits << 6 | digit as u32;
        have += 6;
        if have >= 8 {
            have -= 8;
            out.push((bits >> have) as u8);
        }
    }
    Some(out)
}

/// Without padding, as ssh prints it.
fn encode(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let mut three = [0; 3];
        three[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for at in 0..=chunk.len() {
            out.push(char::from(ALPHABET[(bits >> (18 - 6 * at) & 63) as usize]));
        }
    }
    out
}
