//! Running other programs, with what they say in a log that is shown when they fail.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::fs::{memfd_create, MemfdFlags};

use crate::failure::missing_tool;
use crate::interrupt;
use crate::progress::Step;

/// How many of a program's last lines an error shows.
const SHOWN: usize = 15;

/// What a child process gets from us: nothing of the operator's own settings.
pub const CLEAN_ENVIRONMENT: [(&str, &str); 5] = [
    (
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ),
    ("HOME", "/root"),
    ("LC_ALL", "C.UTF-8"),
    ("TERM", "dumb"),
    ("DEBIAN_FRONTEND", "noninteractive"),
];

/// Where programs are: PATH, and the folders that it lacks for some who became root.
fn folders() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let fixed = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"];
    std::env::split_paths(&path)
        .chain(fixed.map(PathBuf::from))
        .collect()
}

/// Whether a program is in one of those places.
pub fn is_installed(program: &str) -> bool {
    folders()
        .iter()
        .any(|folder| folder.join(program).is_file())
}

/// A command for a program that mounts things: they go with it, even when it fails and forgets
/// them. Nothing that is removed here afterwards can then lead to files of somebody else.
pub fn with_own_mounts(program: &str) -> Command {
    let mut command = Command::new("unshare");
    // A folder with a colon in its name came from PATH and cannot have had one.
    if let Ok(path) = std::env::join_paths(folders()) {
        command.env("PATH", path);
    }
    command.args(["--mount", "--propagation", "private", "--", program]);
    command
}

/// Runs a program to its end, `step` showing its latest line. `name` is what errors call it, and
/// `package` what to install where the command is missing. Fails with its last lines if it fails.
pub fn run(name: &str, command: &mut Command, package: &str, step: &Step) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    // In memory: the disk may be full, and then the log says so.
    let log = memfd_create("log", MemfdFlags::CLOEXEC)
        .map(File::from)
        .context("make a log")?;
    let output = || log.try_clone().context("share the log");
    let child = command.stdout(output()?).stderr(output()?).spawn();
    let mut child = match child {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(missing_tool(&program, package));
        }
        other => other.with_context(|| format!("start {name}"))?,
    };
    let status = loop {
        if let Some(status) = child
            .try_wait()
            .with_context(|| format!("wait for {name}"))?
        {
            break status;
        }
        if let Err(interrupted) = interrupt::check() {
            interrupt::stop(&mut child);
            return Err(interrupted).context(name.to_owned());
        }
        if let Some(line) = last_lines(&log, 1)?.pop() {
            step.detail(&line);
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    if status.success() {
        return Ok(());
    }
    let mut said = last_lines(&log, usize::MAX)?;
    // What mmdebstrap and apt tell about their progress explains nothing.
    said.retain(|line| !line.starts_with("I:"));
    let said = said
        .split_off(said.len().saturating_sub(SHOWN))
        .join("\n  ");
    anyhow::bail!("{name} ended with {status}; its last lines:\n  {said}")
}

/// Reads by position: the child goes on writing where the shared file stands.
fn last_lines(log: &File, count: usize) -> Result<Vec<String>> {
    let mut bytes = [0; 8192];
    let end = log.metadata().context("read the log")?.len();
    let from = end.saturating_sub(bytes.len() as u64);
    let read = log.read_at(&mut bytes, from).context("read the log")?;
    let bytes = &bytes[..read];
    let text = String::from_utf8_lossy(bytes);
    let mut lines: Vec<String> = text
        .split(['\n', '\r'])
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect();
    Ok(lines.split_off(lines.len().saturating_sub(count)))
}
