//! Running other programs, with what they say in a log that is shown when they fail.

use std::fs::File;
use std::os::unix::fs::FileExt;
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

/// Whether a program is in one of the places that root's PATH names.
pub fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let fixed = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"];
    std::env::split_paths(&path)
        .chain(fixed.iter().map(Into::into))
        .any(|folder| folder.join(program).is_file())
}

/// Runs a program to its end, `step` showing its latest line. `package` is what to install where
/// the program is missing. Fails with its last lines if it fails.
pub fn run(command: &mut Command, package: &str, step: &Step) -> Result<()> {
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
        other => other.with_context(|| format!("start {program}"))?,
    };
    let status = loop {
        if let Some(status) = child
            .try_wait()
            .with_context(|| format!("wait for {program}"))?
        {
            break status;
        }
        if let Err(interrupted) = interrupt::check() {
            interrupt::stop(&mut child);
            return Err(interrupted).context(program);
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
    anyhow::bail!("{program} ended with {status}; its last lines:\n  {said}")
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
