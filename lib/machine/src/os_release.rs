//! os-release(5): which OS a tree holds.

use formats::facts::OsRelease;

/// Parses the text of an os-release file. Fields that are missing stay empty.
pub fn parse(text: &str) -> OsRelease {
    let mut os = OsRelease::default();
    for line in text.lines() {
        let Some((key, value)) = line.trim().split_once('=') else {
            continue;
        };
        let value = unquote(value);
        match key {
            "ID" => os.id = value,
            "VERSION_ID" => os.version_id = value,
            "PRETTY_NAME" => os.pretty_name = value,
            _ => {}
        }
    }
    os
}

/// Shell quoting as os-release uses it: one pair of quotes around the whole, backslashes inside.
fn unquote(value: &str) -> String {
    let inner = ['"', '\'']
        .into_iter()
        .find_map(|q| value.strip_prefix(q)?.strip_suffix(q))
        .unwrap_or(value);
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        out.push(if c == '\\' {
            chars.next().unwrap_or(c)
        } else {
            c
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_distributions_write() {
        for (text, pretty, version) in [
            (
                "PRETTY_NAME=\"Debian GNU/Linux 11 (bullseye)\"\nVERSION_ID=\"11\"\nID=debian\n",
                "Debian GNU/Linux 11 (bullseye)",
                "11",
            ),
            (
                "ID=debian\r\nVERSION_ID='16.04'\nPRETTY_NAME=Say\\ \\\"x\\\"",
                "Say \"x\"",
                "16.04",
            ),
            ("# nothing\nPRETTY_NAME=\"", "\"", ""),
        ] {
            let os = parse(text);
            assert_eq!(
                (os.pretty_name.as_str(), os.version_id.as_str()),
                (pretty, version)
            );
        }
    }
}
