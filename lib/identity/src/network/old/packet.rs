//! DHCP packets (RFC 2131) as dhcpcd keeps them for leases.

use std::fmt::Write;

/// Where the options begin, behind the magic cookie.
const OPTIONS: usize = 240;
const COOKIE: [u8; 4] = [99, 130, 83, 99];

/// The parts of a DHCP reply that a lease is known by, as `KEY=value` lines of the kind that
/// systemd's lease files have; `None` for what is no such packet.
pub fn describe(bytes: &[u8]) -> Option<String> {
    let reply = bytes.first() == Some(&2);
    if !reply || bytes.get(OPTIONS - 4..OPTIONS)? != COOKIE {
        return None;
    }
    let mut text = String::new();
    let _ = writeln!(text, "ADDRESS={}", dotted(bytes.get(16..20)?));
    let mut rest = &bytes[OPTIONS..];
    while let [code, tail @ ..] = rest {
        match code {
            0 => rest = tail,
            255 => break,
            _ => {
                let (length, tail) = tail.split_first()?;
                let value = tail.get(..usize::from(*length))?;
                rest = &tail[usize::from(*length)..];
                let addresses = || value.chunks_exact(4).map(dotted).collect::<Vec<_>>();
                let _ = match code {
                    3 => writeln!(text, "ROUTER={}", addresses().join(" ")),
                    6 => writeln!(text, "DNS={}", addresses().join(" ")),
                    15 => {
                        let name = String::from_utf8_lossy(value);
                        let name = name.trim_matches(|c: char| c.is_control());
                        writeln!(text, "DOMAINNAME={}", name.replace(['\n', '\r'], ""))
                    }
                    _ => Ok(()),
                };
            }
        }
    }
    Some(text)
}

fn dotted(bytes: &[u8]) -> String {
    let parts: Vec<String> = bytes.iter().map(ToString::to_string).collect();
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_reply_and_nothing_else() {
        let mut packet = vec![0; 236];
        packet[0] = 2;
        packet[16..20].copy_from_slice(&[192, 0, 2, 7]);
        packet.extend(COOKIE);
        packet.extend([
            53, 1, 5, 0, 3, 4, 192, 0, 2, 1, 6, 8, 192, 0, 2, 53, 198, 51, 100, 53,
        ]);
        packet.extend([15, 11]);
        packet.extend(b"example.org");
        let whole = [&packet[..], &[255, 0, 0]].concat();
        assert_eq!(
            describe(&whole).unwrap(),
            "ADDRESS=192.0.2.7\nROUTER=192.0.2.1\nDNS=192.0.2.53 198.51.100.53\n\
             DOMAINNAME=example.org\n"
        );
        for cut in 0..packet.len() {
            // No length of it panics; a cut option makes it no packet.
            let _ = describe(&packet[..cut]);
        }
        assert_eq!(describe(&packet[..packet.len() - 3]), None);
        assert_eq!(describe(b"lease {"), None);
        assert_eq!(describe(b""), None);
    }
}
