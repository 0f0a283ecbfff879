//! Whether virtual machines run under KVM or under QEMU's own emulation.
//!
//! `/dev/kvm` can be there and yet hang or kill every guest, so a small guest is tried first: the
//! old server's kernel without a root filesystem, which panics and resets within seconds. The
//! finding is kept under `target/base/`; `REROOT_ACCELERATOR=kvm|tcg` overrides it.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{bail, Context, Result};

use crate::command::{explain, stdout_of};
use crate::{base, lock, paths};

/// Emulated, a kernel reaches its panic in about 3 s; under a KVM that works, in less than 1 s.
const TRIAL_SECONDS: &str = "15";

/// What every machine's processor can do.
///
/// Not `cmpxchg16b`: QEMU 7.2 leaves the flags behind it undefined where it emulates it, so that a kernel that is
/// interrupted there, as one of 6.x is at every allocation, returns from the interrupt into a fault. It was
/// seen once in some hundred boots.
pub const PROCESSOR: &str = "max,-cx16";

/// What runs the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// The processor itself.
    Kvm,
    /// QEMU's emulation.
    Tcg,
}

impl Accelerator {
    /// As `REROOT_ACCELERATOR` and the finding have it.
    fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }

    /// QEMU's options for it and for a machine's processors.
    ///
    /// Emulated machines have one: a thread for each processor lets one of them translate a page of
    /// code that another is patching, so that a kernel that switches a static key meets a breakpoint
    /// that nobody set and panics, once in some hundred boots and more often on a busy host. Two
    /// machines side by side keep two processors of the host as busy.
    ///
    /// A second one could be plugged in, and never is. Where there can be no other, QEMU before 8.1
    /// translates memory barriers to nothing, and forgets that its devices run in another thread: a
    /// virtio queue misses a notification once in a while, and a network card or a disk stands still
    /// for good.
    ///
    /// They keep 128 MiB of translated code, not the 1 GiB that QEMU would take: memory that held code
    /// is written to at a price for every piece of translated code, so that a reboot took up to three
    /// times and entering by kexec up to twenty times as long in a machine that had run for a while.
    pub fn options(self) -> [&'static str; 4] {
        match self {
            Self::Kvm => ["-accel", "kvm", "-smp", "2"],
            Self::Tcg => ["-accel", "tcg,tb-size=128", "-smp", "1,maxcpus=2"],
        }
    }

    /// The same for what depends on there being several processors: one thread emulates all of them,
    /// without memory barriers, so such a machine has no virtio devices.
    pub fn options_of_several(self) -> [&'static str; 4] {
        match self {
            Self::Kvm => self.options(),
            Self::Tcg => ["-accel", "tcg,tb-size=128,thread=single", "-smp", "2"],
        }
    }

    /// How much longer things may take than on real hardware, for time limits. Emulation alone makes it
    /// three to five times; a host whose processors are wanted by others for some minutes makes it
    /// that again. A limit that is not reached costs nothing.
    pub fn patience(self) -> u32 {
        match self {
            Self::Kvm => 3,
            Self::Tcg => 12,
        }
    }
}

/// QEMU's version, a part of what a machine's saved state depends on.
pub fn qemu_version() -> Result<String> {
    let text = stdout_of(Command::new("qemu-system-x86_64").arg("--version"))?;
    let version = text.lines().next().unwrap_or_default();
    Ok(version
        .trim_start_matches("QEMU emulator version ")
        .to_owned())
}

/// The accelerator that works here, tried once and remembered.
pub fn accelerator(kernel: &Path) -> Result<Accelerator> {
    match std::env::var("REROOT_ACCELERATOR").as_deref() {
        Ok("kvm") => return Ok(Accelerator::Kvm),
        Ok("tcg") => return Ok(Accelerator::Tcg),
        Ok(other) => bail!("REROOT_ACCELERATOR={other}: it may be kvm or tcg"),
        Err(_) => {}
    }
    if File::options()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .is_err()
    {
        return Ok(Accelerator::Tcg);
    }
    let key = base::digest(&[&qemu_version()?, &machine_id()]);
    let finding = paths::base().join(format!("accelerator-{key}"));
    let _lock = lock::exclusive(&paths::base().join("accelerator.lock"))?;
    if let Ok(known) = fs::read_to_string(&finding) {
        return Ok(if known.trim() == "kvm" {
            Accelerator::Kvm
        } else {
            Accelerator::Tcg
        });
    }
    let found = if trial_guest_boots(kernel)? {
        Accelerator::Kvm
    } else {
        Accelerator::Tcg
    };
    base::say(&format!(
        "a trial guest says: virtual machines run under {}",
        found.name()
    ));
    fs::write(&finding, found.name()).with_context(|| format!("write {}", finding.display()))?;
    Ok(found)
}

/// The finding must not outlive a move of the target directory to another machine.
fn machine_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}

fn trial_guest_boots(kernel: &Path) -> Result<bool> {
    let mut command = Command::new("timeout");
    command
        .args(["--kill-after=2", TRIAL_SECONDS, "qemu-system-x86_64"])
        .args([
            "-machine",
            "pc",
            "-accel",
            "kvm",
            "-cpu",
            PROCESSOR,
            "-m",
            "256",
            "-no-reboot",
        ])
        .args([
            "-nodefaults",
            "-display",
            "none",
            "-serial",
            "stdio",
            "-kernel",
        ])
        .arg(kernel)
        .args(["-append", "console=ttyS0 panic=-1"])
        .stdin(Stdio::null());
    let output = command.output().map_err(|error| explain(&command, error))?;
    let console = String::from_utf8_lossy(&output.stdout);
    // The kernel must have come to look for its root filesystem, and QEMU to its orderly end.
    Ok(output.status.success() && console.contains("VFS: Unable to mount root fs"))
}
