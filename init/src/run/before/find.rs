//! Finding the root filesystem again: by filesystem UUID and partition, exactly one match, in a
//! bounded time, never by name.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};
use formats::facts::{RootIdentity, RootType};
use machine::patience::Patience;
use rustix::io::Errno;
use rustix::mount::{mount, MountFlags};
use storage::{mounts, root};

use crate::ram::{commit_point, kernel_filesystems};
use crate::root::target::TARGET;
use crate::run::before::drivers::Drivers;
use crate::run::before::{mirror, repair, replay};
use crate::run::data::MountedRoot;

/// How long the root's disk may take to appear. RAID controllers spin up disk after disk.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long to go on looking for a second match once there is one: a clone of the disk on a slow
/// controller must not be missed.
const SECOND_LOOK: Duration = Duration::from_secs(2);

/// Finds it.
pub fn find(identity: &RootIdentity, drivers: &Drivers) -> Result<MountedRoot> {
    if let Some(array) = &identity.array {
        mirror::assemble(array, drivers)?;
    }
    let mut patience = Patience::new(PATIENCE);
    let mut seen_at: Option<Instant> = None;
    let found = loop {
        drivers.load_for_hardware()?;
        match root::find(identity).context("find the root filesystem")? {
            Some(found) if seen_at.is_some_and(|t| t.elapsed() >= SECOND_LOOK) => break found,
            Some(_) => {
                seen_at.get_or_insert_with(Instant::now);
            }
            None if patience.is_over() => bail!(
                "no disk with the root filesystem {} appeared within {} s; is the driver of its controller in the image?",
                identity.fs_uuid,
                PATIENCE.as_secs()
            ),
            None => {}
        }
        std::thread::sleep(Duration::from_millis(250));
    };
    for lack in &found.lacks {
        log::error!("the root's mirror: {lack}");
    }
    let root = MountedRoot::from(found);
    log::info!("root {} is {}", identity.fs_uuid, root.device.display());
    Ok(root)
}

/// Mends it, where the run is taken up and an earlier start has left it unclean.
pub fn repair_taken_up(root: &MountedRoot, filesystem: RootType) -> Result<()> {
    let mounts = mounts::read().context("read /proc/self/mountinfo")?;
    if !commit_point::is_passed() || mounts::at(&mounts, Path::new(TARGET)).is_some() {
        return Ok(());
    }
    match filesystem {
        RootType::Ext4 => repair::repair(&root.device),
        RootType::Xfs => replay::replay(&root.device, Path::new(TARGET)),
    }
}

/// Mounts it read-only.
pub fn mount_root(root: &MountedRoot, filesystem: RootType) -> Result<()> {
    let flags = MountFlags::RDONLY | MountFlags::NOATIME;
    match mount(&root.device, TARGET, filesystem.name(), flags, None) {
        // Already there when the operator tries a held run again.
        Ok(()) => Ok(()),
        Err(Errno::BUSY) => {
            kernel_filesystems::unmount_from(Path::new(TARGET))
                .context("clear what an earlier attempt mounted")?;
            Ok(())
        }
        Err(e) => Err(e).with_context(|| format!("mount {} at {TARGET}", root.device.display())),
    }
}
