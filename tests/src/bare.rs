//! A machine without a disk: a kernel and an initramfs with one program in it, for what needs a
//! kernel of its own and nothing else. It boots in seconds, says what it has to say on its console
//! and ends.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};
use tempfile::TempDir;

use crate::accelerator::{accelerator, PROCESSOR};
use crate::command::{explain, last_lines, run};
use crate::lock::{self, Lock};
use crate::vm::directory;

/// What goes into an initramfs.
#[derive(Debug, Clone)]
pub struct File {
    /// Its path, without the first slash.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A bare machine.
#[derive(Debug, Clone)]
pub struct Bare<'a> {
    /// The kernel that QEMU starts.
    pub kernel: &'a Path,
    /// Its initramfs.
    pub initramfs: &'a [u8],
    /// Its command line; the serial console comes by itself.
    pub cmdline: &'a str,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// QEMU's name for the board.
    pub board: &'a str,
    /// Further arguments for QEMU.
    pub more: &'a [&'a str],
}

/// How often the console is looked at where time matters.
const TICK: Duration = Duration::from_millis(2);

impl Bare<'_> {
    /// Boots it, waits until it has powered itself off, and gives what its console has shown.
    pub fn run(&self, limit: Duration) -> Result<String> {
        let mut running = self.start()?;
        let status = running.wait(limit, |_| false)?;
        let console = running.console();
        match status {
            Some(status) if status.success() => Ok(console),
            _ => bail!(
                "the bare machine did not end by itself: {status:?}\n{}",
                last_lines(&console, 60)
            ),
        }
    }

    /// Boots it and gives the time from the moment when its console shows `from` to the moment when
    /// it shows `to` behind that.
    pub fn between(&self, from: &str, to: &str, limit: Duration) -> Result<Duration> {
        let mut running = self.start()?;
        let mut started = None;
        let mut ended = None;
        running.wait(limit, |console| {
            let Some((_, behind)) = console.split_once(from) else {
                return false;
            };
            let start = *started.get_or_insert_with(Instant::now);
            if behind.contains(to) {
                ended = Some(start.elapsed());
            }
            ended.is_some()
        })?;
        ended.with_context(|| {
            format!(
                "no `{to}` behind `{from}`\n{}",
                last_lines(&running.console(), 60)
            )
        })
    }

    fn start(&self) -> Result<Running> {
        let accelerator = accelerator(self.kernel)?;
        let slot = lock::machine_slot()?;
        let directory = directory("bare")?;
        let initramfs = directory.path().join("initramfs");
        let console = directory.path().join("console.log");
        fs::write(&initramfs, self.initramfs).context("write the initramfs")?;
        // setpriv: a test that is killed takes its machine with it.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "qemu-system-x86_64"])
            .args(["-nodefaults", "-display", "none", "-no-reboot"])
            .args(["-machine", self.board, "-cpu", PROCESSOR])
            .args(accelerator.options_of_several())
            .args(["-m", &self.memory_mib.to_string()])
            .arg("-kernel")
            .arg(self.kernel)
            .arg("-initrd")
            .arg(&initramfs)
            .arg("-append")
            .arg(format!(
                "console=ttyS0 panic=-1 no_timer_check {}",
                self.cmdline
            ))
            .arg("-serial")
            .arg(format!("file:{}", console.display()))
            .args(self.more)
            .stdin(Stdio::null());
        let process = command.spawn().map_err(|error| explain(&command, error))?;
        Ok(Running {
            process,
            console,
            patience: accelerator.patience(),
            _directory: directory,
            _slot: slot,
        })
    }
}

/// A bare machine's QEMU, killed when this is dropped.
struct Running {
    process: Child,
    console: PathBuf,
    patience: u32,
    _directory: TempDir,
    _slot: Lock,
}

impl Running {
    fn console(&self) -> String {
        let text = fs::read(&self.console).unwrap_or_default();
        String::from_utf8_lossy(&text).replace('\r', "")
    }

    /// Until it ends by itself, or the console shows enough, or the time is over.
    fn wait(
        &mut self,
        limit: Duration,
        mut enough: impl FnMut(&str) -> bool,
    ) -> Result<Option<ExitStatus>> {
        let deadline = Instant::now() + limit * self.patience;
        loop {
            let ended = self.process.try_wait().context("ask after QEMU")?;
            if ended.is_some() || enough(&self.console()) || Instant::now() > deadline {
                return Ok(ended);
            }
            std::thread::sleep(TICK);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An initramfs of these files, each executable, in directories that are made as they are needed.
pub fn initramfs(files: &[File]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut made: Vec<PathBuf> = Vec::new();
    for file in files {
        let parents = Path::new(&file.name).ancestors().skip(1);
        let mut parents: Vec<&Path> = parents.filter(|p| !p.as_os_str().is_empty()).collect();
        parents.reverse();
        for parent in parents {
            if !made.iter().any(|known| known == parent) {
                member(&parent.to_string_lossy(), 0o040_755)
                    .write(&mut out, 0)
                    .finish()?;
                made.push(parent.to_owned());
            }
        }
        let size = u32::try_from(file.bytes.len()).context("a file for an initramfs")?;
        let mut writer = member(&file.name, 0o100_755).write(&mut out, size);
        writer.write_all(&file.bytes)?;
        writer.finish()?;
    }
    cpio::newc::trailer(&mut out)?;
    out.resize(out.len().next_multiple_of(4), 0);
    Ok(out)
}

fn member(name: &str, mode: u32) -> cpio::newc::Builder {
    cpio::newc::Builder::new(name).mode(mode).nlink(1)
}

/// A program without its symbols: what a guest reads into memory may be short.
pub fn stripped(program: &Path) -> Result<Vec<u8>> {
    let directory = tempfile::tempdir().context("create a directory for a program")?;
    let to = directory.path().join("program");
    run(Command::new("strip").arg("-o").arg(&to).arg(program))?;
    fs::read(&to).with_context(|| format!("read {}", to.display()))
}
