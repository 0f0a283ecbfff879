//! Text for a terminal, a console, a log or a picture: what others than reroot named cannot steer it.
//!
//! Names of files and processes are bytes that any customer of the machine chooses, and so are what
//! programs say and what stands in files. Documents hold them exactly. Where they are shown, what
//! would move the cursor, end the line, change the direction of writing or not be seen at all is
//! written as an escape, here and nowhere else: a name then cannot repaint a line or forge one.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

/// A line: everything that steers a terminal is escaped, line ends among it. Tabs and backslashes
/// stay, so that what went through here once is the same when it goes through again.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    let steers = |c: char| c != '\t' && steers(c);
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if steers(c) {
            out.extend(escape(c));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// A text of several lines that reroot made, or one of a file: each of its lines as [`line()`].
#[must_use]
pub fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for part in text.split_inclusive('\n') {
        let (part, end) = match part.strip_suffix('\n') {
            Some(part) => (part.strip_suffix('\r').unwrap_or(part), "\n"),
            None => (part, ""),
        };
        out.push_str(&line(part));
        out.push_str(end);
    }
    out
}

/// A name of any bytes, unambiguously: as [`line()`], and tabs, backslashes and bytes that are no
/// UTF-8 escaped too.
#[must_use]
pub fn name(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if steers(c) || c == '\\' {
                out.extend(escape(c));
            } else {
                out.push(c);
            }
        }
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

fn escape(c: char) -> impl Iterator<Item = char> {
    c.escape_default()
}

/// Does a character steer what shows it, or hide?
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Marks, embeddings, overrides and isolates of the direction of writing.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // Ends of lines and paragraphs.
            | '\u{2028}' | '\u{2029}'
            // Nothing to see: soft hyphen, fillers, of no width, joiners, annotations, tags.
            | '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}'
            | '\u{206a}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// A text that grows line by line. `writeln!` adds one line, whatever is in its arguments; that
/// is why a heading has its empty line by [`Page::blank`].
#[derive(Debug, Default)]
pub struct Page {
    text: String,
}

impl Page {
    /// An empty line.
    pub fn blank(&mut self) {
        self.text.push('\n');
    }

    /// What `writeln!` calls: one line. It cannot fail.
    pub fn write_fmt(&mut self, arguments: fmt::Arguments<'_>) {
        let said = arguments.to_string();
        self.text
            .push_str(&line(said.strip_suffix('\n').unwrap_or(&said)));
        self.text.push('\n');
    }

    /// The lines.
    #[must_use]
    pub fn into_text(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_escaped_and_the_rest_stays() {
        for (raw, shown) in [
            ("", ""),
            ("/srv/shop ü 漢字 \t a\\b", "/srv/shop ü 漢字 \t a\\b"),
            ("a\nREFUSED", "a\\nREFUSED"),
            ("a\rok", "a\\rok"),
            ("\u{1b}[1A\u{1b}[2Kok", "\\u{1b}[1A\\u{1b}[2Kok"),
            ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
            ("\u{9b}2J\u{7f}\u{8}", "\\u{9b}2J\\u{7f}\\u{8}"),
            (
                "a\u{202e}b\u{2066}c\u{200f}",
                "a\\u{202e}b\\u{2066}c\\u{200f}",
            ),
            ("a\u{2028}b\u{2029}c\u{85}", "a\\u{2028}b\\u{2029}c\\u{85}"),
            (
                "a\u{200b}b\u{feff}\u{e0041}",
                "a\\u{200b}b\\u{feff}\\u{e0041}",
            ),
        ] {
            assert_eq!(line(raw), shown);
            assert_eq!(line(&line(raw)), shown, "a second time");
        }
    }

    #[test]
    fn a_text_keeps_its_lines_and_a_name_has_one() {
        assert_eq!(text("a\r\nb\u{1b}\rc\n\nd"), "a\nb\\u{1b}\\rc\n\nd");
        assert_eq!(text("\n"), "\n");
        assert_eq!(
            name(b"a\\b\tc\n\xff\xc3\xbc\xe2\x80\xae"),
            "a\\\\b\\tc\\n\\xffü\\u{202e}"
        );
    }

    #[test]
    fn a_page_has_as_many_lines_as_were_written() {
        let mut page = Page::default();
        let name = "x\ny\n";
        writeln!(page, "{name}");
        page.blank();
        writeln!(page, "b");
        assert_eq!(page.into_text(), "x\\ny\\n\n\nb\n");
    }
}
