//! The run in the old OS, detached from the session that started it. The steps are the plan's, the
//! engine walks them; here is what each does, and what undoes it. Before services were stopped the
//! old OS just goes on, after that it boots again.

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use formats::outcomes;
use formats::plan::Plan;
use formats::steps::{Mode, OnFailure, Place};
use formats::Document;
use machine::runs::directory::Places;
use machine::runs::lock::{self, RunLock};
use machine::step_record::StepRecord;
use machine::{outside, own_programs};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use plan::steps::BEFORE_STOP;

use crate::exit::Exit;
use crate::image::Image;
use crate::run::engine::{Deed, Ended, Engine, Job};
use crate::run::enter::FirstProcess;
use crate::run::stage::initrd;
use crate::run::{checks_again, enter, hooks, prove, stop};
use crate::survey::first_process;
use crate::{log_file, run_directory};

/// Every step of the old OS. The order is the plan's.
#[rustfmt::skip]
const DEEDS: &[Deed] = &[
    Deed { name: "prepare", act: prepare, undo: Some(|job| initrd::remove_copies(&job.directory)) },
    Deed { name: "load",    act: load,    undo: Some(|_| enter::take_back()) },
    Deed { name: "ask",     act: ask,     undo: None },
    Deed { name: BEFORE_STOP, act: before_stop, undo: Some(|_| own_programs::end_running()) },
    Deed { name: "stop",    act: stop,    undo: Some(let_go_of_first_process) },
    Deed { name: "prove",   act: prove,   undo: Some(|job| prove::make_writable(&job.plan)) },
    Deed { name: "enter",   act: enter,   undo: None },
];

fn prepare(job: &Job) -> Result<()> {
    enter::rehearse(&job.plan, &job.directory)?;
    clear_older_runs(&job.directory);
    // A run whose machine lost its power may have left its entry with the boot loader.
    enter::unload();
    initrd::stage(&job.plan, &job.image, &job.directory).context("stage the run")
}

fn load(job: &Job) -> Result<()> {
    enter::load(&job.plan, &job.image, &job.directory)
}

/// What may have changed since the operator agreed: a backup grows stale, another program begins to
/// install packages.
fn ask(job: &Job) -> Result<()> {
    checks_again::ask(&job.plan, &job.image, &job.directory).context("check once more")
}

fn before_stop(job: &Job) -> Result<()> {
    hooks::before_stop(&job.plan)
}

fn stop(job: &Job) -> Result<()> {
    hand_over(&job.directory)?;
    stop::stop(&first_process::init_system()?)?;
    // A PID 1 that runs would start again what is being ended: logins on consoles, for one.
    hold_first_process();
    stop::end_processes()
}

thread_local! {
    /// PID 1, stopped until it is let go or taken over. Only the thread that traces it can do
    /// either, and that is the one that walks the steps.
    static HELD: RefCell<Option<FirstProcess>> = const { RefCell::new(None) };
}

/// Stops PID 1. Without ptrace it runs on, and a takeover will say so itself.
fn hold_first_process() {
    match FirstProcess::hold() {
        Ok(held) => HELD.set(Some(held)),
        Err(e) => {
            log::warn!("stop: PID 1 goes on and may start again what is being ended: {e:#}");
        }
    }
}

/// Lets PID 1 go on. It does so as well when this process ends.
fn let_go_of_first_process(_: &Job) {
    HELD.set(None);
}

fn prove(job: &Job) -> Result<()> {
    initrd::remove_loaded(&job.directory);
    prove::prove(&job.plan)
}

fn enter(job: &Job) -> Result<()> {
    outside::flush(TOLD);
    Err(enter::enter(&job.plan, &job.directory, HELD.take()))
}

/// How long what ends this process or this kernel waits for what is yet to be told.
const TOLD: Duration = Duration::from_secs(3);

/// Does the run. Returns only if it failed, and the old OS goes on.
pub fn main(directory: &Path) -> Exit {
    log_file::start(directory);
    let run = directory.file_name().unwrap_or_default().to_string_lossy();
    let record = StepRecord::open(&directory.join(outcomes::OLD_OS), &run, Place::OldOs);
    match begin(directory) {
        Ok((job, _lock)) => {
            log::info!(
                "run {}: {} becomes {}{}",
                job.plan.run,
                job.plan.old_os.pretty_name,
                job.plan.new_os.pretty_name,
                match job.plan.mode {
                    Mode::Reinstall => "",
                    Mode::Rehearse => ", as a rehearsal: it comes back",
                }
            );
            outside::begin(&job.plan);
            let engine = Engine::new(job, DEEDS, record, end);
            break_off_on_sigterm(&engine);
            engine.walk();
        }
        Err(e) => {
            let mut record = record;
            record.note_failure("prepare", &format!("{e:#}"));
            log::error!("failed: {e:#}");
            say_what_is_intact(directory, OnFailure::Revert);
        }
    }
    Exit::Reverted
}

fn begin(directory: &Path) -> Result<(Job, RunLock)> {
    // Before anything is started from here, which would have it too.
    let handed_over = lock::handed_over(&Places::here())?;
    detach()?;
    let run = directory.file_name().unwrap_or_default().to_string_lossy();
    let lock = match handed_over {
        Some(lock) => lock,
        None => lock::take(&Places::here(), &run)?
            .context("another run is in progress on this machine")?,
    };
    lock.held_by(std::process::id(), &run)?;
    let text = fs::read(directory.join(run_directory::PLAN)).context("read the plan")?;
    let plan = Plan::from_json(&text).context("read the plan")?;
    let image = Image::open_running()?;
    let job = Job {
        plan,
        image,
        directory: directory.to_owned(),
    };
    Ok((job, lock))
}

/// The run was undone: the old OS goes on, or boots again.
fn end(job: &Job, on_failure: OnFailure, ended: Ended) {
    say_what_is_intact(&job.directory, on_failure);
    outside::flush(TOLD);
    match (on_failure, ended) {
        // The other threads may hang in the kernel.
        (OnFailure::Revert, _) => std::process::exit(Exit::Reverted as i32),
        (_, Ended::TooLong) => stop::boot_again_at_once(),
        _ => stop::boot_again(),
    }
}

fn say_what_is_intact(directory: &Path, on_failure: OnFailure) {
    log::error!(
        "intact: everything; the old OS {}",
        match on_failure {
            OnFailure::Revert => "goes on as it was",
            _ => "boots again now, since its services are stopped",
        }
    );
    log::error!(
        "next: mend the cause and run it again; `status` tells of this run, its log stays in {}",
        directory.display()
    );
}

/// Until services stop, SIGTERM breaks the run off: the loaded kernel and the copies go, the old
/// OS has not noticed anything.
fn break_off_on_sigterm(engine: &Arc<Engine>) {
    let engine = Arc::clone(engine);
    std::thread::spawn(move || {
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGTERM);
        while signals.wait().is_ok() {
            if engine.break_off("broken off by SIGTERM") {
                continue;
            }
            if engine.is_over() {
                // The service manager reboots, and waits for everybody to end.
                std::process::exit(Exit::Reverted as i32);
            } else {
                log::warn!("SIGTERM came too late: services are being stopped");
            }
        }
    });
}

/// Runs that failed in the RAM environment left their payload behind; the wipe spares it, so it
/// would be missing from the space that was counted on.
fn clear_older_runs(current: &Path) {
    let Ok(entries) = fs::read_dir(run_directory::BASE) else {
        return;
    };
    for run in entries.flatten().map(|e| e.path()) {
        if run == current || !run.is_dir() {
            continue;
        }
        initrd::remove_copies(&run);
    }
}

/// Lets the operator's session end by itself. The network goes with the services; a session that
/// is still open then hangs until its other side gives up.
fn hand_over(directory: &Path) -> Result<()> {
    let path = directory.join(run_directory::HANDED_OVER);
    fs::write(&path, "").with_context(|| format!("write {}", path.display()))?;
    std::thread::sleep(Duration::from_secs(2));
    Ok(())
}

/// Leaves the session: its terminal, its signals, and the service manager's control group, which
/// is ended when the session is.
fn detach() -> Result<()> {
    rustix::process::setsid().context("start a session of its own")?;
    let mut ignored = SigSet::empty();
    for signal in [
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGPIPE,
        Signal::SIGQUIT,
    ] {
        ignored.add(signal);
    }
    nix::sys::signal::sigprocmask(SigmaskHow::SIG_BLOCK, Some(&ignored), None)
        .context("block signals")?;
    for hierarchy in [
        "/sys/fs/cgroup",
        "/sys/fs/cgroup/systemd",
        "/sys/fs/cgroup/unified",
    ] {
        let file = Path::new(hierarchy).join("cgroup.procs");
        if file.exists() {
            fs::write(&file, std::process::id().to_string())
                .with_context(|| format!("move to the root control group by {}", file.display()))?;
        }
    }
    // Loading an image takes memory; the kernel must not choose this process to make room.
    if let Err(e) = fs::write("/proc/self/oom_score_adj", "-1000") {
        log::warn!("protect the worker from the out-of-memory killer: {e}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use formats::entry::Entry;
    use formats::plan::Amount;
    use plan::steps::{steps, Circumstances, HookCounts};

    #[test]
    fn every_step_of_the_old_os_has_its_deed_and_undoes_what_the_plan_says() {
        let nothing = Amount {
            entries: 0,
            bytes: 0,
        };
        let steps = steps(Circumstances {
            mode: Mode::Reinstall,
            entry: Entry::Kexec,
            load_before_stop: true,
            kept: nothing,
            wiped: nothing,
            unpacked: nothing,
            hooks: HookCounts {
                before_stop: 1,
                ..HookCounts::default()
            },
        });
        for step in steps.iter().filter(|s| s.place == Place::OldOs) {
            let deed = DEEDS.iter().find(|d| d.name == step.name);
            let deed = deed.unwrap_or_else(|| panic!("{} has no deed", step.name));
            // What undoes `stop` is the boot that ends every run from there on.
            let undone = deed.undo.is_some() || deed.name == "stop";
            assert_eq!(undone, step.undo.is_some(), "{}", step.name);
        }
    }
}
