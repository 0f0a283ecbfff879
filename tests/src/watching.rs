//! `reroot watch` as an operator runs it on their own machine, against a machine of a test.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};

use crate::command::explain;
use crate::paths::program;
use crate::vm::Machine;

const PAUSE: Duration = Duration::from_millis(200);

/// What it came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// Its exit status: that of the run.
    pub status: i32,
    /// Everything that it told, on either output.
    pub said: String,
}

/// Begins a run by a command on the machine and watches it to its end. `on_line` gets every line as it
/// comes.
pub fn watch(
    machine: &Machine,
    command: &str,
    limit: Duration,
    mut on_line: impl FnMut(&str),
) -> Result<Watched> {
    let said = machine.file("watched");
    let file = File::create(&said).with_context(|| format!("create {}", said.display()))?;
    let mut watch = Command::new(program("reroot"));
    watch.arg("watch");
    for option in machine.ssh_options() {
        watch.args(["--option", &option]);
    }
    watch
        .args(["root@127.0.0.1", "--", command])
        .stdin(Stdio::null())
        .stdout(file.try_clone().context("duplicate a file handle")?)
        .stderr(file);
    let mut child = watch.spawn().map_err(|error| explain(&watch, error))?;
    let until = Instant::now() + limit;
    let mut shown = 0;
    loop {
        let status = child.try_wait().context("ask after `reroot watch`")?;
        let text = String::from_utf8_lossy(&fs::read(&said)?).into_owned();
        // A line without its end yet is left for the next round.
        let complete = text.rfind('\n').map_or(0, |end| end + 1);
        text[shown..complete].lines().for_each(&mut on_line);
        shown = complete;
        if let Some(status) = status {
            return Ok(Watched {
                status: status.code().unwrap_or(-1),
                said: text,
            });
        }
        if Instant::now() > until {
            end(&mut child);
            bail!(
                "the run has not ended after {} s\n{text}\n{}",
                limit.as_secs(),
                machine.console_tail()
            );
        }
        std::thread::sleep(PAUSE);
    }
}

fn end(child: &mut Child) {
    // It may have ended this moment.
    let _ = child.kill();
    let _ = child.wait();
}
