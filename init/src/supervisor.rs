//! PID 1 proper: starts the worker, outlives it, and decides what becomes of the machine.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use rustix::mount::{mount_remount, unmount, MountFlags, UnmountFlags};
use rustix::system::RebootCommand;

use crate::target::TARGET;
use crate::{commit, console, hold, run, takeover};

/// What becomes of the machine.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// The new OS is in place and was checked.
    BootNew,
    /// Nothing was changed: the old OS is as it was.
    BootOld,
    /// The commit point is passed and the new OS is not in place.
    Hold(String),
}

/// Supervises, once `prepare` has made the RAM environment a place to work in. It gives what is
/// missing there, or the reason why nothing can be done. Never returns unless the machine cannot
/// even be held.
pub fn supervise(prepare: impl FnOnce() -> anyhow::Result<Vec<String>>) -> ExitCode {
    let prepared = prepare();
    console::start();
    // A key on the console, or a button in a hosting panel, must not reset a half-wiped machine.
    if let Err(e) = rustix::system::reboot(RebootCommand::CadOff) {
        log::warn!("switch Ctrl-Alt-Del off: {e}");
    }
    match prepared {
        Ok(failures) => {
            for failure in failures {
                log::error!("{failure}");
            }
        }
        Err(e) => {
            log::error!("failed: {e:#}");
            log::error!("nothing was changed; rebooting into the old OS");
            takeover::leave_log();
            return reboot();
        }
    }
    let status = Command::new("/proc/self/exe")
        .arg("run")
        .spawn()
        .and_then(wait);
    let verdict = match status {
        Ok(status) => verdict(status, commit::is_passed()),
        Err(e) => {
            log::error!("start the worker: {e}");
            Verdict::BootOld
        }
    };
    match verdict {
        Verdict::BootNew => log::info!("rebooting into the new OS"),
        Verdict::BootOld => log::error!("nothing was changed; rebooting into the old OS"),
        Verdict::Hold(why) => hold::hold(&why),
    }
    reboot()
}

/// Waits for the worker. Before the commit point it has to be done in time: a driver or a disk that
/// hangs must not keep the old OS from coming back. After it there is nothing to go back to.
fn wait(mut worker: Child) -> std::io::Result<ExitStatus> {
    let start = Instant::now();
    loop {
        if let Some(status) = worker.try_wait()? {
            return Ok(status);
        }
        if start.elapsed() > UNCOMMITTED_LIMIT && !commit::is_passed() {
            log::error!(
                "the commit point was not reached within {} s",
                UNCOMMITTED_LIMIT.as_secs()
            );
            // Killed, not waited for: it may hang in the kernel. It cannot commit any more.
            worker.kill()?;
            return Ok(ExitStatus::from_raw(9));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// How long drivers, the root's disk and the verification may take together.
const UNCOMMITTED_LIMIT: Duration = Duration::from_mins(30);

/// A worker that was killed tells nothing, so the commit marker counts.
fn verdict(status: ExitStatus, committed: bool) -> Verdict {
    match (status.code(), committed) {
        (Some(run::DONE), true) => Verdict::BootNew,
        (_, false) => Verdict::BootOld,
        (Some(_), true) => Verdict::Hold("the run failed after the commit point".to_owned()),
        (None, true) => Verdict::Hold(format!(
            "the worker was ended by signal {} after the commit point",
            status.signal().unwrap_or_default()
        )),
    }
}

fn reboot() -> ExitCode {
    rustix::fs::sync();
    if let Err(e) = unmount(TARGET, UnmountFlags::empty()) {
        // Not mounted is as good; otherwise read-only is the next best, and sync has been called.
        if e != rustix::io::Errno::INVAL {
            log::warn!("unmount the root filesystem: {e}; making it read-only");
            if let Err(e) = mount_remount(TARGET, MountFlags::RDONLY, "") {
                log::warn!("make the root filesystem read-only: {e}");
            }
        }
    }
    rustix::fs::sync();
    // Consoles get a moment to print what was written to them.
    std::thread::sleep(std::time::Duration::from_millis(500));
    if let Err(e) = rustix::system::reboot(RebootCommand::Restart) {
        log::error!("reboot: {e}; trying the system request key");
        let _ = std::fs::write("/proc/sys/kernel/sysrq", "1");
        let _ = std::fs::write("/proc/sysrq-trigger", "b");
    }
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_boots_what_is_broken() {
        let exit = |code: i32| ExitStatus::from_raw(code << 8);
        let killed = ExitStatus::from_raw(9);
        assert_eq!(verdict(exit(0), true), Verdict::BootNew);
        assert_eq!(verdict(exit(3), false), Verdict::BootOld);
        assert_eq!(verdict(killed, false), Verdict::BootOld);
        assert_eq!(
            verdict(exit(0), false),
            Verdict::BootOld,
            "done without a commit is not done"
        );
        assert!(matches!(verdict(exit(4), true), Verdict::Hold(_)));
        assert!(matches!(verdict(exit(3), true), Verdict::Hold(_)));
        assert!(matches!(verdict(killed, true), Verdict::Hold(why) if why.contains("signal 9")));
    }
}
