//! The operator's own checks: programs in /etc/reroot/checks.d, and in a directory that `--checks`
//! names. Each is asked with the others, and again right before services are stopped: what was
//! true an hour ago, such as a fresh backup, may not be true any more.
//!
//! They run as root, so only root may be able to change them: directory and program belong to
//! root and nobody else may write to them. A program that does not keep to that is not run, and
//! refuses. docs/checks.md has the rules for whoever writes one.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{bail, Context, Result};
use formats::facts::Facts;
use formats::Document;
use machine::patience::Patience;
use rustix::process::{kill_process_group, Pid, Signal};

use crate::survey::finding::{Finding, Verdict};

/// Where they are unless the operator names another directory too.
const DIRECTORY: &str = "/etc/reroot/checks.d";

/// What codes of own checks begin with.
const PREFIX: &str = "own:";

/// How long one may take.
const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(20);
const START_ATTEMPTS: u32 = 50;
/// How much of what one says is shown, in bytes.
const SAID_MAX: usize = 400;
/// Not more than this is read of it.
const READ_MAX: u64 = 64 << 10;

/// What an own check looks at, whatever it is.
const READS: &str = "what the operator's own program reads";

/// One of them, found in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnCheck {
    /// The program.
    pub path: PathBuf,
    /// Its code, `own:NAME`.
    pub code: String,
    /// Why it is not run, if it is not.
    pub unfit: Option<String>,
}

/// When they are asked; the program reads it in `REROOT_MOMENT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// With the other checks.
    Check,
    /// Right before services are stopped.
    Stop,
}

/// Every own check of the directories, by name within each. A directory that the operator named
/// must be there; the usual one need not.
pub fn find(named: &[PathBuf]) -> Result<Vec<OwnCheck>> {
    let mut found: Vec<OwnCheck> = Vec::new();
    let usual = Path::new(DIRECTORY);
    for directory in std::iter::once(usual).chain(named.iter().map(PathBuf::as_path)) {
        for check in in_directory(directory, directory != usual)? {
            if let Some(twin) = found.iter().find(|known| known.code == check.code) {
                bail!(
                    "{} and {} have one code, {}; rename one of them",
                    twin.path.display(),
                    check.path.display(),
                    check.code
                );
            }
            found.push(check);
        }
    }
    Ok(found)
}

fn in_directory(directory: &Path, must_exist: bool) -> Result<Vec<OwnCheck>> {
    let what = || format!("read the directory of own checks {}", directory.display());
    let entries = match fs::read_dir(directory) {
        Err(e) if e.kind() == ErrorKind::NotFound && !must_exist => return Ok(Vec::new()),
        other => other.with_context(what)?,
    };
    let open_to_all = writable_by_others(&fs::metadata(directory).with_context(what)?);
    let mut checks = Vec::new();
    for entry in entries {
        let entry = entry.with_context(what)?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| is_name(name)) else {
            continue;
        };
        let path = entry.path();
        // Links are followed: the program itself is what must be safe.
        let Ok(program) = fs::metadata(&path) else {
            continue;
        };
        if !program.is_file() || program.permissions().mode() & 0o111 == 0 {
            continue;
        }
        let unfit = open_to_all
            .then(|| format!("{} is writable by others than root", directory.display()))
            .or_else(|| {
                writable_by_others(&program)
                    .then(|| format!("{} is writable by others than root", path.display()))
            });
        checks.push(OwnCheck {
            code: format!("{PREFIX}{name}"),
            path,
            unfit,
        });
    }
    checks.sort_by(|a, b| a.code.cmp(&b.code));
    Ok(checks)
}

/// Names of checks: letters, digits, `-`, `_` and `.`, without what editors and package managers
/// leave beside a file.
fn is_name(name: &str) -> bool {
    const LEFT: [&str; 6] = [
        ".bak",
        ".orig",
        ".rpmnew",
        ".rpmsave",
        ".dpkg-dist",
        ".dpkg-old",
    ];
    name.bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && !name.starts_with('.')
        && !LEFT.iter().any(|end| name.ends_with(end))
}

fn writable_by_others(found: &fs::Metadata) -> bool {
    found.uid() != 0 || found.permissions().mode() & 0o022 != 0
}

/// Asks all of them, one after another.
pub fn ask_all(
    checks: &[OwnCheck],
    facts: &Facts,
    moment: Moment,
    forced: &[String],
) -> Vec<Finding> {
    if checks.is_empty() {
        return Vec::new();
    }
    let json = facts.to_json();
    checks
        .iter()
        .map(|check| {
            let answer = match &check.unfit {
                Some(why) => Answer::refuse(why),
                None => ask(check, facts, &json, moment)
                    .unwrap_or_else(|e| Answer::refuse(&format!("it cannot be asked: {e:#}"))),
            };
            finding(check, answer, forced)
        })
        .collect()
}

fn finding(check: &OwnCheck, answer: Answer, forced: &[String]) -> Finding {
    let verdict = match answer.verdict {
        Verdict::Refuse if forced.contains(&check.code) => Verdict::Forced,
        verdict => verdict,
    };
    Finding {
        code: check.code.clone().into(),
        question: format!("Does {} agree?", check.path.display()).into(),
        reads: READS.into(),
        verdict,
        remedy: (verdict != Verdict::Pass).then(|| "see what that program asks for".into()),
        found: (verdict != Verdict::Pass).then_some(answer.said),
    }
}

struct Answer {
    verdict: Verdict,
    said: String,
}

impl Answer {
    fn refuse(said: &str) -> Answer {
        Answer {
            verdict: Verdict::Refuse,
            said: said.to_owned(),
        }
    }
}

fn ask(check: &OwnCheck, facts: &Facts, json: &str, moment: Moment) -> Result<Answer> {
    let mut child = start(check, facts, moment)?;
    // Fed and drained by threads: a program that reads nothing, or says more than a pipe holds,
    // must not stop anybody.
    if let Some(mut stdin) = child.stdin.take() {
        let json = json.as_bytes().to_vec();
        // One that does not want the facts closes the pipe.
        std::thread::spawn(move || drop(stdin.write_all(&json)));
    }
    let said = [
        child.stdout.take().map(|out| drain(Box::new(out))),
        child.stderr.take().map(|out| drain(Box::new(out))),
    ];
    let ended = wait(&mut child)?;
    // Whatever it left running in the background has the pipes, and is ended with it.
    end_group(&child);
    let [out, error] = said.map(|thread| thread.and_then(|t| t.join().ok()).unwrap_or_default());
    Ok(judge(ended, &out, &error))
}

fn start(check: &OwnCheck, facts: &Facts, moment: Moment) -> Result<Child> {
    let mut command = command(check, facts, moment);
    for _ in 1..START_ATTEMPTS {
        match command.spawn() {
            // Somebody is writing it at this very moment, a tool that rolls it out for one.
            Err(e) if e.kind() == ErrorKind::ExecutableFileBusy => std::thread::sleep(PAUSE),
            other => return other.with_context(|| format!("start {}", check.path.display())),
        }
    }
    command
        .spawn()
        .with_context(|| format!("start {}", check.path.display()))
}

fn command(check: &OwnCheck, facts: &Facts, moment: Moment) -> Command {
    let kept: Vec<_> = facts.kept.iter().map(|k| k.path.as_str()).collect();
    let mut command = Command::new(&check.path);
    command
        .env_clear()
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .env("LC_ALL", "C")
        .env(
            "REROOT_MOMENT",
            match moment {
                Moment::Check => "check",
                Moment::Stop => "stop",
            },
        )
        .env("REROOT_HOSTNAME", &facts.hostname)
        .env("REROOT_KEPT", kept.join("\n"))
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    command
}

fn drain(mut pipe: Box<dyn Read + Send>) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut said = Vec::new();
        // What was said before an error is what there is to show.
        let _ = pipe.by_ref().take(READ_MAX).read_to_end(&mut said);
        let _ = std::io::copy(&mut pipe, &mut std::io::sink());
        said
    })
}

/// How it ended; `None` if it had to be ended.
fn wait(child: &mut Child) -> Result<Option<ExitStatus>> {
    let mut patience = Patience::new(PATIENCE);
    loop {
        match child.try_wait().context("wait for it")? {
            Some(status) => return Ok(Some(status)),
            None if patience.is_over() => {
                end_group(child);
                child.wait().context("wait for it")?;
                return Ok(None);
            }
            None => std::thread::sleep(PAUSE),
        }
    }
}

fn end_group(child: &Child) {
    if let Some(group) = Pid::from_raw(child.id() as i32) {
        // Nobody left in it is what was wanted.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// Exit status 0 passes, 2 has something to say, everything else refuses.
fn judge(ended: Option<ExitStatus>, out: &[u8], error: &[u8]) -> Answer {
    let line = first_line(out)
        .or_else(|| first_line(error))
        .unwrap_or_else(|| "it says nothing".to_owned());
    let refuse = |said: String| Answer::refuse(&said);
    match ended.map(|status| status.code()) {
        Some(Some(0)) => Answer {
            verdict: Verdict::Pass,
            said: line,
        },
        Some(Some(1)) => refuse(line),
        Some(Some(2)) => Answer {
            verdict: Verdict::Note,
            said: line,
        },
        Some(Some(code)) => refuse(format!("it ended with status {code}: {line}")),
        Some(None) => refuse(format!("a signal ended it: {line}")),
        None => refuse(format!(
            "it took longer than {} s and what a busy machine adds",
            PATIENCE.as_secs()
        )),
    }
}

/// The first line that has something on it.
fn first_line(said: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(said);
    let line = text.lines().map(str::trim).find(|l| !l.is_empty())?;
    let mut end = line.len().min(SAID_MAX);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    Some(line[..end].to_owned())
}

#[cfg(test)]
mod tests;
