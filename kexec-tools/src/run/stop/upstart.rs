//! upstart: every job that runs is stopped by `initctl stop`, those that were started last first, as
//! far as that is known: upstart lists jobs in no order, but their processes have numbers that grow.
//!
//! Tried on recorded lists only, for no machine with upstart was at hand.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::program;

/// Jobs that are left: stopping them makes upstart change the run level, or takes away what the
/// others need to stop. Their processes are ended with the rest.
const LEFT: [&str; 8] = [
    "dbus",
    "network-interface",
    "network-interface-security",
    "networking",
    "rc-sysinit",
    "udev",
    "upstart-udev-bridge",
    "upstart-socket-bridge",
];

/// A job that runs.
#[derive(Debug, PartialEq, Eq)]
struct Job {
    /// `NAME`, and for one of several `NAME (INSTANCE)`.
    name: String,
    /// Which of several.
    instance: Option<String>,
    /// Its main process; jobs without one have done their work.
    process: Option<u32>,
}

/// Stops the jobs.
pub fn stop(patience: Duration) -> Result<()> {
    let listed = Command::new("initctl")
        .arg("list")
        .output()
        .context("run initctl list")?;
    let jobs = in_order(parse(&String::from_utf8_lossy(&listed.stdout)));
    let deadline = Instant::now() + patience;
    for job in jobs {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut command = Command::new("initctl");
        command.args(["stop", &job.name]);
        // What is not stopped is ended with the other processes.
        if let Err(e) = program::succeed(&mut command, left) {
            log::warn!("stop: {e:#}");
        }
    }
    Ok(())
}

/// Reads the list of `initctl list`: `NAME [(INSTANCE)] GOAL/STATE[, process PID]`.
fn parse(list: &str) -> Vec<Job> {
    list.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Job> {
    // Further processes of a job stand on lines of their own, indented.
    if line.starts_with([' ', '\t']) {
        return None;
    }
    let (before, after) = line.split_once(" start/running")?;
    let (name, instance) = match before.split_once(" (") {
        Some((name, rest)) => (name, Some(rest.strip_suffix(')')?.to_owned())),
        None => (before, None),
    };
    let process = after
        .strip_prefix(", process ")
        .and_then(|pid| pid.trim().parse().ok());
    Some(Job {
        name: name.to_owned(),
        instance,
        process,
    })
}

/// Jobs with a process, the latest first. One of several of a job can only be named by a variable
/// that is the job's own; their processes are ended with the others.
fn in_order(mut jobs: Vec<Job>) -> Vec<Job> {
    jobs.retain(|job| job.process.is_some() && job.instance.is_none());
    jobs.retain(|job| !LEFT.contains(&job.name.as_str()));
    jobs.sort_by_key(|job| std::cmp::Reverse(job.process));
    jobs
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Ubuntu 12.04 prints it.
    const LIST: &str = "\
rsyslog start/running, process 612
tty4 start/running, process 801
udev start/running, process 344
hwclock stop/waiting
network-interface (lo) start/running
network-interface (eth0) start/running
mysql start/running, process 1023
upstart-udev-bridge start/running, process 340
ssh start/running, process 702
\tpost-start process 703
instance (one) start/running, process 900
rc stop/waiting
";

    #[test]
    fn jobs_are_stopped_latest_first() {
        let names: Vec<_> = in_order(parse(LIST)).into_iter().map(|j| j.name).collect();
        assert_eq!(names, ["mysql", "tty4", "ssh", "rsyslog"]);
    }

    #[test]
    fn lines_are_read() {
        for (line, expected) in [
            (
                "ssh start/running, process 702",
                Some(("ssh", None, Some(702))),
            ),
            (
                "network-interface (eth0) start/running",
                Some(("network-interface", Some("eth0"), None)),
            ),
            ("hwclock stop/waiting", None),
            ("\tpost-start process 703", None),
            ("", None),
        ] {
            let found = parse_line(line);
            let found = found
                .as_ref()
                .map(|j| (j.name.as_str(), j.instance.as_deref(), j.process));
            assert_eq!(found, expected, "{line}");
        }
    }
}
