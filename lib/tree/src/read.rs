//! Reading an archive, entry by entry, and refusing all that a payload never holds.
//!
//! The `tar` crate finds headers, checks their sums and reads their numbers. What comes before a
//! header (long names, PAX records) is put together here, for the crate splits records at line
//! ends, which a binary attribute may contain. A name that could leave the tree is an error, and
//! so is everything that is not understood: this reads what [`super::pack()`] wrote, nothing else.

use std::ffi::CString;
use std::io::{self, Read};

use super::error::TreeError;
use super::header::{parse_decimal, unescape, Entry, Kind, Time, ATTRIBUTE_RECORD};

/// The longest name in a directory.
const LONGEST_NAME: usize = 255;
/// The most that may come before a header: an attribute has at most 64 KiB, a file a few.
const LARGEST_PREFIX: u64 = 16 << 20;

/// What came before a header and belongs to it.
#[derive(Default)]
struct Prefix {
    name: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    records: Option<Vec<u8>>,
}

/// Calls `visit` for each entry of the archive, with its content, and gives how many there were.
/// The content need not be read to its end. After the last entry only zeros may follow.
pub(super) fn each_entry(
    mut reader: impl Read,
    place: &str,
    mut visit: impl FnMut(Entry, &mut dyn Read) -> Result<(), TreeError>,
) -> Result<u64, TreeError> {
    let broken = |source: io::Error| TreeError::Archive {
        place: place.to_owned(),
        what: source.to_string(),
    };
    let mut count = 0;
    let mut archive = tar::Archive::new(&mut reader);
    let mut prefix = Prefix::default();
    for entry in archive.entries().map_err(broken)?.raw(true) {
        let mut entry = entry.map_err(broken)?;
        let slot = match entry.header().entry_type() {
            tar::EntryType::GNULongName => &mut prefix.name,
            tar::EntryType::GNULongLink => &mut prefix.target,
            tar::EntryType::XHeader => &mut prefix.records,
            _ => {
                let parsed = parse(entry.header(), std::mem::take(&mut prefix))?;
                visit(parsed, &mut entry)?;
                count += 1;
                continue;
            }
        };
        if slot.is_some() || entry.size() > LARGEST_PREFIX {
            return Err(broken(io::Error::other(
                "an entry has two long names, two sets of records, or a huge one",
            )));
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(broken)?;
        if bytes.len() as u64 != entry.size() {
            return Err(broken(io::ErrorKind::UnexpectedEof.into()));
        }
        *slot = Some(bytes);
    }
    if prefix.name.is_some() || prefix.target.is_some() || prefix.records.is_some() {
        return Err(broken(io::Error::other("the last entry has no header")));
    }
    // Two zero blocks end an archive for the crate; what is behind them must not be hidden.
    let mut rest = [0; 4096];
    loop {
        match reader.read(&mut rest) {
            Ok(0) => return Ok(count),
            Ok(n) if rest[..n].iter().all(|&byte| byte == 0) => {}
            Ok(_) => {
                return Err(broken(io::Error::other(
                    "data follows the end of the archive",
                )))
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(broken(e)),
        }
    }
}

fn parse(header: &tar::Header, prefix: Prefix) -> Result<Entry, TreeError> {
    let raw = match prefix.name {
        Some(name) => without_nul(name),
        None => header.path_bytes().into_owned(),
    };
    let bad = |what: &str| TreeError::entry(&raw, what);
    let number = |value: io::Result<u64>| value.map_err(|e| bad(&e.to_string()));
    let target = || -> Result<Vec<u8>, TreeError> {
        let target = match &prefix.target {
            Some(target) => without_nul(target.clone()),
            None => header
                .link_name_bytes()
                .map(std::borrow::Cow::into_owned)
                .unwrap_or_default(),
        };
        if target.is_empty() {
            return Err(bad("the link leads nowhere"));
        }
        Ok(target)
    };
    let device = || -> Result<(u32, u32), TreeError> {
        let part = |value: io::Result<Option<u32>>| value.ok().flatten();
        part(header.device_major())
            .zip(part(header.device_minor()))
            .ok_or_else(|| bad("the device has no number"))
    };
    let kind = match header.entry_type() {
        tar::EntryType::Directory => Kind::Directory,
        tar::EntryType::Regular => Kind::File {
            size: number(header.size())?,
        },
        tar::EntryType::Symlink => Kind::Symlink { target: target()? },
        tar::EntryType::Link => Kind::HardLink {
            target: clean(&target()?)
                .filter(|target| !target.is_empty())
                .ok_or_else(|| bad("the hard link does not name an entry of this archive"))?,
        },
        tar::EntryType::Char => {
            let (major, minor) = device()?;
            Kind::CharacterDevice { major, minor }
        }
        tar::EntryType::Block => {
            let (major, minor) = device()?;
            Kind::BlockDevice { major, minor }
        }
        tar::EntryType::Fifo => Kind::Fifo,
        other => {
            return Err(bad(&format!(
                "the entry has the unknown type {:?}",
                char::from(other.as_byte())
            )))
        }
    };
    if !matches!(kind, Kind::File { .. }) && number(header.size())? != 0 {
        return Err(bad("something that is no file has content"));
    }
    let path = clean(&raw).ok_or_else(|| {
        bad("the name is empty, absolute, too long, or contains `.`, `..` or a NUL byte")
    })?;
    if path.is_empty() && kind != Kind::Directory {
        return Err(bad("the root of the tree is no directory"));
    }
    if raw.ends_with(b"/") && kind != Kind::Directory {
        return Err(bad(
            "the name of something that is no directory ends with a slash",
        ));
    }
    let id = |value: io::Result<u64>| {
        u32::try_from(number(value)?).map_err(|_| bad("the owner's number is out of range"))
    };
    let mut entry = Entry {
        kind,
        mode: header.mode().map_err(|e| bad(&e.to_string()))? & 0o7777,
        uid: id(header.uid())?,
        gid: id(header.gid())?,
        mtime: Time {
            seconds: number(header.mtime())? as i64,
            nanoseconds: 0,
        },
        attributes: Vec::new(),
        path,
    };
    for (key, value) in split_records(prefix.records.as_deref().unwrap_or_default())
        .ok_or_else(|| bad("its PAX records are malformed"))?
    {
        if key == b"mtime" {
            entry.mtime = std::str::from_utf8(value)
                .ok()
                .and_then(parse_decimal)
                .ok_or_else(|| bad("its PAX record of the time is malformed"))?;
        } else if let Some(name) = key.strip_prefix(ATTRIBUTE_RECORD) {
            let name = unescape(name)
                .and_then(|name| CString::new(name).ok())
                .ok_or_else(|| bad("the name of an attribute is malformed"))?;
            entry.attributes.push((name, value.to_vec()));
        } else {
            let key = key.escape_ascii();
            return Err(bad(&format!("its PAX record `{key}` is unknown")));
        }
    }
    Ok(entry)
}

/// A long name is closed with NUL.
fn without_nul(mut name: Vec<u8>) -> Vec<u8> {
    if name.last() == Some(&0) {
        name.pop();
    }
    name
}

/// An entry's name as a path within the tree: without `./` before and a slash behind. `./` alone
/// is the root, and comes back empty. Nothing comes back for a name that is no such path.
pub(super) fn clean(name: &[u8]) -> Option<Vec<u8>> {
    if name == b"./" || name == b"." {
        return Some(Vec::new());
    }
    let path = name.strip_prefix(b"./").unwrap_or(name);
    let path = path.strip_suffix(b"/").unwrap_or(path);
    let sound = |component: &[u8]| {
        !component.is_empty()
            && component != b"."
            && component != b".."
            && component.len() <= LONGEST_NAME
            && !component.contains(&0)
    };
    path.split(|&byte| byte == b'/')
        .all(sound)
        .then(|| path.to_vec())
}

/// PAX records as keys and values. The length before each says where it ends; a value may hold
/// any byte.
fn split_records(mut bytes: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|&byte| byte == b' ')?;
        let digits = &bytes[..space];
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let length: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
        let record = bytes.get(space + 1..length)?;
        bytes = &bytes[length..];
        let (b'\n', record) = record.split_last()? else {
            return None;
        };
        let equals = record.iter().position(|&byte| byte == b'=')?;
        records.push((&record[..equals], &record[equals + 1..]));
    }
    Some(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &[u8], kind: Kind) -> Entry {
        Entry {
            path: path.to_vec(),
            kind,
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: Time::default(),
            attributes: Vec::new(),
        }
    }

    fn read(archive: &[u8]) -> Result<Vec<Entry>, TreeError> {
        let mut entries = Vec::new();
        each_entry(archive, "a test", |entry, _| {
            entries.push(entry);
            Ok(())
        })?;
        Ok(entries)
    }

    #[test]
    fn what_is_written_is_read_again() {
        let long = [b"d/".as_slice(), &[b'x'; 255], b"/", &[0xff; 200]].concat();
        let mut cases = vec![
            entry(b"", Kind::Directory),
            entry(b"etc", Kind::Directory),
            entry(&long, Kind::Directory),
            entry(&long, Kind::File { size: 0 }),
            entry(&[b'y'; 100], Kind::Fifo),
            entry(&[b'y'; 99], Kind::Directory),
            entry(&[b'y'; 100], Kind::Directory),
            entry(
                b"a\nb \xff",
                Kind::Symlink {
                    target: long.clone(),
                },
            ),
            entry(
                b"hard",
                Kind::HardLink {
                    target: long.clone(),
                },
            ),
            entry(b"dev/null", Kind::CharacterDevice { major: 1, minor: 3 }),
            entry(
                b"dev/sda",
                Kind::BlockDevice {
                    major: 259,
                    minor: 1_048_575,
                },
            ),
        ];
        let mut odd = entry(b"odd", Kind::File { size: 0 });
        odd.mode = 0o7777;
        odd.uid = u32::MAX - 1;
        odd.gid = 2_097_152;
        odd.mtime = Time {
            seconds: -5,
            nanoseconds: 999_999_999,
        };
        odd.attributes = vec![
            (
                c"security.capability".to_owned(),
                b"\n12 x=\n\0\xff".to_vec(),
            ),
            (c"user.100%=b\xff".to_owned(), b"".to_vec()),
        ];
        cases.push(odd);
        let archive: Vec<u8> = cases.iter().flat_map(|e| e.header().unwrap()).collect();
        assert_eq!(read(&archive).unwrap(), cases);
        assert_eq!(read(&[archive, vec![0; 1024]].concat()).unwrap(), cases);
    }

    #[test]
    fn names_that_could_leave_the_tree_are_refused() {
        let long = "x".repeat(256);
        let names = [
            "/etc/passwd",
            "../x",
            "a/../b",
            "a/..",
            "..",
            "a//b",
            "a/./b",
            "",
            "/",
            "./",
            ".",
            "././x",
            "a//",
            ".//a",
            &long,
        ];
        for name in names {
            let mut header = tar::Header::new_gnu();
            header.set_size(0);
            header.set_entry_type(tar::EntryType::Regular);
            let archive = if name.len() > 100 {
                entry(name.as_bytes(), Kind::Fifo).header().unwrap()
            } else {
                header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
                header.set_cksum();
                header.as_bytes().to_vec()
            };
            read(&archive).expect_err(name);
        }
        for target in ["/etc/passwd", "../x", "a/../../b", "./"] {
            let target = target.as_bytes().to_vec();
            read(&entry(b"x", Kind::HardLink { target }).header().unwrap()).unwrap_err();
        }
    }

    #[test]
    fn unknown_and_broken_entries_are_refused() {
        let sound = entry(b"x", Kind::Fifo).header().unwrap();
        for entry_type in [b'7', b'S', b'g', b'V', b'A', b'D'] {
            let mut header = tar::Header::from_byte_slice(&sound).clone();
            header.set_entry_type(tar::EntryType::new(entry_type));
            header.set_cksum();
            read(header.as_bytes()).unwrap_err();
        }
        let mut sized = tar::Header::from_byte_slice(&sound).clone();
        sized.set_size(512);
        sized.set_cksum();
        read(&[sized.as_bytes().as_slice(), &[0; 512]].concat()).unwrap_err();
        let mut torn = sound.clone();
        torn[0] ^= 1;
        read(&torn).unwrap_err();
        read(&sound[..300]).unwrap_err();
        read(&[sound.clone(), vec![0; 1024], sound.clone()].concat()).unwrap_err();
        let long = entry(&[b'x'; 200], Kind::Fifo).header().unwrap();
        read(&long[..1024]).unwrap_err();
        read(&[&long[..1024], &long[..]].concat()).unwrap_err();
    }

    #[test]
    fn malformed_records_are_refused() {
        let cases: &[&[u8]] = &[
            b"x",
            b"4 a=\n",
            b"7 a=b\n",
            b"6 a=bc",
            b"6 abc\n",
            b"-6 a=b\n",
            b"0 a=b\n",
            b" a=b\n",
            b"99999999999999999999999 a=b\n",
        ];
        for case in cases {
            assert_eq!(split_records(case), None, "{case:?}");
        }
        let binary = b"6 a=b\n8 c=\n\0 \n";
        let records: &[(&[u8], &[u8])] = &[(b"a", b"b"), (b"c", b"\n\0 ")];
        assert_eq!(split_records(binary).unwrap(), records);
    }
}
