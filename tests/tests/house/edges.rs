//! Edges that everything has to pass: the gate to the new root, and the way to a terminal.

use std::fs;
use std::path::{Path, PathBuf};

use reroot_tests::paths;

/// Rooms that write to the new OS's root.
const WRITING: [&str; 2] = ["init/src/run/behind", "init/src/confirm"];

/// Ways to write, make or remove something by its path.
const WAYS: [&str; 14] = [
    "fs::write(",
    "fs::create_dir",
    "fs::remove_",
    "fs::rename(",
    "fs::copy(",
    "fs::hard_link(",
    "fs::set_permissions(",
    "fs::symlink(",
    "DirBuilder::new(",
    "File::create",
    "OpenOptions::new(",
    "mkdirat(",
    "unlinkat(",
    "renameat(",
];

/// What passes by the gate all the same: file, way, and why nothing that is kept can be there.
const BESIDE: [(&str, &str, &str); 13] = [
    ("arrays.rs", "fs::create_dir", "/run is memory meanwhile"),
    ("arrays.rs", "fs::write(", "/run is memory meanwhile"),
    ("hooks.rs", "File::create", "the run's state is memory"),
    (
        "hooks.rs",
        "fs::write(",
        "the run's directory cannot be kept",
    ),
    ("access.rs", "fs::create_dir", "/run is memory meanwhile"),
    ("loader.rs", "fs::create_dir", "/dev is the kernel's"),
    ("loader.rs", "fs::symlink(", "/dev is the kernel's"),
    (
        "flags_cleared.rs",
        "OpenOptions::new(",
        "the run's directory cannot be kept",
    ),
    (
        "flags_cleared.rs",
        "fs::remove_",
        "the run's directory cannot be kept",
    ),
    ("kept.rs", "fs::create_dir", "/run is memory"),
    ("logins.rs", "fs::remove_", "/run is memory"),
    ("logins.rs", "DirBuilder::new(", "/run is memory"),
    ("logins.rs", "OpenOptions::new(", "/run is memory"),
];

/// A console is opened to be written to, and no file of the root's.
const CONSOLES: &str = "say.rs";

/// Lines that write behind the unpack and do not ask the gate.
pub fn beside_the_gate() -> Vec<String> {
    let mut found = Vec::new();
    for path in WRITING.iter().flat_map(|room| sources(room)) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        for (number, line) in program(&path).lines().enumerate() {
            let way = WAYS.iter().find(|way| line.contains(**way));
            let is_known = |way: &&&str| {
                name == CONSOLES
                    || BESIDE
                        .iter()
                        .any(|(file, known, _)| name == *file && known == *way)
            };
            if way.is_some_and(|way| !is_known(&way)) {
                found.push(format!(
                    "{}:{}: {}",
                    path.display(),
                    number + 1,
                    line.trim()
                ));
            }
        }
    }
    found
}

/// Exceptions that nothing needs any more.
pub fn exceptions_without_a_line() -> Vec<String> {
    let all: Vec<PathBuf> = WRITING.iter().flat_map(|room| sources(room)).collect();
    let mut left = Vec::new();
    for (file, way, _) in BESIDE {
        let mut files = all.iter().filter(|path| path.ends_with(file));
        if !files.any(|path| program(path).contains(way)) {
            left.push(format!("{file}: {way}"));
        }
    }
    left
}

/// Rooms whose words go to a terminal of somebody who may do harm by believing them.
const TALKING: [&str; 3] = ["kexec-tools/src", "init/src", "builder/src/watch"];

/// What names nothing that others than reroot and its operator have named, or is escaped where it is made.
const HARMLESS: [&str; 15] = [
    // Its lines leave out names that a line cannot hold.
    "{list}",
    // By `printable::Page`, a line for each `writeln!`.
    "findings::text(",
    "plan::text(",
    "plan_text::text(",
    "status_page::text(",
    "finding::refusals(",
    // For programs, which have it exactly; and what a child says to its parent.
    "json(",
    "apart::look(",
    // Names of runs are letters, digits and hyphens.
    "{run}",
    "{after}",
    // The operator's own words and reroot's.
    "--consent {now}",
    "different: {differs}",
    "match mode {",
    // A function of the same file that goes through `printable`.
    "said(",
    "log.display()",
];

/// Macros that write to a terminal what does not go through `formats::printable`.
pub fn raw_words() -> Vec<String> {
    let mut found = Vec::new();
    for path in TALKING.iter().flat_map(|room| sources(room)) {
        let text = program(&path);
        for name in ["print!(", "println!(", "eprint!(", "eprintln!("] {
            for (at, _) in text.match_indices(name) {
                let is_whole = !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
                let call = call(&text[at..]);
                if is_whole && names_something(call) && !is_harmless(call) {
                    let line = text[..at].matches('\n').count() + 1;
                    found.push(format!("{}:{line}: {call}", path.display()));
                }
            }
        }
    }
    found
}

fn is_harmless(call: &str) -> bool {
    call.contains("printable::") || HARMLESS.iter().any(|made| call.contains(made))
}

/// Whether anything is put into the text but numbers and words of the program's own.
fn names_something(call: &str) -> bool {
    let own = |name: &str| {
        let name = name.split(':').next().unwrap_or_default();
        name == "percent" || !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase())
    };
    let mut rest = call;
    while let Some((_, behind)) = rest.split_once('{') {
        let Some((name, behind)) = behind.split_once('}') else {
            return false;
        };
        // `match` and blocks are no names.
        if !name.contains(char::is_whitespace) && !own(name) {
            return true;
        }
        rest = behind;
    }
    false
}

/// A macro's call, to the bracket that closes it.
fn call(text: &str) -> &str {
    let (mut depth, mut quoted, mut escaped) = (0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => {
                depth -= 1;
                if depth == 0 {
                    return &text[..=at];
                }
            }
            _ => {}
        }
    }
    text
}

/// A source file without its tests.
fn program(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("read a source file");
    let (program, _) = text.split_once("#[cfg(test)]").unwrap_or((&text, ""));
    program.to_owned()
}

/// Source files of a room, those of tests left out.
fn sources(room: &str) -> Vec<PathBuf> {
    let mut found = sources_and_tests(room);
    found.retain(|path| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        !name.ends_with("tests")
    });
    found.sort();
    found
}

/// Tests that the threat model names, and that are not there.
pub fn lost_tests() -> Vec<String> {
    let page =
        fs::read_to_string(paths::workspace().join("docs/safety.md")).expect("read the page");
    let mut all = String::new();
    for room in ["builder", "init", "kexec-tools", "lib", "tests"] {
        for path in sources_and_tests(room) {
            all.push_str(&fs::read_to_string(path).expect("read a source file"));
        }
    }
    let named = page.split('`').skip(1).step_by(2);
    let is_test = |name: &&str| {
        name.matches('_').count() > 2
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    named
        .filter(is_test)
        .filter(|name| !all.contains(&format!("fn {name}(")))
        .map(str::to_owned)
        .collect()
}

fn sources_and_tests(room: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut rooms = vec![paths::workspace().join(room)];
    while let Some(room) = rooms.pop() {
        for path in fs::read_dir(&room)
            .expect("list a room")
            .flatten()
            .map(|e| e.path())
        {
            if path.is_dir() && !path.ends_with("target") {
                rooms.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                found.push(path);
            }
        }
    }
    found
}
