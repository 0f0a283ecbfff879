//! Enough of GRUB's scripting language to run a grub.cfg as GRUB does, up to the menu: words, quotes,
//! variables, `set`, `if`, functions that are defined, menu entries and submenus. GRUB's manual,
//! "Writing full configuration files directly".
//!
//! It changes nothing and reads no file: tests of files fail but for the environment block's, programs
//! and modules succeed and do nothing. Loops are passed over.

use std::collections::BTreeMap;

/// A part of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable { name: String, quoted: bool },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// A word; one with quotes is never a keyword and never vanishes.
    Word { parts: Vec<Part>, quoted: bool },
    /// A newline or a semicolon.
    End,
}

/// Commands that were not run yet: of an entry, or of a submenu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block(Vec<Token>);

/// An entry of the menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What the menu shows.
    pub title: String,
    /// What it is known by (`--id`).
    pub id: Option<String>,
    /// It opens another menu.
    pub is_submenu: bool,
    /// What it runs.
    pub block: Block,
}

/// A script that is being run.
#[derive(Clone, Debug)]
pub struct Script {
    /// Variables, by name.
    pub variables: BTreeMap<String, String>,
    /// The environment block's variables, for `load_env`.
    environment: BTreeMap<String, String>,
    /// Menu entries so far.
    pub menu: Vec<Item>,
    /// Commands that load something, with their words: `linux` and `initrd` in all their names.
    pub loads: Vec<Vec<String>>,
}

/// Words that begin or end something, where a command could begin.
const KEYWORDS: [&str; 7] = ["then", "elif", "else", "fi", "do", "done", "}"];

impl Script {
    /// A script before its first line, on a PC with a BIOS.
    pub fn new(environment: BTreeMap<String, String>) -> Script {
        let variables = [("grub_platform", "pc"), ("grub_cpu", "i386")];
        Script {
            variables: variables
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            environment,
            menu: Vec::new(),
            loads: Vec::new(),
        }
    }

    /// Runs a text.
    pub fn run(&mut self, text: &str) {
        self.run_block(&Block(tokens(text)));
    }

    /// Runs a block.
    pub(crate) fn run_block(&mut self, block: &Block) {
        let mut reader = Reader {
            tokens: &block.0,
            at: 0,
        };
        while !reader.is_done() {
            self.list(&mut reader, true);
            // A keyword that belongs to nothing.
            reader.at += 1;
        }
    }

    fn variable(&self, name: &str) -> String {
        match self.variables.get(name) {
            Some(value) => value.clone(),
            // All that a GRUB of today has; grub-mkconfig asks for them by name.
            None if name.starts_with("feature_") => "y".to_owned(),
            None => String::new(),
        }
    }

    /// Runs commands up to a keyword that ends them, which is left; whether the last one succeeded.
    /// What is not to be run is only passed over.
    fn list(&mut self, reader: &mut Reader, run: bool) -> bool {
        let mut succeeded = true;
        loop {
            reader.skip_ends();
            match reader.keyword() {
                None if reader.is_done() => return succeeded,
                Some(word) if KEYWORDS.contains(&word) => return succeeded,
                Some("if") => succeeded = self.branches(reader, run),
                Some("for" | "while" | "until") => reader.skip_loop(),
                Some("function") => {
                    reader.skip_to_brace();
                    reader.block();
                }
                Some("menuentry" | "submenu") => self.item(reader, run),
                _ => {
                    let words = reader.command();
                    if run {
                        let words = self.expand(&words);
                        succeeded = self.command(&words);
                    }
                }
            }
        }
    }

    fn branches(&mut self, reader: &mut Reader, run: bool) -> bool {
        let mut open = run;
        loop {
            match reader.keyword() {
                Some("if" | "elif") => {
                    reader.at += 1;
                    let holds = self.list(reader, open);
                    if reader.keyword() == Some("then") {
                        reader.at += 1;
                    }
                    self.list(reader, open && holds);
                    open &= !holds;
                }
                Some("else") => {
                    reader.at += 1;
                    self.list(reader, open);
                    open = false;
                }
                // `fi`, or an end that is too early.
                _ => {
                    reader.at += 1;
                    return true;
                }
            }
        }
    }

    fn item(&mut self, reader: &mut Reader, run: bool) {
        let mut words = Vec::new();
        while !reader.is_done() && reader.keyword() != Some("{") {
            words.extend(reader.next_word());
        }
        let block = reader.block();
        if !run {
            return;
        }
        let words = self.expand(&words);
        let mut words = words.into_iter();
        let is_submenu = words.next().is_some_and(|word| word == "submenu");
        let (mut title, mut id) = (None, None);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--id" => id = words.next(),
                "--class" | "--users" | "--hotkey" | "--source" => {
                    words.next();
                }
                other if other.starts_with("--") => {
                    if let Some(value) = other.strip_prefix("--id=") {
                        id = Some(value.to_owned());
                    }
                }
                _ => title = title.or(Some(word)),
            }
        }
        self.menu.push(Item {
            title: title.unwrap_or_default(),
            id,
            is_submenu,
            block,
        });
    }

    /// Whether it succeeded.
    fn command(&mut self, words: &[String]) -> bool {
        let Some((name, arguments)) = words.split_first() else {
            return true;
        };
        match name.as_str() {
            "set" => {
                for (name, value) in arguments.iter().filter_map(|word| word.split_once('=')) {
                    self.variables.insert(name.to_owned(), value.to_owned());
                }
                true
            }
            // Without `set` it is the same.
            assignment if is_assignment(assignment) => {
                if let Some((name, value)) = assignment.split_once('=') {
                    self.variables.insert(name.to_owned(), value.to_owned());
                }
                true
            }
            "unset" => {
                for name in arguments {
                    self.variables.remove(name);
                }
                true
            }
            "load_env" => {
                self.variables.extend(self.environment.clone());
                true
            }
            "[" => self.test(
                arguments
                    .strip_suffix(&["]".to_owned()])
                    .unwrap_or(arguments),
            ),
            "test" => self.test(arguments),
            "false" => false,
            "linux" | "linux16" | "linuxefi" | "initrd" | "initrd16" | "initrdefi" => {
                self.loads.push(words.to_vec());
                true
            }
            _ => true,
        }
    }

    /// `test`, with the operators that grub-mkconfig uses; `-o` binds weaker than `-a`.
    fn test(&self, words: &[String]) -> bool {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        words
            .split(|word| *word == "-o")
            .any(|all| all.split(|word| *word == "-a").all(|one| self.holds(one)))
    }

    fn holds(&self, words: &[&str]) -> bool {
        match words {
            ["!", rest @ ..] => !self.holds(rest),
            [left, "=" | "==", right] => left == right,
            [left, "!=", right] => left != right,
            ["-n", text] | [text] => !text.is_empty(),
            ["-z", text] => text.is_empty(),
            ["-s" | "-f" | "-e", path] => {
                path.ends_with("/grubenv") && !self.environment.is_empty()
            }
            // Directories are not known here (`-d`), nor is what GRUB does not know either.
            _ => false,
        }
    }

    fn expand(&self, words: &[Token]) -> Vec<String> {
        let mut out = Vec::new();
        for word in words {
            let Token::Word { parts, quoted } = word else {
                continue;
            };
            let mut text = String::new();
            let mut split = Vec::new();
            for part in parts {
                match part {
                    Part::Text(plain) => text += plain,
                    Part::Variable { name, quoted } => {
                        let value = self.variable(name);
                        if *quoted {
                            text += &value;
                            continue;
                        }
                        // A value without quotes around it is several words.
                        let mut pieces = value.split(' ');
                        text += pieces.next().unwrap_or_default();
                        for piece in pieces {
                            split.push(std::mem::replace(&mut text, piece.to_owned()));
                        }
                    }
                }
            }
            split.push(text);
            out.extend(split.into_iter().filter(|text| *quoted || !text.is_empty()));
        }
        out
    }
}

fn is_assignment(word: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    word.split_once('=').is_some_and(|(name, _)| is_name(name))
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
}

impl<'a> Reader<'a> {
    fn is_done(&self) -> bool {
        self.at >= self.tokens.len()
    }

    fn skip_ends(&mut self) {
        while self.tokens.get(self.at) == Some(&Token::End) {
            self.at += 1;
        }
    }

    /// The plain word here, if it is one without quotes and variables.
    fn keyword(&self) -> Option<&'a str> {
        match self.tokens.get(self.at)? {
            Token::Word {
                parts,
                quoted: false,
            } => match &parts[..] {
                [Part::Text(text)] => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    fn next_word(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at)?;
        self.at += 1;
        (*token != Token::End).then(|| token.clone())
    }

    /// The words up to the end of the command.
    fn command(&mut self) -> Vec<Token> {
        let rest = &self.tokens[self.at..];
        let length = rest
            .iter()
            .position(|token| *token == Token::End)
            .unwrap_or(rest.len());
        self.at += length;
        rest[..length].to_vec()
    }

    fn skip_to_brace(&mut self) {
        while !self.is_done() && self.keyword() != Some("{") {
            self.at += 1;
        }
    }

    /// What is between the brace here and the one that closes it.
    fn block(&mut self) -> Block {
        let from = (self.at + 1).min(self.tokens.len());
        let mut depth = 0;
        while !self.is_done() {
            match self.keyword() {
                Some("{") => depth += 1,
                Some("}") => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Block(self.tokens[from.min(self.at - 1)..self.at - 1].to_vec());
            }
        }
        Block(self.tokens[from..].to_vec())
    }

    fn skip_loop(&mut self) {
        let mut depth = 0;
        while !self.is_done() {
            match self.keyword() {
                Some("for" | "while" | "until") => depth += 1,
                Some("done") => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut out = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(&c) = rest.peek() {
        match c {
            '\n' | ';' => {
                rest.next();
                out.push(Token::End);
            }
            ' ' | '\t' | '\r' => {
                rest.next();
            }
            '#' => while rest.next_if(|&c| c != '\n').is_some() {},
            _ => out.push(word(&mut rest)),
        }
    }
    out
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn word(rest: &mut Chars) -> Token {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut quoted = false;
    let mut in_double = false;
    while let Some(&c) = rest.peek() {
        match c {
            '\n' | ';' | ' ' | '\t' | '\r' if !in_double => break,
            '"' => {
                rest.next();
                quoted = true;
                in_double = !in_double;
            }
            '\'' if !in_double => {
                rest.next();
                quoted = true;
                while let Some(c) = rest.next_if(|&c| c != '\'') {
                    text.push(c);
                }
                rest.next();
            }
            '\\' => {
                rest.next();
                // A backslash before a newline takes it away.
                match rest.next() {
                    Some('\n') | None => {}
                    Some(c) if in_double && !matches!(c, '"' | '\\' | '$') => {
                        text.push('\\');
                        text.push(c);
                    }
                    Some(c) => text.push(c),
                }
            }
            '$' => {
                rest.next();
                let name = name(rest);
                if name.is_empty() {
                    text.push('$');
                    continue;
                }
                if !text.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut text)));
                }
                parts.push(Part::Variable {
                    name,
                    quoted: in_double,
                });
            }
            _ => {
                rest.next();
                text.push(c);
            }
        }
    }
    if !text.is_empty() || parts.is_empty() {
        parts.push(Part::Text(text));
    }
    Token::Word { parts, quoted }
}

/// The name of a variable behind its `$`.
fn name(rest: &mut Chars) -> String {
    let mut name = String::new();
    let braces = rest.next_if_eq(&'{').is_some();
    let is_part = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '?' | '@' | '*');
    while let Some(c) = rest.next_if(is_part) {
        name.push(c);
    }
    if braces {
        rest.next_if_eq(&'}');
    }
    name
}
