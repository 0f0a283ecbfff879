//! An entry of an archive, and how it is written: POSIX tar with GNU long names, PAX records for
//! times with a fraction and for extended attributes, and base-256 numbers where octal is short.
//!
//! What an entry is written as depends on nothing but the entry.

use super::attributes::Attribute;

/// The unit of a tar archive.
pub(super) const BLOCK: u64 = 512;
/// What the two zero blocks at the end of an archive take.
pub(super) const END: u64 = 2 * BLOCK;
/// The longest name, and the longest link target, that a header itself holds.
const SHORT_NAME: usize = 100;
/// The largest time that twelve bytes of octal hold.
const OCTAL_TIME: i64 = 0o777_7777_7777;
/// What an extended attribute's PAX record begins with.
pub(super) const ATTRIBUTE_RECORD: &[u8] = b"SCHILY.xattr.";

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File {
        size: u64,
    },
    Symlink {
        target: Vec<u8>,
    },
    /// Another name of an entry before it.
    HardLink {
        target: Vec<u8>,
    },
    CharacterDevice {
        major: u32,
        minor: u32,
    },
    BlockDevice {
        major: u32,
        minor: u32,
    },
    Fifo,
}

/// A modification time; nanoseconds always count forwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Time {
    pub(super) seconds: i64,
    pub(super) nanoseconds: u32,
}

/// One entry of an archive, its content apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Relative to the root of the tree, without a slash at either end; empty for the root.
    pub(super) path: Vec<u8>,
    pub(super) kind: Kind,
    /// Permissions with the setuid, setgid and sticky bits.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: Time,
    pub(super) attributes: Vec<Attribute>,
}

impl Entry {
    /// How many bytes of content follow the header, without padding.
    pub(super) fn body_size(&self) -> u64 {
        match self.kind {
            Kind::File { size } => size,
            _ => 0,
        }
    }

    /// The header with everything that belongs before it.
    pub(super) fn header(&self) -> std::io::Result<Vec<u8>> {
        let mut out = Vec::with_capacity(BLOCK as usize);
        let mut name = self.path.clone();
        if self.path.is_empty() {
            name.extend_from_slice(b"./");
        } else if self.kind == Kind::Directory {
            name.push(b'/');
        }
        let empty = Vec::new();
        let target = match &self.kind {
            Kind::Symlink { target } | Kind::HardLink { target } => target,
            _ => &empty,
        };
        if name.len() > SHORT_NAME {
            long(&mut out, tar::EntryType::GNULongName, &name);
        }
        if target.len() > SHORT_NAME {
            long(&mut out, tar::EntryType::GNULongLink, target);
        }
        let records = self.records();
        if !records.is_empty() {
            let mut header = blank(b"././@PaxHeader", tar::EntryType::XHeader);
            header.set_size(records.len() as u64);
            header.set_cksum();
            out.extend_from_slice(header.as_bytes());
            padded(&mut out, &records);
        }
        let mut header = blank(
            &name[..name.len().min(SHORT_NAME)],
            match self.kind {
                Kind::Directory => tar::EntryType::Directory,
                Kind::File { .. } => tar::EntryType::Regular,
                Kind::Symlink { .. } => tar::EntryType::Symlink,
                Kind::HardLink { .. } => tar::EntryType::Link,
                Kind::CharacterDevice { .. } => tar::EntryType::Char,
                Kind::BlockDevice { .. } => tar::EntryType::Block,
                Kind::Fifo => tar::EntryType::Fifo,
            },
        );
        header.as_old_mut().linkname[..target.len().min(SHORT_NAME)]
            .copy_from_slice(&target[..target.len().min(SHORT_NAME)]);
        header.set_mode(self.mode);
        header.set_uid(u64::from(self.uid));
        header.set_gid(u64::from(self.gid));
        header.set_size(self.body_size());
        header.set_mtime(self.mtime.seconds.clamp(0, OCTAL_TIME) as u64);
        if let Kind::CharacterDevice { major, minor } | Kind::BlockDevice { major, minor } =
            self.kind
        {
            header.set_device_major(major)?;
            header.set_device_minor(minor)?;
        }
        header.set_cksum();
        out.extend_from_slice(header.as_bytes());
        Ok(out)
    }

    /// What the header cannot say.
    fn records(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let Time {
            seconds,
            nanoseconds,
        } = self.mtime;
        if nanoseconds != 0 || !(0..=OCTAL_TIME).contains(&seconds) {
            record(&mut out, b"mtime", decimal(self.mtime).as_bytes());
        }
        for (name, value) in &self.attributes {
            let key = [ATTRIBUTE_RECORD, &escape(name.to_bytes())].concat();
            record(&mut out, &key, value);
        }
        out
    }
}

/// A header with a name and a type, and nothing else that would differ from tree to tree.
fn blank(name: &[u8], entry_type: tar::EntryType) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(entry_type);
    header.set_mode(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

fn long(out: &mut Vec<u8>, entry_type: tar::EntryType, text: &[u8]) {
    let mut header = blank(b"././@LongLink", entry_type);
    let text = [text, b"\0"].concat();
    header.set_size(text.len() as u64);
    header.set_cksum();
    out.extend_from_slice(header.as_bytes());
    padded(out, &text);
}

fn padded(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
    out.resize(out.len().next_multiple_of(BLOCK as usize), 0);
}

/// `LENGTH KEY=VALUE\n`, where the length counts its own digits.
fn record(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    out.extend_from_slice(format!("{length} ").as_bytes());
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// An attribute's name as GNU tar writes it in a key, which ends at the first equals sign.
fn escape(name: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(name.len());
    for &byte in name {
        match byte {
            b'%' => key.extend_from_slice(b"%25"),
            b'=' => key.extend_from_slice(b"%3D"),
            byte => key.push(byte),
        }
    }
    key
}

/// The attribute's name that a key was made from; nothing for a key that is made otherwise.
pub(super) fn unescape(key: &[u8]) -> Option<Vec<u8>> {
    let mut name = Vec::with_capacity(key.len());
    let mut rest = key;
    while let Some((&first, after)) = rest.split_first() {
        let byte;
        (byte, rest) = match first {
            b'%' if after.starts_with(b"25") => (b'%', &after[2..]),
            b'%' if after.starts_with(b"3D") => (b'=', &after[2..]),
            b'%' => return None,
            first => (first, after),
        };
        name.push(byte);
    }
    Some(name)
}

/// A time as PAX writes it: a decimal fraction, whose sign is that of the whole.
fn decimal(time: Time) -> String {
    if time.seconds < 0 && time.nanoseconds > 0 {
        let (seconds, nanoseconds) = (-(time.seconds + 1), 1_000_000_000 - time.nanoseconds);
        return format!("-{seconds}.{nanoseconds:09}");
    }
    format!("{}.{:09}", time.seconds, time.nanoseconds)
}

/// Reads a time as PAX writes it.
pub(super) fn parse_decimal(text: &str) -> Option<Time> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let seconds: i64 = whole.parse().ok()?;
    let nanoseconds: u32 = format!("{fraction:0<9}")[..9].parse().ok()?;
    Some(match (negative, nanoseconds) {
        (false, _) => Time {
            seconds,
            nanoseconds,
        },
        (true, 0) => Time {
            seconds: -seconds,
            nanoseconds,
        },
        (true, _) => Time {
            seconds: -seconds - 1,
            nanoseconds: 1_000_000_000 - nanoseconds,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_its_own_length() {
        for length in 0..1200 {
            let mut out = Vec::new();
            record(&mut out, b"key", &vec![b'x'; length]);
            let text = String::from_utf8(out.clone()).unwrap();
            let (said, _) = text.split_once(' ').unwrap();
            assert_eq!(said.parse::<usize>().unwrap(), out.len());
        }
    }

    #[test]
    fn times_survive_the_round_trip() {
        let cases = [
            (0, 0, "0.000000000"),
            (1, 5, "1.000000005"),
            (-1, 0, "-1.000000000"),
            (-1, 999_999_999, "-0.000000001"),
            (-2, 500_000_000, "-1.500000000"),
            (1_700_000_000, 123_456_789, "1700000000.123456789"),
        ];
        for (seconds, nanoseconds, text) in cases {
            let time = Time {
                seconds,
                nanoseconds,
            };
            assert_eq!(decimal(time), text);
            assert_eq!(parse_decimal(text), Some(time));
        }
        assert_eq!(
            parse_decimal("7.5"),
            Some(Time {
                seconds: 7,
                nanoseconds: 500_000_000
            })
        );
        for text in [
            "",
            "-",
            ".",
            ".5",
            "1.x",
            "1 ",
            "+1",
            "--1",
            "99999999999999999999",
        ] {
            assert_eq!(parse_decimal(text), None, "{text:?}");
        }
    }
}
