//! Programs of the new OS, run in its root with the capabilities that writing files takes and no
//! others: they cannot load modules, reboot, reach raw memory or make device nodes.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use anyhow::{bail, Context, Result};
use caps::{CapSet, Capability};
use rustix::process::{kill_process, Pid, Signal};

/// What the boot loader's tools need: to write files as root, to set owners and modes.
const ALLOWED: [Capability; 6] = [
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_DAC_READ_SEARCH,
    Capability::CAP_FOWNER,
    Capability::CAP_FSETID,
    Capability::CAP_SETFCAP,
];

/// Runs a program in the root and returns its standard output. What it says on standard error
/// goes into the log.
pub fn run(root: &Path, program: &str, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>> {
    let call = format!("{program} {}", arguments.join(" "));
    let mut child = Command::new("/proc/self/exe")
        .arg("in-root")
        .arg(root)
        .arg(program)
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .env("DEBIAN_FRONTEND", "noninteractive")
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
        let last = said.lines().last().unwrap_or("it said nothing").to_owned();
        bail!("{call} in the new OS: {}: {last}", output.status);
    }
    Ok(output.stdout)
}

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

/// The child's side: enters the root, gives up capabilities, becomes the program.
pub fn enter(root: &str, program: &str, arguments: &[&str]) -> ExitCode {
    let error = match confine(root) {
        Ok(()) => Command::new(program).args(arguments).exec().into(),
        Err(e) => e,
    };
    eprintln!("enter {root} to run {program}: {error:#}");
    ExitCode::from(126)
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
