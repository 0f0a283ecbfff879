//! DHCP packets (RFC 2131, RFC 8415) as dhcpcd keeps them for leases.

use std::fmt::Write;
use std::net::Ipv6Addr;

use formats::dhcp::Octets;

/// Where the options begin, behind the magic cookie.
const OPTIONS: usize = 240;
const COOKIE: [u8; 4] = [99, 130, 83, 99];

/// A reply of IPv6's servers.
const REPLY6: u8 = 7;
/// Options of IPv6: the client's DUID, an identity association and an address in it, a prefix.
const CLIENT_ID6: u16 = 1;
const IA_NA: u16 = 3;
const IAADDR: u16 = 5;
const IA_PD: u16 = 25;

/// The parts of a DHCP reply that a lease is known by, as `KEY=value` lines of the kind that
/// systemd's lease files have; `None` for what is no such packet.
pub fn describe(bytes: &[u8]) -> Option<String> {
    if bytes.first() == Some(&REPLY6) {
        return describe6(bytes.get(4..)?);
    }
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
                    26 => match value {
                        [high, low] => writeln!(text, "MTU={}", u16::from_be_bytes([*high, *low])),
                        _ => Ok(()),
                    },
                    // Servers give back what they were sent (RFC 6842).
                    61 => writeln!(text, "CLIENTID={}", Octets(value.to_vec()).hex()),
                    _ => Ok(()),
                };
            }
        }
    }
    Some(text)
}

/// The same of a reply to IPv6, from its options. They must fill it to the end, as a text's would not.
fn describe6(options: &[u8]) -> Option<String> {
    let mut text = String::new();
    for (code, value) in options6(options)? {
        let _ = match code {
            CLIENT_ID6 => writeln!(text, "DUID={}", Octets(value.to_vec()).hex()),
            IA_NA => {
                let number = u32::from_be_bytes(value.get(..4)?.try_into().ok()?);
                for (code, value) in options6(value.get(12..)?)? {
                    if code == IAADDR {
                        let ip: [u8; 16] = value.get(..16)?.try_into().ok()?;
                        let _ = writeln!(text, "ADDRESS={}", Ipv6Addr::from(ip));
                    }
                }
                writeln!(text, "IAID={number}")
            }
            IA_PD => writeln!(text, "DELEGATED=yes"),
            _ => Ok(()),
        };
    }
    text.contains("DUID=").then_some(text)
}

fn options6(mut rest: &[u8]) -> Option<Vec<(u16, &[u8])>> {
    let mut found = Vec::new();
    while let [a, b, c, d, tail @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*c, *d]));
        found.push((u16::from_be_bytes([*a, *b]), tail.get(..length)?));
        rest = &tail[length..];
    }
    rest.is_empty().then_some(found)
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
        packet.extend([26, 2, 5, 120, 61, 3, 255, 0, 1]);
        let more = describe(&packet).unwrap();
        assert!(more.ends_with("MTU=1400\nCLIENTID=ff0001\n"), "{more}");
        assert_eq!(describe(b"lease {"), None);
        assert_eq!(describe(b""), None);
    }

    #[test]
    fn reads_a_reply_to_ipv6() {
        // As dhcpcd 10 kept it.
        let hex = "0719d0810001000e00010001329ef837525400123456\
                   0002000e00010001329ef8368299 19b3fcda0003002800123456\
                   0000003c000000690005001820010db8000000000000000000000139\
                   0000007800000078000d0009000073756363657373";
        let packet = Octets::from_hex(&hex.replace(' ', "")).unwrap().0;
        assert_eq!(
            describe(&packet).unwrap(),
            "DUID=00010001329ef837525400123456\nADDRESS=2001:db8::139\nIAID=1193046\n"
        );
        for cut in 0..packet.len() {
            let _ = describe(&packet[..cut]);
        }
        assert_eq!(describe(&packet[..packet.len() - 1]), None);
    }
}
