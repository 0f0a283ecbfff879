//! Patterns of names, as fnmatch(3) has them: `*`, `?`, `[a-z]`, `[!a-z]`.

/// Whether the whole of `text` matches. `*` and `?` match a slash too: callers compare component
/// by component where that matters.
pub fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Where to go on when the tail does not fit: behind the last `*`, one character later.
    let mut again: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&'*') {
            again = Some((p + 1, t));
            p += 1;
        } else if let Some(width) = one(&pattern[p..], text[t]) {
            p += width;
            t += 1;
        } else if let Some((star, from)) = again {
            again = Some((star, from + 1));
            (p, t) = (star, from + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// How many characters of the pattern match this one.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '[' => match set(pattern, c) {
            Some((width, found)) => found.then_some(width),
            None => (c == '[').then_some(1),
        },
        other => (*other == c).then_some(1),
    }
}

/// How long a set in brackets is, and whether it has the character; `None` for a bracket that
/// nothing closes.
fn set(pattern: &[char], c: char) -> Option<(usize, bool)> {
    let negated = matches!(pattern.get(1), Some('!' | '^'));
    let start = 1 + usize::from(negated);
    let end = start + 1 + pattern.get(start + 1..)?.iter().position(|c| *c == ']')?;
    let members = &pattern[start..end];
    let mut found = false;
    let mut at = 0;
    while at < members.len() {
        if members.get(at + 1) == Some(&'-') && at + 2 < members.len() {
            found |= (members[at]..=members[at + 2]).contains(&c);
            at += 3;
        } else {
            found |= members[at] == c;
            at += 1;
        }
    }
    Some((end + 1, found != negated))
}

/// Whether a path matches a pattern, component by component; a name that begins with a dot is only
/// matched by a pattern that does.
pub(crate) fn matches_path(pattern: &str, path: &str) -> bool {
    let (mut patterns, mut names) = (pattern.split('/'), path.split('/'));
    loop {
        match (patterns.next(), names.next()) {
            (None, None) => return true,
            (Some(p), Some(n)) if matches(p, n) && (p.starts_with('.') || !n.starts_with('.')) => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_as_fnmatch_does() {
        for (pattern, text, expected) in [
            ("eth0", "eth0", true),
            ("eth0", "eth00", false),
            ("e*", "ens3", true),
            ("*a*b", "xaxbxb", true),
            ("*a*b", "xaxbx", false),
            ("eth?", "eth", false),
            ("eth[0-2]", "eth1", true),
            ("eth[0-2]", "eth3", false),
            ("eth[!0-2]", "eth3", true),
            ("eth[]]", "eth]", true),
            ("eth[", "eth[", true),
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
            ("é*", "été", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn hostile_patterns_end() {
        assert!(!matches(&"*a".repeat(2000), &"a".repeat(1999)));
    }

    #[test]
    fn paths_match_by_component() {
        for (pattern, path, expected) in [
            ("/etc/interfaces.d/*", "/etc/interfaces.d/eth0", true),
            ("/etc/interfaces.d/*", "/etc/interfaces.d/a/b", false),
            ("/etc/interfaces.d/*", "/etc/interfaces.d/.eth0.swp", false),
            ("/etc/*/*.cfg", "/etc/x/50-cloud-init.cfg", true),
        ] {
            assert_eq!(matches_path(pattern, path), expected, "{pattern} {path}");
        }
    }
}
