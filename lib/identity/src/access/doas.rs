//! doas.conf(5): who may run anything as root. The last rule that fits counts.

use formats::access::Sudoer;

use crate::files::Files;

/// Where it is, in Debian and elsewhere.
const PLACES: [&str; 2] = ["/etc/doas.conf", "/usr/local/etc/doas.conf"];

/// Words between `permit` and who it is for; `setenv` has a list behind it.
const OPTIONS: [&str; 4] = ["nopass", "nolog", "persist", "keepenv"];

/// Who becomes root by it, in the form that sudo has for groups.
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
        let Some(who) = words.next().map(|who| match who.strip_prefix(':') {
            Some(group) => format!("%{group}"),
            None => who.to_owned(),
        }) else {
            continue;
        };
        let rest: Vec<&str> = words.collect();
        let everything = match rest[..] {
            [] => true,
            ["as", user] => user == "root",
            _ => false,
        };
        match (permits, everything) {
            (true, true) => {
                found.retain(|known| known.who != who);
                found.push(Sudoer {
                    who,
                    without_password,
                });
            }
            // Whoever may not run something may not run everything.
            (false, _) => found.retain(|known| known.who != who),
            (true, false) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests::Tree;

    #[test]
    fn whoever_may_run_everything_as_root_is_found() {
        let text = "# who\npermit persist :wheel\npermit nopass keepenv ann as root # ann\n\
            permit setenv { PATH=/bin LANG } bob\npermit nopass carl cmd reboot\n\
            permit dora as postgres\npermit eve\ndeny eve\npermit nopass fred\npermit fred\nnonsense\n";
        let found: Vec<(String, bool)> = read(&Tree(&[(PLACES[0], text)]))
            .into_iter()
            .map(|s| (s.who, s.without_password))
            .collect();
        let expected = [
            ("%wheel", false),
            ("ann", true),
            ("bob", false),
            ("fred", false),
        ];
        assert_eq!(found, expected.map(|(who, free)| (who.to_owned(), free)));
    }
}
