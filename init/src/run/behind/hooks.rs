//! Programs of the operator's or the image's, called in the new OS's root once the machine's own things are
//! back and before it gets its boot loader. What is kept is read-only for them, as for every program there.
//!
//! No failure of theirs keeps a machine from its new OS: behind the commit point there is nothing to go
//! back to, and a hold would lock out those who could mend it. So one that fails is called again, and in
//! the end the first boot tells of it, and the machine is not confirmed.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use formats::confirm::HookOutcome;
use formats::hooks::{AFTER_UNPACK, LIMIT_S};
use formats::plan::Plan;
use machine::own_programs;
use rustix::process::{kill_process, kill_process_group, Pid, Signal};

use crate::ram::{kernel_filesystems, state};
use crate::root::target::{self, TARGET};
use crate::run::behind::chroot;
use crate::run::data::Run;
use crate::run::recorder::{Recorder, ONCE};

/// The step that this is.
const STEP: &str = "after-unpack";
/// How often one that fails is called, as far as its time reaches.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(50);
/// How much of what one says goes into the log, in bytes.
const SAID_MAX: usize = 16 << 10;
/// How long what they have left running takes to be gone.
const GONE: Duration = Duration::from_secs(10);

/// Calls those that the plan names, and says what became of each.
pub fn call(run: &Run, recorder: &mut Recorder) -> Vec<HookOutcome> {
    if run.plan.hooks.after_unpack.is_empty() {
        return Vec::new();
    }
    let mut outcomes = Vec::new();
    let called = recorder.repeating(STEP, ONCE, || {
        outcomes = call_all(run)?;
        let failed = outcomes.iter().filter(|o| o.failed.is_some());
        let failed: Vec<_> = failed.map(|o| o.path.as_str()).collect();
        anyhow::ensure!(failed.is_empty(), "{} failed", failed.join(", "));
        Ok(())
    });
    if let Err(e) = called {
        log::warn!("{STEP}: {e:#}; the run goes on, and the first boot tells of it");
        if outcomes.is_empty() {
            // None was called, or it is not known of any.
            outcomes = not_called(&run.plan, &format!("{e:#}"));
        }
    }
    outcomes
}

fn not_called(plan: &Plan, why: &str) -> Vec<HookOutcome> {
    let programs = plan.hooks.after_unpack.iter();
    programs
        .map(|path| HookOutcome {
            path: path.clone(),
            failed: Some(why.to_owned()),
        })
        .collect()
}

fn call_all(run: &Run) -> Result<Vec<HookOutcome>> {
    let root = Path::new(TARGET);
    kernel_filesystems::unmount_from(root).context("clear what an earlier attempt mounted")?;
    kernel_filesystems::mount_into(root)
        .context("mount the kernel's filesystems for the new OS")?;
    let programs = run.plan.hooks.after_unpack.iter();
    let outcomes = programs
        .map(|path| HookOutcome {
            path: path.clone(),
            failed: one(run, path).err().map(|e| format!("{e:#}")),
        })
        .collect();
    end_what_is_left(root);
    kernel_filesystems::unmount_from(root).context("take the kernel's filesystems away again")?;
    target::sync()?;
    Ok(outcomes)
}

/// One of them, which has to be root's as in the old OS.
fn one(run: &Run, path: &str) -> Result<()> {
    let directory = target::at(AFTER_UNPACK);
    let found = own_programs::in_directory(&directory)
        .with_context(|| format!("read {AFTER_UNPACK} of the new OS"))?;
    let name = path.rsplit('/').next().unwrap_or_default();
    let program = found
        .iter()
        .find(|program| program.name == name)
        .context("it is not there, or not executable")?;
    if let Some(why) = &program.unfit {
        anyhow::bail!("{why}");
    }
    let end = Instant::now() + Duration::from_secs(LIMIT_S);
    let mut attempt = 1;
    loop {
        log::info!("{STEP}: {path}");
        match attempt_one(run, path, end) {
            Ok(()) => return Ok(()),
            Err(e) if attempt == ATTEMPTS || Instant::now() + PAUSE >= end => return Err(e),
            Err(e) => log::warn!("{STEP}: {path}, attempt {attempt} of {ATTEMPTS}: {e:#}"),
        }
        attempt += 1;
        thread::sleep(PAUSE);
    }
}

fn attempt_one(run: &Run, path: &str, end: Instant) -> Result<()> {
    let said = state::at("hook-output");
    // A file, not a pipe: whatever is left running would keep a pipe open.
    let output = File::create(&said).context("make a file for what it says")?;
    let plan = &run.plan;
    let mut child = chroot::command(Path::new(TARGET), &plan.keep, path, &[])
        .envs(plan.variables(STEP))
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(output.try_clone().context("share the file")?)
        .stderr(output)
        .spawn()
        .context("start it")?;
    let group = Pid::from_child(&child);
    let ended = loop {
        match child.try_wait().context("wait for it")? {
            Some(status) => break Some(status),
            None if Instant::now() > end => break None,
            None => thread::sleep(LOOK),
        }
    };
    // Nobody left in it is what was wanted.
    let _ = kill_process_group(group, Signal::KILL);
    if ended.is_none() {
        child.wait().context("wait for its end")?;
    }
    let said = fs::read(&said).unwrap_or_default();
    let said = String::from_utf8_lossy(&said[..said.len().min(SAID_MAX)]).into_owned();
    for line in said.lines().filter(|line| !line.trim().is_empty()) {
        log::info!("{path}: {line}");
    }
    judge(ended, &said)
}

fn judge(ended: Option<ExitStatus>, said: &str) -> Result<()> {
    let last = said.lines().rfind(|line| !line.trim().is_empty());
    let last = last.unwrap_or("it said nothing");
    match ended {
        Some(status) if status.success() => Ok(()),
        Some(status) => anyhow::bail!("{status}: {last}"),
        None => anyhow::bail!("it took longer than {LIMIT_S} s and was ended: {last}"),
    }
}

/// Ends every process that has its root in the new OS: what holds a file there would keep the root from
/// being unmounted in the end.
fn end_what_is_left(root: &Path) {
    let end = Instant::now() + GONE;
    loop {
        let left = processes_in(root);
        if left.is_empty() {
            return;
        }
        if Instant::now() > end {
            log::warn!("{STEP}: processes in the new OS's root do not end: {left:?}");
            return;
        }
        for pid in left.into_iter().filter_map(Pid::from_raw) {
            // One that has gone by itself is as good.
            let _ = kill_process(pid, Signal::KILL);
        }
        thread::sleep(LOOK);
    }
}

fn processes_in(root: &Path) -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| fs::read_link(format!("/proc/{pid}/root")).is_ok_and(|at| at == root))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn how_one_ended_is_told_with_its_last_word() {
        assert!(judge(Some(ExitStatus::from_raw(0)), "").is_ok());
        let failed = judge(Some(ExitStatus::from_raw(256)), "one\nno space\n\n");
        assert!(failed.unwrap_err().to_string().ends_with("no space"));
        let hung = judge(None, "").unwrap_err().to_string();
        assert!(hung.contains("longer than 300 s"), "{hung}");
    }

    #[test]
    fn what_has_another_root_is_left_alone() {
        assert!(processes_in(Path::new("/target-of-nobody")).is_empty());
        let own = fs::read_link("/proc/self/root").unwrap();
        assert!(processes_in(&own).contains(&(std::process::id() as i32)));
    }
}
