//! Fingerprints of host keys, as ssh prints them: SHA-256 over the key's blob (RFC 4253, section
//! 6.6), in base64 without padding.

use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use base64::Engine;
use manifest::identity::HostKey;
use sha2::{Digest, Sha256};

/// The key whose public half has this text: `ssh-ed25519 AAAA… comment`.
pub fn parse(path: &str, text: &str) -> Option<HostKey> {
    let mut words = text.split_whitespace();
    let kind = words.next()?;
    let blob = STANDARD.decode(words.next()?).ok()?;
    Some(HostKey {
        path: path.to_owned(),
        kind: kind.to_owned(),
        fingerprint: format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(blob))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: &str = "ssh-ed25519 \
        AAAAC3NzaC1lZDI1NTE5AAAAIMPrcDX2EAvDvKXSvNMXIxSXItOIbqTNneWJxmkM4yTI root@old server\n";

    #[test]
    fn fingerprints_are_those_that_ssh_keygen_prints() {
        let key = parse("/k", PUBLIC).unwrap();
        assert_eq!((&*key.path, &*key.kind), ("/k", "ssh-ed25519"));
        assert_eq!(
            key.fingerprint,
            "SHA256:8ly6oIH7bOyE61NghSkc6gPlSVABqaKitfcHnHhpYNQ"
        );
        for bad in ["", "ssh-rsa", "ssh-rsa \u{fffd}", "ssh-rsa AAA"] {
            assert_eq!(parse("/k", bad), None, "{bad:?}");
        }
    }
}
