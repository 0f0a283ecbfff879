//! The machine's names: host name, /etc/hosts, machine id, time zone, locale.

use super::zones;
use formats::network::{Content, NewFile};

/// The longest host name that Linux takes.
const LONGEST: usize = 64;

/// Lines of a /etc/hosts that lacks them: an address, a name that must be on a line of it, and the
/// line.
const USUAL_HOSTS: [(&str, &str); 2] = [
    ("127.0.0.1", "127.0.0.1\tlocalhost"),
    (
        "::1",
        "::1\tlocalhost ip6-localhost ip6-loopback\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters",
    ),
];

/// The locale that every OS has.
pub(super) const ALWAYS: &str = "C.UTF-8";

/// The host name that a text of /etc/hostname sets: its first line that is no comment.
pub fn in_hostname_file(text: &str) -> Option<&str> {
    text.lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with('#'))
}

/// Refuses what is no host name by RFC 1123. An underscore passes, for many machines have one and
/// nothing in an OS minds.
pub(super) fn check_hostname(name: &str) -> Result<(), String> {
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if name.len() <= LONGEST && name.split('.').all(label) {
        return Ok(());
    }
    Err(format!(
        "the host name {name:?} is none: it takes letters, digits, `-` and dots, {LONGEST} at most"
    ))
}

/// The old /etc/hosts with the lines that it lacks. Bytes that were no UTF-8 are passed over in
/// comments, and are refused in what is looked up.
pub(super) fn hosts(old: &str) -> Result<String, Vec<String>> {
    let mut refused = Vec::new();
    let mut out = String::new();
    for (index, line) in old.lines().enumerate() {
        let line = line.trim_end();
        let means = line.split('#').next().unwrap_or_default();
        if means.contains(|c: char| c == '\u{fffd}' || (c.is_control() && c != '\t')) {
            let number = index + 1;
            refused.push(format!("line {number} of /etc/hosts is no text: {means:?}"));
        }
        out.push_str(line);
        out.push('\n');
    }
    for (address, lines) in USUAL_HOSTS {
        let there = old.lines().any(|line| {
            let mut words = line
                .split('#')
                .next()
                .unwrap_or_default()
                .split_whitespace();
            words.next() == Some(address)
        });
        if !there {
            out.push_str(lines);
            out.push('\n');
        }
    }
    if refused.is_empty() {
        Ok(out)
    } else {
        Err(refused)
    }
}

/// Is it a machine id, by machine-id(5)?
pub fn is_machine_id(text: &str) -> bool {
    text.len() == 32
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        && text.bytes().any(|b| b != b'0')
}

/// Is it the name of a time zone: names by slashes, of the letters that the database uses?
pub fn is_zone(name: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_+.".contains(&b))
    };
    name.len() <= 255 && name.split('/').all(part)
}

/// The files that set a zone of the database.
pub(super) fn zone_files(name: &str) -> Vec<NewFile> {
    let name = zones::present(name);
    vec![
        text("/etc/timezone", format!("{name}\n")),
        link("/etc/localtime", format!("../usr/share/zoneinfo/{name}")),
    ]
}

/// The name that the zone has in the new OS.
pub(super) fn zone_there(name: &str) -> &str {
    zones::present(name)
}

/// What the locale's variables become.
#[derive(Default)]
pub(super) struct Locale {
    pub(super) files: Vec<NewFile>,
    pub(super) notes: Vec<String>,
    /// The value of `LANG`.
    pub(super) lang: String,
}

/// The old OS's locale, where the new one has it or can make it.
pub(super) fn locale(old: &[String], can_make: bool) -> Locale {
    let mut out = Locale::default();
    let mut variables: Vec<(&str, String)> = Vec::new();
    let mut made: Vec<String> = Vec::new();
    for line in old {
        let Some((name, value)) = assignment(line) else {
            continue;
        };
        if name != "LANG" && name != "LANGUAGE" && !name.starts_with("LC_") {
            continue;
        }
        let value = if name == "LANGUAGE" {
            value.to_owned()
        } else {
            canonical(value)
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.@:".contains(&b);
        if value.is_empty() {
            continue;
        }
        if !value.bytes().all(plain) || value.starts_with('.') {
            out.notes.push(format!(
                "the locale's {name} is no name and is left out: {value:?}"
            ));
            continue;
        }
        let ready = name == "LANGUAGE" || ["C", "POSIX", ALWAYS].contains(&value.as_str());
        if !ready && !can_make {
            out.notes.push(format!(
                "{name}={value} is left out: the new OS cannot make locales; install `locales` there"
            ));
            continue;
        }
        if !ready {
            made.push(format!("{value} {}", charset(&value)));
        }
        variables.retain(|(other, _)| *other != name);
        variables.push((name, value));
    }
    if !variables.iter().any(|(name, _)| *name == "LANG") {
        variables.insert(0, ("LANG", ALWAYS.to_owned()));
    }
    let lang = variables.iter().find(|(name, _)| *name == "LANG");
    out.lang = lang.map_or(ALWAYS.to_owned(), |(_, value)| value.clone());
    let lines = variables
        .iter()
        .fold(String::new(), |lines, (name, value)| {
            lines + name + "=" + value + "\n"
        });
    out.files.push(text("/etc/locale.conf", lines));
    // Two readers, one file: systemd reads the first, PAM the second.
    out.files
        .push(link("/etc/default/locale", "../locale.conf".to_owned()));
    if !made.is_empty() {
        made.sort();
        made.dedup();
        out.files
            .push(text("/etc/locale.gen", made.join("\n") + "\n"));
    }
    out
}

/// `NAME=value` with a shell's quotes taken off.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let (name, value) = line
        .strip_prefix("export ")
        .unwrap_or(line)
        .split_once('=')?;
    let value = value.trim();
    let inner = ['"', '\'']
        .iter()
        .find_map(|q| value.strip_prefix(*q)?.strip_suffix(*q));
    Some((name.trim(), inner.unwrap_or(value)))
}

/// `es_ES.utf8` is `es_ES.UTF-8`.
fn canonical(value: &str) -> String {
    let (value, modifier) = value
        .split_once('@')
        .map_or((value, None), |(v, m)| (v, Some(m)));
    let mut out = match value.split_once('.') {
        Some((name, set)) if ["utf8", "utf-8"].contains(&set.to_ascii_lowercase().as_str()) => {
            format!("{name}.UTF-8")
        }
        _ => value.to_owned(),
    };
    if let Some(modifier) = modifier {
        out.push('@');
        out.push_str(modifier);
    }
    out
}

/// The character set of a locale, as locale.gen(5) wants it beside the name.
fn charset(value: &str) -> &str {
    let (value, modifier) = value.split_once('@').unwrap_or((value, ""));
    match value.split_once('.') {
        Some((_, set)) => set,
        None if modifier == "euro" => "ISO-8859-15",
        None => "ISO-8859-1",
    }
}

/// A file that everybody may read.
pub(super) fn text(path: &str, text: String) -> NewFile {
    NewFile {
        path: path.to_owned(),
        mode: 0o644,
        content: Content::Text(text),
    }
}

/// A link.
pub(super) fn link(path: &str, target: String) -> NewFile {
    NewFile {
        path: path.to_owned(),
        mode: 0o777,
        content: Content::Link(target),
    }
}
