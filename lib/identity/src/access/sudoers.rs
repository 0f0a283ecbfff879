//! sudoers(5): who may run anything as root. Everything else in it is of no account here.

use std::collections::BTreeMap;

use formats::access::Sudoer;

use crate::files::Files;

/// Where it begins.
pub const MAIN: &str = "/etc/sudoers";

/// Files may include others as deep as this, as in sudo itself.
const DEEPEST: usize = 128;

/// Who becomes root, each once; whoever does it without a password somewhere needs none.
pub fn read(files: &dyn Files) -> Vec<Sudoer> {
    let mut reader = Reader {
        files,
        aliases: BTreeMap::new(),
        found: Vec::new(),
    };
    reader.file(MAIN, 0);
    reader.found
}

struct Reader<'a> {
    files: &'a dyn Files,
    /// `User_Alias`es, by name.
    aliases: BTreeMap<String, Vec<String>>,
    found: Vec<Sudoer>,
}

impl Reader<'_> {
    fn file(&mut self, path: &str, depth: usize) {
        let Some(text) = self.files.text(path).filter(|_| depth < DEEPEST) else {
            return;
        };
        for line in text.replace("\\\n", " ").lines().map(str::trim) {
            let words: Vec<&str> = line.splitn(2, char::is_whitespace).collect();
            let argument = words
                .get(1)
                .map_or("", |rest| rest.trim().trim_matches('"'));
            match words[0] {
                "#include" | "@include" => self.file(argument, depth + 1),
                "#includedir" | "@includedir" => {
                    for file in self.files.folder(argument) {
                        let name = file.rsplit('/').next().unwrap_or_default();
                        // As sudo does, for what editors and package managers leave.
                        if !name.contains('.') && !name.ends_with('~') {
                            self.file(&file, depth + 1);
                        }
                    }
                }
                "User_Alias" => self.alias(argument),
                word if word.is_empty() || word.starts_with('#') && !is_number(word) => {}
                _ => self.rule(line),
            }
        }
    }

    fn alias(&mut self, definitions: &str) {
        for definition in definitions.split(':') {
            if let Some((name, members)) = definition.split_once('=') {
                let members = listed(members);
                self.aliases.insert(name.trim().to_owned(), members);
            }
        }
    }

    /// `ann, %wheel ALL = (ALL : ALL) NOPASSWD: ALL`.
    fn rule(&mut self, line: &str) {
        let line = without_comment(line);
        let Some((left, right)) = line.split_once('=') else {
            return;
        };
        // The last word is the host; what is said of one host by name may be another's.
        let Some((who, host)) = left.trim().rsplit_once(char::is_whitespace) else {
            return;
        };
        if host != "ALL" || left.starts_with("Defaults") || left.contains("_Alias") {
            return;
        }
        let right = right.trim();
        let (run_as, mut commands) = match right.strip_prefix('(').and_then(|r| r.split_once(')')) {
            Some((run_as, commands)) => (run_as, commands.trim()),
            None => ("root", right),
        };
        let user = run_as.split(':').next().unwrap_or_default();
        if !listed(user)
            .iter()
            .any(|user| user == "ALL" || user == "root")
        {
            return;
        }
        let mut without_password = false;
        while let Some((tag, rest)) = commands.split_once(':') {
            if !tag.chars().all(|c| c.is_ascii_uppercase() || c == '_') {
                break;
            }
            match tag {
                "NOPASSWD" => without_password = true,
                "PASSWD" => without_password = false,
                _ => {}
            }
            commands = rest.trim();
        }
        if !listed(commands).iter().any(|command| command == "ALL") {
            return;
        }
        for name in listed(who) {
            let named = self.aliases.get(&name).cloned();
            for who in named.unwrap_or_else(|| vec![name]) {
                self.add(who, without_password);
            }
        }
    }

    fn add(&mut self, who: String, without_password: bool) {
        if who == "ALL" || who.starts_with(['!', '+']) {
            return;
        }
        match self.found.iter_mut().find(|known| known.who == who) {
            Some(known) => known.without_password |= without_password,
            None => self.found.push(Sudoer {
                who,
                without_password,
            }),
        }
    }
}

/// A line up to its comment.
fn without_comment(line: &str) -> &str {
    let begins = |at: usize| !line[at + 1..].starts_with(|c: char| c.is_ascii_digit());
    let comment = line.match_indices('#').find(|(at, _)| begins(*at));
    comment.map_or(line, |(at, _)| &line[..at])
}

/// `#1000` is somebody's number, not a comment.
fn is_number(word: &str) -> bool {
    word.strip_prefix('#')
        .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit()))
}

fn listed(text: &str) -> Vec<String> {
    let names = text.split(',').map(|name| name.trim().trim_matches('"'));
    names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests::Tree;

    #[test]
    fn whoever_may_run_everything_as_root_is_found() {
        let tree = Tree(&[
            (
                MAIN,
                "Defaults env_reset\nDefaults secure_path=\"/usr/sbin:/usr/bin\"\n\
                 User_Alias ADMINS = ann, bob : OTHERS = carl\nCmnd_Alias X = /bin/ls\n\
                 root ALL=(ALL:ALL) ALL\n%sudo\tALL=(ALL:ALL) ALL\n\
                 ADMINS ALL=(root) NOPASSWD: SETENV: \\\n  ALL\n\
                 deploy ALL=(ALL) NOPASSWD: /usr/bin/systemctl restart shop\n\
                 dbuser ALL=(postgres) ALL\nelse other=(ALL) ALL\n#gone ALL=(ALL) ALL\n\
                 @includedir /etc/sudoers.d\n",
            ),
            (
                "/etc/sudoers.d/90-cloud",
                "debian ALL=(ALL) NOPASSWD:ALL # made by cloud-init\n",
            ),
            ("/etc/sudoers.d/90-cloud.bak", "mallory ALL=(ALL) ALL\n"),
            (
                "/etc/sudoers.d/more",
                "%sudo ALL=(ALL) NOPASSWD: ALL\n#1001 ALL = ALL\n",
            ),
        ]);
        let found: Vec<(String, bool)> = read(&tree)
            .into_iter()
            .map(|sudoer| (sudoer.who, sudoer.without_password))
            .collect();
        let expected = [
            ("root", false),
            ("%sudo", true),
            ("ann", true),
            ("bob", true),
            ("debian", true),
            ("#1001", false),
        ];
        assert_eq!(found, expected.map(|(who, free)| (who.to_owned(), free)));
    }
}
