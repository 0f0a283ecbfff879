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
use std::time::Duration;

use anyhow::{bail, Context, Result};
use formats::facts::InitSystem;
use machine::patience::Patience;
use machine::processes::{self, Process};
use machine::sysrq;
use rustix::process::{kill_process, Pid, Signal};

/// How long services get to stop, all together. A database may have to write gigabytes.
const SERVICES: Duration = Duration::from_mins(5);
/// How long processes get after SIGTERM.
const TERM: Duration = Duration::from_secs(10);
/// How long processes get to vanish after SIGKILL. One that has its turn is gone in a moment; one that
/// waits for a disk is gone when the disk answers, and disks give up after some ten seconds at most.
const KILL: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(100);

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
    end_within(TERM, KILL)
}

fn end_within(term: Duration, kill: Duration) -> Result<()> {
    signal_all(Signal::TERM)?;
    let mut patience = Patience::new(term);
    // That a look finds nobody is no proof before the kill: who forks and ends is missed by it.
    while !patience.is_over() && !others()?.is_empty() {
        std::thread::sleep(PAUSE);
    }
    let left = kill_until_gone(kill)?;
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

/// Kills until nobody is left, or the time is over: gives those who are left.
///
/// One signal to all is sent while nobody can fork. A list of processes is out of date before its end
/// is reached, and a program that forks and ends over and over is never found at home. Who is left
/// after that signal cannot fork any more, so that the look behind it misses nobody.
fn kill_until_gone(limit: Duration) -> Result<Vec<Process>> {
    let mut patience = Patience::new(limit);
    loop {
        // To whom it may be sent but PID 1 and this process. That nobody is there is as good.
        let _ = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(-1),
            nix::sys::signal::Signal::SIGKILL,
        );
        let left = others()?;
        if left.is_empty() || patience.is_over() {
            return Ok(left);
        }
        std::thread::sleep(PAUSE);
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

    /// In a namespace of its own, where it may kill everybody: programs that ignore SIGTERM and are
    /// another process at every look.
    #[test]
    fn nobody_outlives_the_kill_by_forking() {
        const INSIDE: &str = "REROOT_TEST_INSIDE";
        if std::env::var_os(INSIDE).is_some() {
            let ended = end_within(Duration::from_millis(300), Duration::from_secs(20));
            let left: Vec<_> = others().unwrap();
            assert!(ended.is_ok() && left.is_empty(), "{ended:?} {left:?}");
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("forks");
        std::fs::write(&program, "trap '' TERM\nsh \"$0\" &\n").unwrap();
        // PID 1 of the namespace takes in orphans, and stays.
        let script = "for i in 1 2 3; do sh \"$1\" & done\n\
            \"$2\" --exact run::stop::tests::nobody_outlives_the_kill_by_forking & test=$!\n\
            wait $test";
        for round in 0..5 {
            let said = std::process::Command::new("timeout")
                .args([
                    "-s",
                    "KILL",
                    "120",
                    "unshare",
                    "--pid",
                    "--fork",
                    "--mount-proc",
                ])
                .args(["--kill-child", "sh", "-c", script, "sh"])
                .arg(&program)
                .arg(std::env::current_exe().unwrap())
                .env(INSIDE, "1")
                .output()
                .expect("unshare: needs root and util-linux");
            let text = String::from_utf8_lossy(&said.stdout);
            assert!(
                said.status.success(),
                "round {round}: {}: {text}",
                said.status
            );
            assert!(text.contains("1 passed"), "round {round}: {text}");
        }
    }
}
