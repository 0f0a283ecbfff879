//! The filesystems beside the root that are wiped with it: mounted where the machine has them below the target,
//! one after the other, and taken away again. What a step writes goes to each by its own handle.

use std::ffi::CString;
use std::fs::{self, File};
use std::path::Path;

use anyhow::{bail, ensure, Context, Result};
use formats::facts::Subvolume;
use formats::plan::Plan;
use rustix::mount::{mount, unmount, MountFlags, UnmountFlags};
use storage::{block, mounts, subvolumes};

use crate::ram::commit_point;
use crate::root::target::{self, TARGET};
use crate::run::data::{MountedRoot, System};

/// Mounts all of them read-only, in the plan's order: one that is mounted in another one comes behind it.
pub fn assemble(plan: &Plan, systems: &[System]) -> Result<()> {
    take_apart()?;
    let read_only = MountFlags::RDONLY | MountFlags::NOATIME;
    systems
        .iter()
        .try_for_each(|system| put(plan, system, read_only))
}

/// Mounts one of them writable, in a tree whose filesystems above it are.
pub fn put_writable(plan: &Plan, system: &System) -> Result<()> {
    put(plan, system, MountFlags::NOATIME)
}

fn put(plan: &Plan, system: &System, flags: MountFlags) -> Result<()> {
    let place = target::at(&system.target);
    if commit_point::is_passed() && fs::symlink_metadata(&place).is_err() {
        // The wipe of what it is mounted in has removed it, and may have been broken off there.
        target::gate(plan)?.make_directories(&system.target)?;
    }
    ensure_directory(&system.target)?;
    let (device, fstype) = (&system.device, system.filesystem.name());
    // Every other option is one of the whole filesystem, which the root has mounted.
    let options = system.subvolume.as_ref();
    let options = options.map(|subvolume| CString::new(format!("subvolid={}", subvolume.id)));
    let options = options.transpose().context("an option")?;
    mount(device, &place, fstype, flags, options.as_deref())
        .with_context(|| format!("mount {} at {}", device.display(), place.display()))?;
    match &system.subvolume {
        Some(subvolume) => ensure_subvolume(&place, subvolume),
        None => Ok(()),
    }
}

/// What is mounted at a place has to be the subvolume of the plan, by number and by path: the new OS's boot loader,
/// kernel and fstab go by the path alone.
pub fn ensure_subvolume(place: &Path, wanted: &Subvolume) -> Result<()> {
    let top = File::open(place).with_context(|| format!("open {}", place.display()))?;
    let found = subvolumes::at(&top)
        .with_context(|| format!("ask which subvolume is mounted at {}", place.display()))?;
    ensure!(
        found.as_ref() == Some(wanted),
        "the subvolume that is mounted at {} is {}, expected {}",
        place.display(),
        found.map_or("none".to_owned(), |found| found.words()),
        wanted.words()
    );
    Ok(())
}

/// A link on the way would lead the mount to another place than the machine's.
fn ensure_directory(path: &str) -> Result<()> {
    let whole = target::at(path);
    let above = whole
        .ancestors()
        .take_while(|place| *place != Path::new(TARGET));
    for place in above {
        let found = fs::symlink_metadata(place).with_context(|| {
            format!(
                "look at {}, where a filesystem was mounted",
                place.display()
            )
        })?;
        ensure!(
            found.is_dir(),
            "{} is no directory, and in the old OS a filesystem was mounted there or below it",
            place.display()
        );
    }
    Ok(())
}

/// Unmounts whatever is mounted below the target, the last one first.
pub fn take_apart() -> Result<()> {
    for place in target::mounted_below() {
        unmount(&place, UnmountFlags::empty())
            .with_context(|| format!("unmount {}", place.display()))?;
    }
    Ok(())
}

/// Nothing but the root and these may be mounted at or below the target, each of its own device or subvolume and at
/// its own place.
pub fn ensure_mounted(root: &MountedRoot, systems: &[System]) -> Result<()> {
    let all = mounts::read().context("read /proc/self/mountinfo")?;
    let mut here = Vec::new();
    for mount in all.iter().filter(|m| m.target.starts_with(TARGET)) {
        let device = block::by_number(mount.device.0, mount.device.1);
        let node = device.map(|device| device.node());
        here.push((mount.target.clone(), node.unwrap_or_default()));
    }
    let subvolumes: Vec<_> = systems
        .iter()
        .filter_map(|s| Some((target::at(&s.target), s.subvolume.as_ref()?)))
        .collect();
    let systems = systems
        .iter()
        .map(|s| (target::at(&s.target), s.device.clone()));
    let root = (Path::new(TARGET).to_owned(), root.device.clone());
    let mut expected: Vec<_> = std::iter::once(root).chain(systems).collect();
    here.sort();
    expected.sort();
    if here != expected {
        bail!("mounted at or below {TARGET} are {here:?}, expected {expected:?}");
    }
    subvolumes
        .iter()
        .try_for_each(|(place, subvolume)| ensure_subvolume(place, subvolume))
}
