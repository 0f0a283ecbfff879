//! Lines of fstab(5): fields parted by blanks, `\040` and the like for characters that would part
//! them, `#` at the beginning of a comment line.

use std::fmt::Write;

/// A line of fstab(5) that is neither empty nor a comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number in the file, from 1.
    pub number: usize,
    /// The text, without blanks at its ends.
    pub text: String,
    /// Its fields, or why it has none.
    pub fields: Result<Fields, String>,
}

/// The fields of a line, with escapes taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    /// What is mounted.
    pub source: String,
    /// Where.
    pub target: String,
    /// Filesystem type.
    pub fstype: String,
    /// Options, without empty ones.
    pub options: Vec<String>,
    /// For dump(8).
    pub dump: String,
    /// For fsck(8).
    pub pass: String,
}

impl Fields {
    /// Is an option set?
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|o| o == option)
    }

    /// It shows a directory a second time.
    pub(crate) fn is_bind(&self) -> bool {
        self.has("bind") || self.has("rbind")
    }

    /// The line for these fields.
    pub fn line(&self) -> String {
        let options = match self.options.as_slice() {
            [] => "defaults".to_owned(),
            options => options.join(","),
        };
        let fields = [&self.source, &self.target, &self.fstype, &options].map(|f| escape(f));
        format!("{} {} {}", fields.join(" "), self.dump, self.pass)
    }
}

/// The lines of a file that mean something.
pub fn parse(text: &str) -> Vec<Line> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line)| Line {
            number,
            text: line.to_owned(),
            fields: fields(line),
        })
        .collect()
}

fn fields(line: &str) -> Result<Fields, String> {
    let raw: Vec<&str> = line.split_whitespace().collect();
    let [source, target, fstype, rest @ ..] = raw.as_slice() else {
        let count = raw.len();
        return Err(format!("it has {count} of the three fields that it needs"));
    };
    // mount(8) ends the line at a field that begins a comment.
    let end = rest.iter().position(|field| field.starts_with('#'));
    let rest = &rest[..end.unwrap_or(rest.len())];
    let number = |at: usize| -> Result<String, String> {
        match rest.get(at) {
            None => Ok("0".to_owned()),
            Some(text) if text.bytes().all(|b| b.is_ascii_digit()) => Ok((*text).to_owned()),
            Some(text) => Err(format!("{text:?} is no number")),
        }
    };
    Ok(Fields {
        source: unquoted(&unescape(source)?),
        target: plain(&unescape(target)?),
        fstype: unescape(fstype)?,
        options: split_options(&unescape(rest.first().unwrap_or(&"defaults"))?),
        dump: number(1)?,
        pass: number(2)?,
    })
}

/// `LABEL="data"` is `LABEL=data`.
fn unquoted(source: &str) -> String {
    for quote in ['"', '\''] {
        let inner = source
            .split_once('=')
            .and_then(|(tag, value)| Some((tag, value.strip_prefix(quote)?.strip_suffix(quote)?)));
        if let Some((tag, value)) = inner {
            return format!("{tag}={value}");
        }
    }
    source.to_owned()
}

/// Commas part options, those within double quotes do not.
fn split_options(text: &str) -> Vec<String> {
    let mut quoted = false;
    text.split(|c| {
        quoted ^= c == '"';
        c == ',' && !quoted
    })
    .filter(|option| !option.is_empty())
    .map(str::to_owned)
    .collect()
}

/// A place as mount(8) finds it: no slash twice or at its end, no `.`.
fn plain(target: &str) -> String {
    if !target.starts_with('/') {
        return target.to_owned();
    }
    let names = target
        .split('/')
        .filter(|name| !name.is_empty() && *name != ".");
    format!("/{}", names.collect::<Vec<_>>().join("/"))
}

/// Takes octal escapes out.
fn unescape(field: &str) -> Result<String, String> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after
            .get(..3)
            .filter(|d| first == b'\\' && d.iter().all(|b| (b'0'..=b'7').contains(b)));
        if let Some(digits) = digits {
            let value = digits.iter().fold(0u32, |n, d| n * 8 + u32::from(d - b'0'));
            out.push(u8::try_from(value).map_err(|_| format!("{field:?} has no such character"))?);
            rest = &after[3..];
        } else {
            out.push(first);
            rest = after;
        }
    }
    if out.iter().any(|byte| *byte < b' ' && *byte != b'\t') {
        return Err(format!("{field:?} has control characters"));
    }
    let text = String::from_utf8(out).map_err(|_| format!("{field:?} is not UTF-8"))?;
    if text.contains('\u{fffd}') {
        return Err(format!("{field:?} is not UTF-8"));
    }
    Ok(text)
}

/// Puts octal escapes in, for what would end a field or begin a comment.
fn escape(field: &str) -> String {
    let mut out = String::with_capacity(field.len());
    for c in field.chars() {
        match c {
            '\t' | ' ' | '\\' | '#' => {
                let _ = write!(out, "\\{:03o}", c as u32);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_written() {
        // Old line, new line or complaint.
        let cases: &[(&str, Result<&str, &str>)] = &[
            (
                "/dev/sda1 /srv ext4",
                Ok("/dev/sda1 /srv ext4 defaults 0 0"),
            ),
            (
                "\t UUID=1  /srv/ ext4 rw,,noatime 1 2 \r",
                Ok("UUID=1 /srv ext4 rw,noatime 1 2"),
            ),
            (
                r"LABEL=a\040b /srv/x\040y ext3 defaults 0 2",
                Ok(r"LABEL=a\040b /srv/x\040y ext3 defaults 0 2"),
            ),
            (
                r#"LABEL="data" /srv ext3"#,
                Ok("LABEL=data /srv ext3 defaults 0 0"),
            ),
            (
                "LABEL='data' /srv ext3",
                Ok("LABEL=data /srv ext3 defaults 0 0"),
            ),
            (
                r"//s/a\134b /mnt cifs ro 0 0 # share",
                Ok(r"//s/a\134b /mnt cifs ro 0 0"),
            ),
            ("a /b tmpfs ro # 0 0", Ok("a /b tmpfs ro 0 0")),
            (
                r#"a /b ext4 context="x,y",ro"#,
                Ok(r#"a /b ext4 context="x,y",ro 0 0"#),
            ),
            ("// / ext4", Ok("// / ext4 defaults 0 0")),
            ("/dev/sda1 /srv", Err("2 of the three")),
            ("proc", Err("1 of the three")),
            ("a /b ext4 ro x 0", Err("\"x\" is no number")),
            (r"a /b\012c ext4", Err("control")),
            (r"a /b\377c ext4", Err("UTF-8")),
            (r"a /b\777c ext4", Err("no such character")),
            ("a /b\u{fffd} ext4", Err("UTF-8")),
        ];
        for (text, expected) in cases {
            let lines = parse(text);
            assert_eq!(lines.len(), 1, "{text}");
            match (&lines[0].fields, expected) {
                (Ok(fields), Ok(line)) => {
                    assert_eq!(fields.line(), *line, "{text}");
                    assert_eq!(parse(line)[0].fields.as_ref(), Ok(fields), "{text}");
                }
                (Err(why), Err(part)) => assert!(why.contains(part), "{text}: {why}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }

    #[test]
    fn comments_and_empty_lines_count_but_say_nothing() {
        let lines = parse("# x\r\n\r\n  # y\r\nproc /proc proc defaults 0 0\r\n");
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].number, 4);
        assert_eq!(lines[0].fields.as_ref().map(|f| f.pass.as_str()), Ok("0"));
    }
}
