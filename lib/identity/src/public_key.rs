//! Public keys, RFC 4253, section 6.6: what one says of itself, and its fingerprint.

use formats::access::PublicKey;
use sha2::{Digest, Sha256};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Reads a key by the words of its line; nothing if they are not one. The server passes over those, too.
pub(crate) fn read(kind: &str, base64: &str) -> Option<PublicKey> {
    let blob = decode(base64)?;
    (kind_of(&blob)? == kind).then(|| PublicKey {
        kind: kind.to_owned(),
        blob: base64.to_owned(),
        fingerprint: fingerprint(&blob),
        bits: (kind == "ssh-rsa").then(|| modulus(&blob)).flatten(),
        narrowed: false,
    })
}

/// The length of an RSA key's modulus, which comes behind its type and its exponent.
fn modulus(blob: &[u8]) -> Option<u32> {
    let (_, rest) = string(blob)?;
    let (_, rest) = string(rest)?;
    let (number, _) = string(rest)?;
    // A leading zero says that the number is not negative.
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let first = number.get(zeros)?;
    let bytes = u32::try_from(number.len() - zeros).ok()?;
    Some(bytes * 8 - first.leading_zeros())
}

/// As ssh prints it.
pub(crate) fn fingerprint(blob: &[u8]) -> String {
    format!("SHA256:{}", encode(&Sha256::digest(blob)))
}

/// The type that a public key names itself.
pub(crate) fn kind_of(blob: &[u8]) -> Option<&str> {
    let kind = std::str::from_utf8(string(blob)?.0).ok()?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-@._".contains(&b);
    (!kind.is_empty() && kind.bytes().all(plain)).then_some(kind)
}

/// A string with its length before it, and what follows.
pub(crate) fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
}

pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    const RSA: &str = "AAAAB3NzaC1yc2EAAAADAQABAAAAgQC+/xID0r8soJ78xpAnEQJWycRsVxiUMYxqpaRyn8WhBD0M10wNvHbs4hdDtgdkZkdb2bxt2EQ391jR5Rya0aLsvLjzmmiuxMYMsF6YWr34WvPzQo6xb1d1GCPNerNsLmXBc+q79qkQEuTS2cWkWVNG+xcnKL7UVSmrWD93Uyti+Q==";
    const ED25519: &str = "AAAAC3NzaC1lZDI1NTE5AAAAINOrI44+iAoSAhb5bqy5jVYnmSlAVCHgtGiHnsN3ImoB";

    /// What `ssh-keygen -lf` says of them.
    #[test]
    fn a_key_tells_its_length_and_its_fingerprint() {
        for (kind, blob, bits, fingerprint) in [
            (
                "ssh-rsa",
                RSA,
                Some(1024),
                "SHA256:iVWGs76qn1EVMkUqQAhQhR1l0wfwNwFPEHBITgwr7Tc",
            ),
            (
                "ssh-ed25519",
                ED25519,
                None,
                "SHA256:RTSbH6zUiPuUUFVvwcc+ofQgKrRG/TocJEgUYhHnYDk",
            ),
        ] {
            let key = read(kind, blob).unwrap();
            assert_eq!((key.bits, key.fingerprint.as_str()), (bits, fingerprint));
        }
        assert_eq!(read("ssh-ed25519", RSA), None);
        assert_eq!(read("ssh-ed25519", "AAAA"), None);
    }
}
