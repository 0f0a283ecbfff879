//! The old OS's own programs, called with a limit of time.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};

/// Runs a program that must succeed within `patience`.
pub fn succeed(command: &mut Command, patience: Duration) -> Result<()> {
    let call = shown(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("start {call}"))?;
    let start = Instant::now();
    loop {
        match child
            .try_wait()
            .with_context(|| format!("wait for {call}"))?
        {
            Some(status) if status.success() => return Ok(()),
            Some(status) => bail!("{call}: {status}"),
            None if start.elapsed() > patience => {
                let _ = child.kill();
                let _ = child.wait();
                bail!("{call} did not end within {} s", patience.as_secs());
            }
            None => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// A command's words.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(std::ffi::OsStr::to_string_lossy).collect();
    words.join(" ")
}
