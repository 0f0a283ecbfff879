//! Running other programs, with errors that a person can act on.
//!
//! A program that is not installed is reported with the package that brings it, from the one list
//! in `scripts/packages.txt`.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::process::{Command, Output, Stdio};

use anyhow::{bail, Context, Result};

const PACKAGES: &str = include_str!("../../scripts/packages.txt");

/// Runs `command` to its end; an exit status other than 0 is an error that carries its stderr.
pub fn run(command: &mut Command) -> Result<Output> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| explain(command, error))?;
    if !output.status.success() {
        bail!("{}: {}\n{}", shown(command), output.status, talk(&output));
    }
    Ok(output)
}

/// Runs `command` and gives its stdout as text, without the final newline.
pub fn stdout_of(command: &mut Command) -> Result<String> {
    let output = run(command)?;
    let text = String::from_utf8(output.stdout)
        .with_context(|| format!("{}: its output is not UTF-8", shown(command)))?;
    Ok(text.trim_end().to_owned())
}

/// Turns a failed start into an error that names the package to install.
pub fn explain(command: &Command, error: std::io::Error) -> anyhow::Error {
    let program = command.get_program().to_string_lossy().into_owned();
    let what = if error.kind() == ErrorKind::NotFound {
        match package_of(&program) {
            Some(package) => {
                format!("{program} is not installed (package {package}); run `make setup`")
            }
            None => format!("{program} is not installed"),
        }
    } else {
        format!("start {}", shown(command))
    };
    anyhow::Error::new(error).context(what)
}

/// The package that brings `program`.
fn package_of(program: &str) -> Option<&'static str> {
    PACKAGES
        .lines()
        .filter(|line| !line.starts_with('#'))
        .find_map(|line| {
            let mut words = line.split_whitespace();
            let package = words.next()?;
            (words.next()? == program).then_some(package)
        })
}

/// The command as one line, for messages.
pub fn shown(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        let _ = write!(line, " {}", argument.to_string_lossy());
    }
    line
}

/// What a failed program said, at most its last 40 lines.
fn talk(output: &Output) -> String {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    last_lines(&format!("{stdout}{stderr}"), 40)
}

/// The last `count` lines of `text`.
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// The text of a console as a person reads it: without the terminal's escape sequences (CSI and
/// two-byte ones of ECMA-48), and without what systemd draws while it waits for a unit.
pub fn readable(console: &str) -> String {
    let mut plain = String::with_capacity(console.len());
    for line in console.lines() {
        let line = without_escapes(line);
        if !line.contains("] A start job is running for ") {
            plain.push_str(line.trim_end());
            plain.push('\n');
        }
    }
    plain
}

fn without_escapes(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\x1b' => {
                if letters.next() == Some('[') {
                    // Up to its final byte.
                    letters.find(|letter| ('@'..='~').contains(letter));
                }
            }
            letter if letter.is_control() && letter != '\t' => {}
            letter => plain.push(letter),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_console_as_a_person_does() {
        let console =
            "\x1b[K[\x1b[0;32m  OK  \x1b[0m] Reached target \x1b[0;1;39mNetwork\x1b[0m.\r\n\
            \x1bM\x1b[K[ \x1b[0;31m*\x1b[0m] A start job is running for Raise (1min / 5min)\n\
            shop1 login: ";
        assert_eq!(
            readable(console),
            "[  OK  ] Reached target Network.\nshop1 login:\n"
        );
        assert_eq!(readable("cut off: \x1b[0;3"), "cut off:\n");
    }

    #[test]
    fn names_the_package_of_a_program_on_the_list() {
        assert_eq!(package_of("qemu-img"), Some("qemu-utils"));
        assert_eq!(package_of("no-such-program"), None);
    }

    #[test]
    fn a_failing_program_is_reported_with_what_it_said() {
        let error = run(Command::new("sh").args(["-c", "echo why >&2; exit 3"])).unwrap_err();
        assert!(error.to_string().contains("why"), "{error}");
    }

    #[test]
    fn keeps_only_the_last_lines() {
        assert_eq!(last_lines("a\nb\nc\n", 2), "b\nc");
    }
}
