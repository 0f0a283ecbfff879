//! Programs that an operator puts into a directory to be asked: their own checks. They run as root, so only
//! root may be able to change them: directory and program belong to root and nobody else may write to them.
//! A program that does not keep to that is not run, and refuses. docs/checks.md has the rules for whoever
//! writes one. Those that a run calls at its moments are found and called in the same way.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use formats::hooks::is_name;
use rustix::process::{kill_process_group, Pid, Signal};

use crate::patience::Patience;

/// How long one may take.
const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(20);
/// How long one may be written to when it is to be started, by a tool that rolls it out for one.
const WRITTEN: Duration = Duration::from_secs(1);
/// How much of what one says is shown, in bytes.
const SAID_MAX: usize = 400;
/// Not more than this is read of it.
const READ_MAX: u64 = 64 << 10;

/// One of them, found in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnProgram {
    /// Where it is.
    pub path: PathBuf,
    /// The file's name.
    pub name: String,
    /// Why it is not run, if it is not.
    pub unfit: Option<String>,
}

/// What one says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It agrees.
    Pass,
    /// It agrees, and has something to say.
    Note,
    /// It does not agree.
    Refuse,
}

/// A program's word, and its first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The word.
    pub word: Word,
    /// The line.
    pub said: String,
}

impl Answer {
    fn refuse(said: impl Into<String>) -> Answer {
        Answer {
            word: Word::Refuse,
            said: said.into(),
        }
    }
}

/// Every program of a directory, by name.
///
/// # Errors
/// The directory, or what is in it, cannot be read; that it is not there is one of them.
pub fn in_directory(directory: &Path) -> io::Result<Vec<OwnProgram>> {
    let open_to_all = writable_by_others(&fs::metadata(directory)?);
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
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
        let whose = |path: &Path| format!("{} is writable by others than root", path.display());
        let unfit = open_to_all
            .then(|| whose(directory))
            .or_else(|| writable_by_others(&program).then(|| whose(&path)));
        found.push(OwnProgram {
            name: name.to_owned(),
            path,
            unfit,
        });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn writable_by_others(found: &fs::Metadata) -> bool {
    found.uid() != 0 || found.permissions().mode() & 0o022 != 0
}

/// Asks one, with these variables beside `PATH` and `LC_ALL`, and this on its standard input.
pub fn ask(program: &OwnProgram, variables: &[(&str, String)], input: &str) -> Answer {
    let mut patience = Patience::new(PATIENCE);
    let too_long = format!(
        "it took longer than {} s and what a busy machine adds",
        PATIENCE.as_secs()
    );
    within(program, variables, input, &mut || {
        patience.is_over().then(|| too_long.clone())
    })
}

/// Calls one that does something, and ends it with everything that it began when it takes longer than
/// `limit`.
pub fn call(program: &OwnProgram, variables: &[(&str, String)], limit: Duration) -> Answer {
    let begun = Instant::now();
    within(program, variables, "", &mut || {
        (begun.elapsed() > limit)
            .then(|| format!("it took longer than {} s and was ended", limit.as_secs()))
    })
}

/// The group of processes of the program that [`call`] or [`ask`] waits for last; 0 where there is none.
static RUNNING: AtomicI32 = AtomicI32::new(0);

/// Ends the program that is being waited for: nobody wants to know any more.
pub fn end_running() {
    if let Some(group) = Pid::from_raw(RUNNING.load(Ordering::SeqCst)) {
        // Nobody left in it is what was wanted.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// Says why a program is waited for no longer.
type Over<'a> = &'a mut dyn FnMut() -> Option<String>;

fn within(program: &OwnProgram, variables: &[(&str, String)], input: &str, over: Over) -> Answer {
    match &program.unfit {
        Some(why) => Answer::refuse(why),
        None => run(program, variables, input, over)
            .unwrap_or_else(|e| Answer::refuse(format!("it cannot be asked: {e}"))),
    }
}

fn run(
    program: &OwnProgram,
    variables: &[(&str, String)],
    input: &str,
    over: Over,
) -> io::Result<Answer> {
    let mut child = start(program, variables)?;
    RUNNING.store(child.id() as i32, Ordering::SeqCst);
    // Fed and drained by threads: a program that reads nothing, or says more than a pipe holds,
    // must not stop anybody.
    if let Some(mut stdin) = child.stdin.take() {
        let input = input.as_bytes().to_vec();
        // One that does not want it closes the pipe.
        std::thread::spawn(move || drop(stdin.write_all(&input)));
    }
    let said = [
        child.stdout.take().map(|out| drain(Box::new(out))),
        child.stderr.take().map(|out| drain(Box::new(out))),
    ];
    let ended = wait(&mut child, over);
    RUNNING.store(0, Ordering::SeqCst);
    // Whatever it left running in the background has the pipes, and is ended with it.
    end_group(&child);
    let [out, error] = said.map(|thread| thread.and_then(|t| t.join().ok()).unwrap_or_default());
    Ok(match ended? {
        Ok(status) => judge(status, &out, &error),
        Err(too_long) => Answer::refuse(too_long),
    })
}

fn start(program: &OwnProgram, variables: &[(&str, String)]) -> io::Result<Child> {
    let mut command = command(program, variables);
    let mut patience = Patience::new(WRITTEN);
    loop {
        match command.spawn() {
            Err(e) if e.kind() == ErrorKind::ExecutableFileBusy && !patience.is_over() => {
                std::thread::sleep(PAUSE);
            }
            other => return other,
        }
    }
}

fn command(program: &OwnProgram, variables: &[(&str, String)]) -> Command {
    let mut command = Command::new(&program.path);
    command
        .env_clear()
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .env("LC_ALL", "C")
        .envs(variables.iter().map(|(name, value)| (name, value)))
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

/// How it ended, or why it had to be ended.
fn wait(child: &mut Child, over: Over) -> io::Result<Result<ExitStatus, String>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Ok(status));
        }
        if let Some(why) = over() {
            end_group(child);
            child.wait()?;
            return Ok(Err(why));
        }
        std::thread::sleep(PAUSE);
    }
}

fn end_group(child: &Child) {
    if let Some(group) = Pid::from_raw(child.id() as i32) {
        // Nobody left in it is what was wanted.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// Exit status 0 passes, 2 has something to say, everything else refuses.
fn judge(ended: ExitStatus, out: &[u8], error: &[u8]) -> Answer {
    let line = first_line(out)
        .or_else(|| first_line(error))
        .unwrap_or_else(|| "it says nothing".to_owned());
    match ended.code() {
        Some(0) => Answer {
            word: Word::Pass,
            said: line,
        },
        Some(1) => Answer::refuse(line),
        Some(2) => Answer {
            word: Word::Note,
            said: line,
        },
        Some(code) => Answer::refuse(format!("it ended with status {code}: {line}")),
        None => Answer::refuse(format!("a signal ended it: {line}")),
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
