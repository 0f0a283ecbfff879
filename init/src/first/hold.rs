//! Holding a machine whose run failed after the commit point: loudly, with a shell on every
//! console, and never by rebooting into something known to be broken.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use machine::consoles;
use rustix::fs::{fcntl_setfl, OFlags};

use crate::first::ssh::{Moment, SshServer};
use crate::first::watch::Guard;
use crate::ram::{console, standing};

/// How often the hold is announced again.
const ANNOUNCE_EVERY: Duration = Duration::from_mins(10);

/// Whether something of the worker is left that the kernel does not let go of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hang {
    /// Nothing is.
    No,
    /// It cannot be ended, nor can an orderly reboot.
    InKernel,
}

/// Announces the hold, keeps shells running on the consoles and lets people in by ssh, for ever.
pub fn hold(why: &str, hang: Hang, guard: &mut Guard, ssh: &mut SshServer) -> ! {
    let mut shells: Vec<(std::path::PathBuf, Option<Child>)> = shell_consoles()
        .into_iter()
        .map(|path| (path, None))
        .collect();
    announce(why, hang);
    let mut announced = Instant::now();
    loop {
        for (path, shell) in &mut shells {
            let running = shell
                .as_mut()
                .is_some_and(|s| matches!(s.try_wait(), Ok(None)));
            if !running {
                *shell = start_shell(path);
            }
        }
        ssh.look_after(Moment::Hold);
        reap();
        // One that could not be stopped must not reset a machine that somebody works at.
        guard.keep_alive();
        std::thread::sleep(Duration::from_secs(1));
        if announced.elapsed() > ANNOUNCE_EVERY {
            announce(why, hang);
            announced = Instant::now();
        }
    }
}

fn announce(why: &str, hang: Hang) {
    log::error!("HOLD: {why}");
    log::error!(
        "intact: what is kept is not written to by any step; the root filesystem is at /target"
    );
    log::error!("next: read /run/reroot/log, mend the cause; {}", next(hang));
}

/// What can be done. What hangs in the kernel was behind the commit point's last look at the disk.
fn next(hang: Hang) -> String {
    match hang {
        Hang::No => standing::words().unwrap_or_else(|| UNTOLD.to_owned()),
        Hang::InKernel => "`echo b >/proc/sysrq-trigger` resets the machine, and what boots then is \
             what the master boot record starts, the staged image as a rule: a part of the run hangs \
             in the kernel, and an orderly reboot would wait for it"
            .to_owned(),
    }
}

/// Where nobody could look: the disk did not answer whoever leaves the log of a worker that was killed.
const UNTOLD: &str = "`/init run` tries again and tells how the disk stands if it fails; a reset starts \
    the staged image, which takes the run up, unless the boot sectors were changed by somebody else";

/// The consoles, those that no parameter named included; a virtual terminal's number 0 stands for whichever is in front, so the
/// shell goes to the first.
fn shell_consoles() -> Vec<std::path::PathBuf> {
    consoles::all()
        .into_iter()
        .map(|p| {
            if p == Path::new("/dev/tty0") {
                "/dev/tty1".into()
            } else {
                p
            }
        })
        .collect()
}

/// A shell with this console as its controlling terminal. One that cannot be started is tried
/// again a second later; the others go on meanwhile.
fn start_shell(console: &Path) -> Option<Child> {
    let terminal = console::open(console).ok()?;
    // The shell waits for what is typed; opening a line without anybody at it must not have.
    fcntl_setfl(&terminal, OFlags::empty()).ok()?;
    Command::new("/bin/busybox")
        .args(["setsid", "-c", "/bin/busybox", "sh"])
        .env("PATH", "/bin:/sbin")
        .env("PS1", "reroot rescue # ")
        .env("HOME", "/root")
        .stdin(Stdio::from(terminal.try_clone().ok()?))
        .stdout(Stdio::from(terminal.try_clone().ok()?))
        .stderr(Stdio::from(terminal))
        .spawn()
        .ok()
}

/// Orphans become children of PID 1. Shells are waited for by their own handles as well; a handle
/// whose child is gone reports an error, which counts as not running.
fn reap() {
    while let Ok(Some(_)) = rustix::process::wait(rustix::process::WaitOptions::NOHANG) {}
}
