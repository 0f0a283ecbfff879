//! PID 1 proper: starts the worker, outlives it, keeps the steps' deadlines, and decides what becomes
//! of the machine.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use machine::patience::Patience;
use machine::sysrq;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use plan::run_state::{self, RunExit};
use rustix::mount::{mount_remount, unmount, MountFlags, UnmountFlags};
use rustix::system::RebootCommand;

use crate::first::hold::{self, Hang};
use crate::first::ssh::{Moment, SshServer};
use crate::first::takeover;
use crate::first::watch::Guard;
use crate::ram::console;
use crate::ram::current_step::Current;
use crate::ram::{commit_point, current_step, ended, exit_status};
use crate::root::target::{self, TARGET};

/// What becomes of the machine.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// The new OS is in place and was checked.
    BootNew,
    /// Nothing was changed: the old OS is as it was.
    BootOld,
    /// The same, as it was meant.
    Rehearsed,
    /// The commit point is passed, and a reset takes the run up.
    TakeUp,
    /// The commit point is passed and the new OS is not in place.
    Hold(String),
}

/// How an attempt ended.
enum Ended {
    /// By itself, or by a signal.
    Status(ExitStatus),
    /// A step took longer than it may. The worker was killed; it may hang in the kernel.
    Late { why: String, gone: bool },
}

/// How long plan and manifest may take to be read, before the first step begins.
const START: Duration = Duration::from_mins(2);
/// How long a killed worker may take to vanish: one that hangs in the kernel never does.
const VANISH: Duration = Duration::from_secs(10);
/// How long leaving the log may take on a disk that perhaps hangs.
const LEAVE: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_millis(100);

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
    let mut guard = Guard::new();
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
            return reboot(&mut guard);
        }
    }
    // The staged image's loader started this: there is no old OS to go back to.
    if commit_point::is_ordered() {
        if let Err(e) = commit_point::mark() {
            log::error!("{e:#}");
        }
    }
    let mut ssh = SshServer::new();
    let (verdict, hang) = attempt(&mut guard, &mut ssh);
    let words = said(&verdict);
    match verdict {
        Verdict::BootNew | Verdict::Rehearsed => log::info!("{words}"),
        Verdict::BootOld | Verdict::TakeUp => log::error!("{words}"),
        Verdict::Hold(why) => {
            guard.disarm();
            ended::tell(ended::HELD, &why);
            // Those who follow are told before they are ended.
            std::thread::sleep(FAREWELL);
            end_others();
            ssh.begin_anew();
            hold::hold(&why, hang, &mut guard, &mut ssh)
        }
    }
    if hang == Hang::InKernel {
        reboot_at_once();
    }
    reboot(&mut guard)
}

/// How long whoever follows the run has for its last words.
const FAREWELL: Duration = Duration::from_secs(1);

/// What becomes of the machine, in words; those who follow are told as well.
fn said(verdict: &Verdict) -> &'static str {
    let (status, words) = match verdict {
        // Its first boot has the last word, and the run goes on until then.
        Verdict::BootNew => (run_state::TIME_IS_OVER, "rebooting into the new OS"),
        Verdict::TakeUp => (
            run_state::TIME_IS_OVER,
            "rebooting, to take the run up again",
        ),
        Verdict::BootOld => (
            RunExit::Reverted as u8,
            "nothing was changed; rebooting into the old OS",
        ),
        Verdict::Rehearsed => (
            RunExit::Done as u8,
            "the rehearsal is over; rebooting into the old OS",
        ),
        // With its reason, and later.
        Verdict::Hold(_) => return "",
    };
    ended::tell(status, words);
    words
}

/// Ends what a worker that was killed has left: a program of the new OS must not write beside a
/// further attempt. Who is there behind this is a shell.
fn end_others() {
    if let Err(e) = nix::sys::signal::kill(Pid::from_raw(-1), Signal::SIGKILL) {
        // Nobody there is what is wanted.
        if e != nix::errno::Errno::ESRCH {
            log::warn!("end what the run has left: {e}");
        }
    }
}

fn attempt(guard: &mut Guard, ssh: &mut SshServer) -> (Verdict, Hang) {
    current_step::forget();
    let worker = Command::new("/proc/self/exe").arg("run").spawn();
    let ended = worker.and_then(|worker| wait(worker, guard, ssh));
    match ended {
        Ok(Ended::Status(status)) => {
            if let Some(signal) = status.signal() {
                leave_log(&format!("the worker was ended by signal {signal}"), guard);
            }
            let verdict = verdict(status, commit_point::is_passed(), starts());
            (verdict, Hang::No)
        }
        Ok(Ended::Late { why, gone }) => {
            let left = leave_log(&why, guard);
            let verdict = late(&why, commit_point::is_passed(), commit_point::taken_up());
            // A disk that does not take the log takes no sync either.
            let hang = if gone && left {
                Hang::No
            } else {
                Hang::InKernel
            };
            (verdict, hang)
        }
        Err(e) => {
            log::error!("start the worker: {e}");
            let verdict = if commit_point::is_passed() {
                Verdict::Hold(format!("the worker cannot be started: {e}"))
            } else {
                Verdict::BootOld
            };
            (verdict, Hang::No)
        }
    }
}

/// Waits for the worker, as long as its current step may take.
fn wait(mut worker: Child, guard: &mut Guard, ssh: &mut SshServer) -> std::io::Result<Ended> {
    let start = Instant::now();
    loop {
        if let Some(status) = worker.try_wait()? {
            return Ok(Ended::Status(status));
        }
        if let Some(why) = overdue(current_step::read(), start.elapsed()) {
            log::error!("{why}");
            worker.kill()?;
            let mut patience = Patience::new(VANISH);
            let mut gone = false;
            while !gone && !patience.is_over() {
                guard.all_is_well();
                std::thread::sleep(TICK);
                gone = worker.try_wait()?.is_some();
            }
            return Ok(Ended::Late { why, gone });
        }
        guard.all_is_well();
        ssh.look_after(Moment::Run);
        std::thread::sleep(TICK);
    }
}

/// Which deadline has passed, in words.
fn overdue(current: Option<Current>, since_start: Duration) -> Option<String> {
    match current {
        Some(Current { name, until_s }) => (current_step::seconds_since_boot() > until_s)
            .then(|| format!("{name}: not done within its deadline")),
        None => (since_start > START).then(|| "no step was begun in time".to_owned()),
    }
}

/// A worker that was killed tells nothing, so the commit marker counts.
fn verdict(status: ExitStatus, committed: bool, taken_up: Option<u32>) -> Verdict {
    match (status.code(), committed) {
        (Some(exit_status::DONE), true) => Verdict::BootNew,
        (Some(exit_status::REHEARSED), false) => Verdict::Rehearsed,
        (_, false) => Verdict::BootOld,
        (Some(exit_status::TAKE_UP), true) => again("the run cannot go on", taken_up),
        (Some(_), true) => Verdict::Hold("the run failed after the commit point".to_owned()),
        // Where memory ran out, the next start has more of it: its payload is on the disk.
        (None, true) => {
            let signal = status.signal().unwrap_or_default();
            again(
                &format!("the worker was ended by signal {signal} after the commit point"),
                taken_up,
            )
        }
    }
}

/// How often a run is taken up until one more step that hangs, or one more worker that is killed, holds it: a
/// reset mends a controller that has lost its way, and no disk that is broken.
const TAKEN_UP_MOST: u32 = 3;

/// A step has hung. Before the commit point the old OS is whole. Behind it a reset leads back here,
/// with nothing left of this attempt that could write beside the next.
fn late(why: &str, committed: bool, taken_up: u32) -> Verdict {
    if committed {
        again(why, Some(taken_up))
    } else {
        Verdict::BootOld
    }
}

/// Behind the commit point: a reset, as long as that has not been tried often enough, and is counted.
fn again(why: &str, taken_up: Option<u32>) -> Verdict {
    match taken_up {
        Some(times) if times < TAKEN_UP_MOST => Verdict::TakeUp,
        Some(times) => Verdict::Hold(format!("{why}; the run was taken up {times} times already")),
        None => Verdict::Hold(format!("{why}, before this start could be counted")),
    }
}

/// How often the run was taken up. Nothing where this start takes it up and is not counted: a reset might go on
/// for ever.
fn starts() -> Option<u32> {
    let counts = commit_point::is_counted() || !commit_point::is_ordered();
    counts.then(commit_point::taken_up)
}

/// Leaves log and outcomes on the machine's disk, by a process that may hang; false if it does.
fn leave_log(why: &str, guard: &mut Guard) -> bool {
    let child = Command::new("/proc/self/exe").args(["leave", why]).spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(e) => {
            log::warn!("leave the log: {e}");
            return true;
        }
    };
    let mut patience = Patience::new(LEAVE);
    while matches!(child.try_wait(), Ok(None)) {
        if patience.is_over() {
            log::warn!("the log cannot be left: the disk does not answer");
            let _ = child.kill();
            return false;
        }
        guard.all_is_well();
        std::thread::sleep(TICK);
    }
    true
}

/// How often a reboot is tried.
const REBOOTS: u32 = 3;

/// A disk that hangs keeps this from coming to its end; the watchdog, where there is one, does not
/// wait for it.
fn reboot(guard: &mut Guard) -> ExitCode {
    guard.allow_for_reboot();
    rustix::fs::sync();
    for place in target::mounted_below() {
        if let Err(e) = unmount(&place, UnmountFlags::empty()) {
            log::warn!("unmount {}: {e}; making it read-only", place.display());
            if let Err(e) = mount_remount(&place, MountFlags::RDONLY, "") {
                log::warn!("make {} read-only: {e}", place.display());
            }
        }
    }
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
    guard.disarm();
    for _ in 0..REBOOTS {
        // Consoles get a moment to print what was written to them.
        std::thread::sleep(Duration::from_millis(500));
        if let Err(e) = rustix::system::reboot(RebootCommand::Restart) {
            log::error!("reboot: {e}; trying the system request key");
            reboot_at_once();
        }
        std::thread::sleep(Duration::from_secs(5));
    }
    ExitCode::FAILURE
}

/// The way that asks no driver and waits for no disk: an orderly reboot would wait for what hangs.
/// Before the commit point the root is read-only, so that nothing is lost by it; behind it, what is
/// on the disk is enough to go on with.
fn reboot_at_once() {
    std::thread::sleep(Duration::from_millis(500));
    if let Err(e) = sysrq::reset() {
        log::error!("reboot by the system request key: {e}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_boots_what_is_broken() {
        let exit = |code: i32| ExitStatus::from_raw(code << 8);
        let killed = ExitStatus::from_raw(9);
        assert_eq!(verdict(exit(0), true, Some(0)), Verdict::BootNew);
        assert_eq!(verdict(exit(3), false, Some(0)), Verdict::BootOld);
        assert_eq!(verdict(killed, false, Some(0)), Verdict::BootOld);
        assert_eq!(
            verdict(exit(0), false, Some(0)),
            Verdict::BootOld,
            "done without a commit is not done"
        );
        assert_eq!(verdict(exit(5), false, Some(0)), Verdict::Rehearsed);
        assert!(
            matches!(verdict(exit(5), true, Some(0)), Verdict::Hold(_)),
            "a rehearsal behind the commit point is none"
        );
        assert!(matches!(verdict(exit(4), true, Some(0)), Verdict::Hold(_)));
        assert!(matches!(verdict(exit(3), true, Some(0)), Verdict::Hold(_)));
    }

    #[test]
    fn what_fails_before_the_wipe_behind_the_commit_point_is_taken_up_until_it_was_often_enough() {
        let failed = ExitStatus::from_raw(exit_status::TAKE_UP << 8);
        let killed = ExitStatus::from_raw(9);
        for (ended, said) in [(failed, "cannot go on"), (killed, "signal 9")] {
            assert_eq!(verdict(ended, false, Some(0)), Verdict::BootOld);
            for taken_up in 0..TAKEN_UP_MOST {
                assert_eq!(verdict(ended, true, Some(taken_up)), Verdict::TakeUp);
            }
            assert!(
                matches!(verdict(ended, true, Some(TAKEN_UP_MOST)), Verdict::Hold(why)
                    if why.contains("3 times") && why.contains(said))
            );
            assert!(
                matches!(verdict(ended, true, None), Verdict::Hold(why) if why.contains("counted"))
            );
        }
    }

    #[test]
    fn a_step_that_hangs_goes_back_before_the_commit_point_and_on_behind_it() {
        assert_eq!(late("", false, 0), Verdict::BootOld);
        assert_eq!(late("", false, 9), Verdict::BootOld);
        for taken_up in 0..3 {
            assert_eq!(late("", true, taken_up), Verdict::TakeUp);
        }
        assert!(
            matches!(late("wipe: late", true, 3), Verdict::Hold(why) if why.starts_with("wipe: late; "))
        );
    }

    #[test]
    fn a_deadline_passes_only_once_it_is_over() {
        let now = current_step::seconds_since_boot();
        let step = |until_s| {
            Some(Current {
                name: "find".to_owned(),
                until_s,
            })
        };
        assert_eq!(overdue(step(now + 100), Duration::ZERO), None);
        assert_eq!(overdue(None, START), None);
        assert!(overdue(None, START + TICK).is_some());
        if now > 2 {
            assert!(overdue(step(now - 2), Duration::ZERO).is_some());
        }
    }
}
