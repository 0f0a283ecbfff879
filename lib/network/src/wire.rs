//! Messages of rtnetlink(7) as bytes: taken apart, and put together.
//!
//! Attributes are read one by one and only those that somebody asks for: the floor is Linux 3.2,
//! where attributes are missing or shorter, and a parser that types all of them refuses a whole
//! link for one that nobody needs. Layouts: linux/netlink.h, linux/rtnetlink.h.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::NlasIterator;

use super::NetworkError;

/// `struct nlmsghdr`.
const HEADER: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// Numbers below this are control messages.
const NLMSG_MIN_TYPE: u16 = 16;

/// A message without its header.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// `RTM_*`.
    pub kind: u16,
    /// `NLM_F_*`.
    pub flags: u16,
    /// The sequence number of the request that it answers.
    pub sequence: u32,
    /// What follows the header.
    pub body: &'a [u8],
}

/// What the kernel sent.
#[derive(Clone, Copy, Debug)]
pub enum Piece<'a> {
    /// A message of a protocol.
    Message(Message<'a>),
    /// The end of a dump (`error` 0), an acknowledgement, or a refusal (`error` an errno).
    End {
        /// The sequence number of the request that it answers.
        sequence: u32,
        /// The errno, positive.
        error: i32,
        /// `NLM_F_*`.
        flags: u16,
    },
}

/// Takes datagrams apart, one behind the other.
pub fn pieces<'a>(what: &'static str, mut bytes: &'a [u8]) -> Result<Vec<Piece<'a>>, NetworkError> {
    let broken = |why: &str| NetworkError::Unreadable {
        what,
        why: why.to_owned(),
    };
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let header = bytes
            .get(..HEADER)
            .ok_or_else(|| broken("it ends within the header of a message"))?;
        let length = u32_at(header, 0) as usize;
        if length < HEADER {
            return Err(broken("it holds a message shorter than its own header"));
        }
        let body = bytes
            .get(HEADER..length)
            .ok_or_else(|| broken("it ends within a message"))?;
        let (kind, flags, sequence) = (u16_at(header, 4), u16_at(header, 6), u32_at(header, 8));
        match kind {
            NLMSG_ERROR | NLMSG_DONE => found.push(Piece::End {
                sequence,
                // 0 where a DONE comes without a number.
                error: (u32_at(body, 0) as i32).wrapping_neg().max(0),
                flags,
            }),
            kind if kind < NLMSG_MIN_TYPE => {}
            kind => found.push(Piece::Message(Message {
                kind,
                flags,
                sequence,
                body,
            })),
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(found)
}

/// The messages of a whole dump. One without its end was cut off and is refused.
pub fn dumped<'a>(what: &'static str, bytes: &'a [u8]) -> Result<Vec<Message<'a>>, NetworkError> {
    let mut found = Vec::new();
    for piece in pieces(what, bytes)? {
        match piece {
            Piece::Message(message) => found.push(message),
            Piece::End { error: 0, .. } => return Ok(found),
            Piece::End { error, .. } => {
                return Err(NetworkError::Unreadable {
                    what,
                    why: std::io::Error::from_raw_os_error(error).to_string(),
                })
            }
        }
    }
    Err(NetworkError::Unreadable {
        what,
        why: "it ends before its end".to_owned(),
    })
}

/// Two bytes in the machine's order; 0 beyond the end.
pub fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes
        .get(at..at + 2)
        .map_or(0, |b| u16::from_ne_bytes([b[0], b[1]]))
}

/// Four bytes in the machine's order; 0 beyond the end.
pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..at + 4)
        .map_or(0, |b| u32::from_ne_bytes([b[0], b[1], b[2], b[3]]))
}

/// One byte; 0 beyond the end.
pub fn u8_at(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

/// The attributes of a message, or those nested in one.
#[derive(Clone, Debug, Default)]
pub struct Attributes<'a>(Vec<(u16, &'a [u8])>);

impl<'a> Attributes<'a> {
    /// Reads the attributes behind the first `fixed` bytes.
    pub fn behind(
        what: &'static str,
        body: &'a [u8],
        fixed: usize,
    ) -> Result<Attributes<'a>, NetworkError> {
        let broken = |why: String| NetworkError::Unreadable { what, why };
        let rest = body
            .get(fixed..)
            .ok_or_else(|| broken("it holds a message that is too short".to_owned()))?;
        let mut found = Vec::new();
        for attribute in NlasIterator::new(rest) {
            let attribute = attribute.map_err(|e| broken(e.to_string()))?;
            // `value()` would do, but its lifetime is the iterator's item's.
            let (kind, length) = (attribute.kind(), attribute.value_length());
            found.push((
                kind,
                attribute
                    .into_inner()
                    .get(4..4 + length)
                    .unwrap_or_default(),
            ));
        }
        Ok(Attributes(found))
    }

    /// The bytes of the first attribute of that kind.
    pub fn bytes(&self, kind: u16) -> Option<&'a [u8]> {
        self.0.iter().find(|(k, _)| *k == kind).map(|(_, v)| *v)
    }

    /// The same as a number; also where the kernel gives one or two bytes.
    pub fn number(&self, kind: u16) -> Option<u32> {
        match *self.bytes(kind)? {
            [a] => Some(a.into()),
            [a, b] => Some(u16::from_ne_bytes([a, b]).into()),
            [a, b, c, d] => Some(u32::from_ne_bytes([a, b, c, d])),
            _ => None,
        }
    }

    /// The same as text up to its first zero byte; never empty.
    pub fn text(&self, kind: u16) -> Option<String> {
        let bytes = self.bytes(kind)?.split(|b| *b == 0).next()?;
        (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned())
    }

    /// The same as an IP address by its length.
    pub fn ip(&self, kind: u16) -> Option<IpAddr> {
        ip(self.bytes(kind)?)
    }

    /// The attributes nested in one; none where that is missing or broken.
    pub fn nested(&self, kind: u16) -> Attributes<'a> {
        self.bytes(kind)
            .and_then(|bytes| Attributes::behind("nested attributes", bytes, 0).ok())
            .unwrap_or_default()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &'a [u8])> + '_ {
        self.0.iter().copied()
    }
}

/// An IP address by its length.
pub fn ip(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(v4).into());
    }
    let v6 = <[u8; 16]>::try_from(bytes).ok()?;
    Some(Ipv6Addr::from(v6).into())
}

/// A request to the kernel, or attributes nested in one.
#[derive(Clone, Debug)]
pub struct Request {
    /// `RTM_*`.
    pub kind: u16,
    /// `NLM_F_*`.
    pub flags: u16,
    body: Vec<u8>,
}

impl Request {
    /// A request with the fixed part of its body.
    pub fn new(kind: u16, flags: u16, fixed: &[u8]) -> Request {
        Request {
            kind,
            flags,
            body: fixed.to_vec(),
        }
    }

    /// Appends an attribute.
    #[must_use]
    pub fn with(mut self, kind: u16, value: &[u8]) -> Request {
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.body.extend(length.to_ne_bytes());
        self.body.extend(kind.to_ne_bytes());
        self.body.extend(&value[..usize::from(length) - 4]);
        self.body.resize(self.body.len().next_multiple_of(4), 0);
        self
    }

    /// Appends a text with a zero byte behind it.
    #[must_use]
    pub fn text(self, kind: u16, text: &str) -> Request {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        self.with(kind, &bytes)
    }

    /// Appends a number of four bytes.
    #[must_use]
    pub fn number(self, kind: u16, number: u32) -> Request {
        self.with(kind, &number.to_ne_bytes())
    }

    /// Appends an address.
    #[must_use]
    pub fn ip(self, kind: u16, ip: IpAddr) -> Request {
        match ip {
            IpAddr::V4(ip) => self.with(kind, &ip.octets()),
            IpAddr::V6(ip) => self.with(kind, &ip.octets()),
        }
    }

    /// Appends attributes within an attribute.
    #[must_use]
    pub fn nest(self, kind: u16, fill: impl FnOnce(Request) -> Request) -> Request {
        let inner = fill(Request::new(0, 0, &[])).body;
        self.with(kind, &inner)
    }

    /// The fixed part and the attributes.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The whole message.
    pub fn to_bytes(&self, sequence: u32) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + self.body.len());
        bytes.extend(((HEADER + self.body.len()) as u32).to_ne_bytes());
        bytes.extend(self.kind.to_ne_bytes());
        bytes.extend(self.flags.to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend(0u32.to_ne_bytes());
        bytes.extend(&self.body);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        Request::new(kind, 0, body).to_bytes(7)
    }

    #[test]
    fn refuses_what_is_no_dump() {
        let whole = [message(16, &[0; 8]), message(NLMSG_DONE, &[0; 4])].concat();
        let mut zero_length = message(16, &[0; 8]);
        zero_length[..4].fill(0);
        let cases: [(&str, &[u8], bool); 7] = [
            ("whole", &whole, true),
            ("nothing", &[], false),
            ("without its end", &whole[..24], false),
            ("cut within a message", &whole[..20], false),
            ("cut within a header", &whole[..30], false),
            ("a length of zero", &zero_length, false),
            (
                "an error",
                &message(NLMSG_ERROR, &(-1i32).to_ne_bytes()),
                false,
            ),
        ];
        for (name, bytes, good) in cases {
            assert_eq!(dumped("a dump", bytes).is_ok(), good, "{name}");
        }
    }

    #[test]
    fn reads_the_attributes_it_writes() {
        let request = Request::new(16, 0, &[9; 4])
            .text(1, "eth0")
            .with(2, &[5])
            .number(3, 70_000)
            .ip(4, "2001:db8::1".parse().unwrap())
            .nest(5, |n| n.text(1, "x").number(2, 8));
        let bytes = request.to_bytes(1);
        let read = Attributes::behind("a request", &bytes[HEADER..], 4).unwrap();
        assert_eq!(read.text(1).as_deref(), Some("eth0"));
        assert_eq!((read.number(2), read.number(3)), (Some(5), Some(70_000)));
        assert_eq!(read.ip(4), "2001:db8::1".parse().ok());
        assert_eq!(read.nested(5).number(2), Some(8));
        assert_eq!((read.number(6), read.number(1)), (None, None));
        assert!(Attributes::behind("a request", &bytes[HEADER..HEADER + 2], 4).is_err());
    }
}
