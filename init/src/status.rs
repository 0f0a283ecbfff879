//! `status` and `wait` in the new OS, where the image is gone: this program is left among the records of
//! a run for that. It reads, and says the same as the launcher's commands of these names.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use formats::printable;
use formats::run_id::RunId;
use machine::runs::directory::{Places, RunsError};
use machine::runs::told::{told_end, told_status, Form, Told};

/// How they are called.
const USAGE: &str = "status [RUN] [--json]\n  wait RUN [--json] [--timeout SECONDS]";
/// The exit statuses of a call that is none, and of one that nobody may make.
const WRONG_CALL: u8 = 2;
const REFUSED: u8 = 1;

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    run: Option<RunId>,
    form: Form,
    limit: Option<Duration>,
}

/// `status [RUN] [--json]`.
pub fn status(words: &[&str]) -> ExitCode {
    match parse(words) {
        Some(asked) if asked.limit.is_none() => {
            let run = asked.run.as_ref().map(RunId::as_str);
            say(|places| told_status(places, run, asked.form))
        }
        _ => usage(),
    }
}

/// `wait RUN [--json] [--timeout SECONDS]`.
pub fn wait(words: &[&str]) -> ExitCode {
    match parse(words) {
        Some(Asked {
            run: Some(run),
            form,
            limit,
        }) => say(|places| told_end(places, run.as_str(), limit, form)),
        _ => usage(),
    }
}

fn parse(words: &[&str]) -> Option<Asked> {
    let mut asked = Asked {
        run: None,
        form: Form::Text,
        limit: None,
    };
    let mut words = words.iter();
    while let Some(&word) = words.next() {
        match word.split_once('=').unwrap_or((word, "")) {
            ("--json", "") => asked.form = Form::Json,
            ("--timeout", "") => asked.limit = Some(seconds(words.next()?)?),
            ("--timeout", value) => asked.limit = Some(seconds(value)?),
            _ if asked.run.is_none() => asked.run = Some(word.parse().ok()?),
            _ => return None,
        }
    }
    Some(asked)
}

fn seconds(text: &str) -> Option<Duration> {
    Some(Duration::from_secs(text.parse().ok()?))
}

fn say(tell: impl FnOnce(&Places) -> Result<Told, RunsError>) -> ExitCode {
    if !rustix::process::geteuid().is_root() {
        eprintln!("error: this needs root: what runs leave is readable by root alone");
        return ExitCode::from(REFUSED);
    }
    match tell(&Places::here()) {
        Ok(told) => {
            // Whoever does not read it any more is no failure of the run's.
            let _ = std::io::stdout().write_all(told.out.as_bytes());
            eprint!("{}", printable::text(&told.err));
            ExitCode::from(told.exit)
        }
        Err(e) => {
            let why = format!("error: {:#}", anyhow::Error::from(e));
            eprintln!("{}", printable::line(&why));
            ExitCode::from(REFUSED)
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: {USAGE}");
    ExitCode::from(WRONG_CALL)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "20261124T155307Z-077c";

    #[test]
    fn it_is_called_as_the_launcher_is() {
        let asked = |form, run: Option<&str>, limit: Option<u64>| Asked {
            run: run.map(|run| run.parse().unwrap()),
            form,
            limit: limit.map(Duration::from_secs),
        };
        for (words, expected) in [
            (&[][..], asked(Form::Text, None, None)),
            (&["--json"], asked(Form::Json, None, None)),
            (&[RUN], asked(Form::Text, Some(RUN), None)),
            (&["--json", RUN], asked(Form::Json, Some(RUN), None)),
            (
                &[RUN, "--timeout", "9"],
                asked(Form::Text, Some(RUN), Some(9)),
            ),
            (
                &["--timeout=9", RUN, "--json"],
                asked(Form::Json, Some(RUN), Some(9)),
            ),
        ] {
            assert_eq!(parse(words), Some(expected), "{words:?}");
        }
        for words in [
            &["--yaml"][..],
            &["../etc"],
            &[RUN, RUN],
            &[RUN, "--timeout"],
            &[RUN, "--timeout", "soon"],
        ] {
            assert_eq!(parse(words), None, "{words:?}");
        }
    }
}
