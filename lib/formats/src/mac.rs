//! MAC addresses as people write them.

use std::fmt;
use std::str::FromStr;

/// A MAC address, written as `52:54:00:12:34:56`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Its last four bytes as a number: the IAID that dhclient and dhcpcd take.
    pub fn end(self) -> u32 {
        let [_, _, a, b, c, d] = self.0;
        u32::from_be_bytes([a, b, c, d])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            let colon = if at == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no MAC address or no prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {what}")]
pub struct Unreadable {
    /// The text.
    pub text: String,
    /// What it should have been.
    pub what: &'static str,
}

impl FromStr for Mac {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Mac, Unreadable> {
        let bad = || Unreadable {
            text: text.to_owned(),
            what: "MAC address",
        };
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().ok_or_else(bad)?;
            let hex = part.len() <= 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
            *byte = u8::from_str_radix(part, 16)
                .ok()
                .filter(|_| hex)
                .ok_or_else(bad)?;
        }
        parts.next().is_none().then_some(Mac(bytes)).ok_or_else(bad)
    }
}
