//! The old server's booted state, saved once and taken up by each test in seconds.
//!
//! Kept beside the old server's disk; its name carries all that a saved memory depends on: the
//! amount of memory, QEMU's version, the accelerator, the devices. The disk as it was at that
//! moment is a layer that is never written again.
//!
//! Nothing is under test before a machine has come up here: one that does not is the emulator's or the
//! host's affair, and is tried again; what it showed goes to the terminal.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::accelerator::{accelerator, qemu_version};
use crate::additions::Additions;
use crate::base::{digest, say};
use crate::disk::Disk;
use crate::old_server::{old_server, OldServer};
use crate::vm::{self, Machine, Start};
use crate::{lock, vm::directory};

/// A machine that was saved.
#[derive(Debug)]
pub(crate) struct Saved {
    /// The directory with everything that it consists of.
    pub directory: PathBuf,
}

impl Saved {
    /// Its root disk.
    pub fn disk(&self) -> PathBuf {
        self.directory.join(DISK)
    }

    /// Its memory.
    pub fn memory(&self) -> PathBuf {
        self.directory.join(MEMORY)
    }
}

const DISK: &str = "disk.qcow2";
const MEMORY: &str = "memory";

/// How often a machine is brought up in vain before its test fails.
const ATTEMPTS: u32 = 3;

/// Tries until an attempt succeeds or the last one has failed.
fn repeatedly<T>(what: &str, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    for _ in 1..ATTEMPTS {
        match attempt() {
            Ok(made) => return Ok(made),
            Err(error) => say(&format!("{what} failed and is tried again: {error:#}")),
        }
    }
    attempt()
}

/// The old server, booted and ready for a login, from a snapshot that is made at the first call.
pub fn running_old_server(name: &str, memory_mib: u32) -> Result<Machine> {
    let server = &old_server()?;
    let saved = saved(server, "booted", memory_mib, &[], |made| {
        let disk = Disk::over(&server.disk, &made.join(DISK))?;
        save(server, made, disk, memory_mib, Additions::default())
    })?;
    take_up(
        server,
        &saved,
        name,
        memory_mib,
        || Ok(Additions::default()),
    )
}

/// A machine that goes on from where a saved one was, with the same devices; `additions` makes those
/// that not every machine has.
pub(crate) fn take_up(
    server: &OldServer,
    saved: &Saved,
    name: &str,
    memory_mib: u32,
    additions: impl Fn() -> Result<Additions>,
) -> Result<Machine> {
    let memory = saved.memory();
    repeatedly("taking up a saved machine", || {
        let directory = directory(name)?;
        let disk = Disk::over(&saved.disk(), &directory.path().join(DISK))?;
        let start = Start::Saved(&memory);
        let mut machine = Machine::start(server, directory, disk, memory_mib, start, additions()?)?;
        machine.wait_for_ssh()?;
        Ok(machine)
    })
}

/// The saved machine of a kind; `produce` puts its files into the directory that it is given. What
/// they depend on beside the server and the devices is in `key`.
pub(crate) fn saved(
    server: &OldServer,
    kind: &str,
    memory_mib: u32,
    key: &[&str],
    mut produce: impl FnMut(&Path) -> Result<()>,
) -> Result<Saved> {
    let own = [
        &qemu_version()?,
        &accelerator(&server.kernel)?.options().join(" "),
        include_str!("devices.rs"),
        include_str!("snapshot.rs"),
    ];
    let key = digest(&[&own[..], key].concat());
    let name = format!("{kind}-{memory_mib}");
    let saved = Saved {
        directory: server.directory.join(format!("{name}-{key}")),
    };
    let _lock = lock::exclusive(&server.directory.join(format!("{name}.lock")))?;
    if saved.directory.exists() {
        return Ok(saved);
    }
    forget_others(server, &name);
    say(&format!(
        "booting the server ({kind}, {memory_mib} MiB) once, to save its state"
    ));
    repeatedly("saving a machine", || {
        let scratch =
            tempfile::tempdir_in(&server.directory).context("create a scratch directory")?;
        let made = scratch.path().join(kind);
        fs::create_dir(&made).context("create the saved machine's directory")?;
        produce(&made)?;
        fs::rename(&made, &saved.directory)
            .with_context(|| format!("name {}", saved.directory.display()))
    })?;
    Ok(saved)
}

/// Boots a machine on `disk` and saves it into the directory `made`.
pub(crate) fn save(
    server: &OldServer,
    made: &Path,
    disk: Disk,
    memory_mib: u32,
    additions: Additions,
) -> Result<()> {
    let directory = vm::directory("save")?;
    let start = Start::Boot;
    let mut machine = Machine::start(server, directory, disk, memory_mib, start, additions)?;
    machine.wait_for_ssh()?;
    // All units have started, and what they wrote is on the disk.
    machine.ssh("systemctl is-system-running --wait")?;
    machine.expect("sync")?;
    machine.save(&made.join(MEMORY))
}

/// Removes what an earlier harness or QEMU saved under this name.
fn forget_others(server: &OldServer, saved: &str) {
    let Some(_unused) = lock::base_unused() else {
        return;
    };
    let Ok(entries) = fs::read_dir(&server.directory) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(&format!("{saved}-")) {
            // Best effort: what stays costs space and nothing else.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
