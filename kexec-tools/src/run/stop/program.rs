//! The old OS's own programs, called with a limit of time.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{bail, Context, Result};
use machine::patience::Patience;

/// Runs a program that must succeed within a time, more of it where the machine is busy.
pub fn succeed(command: &mut Command, limit: Duration) -> Result<()> {
    let call = shown(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("start {call}"))?;
    let mut patience = Patience::new(limit);
    loop {
        match child
            .try_wait()
            .with_context(|| format!("wait for {call}"))?
        {
            Some(status) if status.success() => return Ok(()),
            Some(status) => bail!("{call}: {status}"),
            None if patience.is_over() => {
                let _ = child.kill();
                let _ = child.wait();
                bail!("{call} did not end within {} s", limit.as_secs());
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
