//! The lines of the account files, read strictly: what cannot be told for sure is an error that
//! names the file and the line.
//!
//! Formats: passwd(5), shadow(5), group(5), gshadow(5), subuid(5). As in the C library, lines with
//! nothing or a comment on them and lines for NIS (`+`, `-`) are no accounts, and of two lines for
//! one name only the first is read. All of these are listed.

use std::collections::BTreeSet;

use formats::printable;

use super::AccountError;

/// The largest number of a user or a group; the one above it stands for nobody in system calls.
const LARGEST: u32 = u32::MAX - 1;

/// One of the account files.
struct Format {
    file: &'static str,
    /// How many fields a line has.
    fields: &'static [usize],
    /// A name may have several lines.
    repeated: bool,
}

const PASSWD: Format = Format {
    file: "/etc/passwd",
    fields: &[7],
    repeated: false,
};
const SHADOW: Format = Format {
    file: "/etc/shadow",
    // The short form is that of the first shadow suites, and the C library still reads it.
    fields: &[9, 5],
    repeated: false,
};
const GROUP: Format = Format {
    file: "/etc/group",
    fields: &[4],
    repeated: false,
};
const GSHADOW: Format = Format {
    file: "/etc/gshadow",
    fields: &[4],
    repeated: false,
};
const SUBUID: Format = Format {
    file: "/etc/subuid",
    fields: &[3],
    repeated: true,
};
const SUBGID: Format = Format {
    file: "/etc/subgid",
    ..SUBUID
};

/// What a file holds.
pub(super) struct Lines<T> {
    /// Its entries, in order.
    pub(super) entries: Vec<T>,
    /// What is none, with the reason.
    pub(super) skipped: Vec<String>,
}

/// A line of passwd(5).
#[derive(Clone, Copy)]
pub(super) struct Passwd<'a> {
    pub(super) name: &'a str,
    pub(super) password: &'a [u8],
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) gecos: &'a [u8],
    pub(super) home: &'a [u8],
    pub(super) shell: &'a [u8],
}

/// A line of shadow(5).
#[derive(Clone, Copy)]
pub(super) struct Shadow<'a> {
    pub(super) name: &'a str,
    pub(super) password: &'a [u8],
    /// From the day of the last change to the reserved field.
    pub(super) ageing: [&'a [u8]; 7],
}

/// A line of group(5).
pub(super) struct Group<'a> {
    pub(super) name: &'a str,
    pub(super) password: &'a [u8],
    pub(super) gid: u32,
    pub(super) members: Vec<&'a str>,
}

/// A line of gshadow(5).
pub(super) struct Gshadow<'a> {
    pub(super) name: &'a str,
    pub(super) password: &'a [u8],
    pub(super) administrators: Vec<&'a str>,
}

/// A line of subuid(5) or subgid(5).
#[derive(Clone, Copy)]
pub(super) struct Subordinate<'a> {
    /// A user's name or number.
    pub(super) owner: &'a str,
    pub(super) first: u64,
    pub(super) count: u64,
}

pub(super) fn passwd(bytes: &[u8]) -> Result<Lines<Passwd<'_>>, AccountError> {
    read(&PASSWD, bytes, |name, fields| {
        Ok(Passwd {
            name,
            password: fields[1],
            uid: number("user number", fields[2])?,
            gid: number("group number", fields[3])?,
            gecos: fields[4],
            home: fields[5],
            shell: fields[6],
        })
    })
}

pub(super) fn shadow(bytes: &[u8]) -> Result<Lines<Shadow<'_>>, AccountError> {
    read(&SHADOW, bytes, |name, fields| {
        let mut ageing: [&[u8]; 7] = [b""; 7];
        for (slot, field) in ageing.iter_mut().zip(&fields[2..]) {
            *slot = field;
        }
        Ok(Shadow {
            name,
            password: fields[1],
            ageing,
        })
    })
}

pub(super) fn group(bytes: &[u8]) -> Result<Lines<Group<'_>>, AccountError> {
    read(&GROUP, bytes, |name, fields| {
        Ok(Group {
            name,
            password: fields[1],
            gid: number("group number", fields[2])?,
            members: names("member", fields[3])?,
        })
    })
}

pub(super) fn gshadow(bytes: &[u8]) -> Result<Lines<Gshadow<'_>>, AccountError> {
    read(&GSHADOW, bytes, |name, fields| {
        names("member", fields[3])?;
        Ok(Gshadow {
            name,
            password: fields[1],
            administrators: names("administrator", fields[2])?,
        })
    })
}

pub(super) fn subuid(bytes: &[u8]) -> Result<Lines<Subordinate<'_>>, AccountError> {
    subordinate(&SUBUID, bytes)
}

pub(super) fn subgid(bytes: &[u8]) -> Result<Lines<Subordinate<'_>>, AccountError> {
    subordinate(&SUBGID, bytes)
}

fn subordinate<'a>(
    format: &Format,
    bytes: &'a [u8],
) -> Result<Lines<Subordinate<'a>>, AccountError> {
    read(format, bytes, |owner, fields| {
        Ok(Subordinate {
            owner,
            first: number("first number", fields[1])?.into(),
            count: number("count", fields[2])?.into(),
        })
    })
}

/// Reads a file's lines; `entry` makes an entry of a name and the fields, or says what is wrong.
fn read<'a, T>(
    format: &Format,
    bytes: &'a [u8],
    entry: impl Fn(&'a str, &[&'a [u8]]) -> Result<T, String>,
) -> Result<Lines<T>, AccountError> {
    let mut lines = Lines {
        entries: Vec::new(),
        skipped: Vec::new(),
    };
    let mut seen = BTreeSet::new();
    let mut dos = false;
    let mut rest = bytes;
    let mut at = 0;
    while !rest.is_empty() {
        at += 1;
        let end = rest.iter().position(|&byte| byte == b'\n');
        let line = &rest[..end.unwrap_or(rest.len())];
        rest = &rest[end.map_or(rest.len(), |end| end + 1)..];
        let line = match line.strip_suffix(b"\r") {
            Some(line) => {
                dos = true;
                line
            }
            None => line,
        };
        let mut skip = |what: &str| {
            lines
                .skipped
                .push(format!("{}, line {at}: {what}", format.file));
        };
        match line.trim_ascii().first() {
            None => {
                skip("empty");
                continue;
            }
            Some(b'#') => {
                skip("a comment");
                continue;
            }
            _ => {}
        }
        let fields: Vec<&[u8]> = line.split(|&byte| byte == b':').collect();
        if matches!(line.first(), Some(b'+' | b'-')) {
            let name = shown(fields[0]);
            skip(&format!("an entry for NIS, `{name}`"));
            continue;
        }
        let wrong = |what: String| AccountError::Line {
            file: format.file,
            line: at,
            what,
        };
        if !format.fields.contains(&fields.len()) {
            return Err(wrong(format!(
                "it has {} fields, not {}",
                fields.len(),
                format.fields[0]
            )));
        }
        let name = name("name", fields[0]).map_err(wrong)?;
        let entry = entry(name, &fields).map_err(|what| wrong(format!("{name}: {what}")))?;
        if !format.repeated && !seen.insert(name) {
            skip(&format!("a second line for {name}, which no program reads"));
            continue;
        }
        lines.entries.push(entry);
    }
    if dos {
        let line_ends = format!("{}: lines end in CR LF", format.file);
        lines.skipped.push(line_ends);
    }
    Ok(lines)
}

/// A name that can stand in any of the files and on a console.
fn name<'a>(what: &str, bytes: &'a [u8]) -> Result<&'a str, String> {
    let wrong = |why: &str| Err(format!("the {what} `{}` {why}", shown(bytes)));
    let Ok(name) = std::str::from_utf8(bytes) else {
        return wrong("is not UTF-8");
    };
    if name.is_empty() {
        return wrong("is empty");
    }
    let bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ',' | ':');
    if name.contains(bad) {
        return wrong("has a blank, a control character, a comma or a slash in it");
    }
    Ok(name)
}

/// A list of names, parted by commas. The C library passes over empty ones and blanks around.
fn names<'a>(what: &str, bytes: &'a [u8]) -> Result<Vec<&'a str>, String> {
    bytes
        .split(|&byte| byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|bytes| !bytes.is_empty())
        .map(|bytes| name(what, bytes))
        .collect()
}

fn number(what: &str, bytes: &[u8]) -> Result<u32, String> {
    let digits = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(bytes)
        .ok()
        .filter(|_| digits)
        .and_then(|text| text.parse().ok())
        .filter(|&number| number <= LARGEST)
        .ok_or_else(|| {
            let shown = shown(bytes);
            format!("the {what} `{shown}` is not a number from 0 to {LARGEST}")
        })
}

/// Bytes as they can be shown, cut where they get long.
fn shown(bytes: &[u8]) -> String {
    const SHOWN: usize = 64;
    let shown = printable::name(&bytes[..bytes.len().min(SHOWN)]);
    if bytes.len() > SHOWN {
        shown + "…"
    } else {
        shown
    }
}
