//! What everybody gets who logs in by ssh, whatever they ask for: how the run stands, its log, and once it
//! holds a root shell.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use formats::printable;
use machine::log_line;
use rustix::fs::{flock, FlockOperation};

use crate::ram::{ended, state};
use crate::reach::follow::{self, From};
use crate::reach::told::{in_a_word, Told};

/// Where sshd puts what was asked for.
const ASKED: &str = "SSH_ORIGINAL_COMMAND";
/// How many may be told of a run at once.
const SEATS: u32 = 6;
/// The exit status of something that is not done here.
const REFUSED: u8 = 2;

/// Answered, whatever comes before it: who asks has a program of another place in mind.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Status,
    StatusJson,
    Log,
    LogFollow,
    /// A session without a command.
    Nothing,
    Other,
}

fn parse(command: Option<&str>) -> Asked {
    let Some(command) = command.filter(|c| !c.trim().is_empty()) else {
        return Asked::Nothing;
    };
    let trim = |word: &'static str, from: &str| from.trim_matches(['\'', '"', ';']) == word;
    let words: Vec<&str> = command.split_whitespace().collect();
    match words[..] {
        [.., a, b] if trim("status", a) && trim("--json", b) => Asked::StatusJson,
        [.., a, b] if trim("log", a) && trim("--follow", b) => Asked::LogFollow,
        [.., a] if trim("status", a) => Asked::Status,
        [.., a] if trim("log", a) => Asked::Log,
        _ => Asked::Other,
    }
}

/// Answers.
pub fn main() -> ExitCode {
    let command = std::env::var(ASKED).ok();
    let holds = ended::read().is_some_and(|ended| ended.holds());
    // Kept until this ends.
    let seat = seat();
    if seat.is_none() && !holds {
        eprintln!("reroot: {SEATS} sessions are open already; close one of them");
        return ExitCode::from(REFUSED);
    }
    let answered = match parse(command.as_deref()) {
        Asked::Status => Told::read().map(|told| say(&told.text())),
        Asked::StatusJson => Told::read().map(|told| say(&told.json())),
        Asked::Log => follow::all(&mut io::stdout())
            .map(|()| ExitCode::SUCCESS)
            .map_err(Into::into),
        Asked::LogFollow => follow(From::Beginning),
        Asked::Nothing if holds => Ok(shell()),
        Asked::Nothing => greet(),
        Asked::Other => {
            eprintln!("{}", printable::text(&refusal(holds)));
            return ExitCode::from(REFUSED);
        }
    };
    answered.unwrap_or_else(|e| {
        eprintln!("{}", said(&format!("{e:#}")));
        ExitCode::FAILURE
    })
}

/// A line as the log has them: errors and the last words of a run may name somebody's files.
fn said(words: &str) -> String {
    format!("reroot: {}", printable::line(words))
}

/// Words by which a program knows that it talks to no OS.
fn refusal(holds: bool) -> String {
    let more = if holds {
        "a session without a command is a root shell"
    } else {
        "nothing else is done while the run goes on"
    };
    format!(
        "reroot: this is the RAM environment: {}\n\
         reroot: ask `status`, `status --json`, `log` or `log --follow`; {more}",
        in_a_word()
    )
}

/// A place among those who are told; none where all are taken.
fn seat() -> Option<File> {
    (0..SEATS).find_map(|n| {
        let file = File::create(state::at(&format!("seat-{n}"))).ok()?;
        let taken = flock(&file, FlockOperation::NonBlockingLockExclusive);
        taken.is_ok().then_some(file)
    })
}

fn say(text: &str) -> ExitCode {
    // Whoever does not read it any more is no failure of the run's.
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn follow(from: From) -> anyhow::Result<ExitCode> {
    let ended = follow::follow(from)?;
    eprintln!("{}", said(&ended.words));
    Ok(ExitCode::from(ended.status))
}

/// For people: where the run is, and its log from here on.
fn greet() -> anyhow::Result<ExitCode> {
    println!("{}", said(&in_a_word()));
    println!(
        "reroot: the log follows; `status` as a command tells more, Ctrl-C ends this session alone"
    );
    let ended = follow::follow(From::End)?;
    println!("{}", said(&ended.words));
    if ended.holds() {
        println!("reroot: log in again for a root shell");
    }
    Ok(ExitCode::from(ended.status))
}

/// A shell in the place of this program, as on the consoles.
fn shell() -> ExitCode {
    println!("{}", said(&in_a_word()));
    match Told::read() {
        Ok(told) => print!("{}", printable::text(&told.text())),
        Err(e) => eprintln!("{}", said(&format!("{e:#}"))),
    }
    let _ = io::stdout().flush();
    log_line::to_kernel_log("reroot: ssh: a shell was begun");
    let error = Command::new("/bin/busybox")
        .args(["sh"])
        .env("PATH", "/bin:/sbin")
        .env("PS1", "reroot rescue # ")
        .env("HOME", "/root")
        .exec();
    eprintln!("{}", said(&format!("start /bin/busybox sh: {error}")));
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_count() {
        for (command, expected) in [
            (None, Asked::Nothing),
            (Some("  "), Asked::Nothing),
            (Some("status"), Asked::Status),
            (Some("status --json"), Asked::StatusJson),
            (Some("/root/x.reroot status --json"), Asked::StatusJson),
            (
                Some("sudo -n sh -c 'exec /var/log/reroot/*/reroot status --json'"),
                Asked::StatusJson,
            ),
            (Some("/x log"), Asked::Log),
            (Some("/x log --follow"), Asked::LogFollow),
            (Some("scp -t /root"), Asked::Other),
            (Some("status --json; reboot"), Asked::Other),
            (Some("cat /run/reroot/log --follow"), Asked::Other),
            (Some("internal-sftp"), Asked::Other),
            (Some("reboot"), Asked::Other),
        ] {
            assert_eq!(parse(command), expected, "{command:?}");
        }
    }
}
