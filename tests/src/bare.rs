//! A machine without a disk: a kernel and an initramfs with one program in it, for what needs a
//! kernel of its own and nothing else. It boots in seconds, says what it has to say on its console
//! and ends.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{bail, Context, Result};
use tempfile::TempDir;

use crate::accelerator::accelerator;
use crate::command::{explain, last_lines, run};
use crate::lock;
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

impl Bare<'_> {
    /// Boots it, waits until it has powered itself off, and gives what its console has shown.
    pub fn run(&self, limit: Duration) -> Result<String> {
        let accelerator = accelerator(self.kernel)?;
        let directory: TempDir = directory("bare")?;
        let initramfs = directory.path().join("initramfs");
        let console = directory.path().join("console.log");
        fs::write(&initramfs, self.initramfs).context("write the initramfs")?;
        let _slot = lock::machine_slot()?;
        let mut command = Command::new("timeout");
        command
            .arg("--kill-after=2")
            .arg((limit * accelerator.patience()).as_secs().to_string())
            .args(["qemu-system-x86_64", "-nodefaults", "-display", "none"])
            .args(["-machine", self.board, "-accel", accelerator.name()])
            .args(["-cpu", "max", "-smp", "2", "-no-reboot"])
            .args(["-m", &self.memory_mib.to_string()])
            .arg("-kernel")
            .arg(self.kernel)
            .arg("-initrd")
            .arg(&initramfs)
            .arg("-append")
            .arg(format!("console=ttyS0 panic=-1 {}", self.cmdline))
            .arg("-serial")
            .arg(format!("file:{}", console.display()))
            .args(self.more)
            .stdin(Stdio::null());
        let output = command.output().map_err(|error| explain(&command, error))?;
        let text = fs::read(&console).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).replace('\r', "");
        if !output.status.success() {
            bail!(
                "the bare machine ended with {}\n{}\n{}",
                output.status,
                String::from_utf8_lossy(&output.stderr),
                last_lines(&text, 60)
            );
        }
        Ok(text)
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
