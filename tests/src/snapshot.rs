//! The old server's booted state, saved once and taken up by each test in seconds.
//!
//! Kept beside the old server's disk; its name carries all that a saved memory depends on: the
//! amount of memory, QEMU's version, the accelerator, the devices. The disk as it was at that
//! moment is a layer that is never written again.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::accelerator::{accelerator, qemu_version};
use crate::disk::Disk;
use crate::old_server::{digest, say, OldServer};
use crate::vm::{self, Additions, Machine, Start};
use crate::{lock, vm::directory};

/// The files of a saved machine.
struct Saved {
    disk: PathBuf,
    memory: PathBuf,
}

/// A machine that goes on from where the old server had just booted.
pub(crate) fn resume(server: &OldServer, name: &str, memory_mib: u32) -> Result<Machine> {
    let saved = saved(server, memory_mib)?;
    let directory = directory(name)?;
    let disk = Disk::over(&saved.disk, &directory.path().join("disk.qcow2"))?;
    let mut machine = Machine::start(
        server,
        directory,
        disk,
        memory_mib,
        Start::Saved(&saved.memory),
        Additions::default(),
    )?;
    machine.wait_for_ssh()?;
    Ok(machine)
}

fn saved(server: &OldServer, memory_mib: u32) -> Result<Saved> {
    let key = digest(&[
        &qemu_version()?,
        accelerator(&server.kernel)?.name(),
        include_str!("devices.rs"),
        include_str!("snapshot.rs"),
    ]);
    let at = server.directory.join(format!("booted-{memory_mib}-{key}"));
    let saved = Saved {
        disk: at.join("disk.qcow2"),
        memory: at.join("memory"),
    };
    let _lock = lock::exclusive(&server.directory.join(format!("booted-{memory_mib}.lock")))?;
    if at.exists() {
        return Ok(saved);
    }
    forget_others(server, memory_mib);
    say(&format!(
        "booting the old server with {memory_mib} MiB once, to save its state"
    ));
    let scratch = tempfile::tempdir_in(&server.directory).context("create a scratch directory")?;
    let made = scratch.path().join("booted");
    fs::create_dir(&made).context("create the saved machine's directory")?;
    let disk = Disk::over(&server.disk, &made.join("disk.qcow2"))?;
    let mut machine = Machine::start(
        server,
        vm::directory("save")?,
        disk,
        memory_mib,
        Start::Boot,
        Additions::default(),
    )?;
    machine.wait_for_ssh()?;
    // All units have started, and what they wrote is on the disk.
    machine.ssh("systemctl is-system-running --wait")?;
    machine.expect("sync")?;
    machine.save(&made.join("memory"))?;
    fs::rename(&made, &at).with_context(|| format!("name {}", at.display()))?;
    Ok(saved)
}

/// Removes what an earlier harness or QEMU saved for this amount of memory.
fn forget_others(server: &OldServer, memory_mib: u32) {
    let Some(_unused) = lock::base_unused() else {
        return;
    };
    let Ok(entries) = fs::read_dir(&server.directory) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(&format!("booted-{memory_mib}-")) {
            // Best effort: what stays costs space and nothing else.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
