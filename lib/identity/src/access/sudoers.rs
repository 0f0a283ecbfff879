//! sudoers(5): who may run anything as root. Everything else in it is of no account here.
//!
//! Of the rules that are about somebody the last one counts, as for sudo. What takes something away (`!`,
//! `NOEXEC`) takes everything away here: somebody who may run anything but a shell is not known to become root,
//! and must not be given more in a new OS.

use std::collections::BTreeMap;

use formats::access::{Asks, Sudoer};

use crate::files::Files;

/// Where it begins.
pub const MAIN: &str = "/etc/sudoers";

/// Files may include others as deep as this, as in sudo itself; aliases name others as deep.
const DEEPEST: usize = 128;

/// Words before a command that take nothing away, or say whose password is asked.
const TAGS: [&str; 16] = [
    "EXEC",
    "FOLLOW",
    "INTERCEPT",
    "LOG_INPUT",
    "LOG_OUTPUT",
    "MAIL",
    "NOEXEC",
    "NOFOLLOW",
    "NOINTERCEPT",
    "NOLOG_INPUT",
    "NOLOG_OUTPUT",
    "NOMAIL",
    "NOPASSWD",
    "NOSETENV",
    "PASSWD",
    "SETENV",
];

/// Settings by which sudo asks for another password than one's own. Whoever root is run as, it is root's.
const ROOTS_PASSWORD: [&str; 3] = ["rootpw", "targetpw", "runaspw"];

/// What the files say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Rules about who becomes root, in their order; of those with one name the last.
    pub rules: Vec<Sudoer>,
    /// Whose password is asked for.
    pub asks: Asks,
    /// Rules that would make somebody root and do not count, as `/etc/sudoers: ann ALL=(ALL) ALL, !/bin/su`.
    pub uncounted: Vec<String>,
}

/// Reads them.
pub fn read(files: &dyn Files) -> Found {
    let mut lines = Vec::new();
    collect(files, MAIN, 0, &mut lines);
    let said = Said::of(&lines);
    let mut found = Found {
        asks: said.asks(),
        ..Found::default()
    };
    for (path, line) in &lines {
        let Some(rule) = said.rule(line) else {
            continue;
        };
        let (netgroups, names): (Vec<String>, Vec<String>) =
            rule.who.into_iter().partition(|who| who.starts_with('+'));
        if rule.held || rule.of_some_hosts || !netgroups.is_empty() {
            found.uncounted.push(format!("{path}: {line}"));
        }
        // What is said of one host by name may be another's; what is taken away may be this one's.
        if rule.of_some_hosts && !rule.held {
            continue;
        }
        for who in names {
            let free = rule.free.unwrap_or_else(|| said.is_free(&who));
            add(&mut found.rules, who, free && !rule.held, rule.held);
        }
    }
    for who in &said.held {
        add(&mut found.rules, who.clone(), false, true);
    }
    found
}

fn add(rules: &mut Vec<Sudoer>, who: String, without_password: bool, held: bool) {
    rules.retain(|known| known.who != who);
    rules.push(Sudoer {
        who,
        without_password,
        held,
    });
}

/// Every line that says something, with its file, in the order in which they count.
fn collect(files: &dyn Files, path: &str, depth: usize, lines: &mut Vec<(String, String)>) {
    let Some(text) = files.text(path).filter(|_| depth < DEEPEST) else {
        return;
    };
    for line in text.replace("\\\n", " ").lines().map(str::trim) {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let argument = rest.trim().trim_matches('"');
        match word {
            "#include" | "@include" => collect(files, argument, depth + 1, lines),
            "#includedir" | "@includedir" => {
                for file in files.folder(argument) {
                    let name = file.rsplit('/').next().unwrap_or_default();
                    // As sudo does, for what editors and package managers leave.
                    if !name.contains('.') && !name.ends_with('~') {
                        collect(files, &file, depth + 1, lines);
                    }
                }
            }
            word if word.is_empty() || word.starts_with('#') && !is_number(word) => {}
            _ => lines.push((path.to_owned(), without_comment(line).trim().to_owned())),
        }
    }
}

/// What is said for all rules.
struct Said {
    /// Lists with a name, by kind and name.
    aliases: BTreeMap<(Kind, String), Vec<String>>,
    /// Which of [`ROOTS_PASSWORD`] hold.
    roots_password: [bool; 3],
    /// `authenticate`: for everybody, and for some.
    asks: bool,
    asks_some: Vec<(Vec<String>, bool)>,
    /// Whoever has settings to themselves that are not counted.
    held: Vec<String>,
    /// A rule that does not say as whom is about root.
    as_root: bool,
    /// A shell could start nothing.
    noexec: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    User,
    RunAs,
    Command,
}

/// What one rule comes to.
struct Rule {
    who: Vec<String>,
    /// It says itself whether a password is asked for.
    free: Option<bool>,
    of_some_hosts: bool,
    held: bool,
}

impl Said {
    fn of(lines: &[(String, String)]) -> Said {
        let mut said = Said {
            aliases: BTreeMap::new(),
            roots_password: [false; 3],
            asks: true,
            asks_some: Vec::new(),
            held: Vec::new(),
            as_root: true,
            noexec: false,
        };
        // A name counts above its definition too.
        for (_, line) in lines {
            said.alias(line);
        }
        for (_, line) in lines {
            if let Some(rest) = line.strip_prefix("Defaults") {
                said.defaults(rest);
            }
        }
        said
    }

    fn alias(&mut self, line: &str) {
        let (word, definitions) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let kind = match word {
            "User_Alias" => Kind::User,
            "Runas_Alias" => Kind::RunAs,
            "Cmnd_Alias" | "Cmd_Alias" => Kind::Command,
            _ => return,
        };
        for definition in definitions.split(':') {
            if let Some((name, members)) = definition.split_once('=') {
                let members = listed(members);
                self.aliases.insert((kind, name.trim().to_owned()), members);
            }
        }
    }

    /// `Defaults env_reset, !authenticate` and `Defaults:ann rootpw`, without its first word.
    fn defaults(&mut self, rest: &str) {
        let (scope, rest) = match rest.chars().next() {
            Some(scope) if ":@>!".contains(scope) => (Some(scope), &rest[1..]),
            _ => (None, rest),
        };
        let (of, settings) = match scope {
            None => ("", rest),
            Some(_) => past_list(rest.trim_start()),
        };
        let users = self.expanded(Kind::User, &listed(of));
        // What is said of single commands is not said of all of them.
        if scope == Some('!') {
            return;
        }
        for setting in listed(settings) {
            let (on, setting) = match setting.strip_prefix('!') {
                Some(setting) => (false, setting),
                None => (true, setting.as_str()),
            };
            let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
            let name = name.trim();
            let flag = ROOTS_PASSWORD.iter().position(|known| *known == name);
            match (scope, name) {
                (Some(':'), "authenticate") => self.asks_some.push((users.clone(), on)),
                (Some(':'), "noexec" | "runas_default") => self.held.extend_from_slice(&users),
                (Some(':'), _) if flag.is_some() && on => self.held.extend_from_slice(&users),
                (None, "authenticate") => self.asks = on,
                (None, "noexec") => self.noexec = on,
                (None, "runas_default") => {
                    self.as_root = is_root(value.trim().trim_matches('"'));
                }
                // What holds on some hosts may hold on this one.
                (None | Some('@' | '>'), _) => {
                    if let Some(flag) = flag.filter(|_| on || scope.is_none()) {
                        self.roots_password[flag] = on;
                    }
                }
                _ => {}
            }
        }
    }

    fn asks(&self) -> Asks {
        if self.roots_password.contains(&true) {
            Asks::Root
        } else if self.asks {
            Asks::Own
        } else {
            Asks::Nobody
        }
    }

    /// Whether a rule asks for no password that does not say so itself.
    fn is_free(&self, who: &str) -> bool {
        let mut own = self.asks_some.iter().rev();
        let own = own.find(|(names, _)| names.iter().any(|name| name == who));
        !own.map_or(self.asks, |(_, asks)| *asks)
    }

    /// `ann, %wheel ALL = (ALL : ALL) NOPASSWD: ALL`; nothing where it is not about running everything as root.
    fn rule(&self, line: &str) -> Option<Rule> {
        let first = line.split_whitespace().next()?;
        if first.starts_with("Defaults") || first.ends_with("_Alias") {
            return None;
        }
        let (left, right) = line.split_once('=')?;
        // The last word is the host.
        let (who, host) = left.trim().rsplit_once(char::is_whitespace)?;
        let who = self.expanded(Kind::User, &listed(who));
        let mut held = who.iter().any(|who| who.starts_with('!'));
        let (mut granted, mut last) = (None, false);
        let (mut as_root, mut free, mut noexec) = (self.as_root, None, self.noexec);
        for item in items(right) {
            let mut command = item.trim();
            if let Some((run_as, rest)) = command.strip_prefix('(').and_then(|r| r.split_once(')'))
            {
                let users = run_as.split(':').next().unwrap_or_default();
                let users = self.expanded(Kind::RunAs, &listed(users));
                held |= users.iter().any(|user| user.starts_with('!'));
                as_root = users.iter().any(|user| user == "ALL" || is_root(user));
                command = rest.trim();
            }
            while let Some((tag, rest)) = at_colon(command) {
                if !TAGS.contains(&tag.trim()) {
                    // Behind it is what holds on another host.
                    (command, last) = (tag.trim(), true);
                    break;
                }
                match tag.trim() {
                    "NOPASSWD" => free = Some(true),
                    "PASSWD" => free = Some(false),
                    "NOEXEC" => noexec = true,
                    "EXEC" => noexec = false,
                    _ => {}
                }
                command = rest.trim();
            }
            let commands = self.expanded(Kind::Command, &[command.to_owned()]);
            held |= as_root && commands.iter().any(|command| command.starts_with('!'));
            if as_root && commands.iter().any(|command| command == "ALL") {
                held |= noexec;
                granted = Some(free);
            }
            if last {
                break;
            }
        }
        let who = who.iter().map(|who| who.trim_start_matches('!').to_owned());
        (held || granted.is_some()).then(|| Rule {
            who: who.collect(),
            free: granted.flatten(),
            of_some_hosts: host != "ALL",
            held,
        })
    }

    /// A list with what its aliases stand for in their place; what an alias with `!` stands for has one too.
    fn expanded(&self, kind: Kind, words: &[String]) -> Vec<String> {
        let mut found = Vec::new();
        self.expand(kind, words, "", 0, &mut found);
        found
    }

    fn expand(&self, kind: Kind, words: &[String], not: &str, depth: usize, to: &mut Vec<String>) {
        for word in words {
            let name = word.trim_start_matches('!');
            let not = if name.len() < word.len() { "!" } else { not };
            let alias = self.aliases.get(&(kind, name.to_owned()));
            match alias.filter(|_| depth < DEEPEST) {
                Some(members) => self.expand(kind, members, not, depth + 1, to),
                None => to.push(format!("{not}{name}")),
            }
        }
    }
}

fn is_root(user: &str) -> bool {
    user == "root" || user == "#0"
}

/// A list with commas in it, and what is behind it.
fn past_list(text: &str) -> (&str, &str) {
    let blanks = text.match_indices(char::is_whitespace);
    let mut ends = blanks.filter(|(at, _)| {
        let (before, after) = (text[..*at].trim_end(), text[*at..].trim_start());
        !before.ends_with(',') && !after.starts_with(',')
    });
    ends.next().map_or((text, ""), |(at, _)| text.split_at(at))
}

/// What is before the first colon that is no part of a word, and what is behind it.
fn at_colon(text: &str) -> Option<(&str, &str)> {
    let mut colons = text.match_indices(':');
    let (at, _) = colons.find(|(at, _)| !text[..*at].ends_with('\\'))?;
    Some((&text[..at], &text[at + 1..]))
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

/// What is between the commas, but for those in parentheses and quotes.
fn items(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut begin, mut depth, mut quoted, mut escaped) = (0, 0_usize, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => {}
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth = depth.saturating_sub(1),
            ',' if !quoted && depth == 0 => {
                found.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
        escaped = c == '\\' && !escaped;
    }
    found.push(&text[begin..]);
    found
}

/// A list of names, without quotes and backslashes.
fn listed(text: &str) -> Vec<String> {
    let name = |item: &str| {
        let mut plain = String::new();
        let mut chars = item.trim().chars();
        while let Some(c) = chars.next() {
            match c {
                '"' => {}
                '\\' => plain.extend(chars.next()),
                c => plain.push(c),
            }
        }
        plain
    };
    let names = items(text).into_iter().map(name);
    names.filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
#[path = "sudoers_tests.rs"]
mod tests;
