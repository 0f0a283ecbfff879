//! Finding the root filesystem again: by filesystem UUID and partition, exactly one match, in a
//! bounded time, never by name.

use std::ffi::CString;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure, Context, Result};
use formats::facts::{RootIdentity, RootType, Subvolume};
use formats::plan::Plan;
use machine::patience::Patience;
use rustix::io::Errno;
use rustix::mount::{mount, MountFlags};
use storage::{mounts, root};

use crate::ram::{commit_point, kernel_filesystems, state};
use crate::root::target::{self, TARGET};
use crate::run::before::drivers::Drivers;
use crate::run::before::{mirror, repair, replay};
use crate::run::data::{MountedRoot, System};
use crate::run::systems::ensure_subvolume;

/// How long the root's disk may take to appear. RAID controllers spin up disk after disk.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long to go on looking for a second match once there is one: a clone of the disk on a slow
/// controller must not be missed.
const SECOND_LOOK: Duration = Duration::from_secs(2);

/// Finds those that are wiped with the root, as strictly as that.
pub fn find_systems(plan: &Plan, root: &MountedRoot, drivers: &Drivers) -> Result<Vec<System>> {
    let mut systems: Vec<System> = Vec::new();
    for (target, identity) in plan.systems() {
        if identity.subvolume.is_some() {
            let system = beside_root(plan, root, target, identity)?;
            ensure!(
                !systems
                    .iter()
                    .any(|known| known.subvolume == system.subvolume),
                "one subvolume is that of two places, {target} is one of them"
            );
            systems.push(system);
            continue;
        }
        drivers.load_for(identity)?;
        let found =
            find(identity, drivers).with_context(|| format!("find what was at {target}"))?;
        let known = systems.iter().any(|system| system.device == found.device);
        ensure!(
            !known && found.device != root.device,
            "{} is the filesystem of two places, {target} is one of them",
            found.device.display()
        );
        systems.push(System {
            target: target.to_owned(),
            filesystem: identity.filesystem,
            device: found.device,
            subvolume: None,
        });
    }
    Ok(systems)
}

/// A further subvolume of the root's Btrfs is where the root is, and which one it is shows once it is mounted.
fn beside_root(
    plan: &Plan,
    root: &MountedRoot,
    target: &str,
    identity: &RootIdentity,
) -> Result<System> {
    ensure!(
        identity.is_subvolume_beside(&plan.root),
        "{target} is no other subvolume of the root's Btrfs: the root is {:?}, this is {identity:?}",
        plan.root
    );
    Ok(System {
        target: target.to_owned(),
        filesystem: identity.filesystem,
        device: root.device.clone(),
        subvolume: identity.subvolume.clone(),
    })
}

/// Mends one of them, where the run is taken up and an earlier start has left it unclean.
pub fn repair_system(system: &System) -> Result<()> {
    let mounts = mounts::read().context("read /proc/self/mountinfo")?;
    let place = target::at(&system.target);
    if !commit_point::is_passed() || mounts::at(&mounts, &place).is_some() {
        return Ok(());
    }
    let mended = match system.filesystem {
        RootType::Ext4 => repair::repair(&system.device),
        RootType::Xfs => {
            let directory = state::at(REPLAYED);
            fs::create_dir_all(&directory)
                .with_context(|| format!("make {}", directory.display()))?;
            replay::replay(&system.device, &directory)
        }
        // It is the root's own, which is mounted.
        RootType::Btrfs => Ok(()),
    };
    mended.with_context(|| format!("mend the filesystem of {}", system.target))
}

/// Where a log is replayed that is not the root's.
const REPLAYED: &str = "replayed";

/// Finds it.
pub fn find(identity: &RootIdentity, drivers: &Drivers) -> Result<MountedRoot> {
    if let Some(array) = &identity.array {
        mirror::assemble(array, drivers)?;
    }
    let mut patience = Patience::new(PATIENCE);
    let mut seen_at: Option<Instant> = None;
    let found = loop {
        drivers.load_for_hardware()?;
        match root::find(identity).context("find the filesystem")? {
            Some(found) if seen_at.is_some_and(|t| t.elapsed() >= SECOND_LOOK) => break found,
            Some(_) => {
                seen_at.get_or_insert_with(Instant::now);
            }
            None if patience.is_over() => bail!(
                "no disk with the filesystem {} appeared within {} s; is the driver of its controller in the image?",
                identity.fs_uuid,
                PATIENCE.as_secs()
            ),
            None => {}
        }
        std::thread::sleep(Duration::from_millis(250));
    };
    for lack in &found.lacks {
        log::error!("the mirror of {}: {lack}", identity.fs_uuid);
    }
    let root = MountedRoot::from(found);
    log::info!("{} is {}", identity.fs_uuid, root.device.display());
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
        // What is on the disk is whole at any moment; what was synced since, the kernel adds as it mounts it.
        RootType::Btrfs => Ok(()),
    }
}

/// Options that a root on Btrfs is mounted with: this subvolume, and nothing moved elsewhere. Linux before 3.3
/// knows the former alone, and moves nothing of a filesystem that is mounted read-only.
fn btrfs_options(subvolume: &Subvolume) -> [String; 2] {
    let which = format!("subvolid={}", subvolume.id);
    [format!("{which},skip_balance"), which]
}

/// Mounts it read-only.
pub fn mount_root(root: &MountedRoot, identity: &RootIdentity) -> Result<()> {
    let flags = MountFlags::RDONLY | MountFlags::NOATIME;
    let fstype = identity.filesystem.name();
    let mounted = match &identity.subvolume {
        None => mount(&root.device, TARGET, fstype, flags, None),
        Some(subvolume) => {
            let [all, known_of_old] = btrfs_options(subvolume).map(CString::new);
            let (all, known_of_old) = (
                all.context("an option")?,
                known_of_old.context("an option")?,
            );
            let mounted = mount(&root.device, TARGET, fstype, flags, Some(all.as_c_str()));
            match mounted {
                Err(Errno::INVAL) => mount(
                    &root.device,
                    TARGET,
                    fstype,
                    flags,
                    Some(known_of_old.as_c_str()),
                ),
                other => other,
            }
        }
    };
    match mounted {
        // Already there when the operator tries a held run again.
        Ok(()) => match &identity.subvolume {
            Some(subvolume) => ensure_subvolume(Path::new(TARGET), subvolume),
            None => Ok(()),
        },
        Err(Errno::BUSY) => {
            kernel_filesystems::unmount_from(Path::new(TARGET))
                .context("clear what an earlier attempt mounted")?;
            Ok(())
        }
        Err(e) => Err(e).with_context(|| format!("mount {} at {TARGET}", root.device.display())),
    }
}
