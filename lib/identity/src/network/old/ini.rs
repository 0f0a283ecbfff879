//! Files of sections with `Key=value` lines: systemd's and `NetworkManager`'s. Comments begin with
//! `#` or `;`; a backslash at the end joins the next line, as systemd.syntax(7) says.

/// A section with its lines, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// What stands in brackets.
    pub name: String,
    /// Keys and values, in order, both trimmed.
    pub entries: Vec<(String, String)>,
}

impl Section {
    /// Every value of a key. An empty one takes back those before it.
    pub fn all(&self, key: &str) -> Vec<&str> {
        let mut values = Vec::new();
        for (_, value) in self.entries.iter().filter(|(k, _)| k == key) {
            if value.is_empty() {
                values.clear();
            } else {
                values.push(value.as_str());
            }
        }
        values
    }

    /// The last value of a key.
    pub fn last(&self, key: &str) -> Option<&str> {
        self.all(key).last().copied()
    }
}

/// The sections of a file, in order. Lines before the first section are passed over.
pub fn sections(text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut joined = String::new();
    for line in text.trim_start_matches('\u{feff}').lines() {
        let line = line.trim();
        if line.starts_with(['#', ';']) {
            continue;
        }
        joined.push_str(line);
        if joined.ends_with('\\') {
            joined.pop();
            joined.push(' ');
            continue;
        }
        let line = std::mem::take(&mut joined);
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            sections.push(Section {
                name: name.to_owned(),
                entries: Vec::new(),
            });
        } else if let (Some((key, value)), Some(section)) =
            (line.split_once('='), sections.last_mut())
        {
            let entry = (key.trim().to_owned(), value.trim().to_owned());
            section.entries.push(entry);
        }
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_odd_files() {
        let text = "\u{feff}stray=1\r\n; no\r\n[A]\r\nk = v = w\r\nk=\r\nk=x \\\r\n# between\r\n  y\r\nnoequals\r\n[A]\r\nk=2\r\n[B\r\nz=1\\";
        let found = sections(text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].all("k"), ["x  y"]);
        assert_eq!(found[1].last("k"), Some("2"));
        assert_eq!(found[1].last("z"), None);
    }
}
