//! systemd isolates a target that wants nothing, so it stops all services, sockets and timers in
//! the reverse of the order in which they were started. It is told so by a unit in /run, which the
//! next boot does not have.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::program;

const UNIT: &str = "reroot-stop.target";
const UNIT_PATH: &str = "/run/systemd/system/reroot-stop.target";
const UNIT_TEXT: &str =
    "[Unit]\nDescription=reroot: every service stopped\nDefaultDependencies=no\nAllowIsolate=yes\n";

/// How long systemd's own helpers get.
const LAST: Duration = Duration::from_secs(30);

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

/// Stops every unit.
pub fn stop(patience: Duration) -> Result<()> {
    fs::create_dir_all("/run/systemd/system").context("make /run/systemd/system")?;
    fs::write(UNIT_PATH, UNIT_TEXT).with_context(|| format!("write {UNIT_PATH}"))?;
    systemctl(&["daemon-reload"], patience)?;
    systemctl(&["isolate", UNIT], patience).context("stop the services")?;
    // In one transaction: a socket that is left alone would start its service again. Not every
    // release has every one of these, and what is left is ended with the other processes.
    let mut last = vec!["stop"];
    last.extend(LAST_UNITS);
    if let Err(e) = systemctl(&last, LAST) {
        log::info!("stop: {e:#}: not all of systemd's own helpers are stopped");
    }
    Ok(())
}

/// Reboots in order, if systemd is there and still can.
pub fn reboot() -> bool {
    Path::new("/run/systemd/system").is_dir() && systemctl(&["--no-block", "reboot"], LAST).is_ok()
}

fn systemctl(arguments: &[&str], patience: Duration) -> Result<()> {
    program::succeed(
        Command::new("systemctl")
            // Newer releases enter a loaded kernel when they are told to reboot.
            .env("SYSTEMCTL_SKIP_AUTO_KEXEC", "1")
            .args(arguments),
        patience,
    )
}
