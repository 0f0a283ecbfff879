//! Programs of the new OS, run in its root with the capabilities that writing files takes and no
//! others: they cannot load modules, reboot, reach raw memory or make device nodes.
//!
//! Each has mounts of its own, which go with it. In them every kept tree and the run's directory are
//! read-only, and what it leaves in /tmp is in memory: whatever a program does, it cannot write to
//! what is kept. Bind mounts that are made read-only are as old as Linux 2.6.26.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use anyhow::{bail, Context, Result};
use caps::{CapSet, Capability};
use formats::plan::KeptPath;
use formats::printable;
use rustix::mount::{
    mount, mount_bind, mount_change, mount_remount, MountFlags, MountPropagationFlags,
};
use rustix::process::{kill_process, Pid, Signal};

use crate::root::place;

/// What the boot loader's tools need: to write files as root, to set owners and modes.
const ALLOWED: [Capability; 6] = [
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_DAC_READ_SEARCH,
    Capability::CAP_FOWNER,
    Capability::CAP_FSETID,
    Capability::CAP_SETFCAP,
];

/// What is in a root beside the kept trees that no program of the new OS may write to.
const OWN: &str = "/.reroot";
/// Where programs put what they need for a moment.
const SCRATCH: [&str; 2] = ["/tmp", "/var/tmp"];
/// As much of it as they may.
const SCRATCH_OPTIONS: &std::ffi::CStr = c"mode=1777,size=16m";
/// Closes the list of paths that are read-only, on the child's command line.
const END: &str = "--";

/// Runs a program in the root and returns its standard output. What it says on standard error
/// goes into the log. It cannot write to what is kept.
pub fn run(
    root: &Path,
    kept: &[KeptPath],
    program: &str,
    arguments: &[&str],
    input: &[u8],
) -> Result<Vec<u8>> {
    let call = format!("{program} {}", arguments.join(" "));
    let mut child = command(root, kept, program, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {call}"))?;
    if let Some(mut pipe) = child.stdin.take() {
        // A program that does not read its input closes the pipe, which is its right.
        let _ = std::io::Write::write_all(&mut pipe, input);
    }
    let output = wait(child).with_context(|| format!("wait for {call}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    for line in said.lines().filter(|l| !l.trim().is_empty()) {
        log::info!("{program}: {line}");
    }
    if !output.status.success() {
        bail!("{call} in the new OS: {}: {}", output.status, reason(&said));
    }
    Ok(output.stdout)
}

/// A program in the root, to be started.
pub fn command(root: &Path, kept: &[KeptPath], program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command
        .arg("in-root")
        .arg(root)
        .args(kept.iter().map(|kept| kept.path.as_str()))
        .args([END, program])
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// Why a program failed, by its own last word, and by what it could not know.
fn reason(said: &str) -> String {
    let last = said.lines().last().unwrap_or("it said nothing");
    if said.contains(READ_ONLY) {
        format!("{last} (what is kept is read-only for programs of the new OS)")
    } else {
        last.to_owned()
    }
}

/// What programs say of a kept tree that they would write to (EROFS, in the language they run in).
const READ_ONLY: &str = "Read-only file system";

/// How long a program may take. grub-mkconfig takes some seconds.
const LIMIT: Duration = Duration::from_mins(10);

/// Waits for the program's end and output; one that takes too long is killed.
fn wait(child: Child) -> std::io::Result<Output> {
    let pid = Pid::from_child(&child);
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            if ended.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
                log::error!(
                    "a program of the new OS did not end within {} s; killing it",
                    LIMIT.as_secs()
                );
                // It may have ended this very moment, which is as good.
                let _ = kill_process(pid, Signal::KILL);
            }
        });
        let output = child.wait_with_output();
        // The other thread may be past its time, and nobody listens.
        let _ = done.send(());
        output
    })
}

/// The child's side: enters the root, makes the paths before the dashes read-only, gives up
/// capabilities, becomes the program.
pub fn enter(root: &str, rest: &[&str]) -> ExitCode {
    let Some((kept, [program, arguments @ ..])) = rest
        .iter()
        .position(|word| *word == END)
        .map(|at| (&rest[..at], &rest[at + 1..]))
    else {
        eprintln!("enter the new OS: no program is named");
        return ExitCode::from(126);
    };
    let error = match protect(Path::new(root), kept).and_then(|()| confine(root)) {
        Ok(()) => Command::new(program).args(arguments).exec().into(),
        Err(e) => e,
    };
    let why = format!("enter {root} to run {program}: {error:#}");
    eprintln!("{}", printable::line(&why));
    ExitCode::from(126)
}

/// Mounts of this process's own, in which what is kept is read-only.
fn protect(root: &Path, kept: &[&str]) -> Result<()> {
    #[allow(
        deprecated,
        reason = "it shares nothing that Rust relies on: one thread, no files"
    )]
    rustix::thread::unshare(rustix::thread::UnshareFlags::NEWNS)
        .context("have mounts of its own")?;
    // Nothing of this shall reach the others, nor theirs come here.
    mount_change(
        "/",
        MountPropagationFlags::REC | MountPropagationFlags::PRIVATE,
    )
    .context("part from the others' mounts")?;
    for path in kept.iter().chain([&OWN]) {
        let place = place::at(root, path);
        // Proved to be there, and no link, by the step that went before; the run's own directory
        // may be gone when an operator tries by hand.
        if *path == OWN && !place.is_dir() {
            continue;
        }
        mount_bind(&place, &place)
            .and_then(|()| {
                let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOATIME;
                mount_remount(&place, flags, "")
            })
            .with_context(|| format!("make {path} read-only"))?;
    }
    for path in SCRATCH {
        let place = place::at(root, path);
        if std::fs::symlink_metadata(&place).is_ok_and(|found| found.is_dir()) {
            let flags = MountFlags::NOSUID | MountFlags::NODEV;
            mount("tmpfs", &place, "tmpfs", flags, Some(SCRATCH_OPTIONS))
                .with_context(|| format!("mount memory at {path}"))?;
        }
    }
    Ok(())
}

fn confine(root: &str) -> Result<()> {
    rustix::process::chroot(root).context("chroot")?;
    rustix::process::chdir("/").context("change to the new root")?;
    for capability in caps::runtime::thread_all_supported() {
        if !ALLOWED.contains(&capability) {
            caps::drop(None, CapSet::Bounding, capability)
                .with_context(|| format!("drop {capability}"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_would_write_to_what_is_kept_is_explained() {
        let said = "Saving key failed: Read-only file system\nssh-keygen: giving up\n";
        assert_eq!(
            reason(said),
            "ssh-keygen: giving up (what is kept is read-only for programs of the new OS)"
        );
        assert_eq!(reason("no such device\n"), "no such device");
        assert_eq!(reason(""), "it said nothing");
    }
}
