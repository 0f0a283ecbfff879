//! A reinstallation from outside: start it, follow it, know how it ended.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{bail, Result};
use formats::outcomes;

use crate::ssh::{Running, CONNECTION_LOST};
use crate::vm::Machine;

/// How long a reinstallation may take on real hardware, both boots and a router that does not answer
/// included.
pub const LIMIT: Duration = Duration::from_mins(2);

/// Where the image is put on the machine.
pub const IMAGE_ON_MACHINE: &str = "/root/new.reroot";

/// What the images do not keep by themselves and the old server needs kept.
pub const KEEP: &str = "--keep /var/lib/mysql";

/// A machine that is only busy misses a question or two: so many in a row are missed by one that has
/// left its old OS.
const UNANSWERED: u32 = 5;

/// What the launcher says last: nothing of the old OS runs any more.
pub const LAST_WORD: &str = "the RAM environment starts now";

/// How the launcher begins to say why it undoes a run.
const FAILED: &str = "reroot: failed: ";

/// What is in the directory of a run that was undone after services had stopped: all of it tells of
/// the run.
pub const LEFT_WHEN_UNDONE: [&str; 8] = [
    "asked.json",
    "begun.json",
    "facts.json",
    "handed-over",
    "launch.log",
    "plan.json",
    "reroot",
    outcomes::OLD_OS,
];

/// The exit status of `go --follow` that was ended with the old OS.
pub const GOES_ON: i32 = 7;

/// How a machine came out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It has booted again, into whichever OS; root can log in.
    Booted,
    /// It holds, with this line on its console.
    Held(String),
    /// It answers again in the boot that it was in, although `go` had said goodbye.
    Undone,
    /// `go` came back with this exit status: the machine has not left the old OS.
    CameBack(i32),
}

/// A reinstallation that was started.
#[derive(Debug)]
pub struct Started {
    go: Running,
    boot: String,
    /// How much the console had shown before.
    shown: usize,
}

impl Started {
    /// The exit status of the command, once it has ended, and what it said.
    pub fn told(&mut self) -> Result<(Option<i32>, String)> {
        Ok((self.go.ended()?, self.go.said()))
    }
}

/// Copies the image to the machine and starts `go --yes` with [`KEEP`] and further arguments.
pub fn start(machine: &Machine, image: &Path, arguments: &str) -> Result<Started> {
    machine.copy_to(image, IMAGE_ON_MACHINE)?;
    start_copied(machine, arguments)
}

/// The same with an image that is there already.
pub fn start_copied(machine: &Machine, arguments: &str) -> Result<Started> {
    start_command(machine, "go", arguments)
}

/// The same with another command than `go`.
pub fn start_command(machine: &Machine, command: &str, arguments: &str) -> Result<Started> {
    let boot = boot_id(machine)?;
    let shown = machine.console().len();
    let line = format!("{IMAGE_ON_MACHINE} {command} --yes {KEEP} {arguments}");
    let go = machine.ssh_meanwhile(&line)?;
    Ok(Started { go, boot, shown })
}

/// Names the boot that a machine is in.
pub fn boot_id(machine: &Machine) -> Result<String> {
    Ok(machine
        .expect("cat /proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned())
}

/// Waits until the machine has booted anew, holds, or has refused. `on_line` sees every line that
/// reroot writes to the console, as it comes.
pub fn wait(
    machine: &mut Machine,
    mut started: Started,
    limit: Duration,
    on_line: impl FnMut(&str),
) -> Result<Outcome> {
    wait_with(machine, &mut started, limit, on_line)
}

/// The same, for those who ask afterwards what `go` said.
pub fn wait_with(
    machine: &mut Machine,
    started: &mut Started,
    limit: Duration,
    mut on_line: impl FnMut(&str),
) -> Result<Outcome> {
    let deadline = Instant::now() + limit;
    let mut seen = 0;
    let mut next_try = Instant::now() + Duration::from_secs(1);
    // Nobody logs in before the old OS is gone: a session more is a process more for it to stop.
    let mut gone = false;
    let mut unanswered = 0;
    let mut last = String::new();
    loop {
        let console = machine.console();
        // A line without its end yet is left for the next round.
        let complete = console.rfind('\n').map_or(0, |end| end + 1);
        let new = console
            .get(seen.min(complete)..complete)
            .unwrap_or_default();
        for line in new.lines().filter_map(own_line) {
            // The kernel's log and the console may each bring it.
            if line == last {
                continue;
            }
            line.clone_into(&mut last);
            on_line(line);
            if line.contains("HOLD: ") {
                return Ok(Outcome::Held(line.to_owned()));
            }
        }
        seen = complete;
        // A machine that is quick is back before it has missed enough questions, and whoever looks on late finds it so.
        let since = console.get(started.shown..).unwrap_or_default();
        gone = gone || since.contains(LAST_WORD);
        // It comes back if it fails; otherwise it says goodbye, or its session ends with the old OS.
        if let Some(status) = started.go.ended()? {
            if ![0, GOES_ON, CONNECTION_LOST].contains(&status) {
                println!("{}", started.go.said());
                return Ok(Outcome::CameBack(status));
            }
        }
        if Instant::now() >= next_try {
            if !gone {
                // A machine that is busy loading may be slow to answer: it is not gone before `go` is.
                unanswered = if machine.answers() { 0 } else { unanswered + 1 };
                gone = started.go.ended()?.is_some() && unanswered >= UNANSWERED;
            } else if machine.log_in_if_possible()? {
                match boot_id(machine) {
                    Ok(now) if now == started.boot => {
                        if since.contains(LAST_WORD) || since.contains(FAILED) {
                            return Ok(Outcome::Undone);
                        }
                        // It was only busy: its services are being stopped.
                        (gone, unanswered) = (false, 0);
                    }
                    Ok(_) => return Ok(Outcome::Booted),
                    // It went away between the login and the question.
                    Err(_) => {}
                }
            }
            next_try = Instant::now() + Duration::from_secs(1);
        }
        if Instant::now() > deadline {
            bail!(
                "not back after {} s\n{}\n{}",
                limit.as_secs(),
                started.go.said(),
                machine.console_tail()
            );
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Reinstalls the machine and waits until it has booted the new OS.
pub fn reinstall(machine: &mut Machine, image: &Path, arguments: &str) -> Result<()> {
    let started = start(machine, image, arguments)?;
    let limit = machine.patience(LIMIT);
    match wait(machine, started, limit, |line| println!("{line}"))? {
        Outcome::Booted => Ok(()),
        other => bail!(
            "the machine was not reinstalled: {other:?}\n{}",
            machine.console_tail()
        ),
    }
}

/// Waits for the new OS of a run that goes on by itself.
pub fn wait_for_new_os(machine: &mut Machine) -> Result<()> {
    let patience = machine.patience(LIMIT);
    machine.wait_for_line("reroot: rebooting into the new OS", patience)?;
    machine.wait_for_ssh()
}

/// What reroot says on a console line; the kernel puts a time before what comes by its log.
fn own_line(line: &str) -> Option<&str> {
    let at = line.find("reroot: ")?;
    let before = line[..at].trim();
    let by_the_kernel = before.starts_with('[') && before.ends_with(']');
    (before.is_empty() || by_the_kernel).then(|| &line[at + "reroot: ".len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_own_lines_from_others() {
        assert_eq!(own_line("reroot: wipe 40%"), Some("wipe 40%"));
        assert_eq!(own_line("[    1.234567] reroot: find"), Some("find"));
        assert_eq!(own_line("systemd[1]: reroot: no"), None);
        assert_eq!(own_line("login:"), None);
    }
}
