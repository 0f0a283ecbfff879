//! Stopping the old OS: services in their own order by the service manager, then whatever is left.
//!
//! systemd isolates a target that wants nothing, so it stops all services, sockets and timers in
//! the reverse of the order in which they were started. It is told so by a unit in /run, which the
//! next boot does not have.
//!
//! What was stopped is not started again piece by piece: a network that only comes up by the
//! events of a boot (`allow-hotplug` in ifupdown, for one) would stay down, and the machine out of
//! reach. A run that is undone after this point boots the old OS again, of which nothing was
//! changed.

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
const SERVICES: Duration = Duration::from_mins(5);
/// How long systemd's own helpers get.
const LAST: Duration = Duration::from_secs(30);
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

/// Stops services.
pub fn stop() -> Result<()> {
    if !std::path::Path::new("/run/systemd/system").is_dir() {
        log::warn!("stop: no service manager that is known; ending processes by signals");
        return Ok(());
    }
    log::info!("stop: services stop now, in their own order");
    fs::create_dir_all("/run/systemd/system").context("make /run/systemd/system")?;
    fs::write(UNIT_PATH, UNIT_TEXT).with_context(|| format!("write {UNIT_PATH}"))?;
    systemctl(&["daemon-reload"], SERVICES)?;
    systemctl(&["isolate", UNIT], SERVICES).context("stop the services")?;
    // In one transaction: a socket that is left alone would start its service again. Not every
    // release has every one of these, and what is left is ended with the other processes.
    let mut last = vec!["stop"];
    last.extend(LAST_UNITS);
    if let Err(e) = systemctl(&last, LAST) {
        log::info!("stop: {e:#}: not all of systemd's own helpers are stopped");
    }
    log::info!("stop: services are stopped");
    Ok(())
}

/// Ends every process but PID 1 and this one.
pub fn end_processes() -> Result<()> {
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

fn systemctl(arguments: &[&str], patience: Duration) -> Result<()> {
    let call = format!("systemctl {}", arguments.join(" "));
    let mut child = Command::new("systemctl")
        // Newer releases enter a loaded kernel when they are told to reboot.
        .env("SYSTEMCTL_SKIP_AUTO_KEXEC", "1")
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

/// Boots the old OS again, in order if systemd still can, else at once.
pub fn boot_again() {
    let orderly = std::path::Path::new("/run/systemd/system").is_dir()
        && systemctl(&["--no-block", "reboot"], LAST).is_ok();
    if orderly {
        // A disk that hangs may keep systemd from it, and the machine from serving.
        std::thread::sleep(ORDERLY);
        log::error!(
            "the old OS does not reboot in order within {} s",
            ORDERLY.as_secs()
        );
    } else {
        rustix::fs::sync();
    }
    boot_again_at_once();
}

/// How long an orderly reboot may take.
const ORDERLY: Duration = Duration::from_mins(5);

/// Boots the old OS again without waiting for anything: its root is read-only, or its journal
/// makes it whole. A kernel that is loaded for kexec is not entered by this.
pub fn boot_again_at_once() {
    if let Err(e) = rustix::system::reboot(rustix::system::RebootCommand::Restart) {
        log::error!("reboot: {e}; reboot the machine by hand");
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
