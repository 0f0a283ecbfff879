//! doas.conf(5): who may run anything as root. The last rule that is about somebody counts.

use formats::access::Sudoer;

use crate::files::Files;

/// Where it is, in Debian and elsewhere.
const PLACES: [&str; 2] = ["/etc/doas.conf", "/usr/local/etc/doas.conf"];

/// Words between `permit` and who it is for; `setenv` has a list behind it.
const OPTIONS: [&str; 4] = ["nopass", "nolog", "persist", "keepenv"];

/// Rules about who becomes root by it, in their order, in the form that sudo has for groups; of those with one name
/// the last.
pub fn read(files: &dyn Files) -> Vec<Sudoer> {
    let text = PLACES
        .iter()
        .find_map(|path| files.text(path))
        .unwrap_or_default();
    let mut found: Vec<Sudoer> = Vec::new();
    for line in text.replace("\\\n", " ").lines() {
        let line = line.split('#').next().unwrap_or_default();
        // A list of variables says nothing about who.
        let line = match (line.find('{'), line.find('}')) {
            (Some(from), Some(to)) if from < to => format!("{} {}", &line[..from], &line[to + 1..]),
            _ => line.to_owned(),
        };
        let mut words = line.split_whitespace().peekable();
        let permits = match words.next() {
            Some("permit") => true,
            Some("deny") => false,
            _ => continue,
        };
        let mut without_password = false;
        while let Some(option) = words.next_if(|w| OPTIONS.contains(w) || *w == "setenv") {
            without_password |= option == "nopass";
        }
        let Some(who) = words.next().map(who) else {
            continue;
        };
        let rest: Vec<&str> = words.collect();
        let (as_root, everything) = match rest[..] {
            ["as", user, ..] => (user == "root", user == "root" && rest.len() == 2),
            _ => (true, rest.is_empty()),
        };
        // Whoever may not run something may not run everything.
        if everything || as_root && !permits {
            found.retain(|known| known.who != who);
            found.push(Sudoer {
                who,
                without_password: permits && without_password,
                held: !permits,
            });
        }
    }
    found
}

/// Somebody, or a group behind `:`; each by name or by number.
fn who(word: &str) -> String {
    let (group, name) = match word.strip_prefix(':') {
        Some(group) => ("%", group),
        None => ("", word),
    };
    let number = if name.chars().all(|c| c.is_ascii_digit()) {
        "#"
    } else {
        ""
    };
    format!("{group}{number}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests::Tree;

    #[test]
    fn whoever_may_run_everything_as_root_is_found() {
        let text = "# who\npermit persist :wheel\npermit nopass keepenv ann as root # ann\n\
            permit setenv { PATH=/bin LANG } bob\npermit nopass carl cmd reboot\n\
            permit dora as postgres\npermit eve\ndeny eve\npermit nopass fred\npermit fred\nnonsense\n\
            deny gina cmd su\ndeny ann as postgres\npermit :27\npermit 1001\n";
        let found: Vec<(String, bool, bool)> = read(&Tree(&[(PLACES[0], text)]))
            .into_iter()
            .map(|s| (s.who, s.without_password, s.held))
            .collect();
        let expected = [
            ("%wheel", false, false),
            ("ann", true, false),
            ("bob", false, false),
            ("eve", false, true),
            ("fred", false, false),
            ("gina", false, true),
            ("%#27", false, false),
            ("#1001", false, false),
        ];
        let expected = expected.map(|(who, free, held)| (who.to_owned(), free, held));
        assert_eq!(found, expected);
    }
}
