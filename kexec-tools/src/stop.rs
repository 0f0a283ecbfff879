//! Stopping the old OS: services in their own order by the service manager, then whatever is left.
//!
//! systemd isolates a target that wants nothing, so it stops all services, sockets and timers in
//! the reverse of the order in which they were started, and can start them again the same way if
//! the run is undone. It is told so by a unit in /run, which the next boot does not have.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};
use machine::processes::{self, Process};
use rustix::process::{kill_process, Pid, Signal};

const UNIT: &str = "reroot-stop.target";
const UNIT_PATH: &str = "/run/systemd/system/reroot-stop.target";
const UNIT_TEXT: &str =
    "[Unit]\nDescription=reroot: every service stopped\nDefaultDependencies=no\nAllowIsolate=yes\n";

/// How long services get to stop, all together. A database may have to write gigabytes.
const SERVICES: Duration = Duration::from_secs(300);
/// How long processes get after SIGTERM.
const TERM: Duration = Duration::from_secs(10);
/// How long processes get to vanish after SIGKILL.
const KILL: Duration = Duration::from_secs(10);

/// Units that isolating leaves running, since systemd itself uses them, and that hold files open.
const LAST_UNITS: [&str; 8] = [
    "systemd-journald.socket",
    "systemd-journald-dev-log.socket",
    "systemd-journald-audit.socket",
    "systemd-journald.service",
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
    "systemd-udevd.service",
    "systemd-networkd.socket",
];

/// Which manager has to start the services again.
pub enum Stopped {
    /// systemd.
    BySystemd,
    /// Nobody: processes are ended by signals alone.
    ByNobody,
}

/// Stops services. `loaded` says that the RAM environment is already loaded, for the log.
pub fn stop(loaded: bool) -> Result<Stopped> {
    if !std::path::Path::new("/run/systemd/system").is_dir() {
        log::warn!("stop: no service manager that is known; ending processes by signals");
        return Ok(Stopped::ByNobody);
    }
    log::info!(
        "stop: services stop now{}; this session will end",
        if loaded { ", everything is loaded" } else { "" }
    );
    fs::create_dir_all("/run/systemd/system").context("make /run/systemd/system")?;
    fs::write(UNIT_PATH, UNIT_TEXT).with_context(|| format!("write {UNIT_PATH}"))?;
    systemctl(&["daemon-reload"], SERVICES)?;
    let stopped = Stopped::BySystemd;
    if let Err(e) = systemctl(&["isolate", UNIT], SERVICES) {
        stopped.start_again();
        return Err(e).context("stop the services");
    }
    // Not every release has every one of them.
    for unit in LAST_UNITS {
        if let Err(e) = systemctl(&["stop", unit], Duration::from_secs(20)) {
            log::info!("stop: {e:#}");
        }
    }
    log::info!("stop: services are stopped");
    Ok(stopped)
}

impl Stopped {
    /// Ends every process but PID 1 and this one.
    pub fn end_processes(&self) -> Result<()> {
        signal_all(Signal::TERM)?;
        if wait_until_gone(TERM)?.is_empty() {
            return Ok(());
        }
        signal_all(Signal::KILL)?;
        let left = wait_until_gone(KILL)?;
        if left.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = left
            .iter()
            .map(|p| format!("{} ({})", p.name, p.pid))
            .collect();
        bail!(
            "these processes cannot be ended: {}; a hanging disk or network mount may hold them",
            names.join(", ")
        )
    }

    /// Starts what was stopped.
    pub fn start_again(&self) {
        match self {
            Stopped::BySystemd => {
                let _ = fs::remove_file(UNIT_PATH);
                for call in [
                    &["daemon-reload"][..],
                    &["--no-block", "isolate", "default.target"],
                ] {
                    if let Err(e) = systemctl(call, SERVICES) {
                        log::error!("start the services again: {e:#}; reboot the machine");
                    }
                }
            }
            Stopped::ByNobody => {
                log::error!("services were ended and no service manager is known to start them: reboot the machine");
            }
        }
    }
}

fn systemctl(arguments: &[&str], patience: Duration) -> Result<()> {
    let call = format!("systemctl {}", arguments.join(" "));
    let mut child = Command::new("systemctl")
        .args(arguments)
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

fn others() -> Result<Vec<Process>> {
    let me = std::process::id() as i32;
    let all = processes::all().context("list processes")?;
    Ok(all
        .into_iter()
        .filter(|p| !p.kernel && p.pid != 1 && p.pid != me)
        .collect())
}

fn signal_all(signal: Signal) -> Result<()> {
    for process in others()? {
        if let Some(pid) = Pid::from_raw(process.pid) {
            // Whoever is already gone is what was wanted.
            let _ = kill_process(pid, signal);
        }
    }
    Ok(())
}

fn wait_until_gone(patience: Duration) -> Result<Vec<Process>> {
    let start = Instant::now();
    loop {
        let left = others()?;
        if left.is_empty() || start.elapsed() > patience {
            return Ok(left);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
