//! By what a DHCP server knows a client: the client identifier of IPv4 (RFC 2132, 9.14; RFC 4361) and
//! the DUID with the IAID of IPv6 (RFC 8415, 11 and 12). A server gives the address that it has for
//! them, whatever the MAC address is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::mac::{Mac, Unreadable};

/// The type of a client identifier that is an IAID and a DUID (RFC 4361).
const NODE_SPECIFIC: u8 = 255;
/// The type of one that is an Ethernet address (RFC 1700).
const ETHERNET: u8 = 1;
/// The most bytes that an option of IPv4's DHCP holds.
const MOST: usize = 255;

/// Bytes, written as `01:52:54:00:12:34:56`.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Octets(pub Vec<u8>);

/// What the old OS's clients of DHCP call the machine on a link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DhcpClient {
    /// IPv4's client identifier with its type; empty where the client sends none; `None` where it is
    /// not known.
    pub identifier: Option<Octets>,
    /// The evidence for that, in words.
    pub identifier_by: String,
    /// IPv6's DUID with its type.
    pub duid: Option<Octets>,
    /// IPv6's number of the identity association.
    pub iaid: Option<u32>,
    /// The evidence for these, in words.
    pub duid_by: String,
    /// A server gave the link's MTU.
    pub gives_mtu: bool,
}

impl Octets {
    /// The client identifier that is an Ethernet address.
    pub fn of_mac(mac: Mac) -> Octets {
        Octets([&[ETHERNET], &mac.0[..]].concat())
    }

    /// The client identifier that is an IAID and a DUID.
    pub fn of_duid(iaid: u32, duid: &Octets) -> Octets {
        Octets([&[NODE_SPECIFIC], &iaid.to_be_bytes()[..], &duid.0].concat())
    }

    /// The IAID and the DUID that a client identifier is made of, where it is.
    pub fn parts(&self) -> Option<(u32, Octets)> {
        let [NODE_SPECIFIC, a, b, c, d, duid @ ..] = &self.0[..] else {
            return None;
        };
        // Two bytes are its type.
        (duid.len() > 2).then(|| (u32::from_be_bytes([*a, *b, *c, *d]), Octets(duid.to_vec())))
    }

    /// Bytes of pairs of hexadecimal digits without anything between them.
    pub fn from_hex(text: &str) -> Option<Octets> {
        let whole = text.len().is_multiple_of(2) && text.len() <= 2 * MOST;
        let digits = text.bytes().all(|b| b.is_ascii_hexdigit());
        if text.is_empty() || !whole || !digits {
            return None;
        }
        let pairs = (0..text.len()).step_by(2);
        let bytes = pairs.map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok());
        bytes.collect::<Option<Vec<u8>>>().map(Octets)
    }

    /// The same without anything between the bytes.
    pub fn hex(&self) -> String {
        self.to_string().replace(':', "")
    }
}

impl fmt::Display for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            let colon = if at == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Octets {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Octets, Unreadable> {
        let bad = || Unreadable {
            text: text.to_owned(),
            what: "bytes with colons",
        };
        if text.is_empty() {
            return Ok(Octets::default());
        }
        let byte = |part: &str| {
            let hex = (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_hexdigit());
            u8::from_str_radix(part, 16).ok().filter(|_| hex)
        };
        let bytes: Option<Vec<u8>> = text.split(':').map(byte).collect();
        bytes
            .filter(|b| b.len() <= MOST)
            .map(Octets)
            .ok_or_else(bad)
    }
}

impl Serialize for Octets {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Octets, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_as_they_are_written() {
        for text in ["", "01", "01:52:54:00:12:34:56", "ff:00:12:34:56:00:02:00"] {
            assert_eq!(text.parse::<Octets>().unwrap().to_string(), text);
        }
        // dhclient leaves zeros out.
        assert_eq!("0:1:a".parse::<Octets>().unwrap().to_string(), "00:01:0a");
        for bad in [":", "01:", "1234", "x", "+1", "01 02"] {
            assert!(bad.parse::<Octets>().is_err(), "{bad}");
        }
        assert_eq!(Octets::from_hex("ff00AB").unwrap().to_string(), "ff:00:ab");
        for bad in ["", "f", "+1", "zz", "é1"] {
            assert_eq!(Octets::from_hex(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_identifier_may_be_made_of_others() {
        let duid: Octets = "00:02:00:00:ab:11:de:de:0f:ab:f5:e9:fc:a3".parse().unwrap();
        let whole = Octets::of_duid(0x5f6d_aaa8, &duid);
        assert_eq!(whole.hex(), "ff5f6daaa800020000ab11dede0fabf5e9fca3");
        assert_eq!(whole.parts(), Some((0x5f6d_aaa8, duid)));
        let mac = Octets::of_mac("52:54:00:12:34:56".parse().unwrap());
        assert_eq!(mac.to_string(), "01:52:54:00:12:34:56");
        for whole in [mac, Octets::default(), Octets(vec![255, 1, 2, 3, 4, 0, 2])] {
            assert_eq!(whole.parts(), None, "{whole}");
        }
    }
}
