//! From an old OS's PID 1 to that of the RAM environment: everything that PID 1 had is got rid of,
//! everybody else is ended, and the old root is left and unmounted. The kernel goes on, with its
//! drivers, its network and its disks.
//!
//! Nothing is changed on the way. If somebody cannot be ended, or holds the old root so that it
//! cannot be unmounted, the machine reboots into the old OS.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{bail, ensure, Context, Result};
use machine::patience::Patience;
use machine::{log_line, processes};
use nix::sys::signal::{self, SigSet, SigmaskHow, Signal};
use nix::unistd::Pid;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    mount_change, mount_remount, unmount, MountFlags, MountPropagationFlags, UnmountFlags,
};
use rustix::process::{Resource, Rlimit};
use storage::block;
use storage::mounts;
use storage::mounts::Mount;
use tree::Gate;

use crate::first::early;
use crate::ram::{console, state};

/// Where the old root is until it is unmounted.
const OLD: &str = "/old";
/// In [`state::STATE`]: the run's directory in the old root, until that is unmounted.
const OLD_RUN: &str = "old-run";
/// How long processes may take to vanish after SIGKILL, and the old root to be let go.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);

/// Makes the RAM environment at `room` the only thing that is there. Gives what is missing but not
/// needed.
pub fn settle(room: &str) -> Result<Vec<String>> {
    log_line::to_kernel_log("reroot: PID 1 is taken over");
    ensure!(
        Path::new(room).starts_with("/.reroot"),
        "{room} is no run's directory"
    );
    forget_what_pid_1_had();
    leave_control_groups();
    end_everybody()?;
    pivot(room)?;
    let mut missing = early::prepare();
    missing.extend(set_kernel());
    rustix::process::chdir("/").context("go to the new root")?;
    console_as_standard();
    if let Some(run) = Path::new(room).parent() {
        fs::write(state::at(OLD_RUN), run.as_os_str().as_encoded_bytes())
            .context("note the run's directory")?;
    }
    unmount_old_root()?;
    // It was the launcher's way here, and is empty.
    if let Err(e) = fs::remove_dir(OLD) {
        missing.push(format!("remove {OLD}: {e}"));
    }
    Ok(missing)
}

/// Signals, descriptors, limits: what execve(2) leaves as it was.
fn forget_what_pid_1_had() {
    // The standard library's own: it ignores SIGPIPE and looks at overflows of the stack.
    let ours = [Signal::SIGPIPE, Signal::SIGSEGV, Signal::SIGBUS];
    for number in 1..=SIGNALS {
        if Signal::try_from(number).is_ok_and(|s| ours.contains(&s)) {
            continue;
        }
        // SIGKILL, SIGSTOP and those of the C library cannot be set; they need not be.
        let _ = syscalls::inherited::default_action(number);
    }
    let nothing = SigSet::empty();
    if let Err(e) = signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(&nothing), None) {
        log_line::to_kernel_log(&format!("reroot: warning: let signals in again: {e}"));
    }
    close_everything();
    // It leads its session already, unless the old init was an odd one.
    let _ = rustix::process::setsid();
    rustix::process::umask(Mode::from_raw_mode(0o022));
    for (resource, limit) in LIMITS {
        let limit = Rlimit {
            current: Some(limit.0),
            maximum: Some(limit.1),
        };
        let _ = rustix::process::setrlimit(resource, limit);
    }
    let _ = fs::write("/proc/self/oom_score_adj", "0");
}

/// Signals of Linux, real-time ones included.
const SIGNALS: i32 = 64;

/// As the kernel gives them to its first process.
const LIMITS: [(Resource, (u64, u64)); 2] =
    [(Resource::Nofile, (1024, 4096)), (Resource::Core, (0, 0))];

/// Closes every descriptor, by the list that the kernel has of them, and opens the console in place
/// of the standard ones.
fn close_everything() {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else {
        return;
    };
    let open: Vec<(i32, PathBuf)> = entries
        .flatten()
        .filter_map(|e| {
            let number = e.file_name().to_str()?.parse().ok()?;
            Some((number, fs::read_link(e.path()).unwrap_or_default()))
        })
        .collect();
    for (number, what) in open.into_iter().filter(|(number, _)| *number > 2) {
        if what.starts_with("/dev/watchdog") {
            // The magic close: without it the timer would run on and reset the machine.
            let _ = syscalls::inherited::write(number, b"V");
        }
        // The list's own descriptor is closed already.
        let _ = nix::unistd::close(number);
    }
    console_as_standard();
}

/// Standard input, output and error become /dev/console, or the bit bucket where that cannot be
/// opened.
fn console_as_standard() {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK;
    let Ok(file) = rustix::fs::open("/dev/console", flags, Mode::empty())
        .or_else(|_| rustix::fs::open("/dev/null", flags, Mode::empty()))
    else {
        return;
    };
    let _ = rustix::stdio::dup2_stdin(&file);
    let _ = rustix::stdio::dup2_stdout(&file);
    let _ = rustix::stdio::dup2_stderr(&file);
}

/// Moves to the root of every hierarchy of control groups: limits of the old init's own are not
/// ours.
fn leave_control_groups() {
    let base = Path::new("/sys/fs/cgroup");
    let below = fs::read_dir(base).into_iter().flatten().flatten();
    for hierarchy in std::iter::once(base.to_owned()).chain(below.map(|e| e.path())) {
        let file = hierarchy.join("cgroup.procs");
        if file.exists() {
            let _ = fs::write(file, "1");
        }
    }
}

/// Ends every process but this one.
fn end_everybody() -> Result<()> {
    let mut patience = Patience::new(PATIENCE);
    loop {
        // All that may be signalled but PID 1. Nobody there is as good.
        let _ = signal::kill(Pid::from_raw(-1), Signal::SIGKILL);
        while let Ok(Some(_)) = rustix::process::wait(rustix::process::WaitOptions::NOHANG) {}
        let left: Vec<_> = processes::all()
            .context("list processes")?
            .into_iter()
            .filter(|p| !p.kernel && p.pid != 1)
            .collect();
        if left.is_empty() {
            return Ok(());
        }
        if patience.is_over() {
            let names: Vec<_> = left
                .iter()
                .map(|p| format!("{} ({})", p.name, p.pid))
                .collect();
            bail!("these processes cannot be ended: {}", names.join(", "));
        }
        std::thread::sleep(PAUSE);
    }
}

/// Makes `room` the root and puts the old one below it.
fn pivot(room: &str) -> Result<()> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    // pivot_root(2) takes no mount that others would be told of.
    mount_change("/", private).context("make the mounts private")?;
    rustix::process::chdir(room).with_context(|| format!("go to {room}"))?;
    let old = OLD.trim_start_matches('/');
    match fs::create_dir(old) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(e).with_context(|| format!("make {room}/{old}"));
        }
        _ => {}
    }
    // Every process whose root was the old one has the new one, kernel threads included.
    rustix::process::pivot_root(".", old).with_context(|| format!("pivot_root to {room}"))?;
    rustix::process::chroot(".").context("make it this process's root")
}

/// What the old OS told the kernel and would now be wrong; below /proc/sys.
///
/// Until the commit a kernel that dies reboots into the old OS, as in the other entries.
const SETTINGS: [(&str, &str); 8] = [
    ("kernel/panic", "30"),
    ("kernel/printk", "4"),
    ("kernel/core_pattern", "core"),
    ("kernel/modprobe", ""),
    ("kernel/sysrq", "1"),
    ("kernel/hung_task_panic", "0"),
    ("vm/panic_on_oom", "0"),
    ("vm/overcommit_memory", "0"),
];

/// Sets them; gives what could not be set but is there.
fn set_kernel() -> Vec<String> {
    let mut failed = Vec::new();
    for (name, value) in SETTINGS {
        let path = Path::new("/proc/sys").join(name);
        // Not every kernel has every one.
        if path.exists() {
            if let Err(e) = fs::write(&path, format!("{value}\n")) {
                failed.push(format!("write {}: {e}", path.display()));
            }
        }
    }
    failed
}

/// Unmounts the old root and everything below it, and proves that its device is free: it is
/// mounted anew in a moment, and one filesystem must not be there twice.
fn unmount_old_root() -> Result<()> {
    let before = read_mounts()?;
    let root =
        mounts::at(&before, Path::new(OLD)).context("the old root is not where it was put")?;
    let devices = devices_of(&before, root);
    let mut patience = Patience::new(PATIENCE);
    loop {
        let left = below_old(&read_mounts()?);
        if left.is_empty() {
            break;
        }
        let mut held = Vec::new();
        // The last mounted first.
        for mount in left.iter().rev() {
            // Programs may still be on their way out, and what is mounted on top comes first.
            if let Err(e) = unmount(&mount.target, UnmountFlags::empty()) {
                held.push((mount, e));
            }
        }
        if held.is_empty() {
            continue;
        }
        if patience.is_over() {
            give_up_kernel_filesystems(&held)?;
        }
        std::thread::sleep(PAUSE);
    }
    devices.into_iter().try_for_each(prove_free)
}

/// The block devices of the old root and of what is mounted below it and holds somebody's data.
fn devices_of(mounts: &[Mount], root: &Mount) -> BTreeSet<(u32, u32)> {
    let old = mounts.iter().filter(|m| m.target.starts_with(OLD));
    let data = old.filter(|m| m.contents().is_missed() && m.device.0 != 0);
    data.chain([root]).map(|m| m.device).collect()
}

fn read_mounts() -> Result<Vec<Mount>> {
    mounts::read().context("read /proc/self/mountinfo")
}

fn below_old(mounts: &[Mount]) -> Vec<Mount> {
    let old = mounts.iter().filter(|m| m.target.starts_with(OLD));
    old.cloned().collect()
}

/// Filesystems of the kernel's own that do not go may be held by nobody knows whom, and are of no
/// interest: they are detached. What may be somebody's data is not.
fn give_up_kernel_filesystems(held: &[(&Mount, Errno)]) -> Result<()> {
    let mut detached = false;
    for (mount, _) in held.iter().filter(|(m, _)| !m.contents().is_missed()) {
        detached |= unmount(&mount.target, UnmountFlags::DETACH).is_ok();
    }
    if detached {
        return Ok(());
    }
    let names: Vec<_> = held
        .iter()
        .map(|(m, e)| format!("{} ({}): {e}", m.target.display(), m.fstype))
        .collect();
    bail!(
        "the old OS's filesystems cannot be unmounted: {}; held by: {}",
        names.join(", "),
        holders()
    )
}

/// Who holds a file of the old root although there is no other process: the kernel's own.
fn holders() -> String {
    let blocks = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let loops: Vec<_> = blocks
        .filter_map(|e| {
            let file = fs::read_to_string(e.path().join("loop/backing_file")).ok()?;
            let name = e.file_name().to_string_lossy().into_owned();
            Some(format!("{name} ({})", file.trim_end()))
        })
        .collect();
    if loops.is_empty() {
        "nobody that /sys shows".to_owned()
    } else {
        format!("loop devices {}", loops.join(", "))
    }
}

/// A device that is mounted anywhere cannot be opened exclusively.
fn prove_free((major, minor): (u32, u32)) -> Result<()> {
    let mut patience = Patience::new(PATIENCE);
    let node = block::by_number(major, minor)
        .with_context(|| format!("look up the old OS's device {major}:{minor}"))?
        .node();
    let flags = OFlags::RDONLY | OFlags::EXCL | OFlags::CLOEXEC;
    loop {
        match rustix::fs::open(&node, flags, Mode::empty()) {
            Ok(_) => return Ok(()),
            // The last to let go may take a moment.
            Err(Errno::BUSY) if !patience.is_over() => std::thread::sleep(PAUSE),
            Err(e) => {
                return Err(e).with_context(|| {
                    format!("the old OS's device {} is still in use", node.display())
                })
            }
        }
    }
}

/// Leaves the log in the run's directory of an old root that is still there, as far as possible.
pub fn leave_log() {
    if let Err(e) = try_leave_log() {
        log::warn!("leave the log on the old OS's root: {e:#}");
    }
}

fn try_leave_log() -> Result<()> {
    let run =
        fs::read_to_string(state::at(OLD_RUN)).context("read where the run's directory is")?;
    mount_remount(OLD, MountFlags::empty(), "").context("make the old root writable")?;
    let left = leave_at(Path::new(OLD), &run);
    rustix::fs::sync();
    mount_remount(OLD, MountFlags::RDONLY, "").context("make the old root read-only again")?;
    left
}

/// Writes the log into a run's directory below a root.
fn leave_at(root: &Path, run: &str) -> Result<()> {
    let log = fs::read(console::log_path()).context("read this run's log")?;
    // Nothing of the run's own is kept.
    let gate = Gate::open(root, [])?;
    Ok(gate.write(&format!("{}/init.log", run.trim()), &log, 0o600)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mounts_of_the_old_root_are_unmounted() {
        let text = b"1 1 0:9 / / rw - tmpfs reroot-ram rw\n\
            2 1 8:1 / /old ro - ext4 /dev/sda1 ro\n\
            3 2 0:5 / /old/dev rw - devtmpfs udev rw\n\
            4 1 0:5 / /dev rw - devtmpfs devtmpfs rw\n\
            5 1 0:6 / /older rw - tmpfs tmpfs rw\n";
        let found: Vec<_> = below_old(&mounts::parse(text))
            .into_iter()
            .map(|m| m.target.display().to_string())
            .collect();
        assert_eq!(found, ["/old", "/old/dev"]);
    }
}
