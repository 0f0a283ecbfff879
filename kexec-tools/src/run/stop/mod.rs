//! Stopping the old OS: services in their own order by the init that knows it, then whatever is
//! left, by signals.
//!
//! What was stopped is not started again piece by piece: a network that only comes up by the
//! events of a boot (`allow-hotplug` in ifupdown, for one) would stay down, and the machine out of
//! reach. A run that is undone after this point boots the old OS again, of which nothing was
//! changed.

mod program;
mod run_level;
mod systemd;
mod upstart;

use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};
use formats::facts::InitSystem;
use machine::processes::{self, Process};
use machine::sysrq;
use rustix::process::{kill_process, Pid, Signal};

/// How long services get to stop, all together. A database may have to write gigabytes.
const SERVICES: Duration = Duration::from_mins(5);
/// How long processes get after SIGTERM.
const TERM: Duration = Duration::from_secs(10);
/// How long processes get to vanish after SIGKILL.
const KILL: Duration = Duration::from_secs(10);

/// Stops services, as this init does.
pub fn stop(init: &InitSystem) -> Result<()> {
    log::info!("stop: services stop now, in their own order");
    match init {
        InitSystem::Systemd => systemd::stop(SERVICES)?,
        InitSystem::Sysvinit => run_level::stop(SERVICES)?,
        InitSystem::Upstart => {
            upstart::stop(SERVICES)?;
            run_level::stop(SERVICES)?;
        }
        InitSystem::Other(name) => {
            log::warn!("stop: PID 1 is {name}, which is not known; processes are ended by signals");
        }
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

/// Boots the old OS again, in order if systemd still can, else at once.
pub fn boot_again() {
    if systemd::reboot() {
        // A disk that hangs may keep systemd from it, and the machine from serving.
        std::thread::sleep(ORDERLY);
        log::error!(
            "the old OS does not reboot in order within {} s",
            ORDERLY.as_secs()
        );
    }
    boot_again_at_once();
}

/// How long an orderly reboot may take: databases ask for up to a quarter of an hour to stop in.
const ORDERLY: Duration = Duration::from_mins(15);
/// How long what services have written may take to reach the disks before a reset.
const SYNC: Duration = Duration::from_mins(1);
/// How long the kernel's own reboot may take. It waits for every driver, and for another reboot that
/// one of them holds up.
const RESET: Duration = Duration::from_mins(1);

/// Boots the old OS again without waiting for what hangs. Its services may have written up to now, so
/// the disks get their time; then the kernel's reboot does, and in the end the system request key,
/// which asks nobody. A kernel that is loaded for kexec is not entered by this.
pub fn boot_again_at_once() {
    if !within(SYNC, rustix::fs::sync) {
        log::error!("the disks do not take what was written; rebooting all the same");
    }
    within(RESET, || {
        if let Err(e) = rustix::system::reboot(rustix::system::RebootCommand::Restart) {
            log::error!("reboot: {e}; trying the system request key");
        }
    });
    if let Err(e) = sysrq::reset() {
        log::error!("reboot by the system request key: {e}; reboot the machine by hand");
    }
}

/// Does what may hang in the kernel in a thread of its own, and gives whether it came to its end.
fn within(patience: Duration, act: impl FnOnce() + Send + 'static) -> bool {
    let (done, wait) = mpsc::channel();
    std::thread::spawn(move || {
        act();
        // Nobody waits any more if it took too long.
        let _ = done.send(());
    });
    wait.recv_timeout(patience).is_ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_is_waited_for_as_long_as_it_may_take() {
        assert!(within(Duration::from_mins(1), || ()));
        assert!(!within(Duration::from_millis(10), || std::thread::sleep(
            Duration::from_mins(10)
        )));
    }
}
