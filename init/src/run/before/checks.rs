//! The launcher's checks, those that are made here too: this kernel has drivers of its own, and the
//! old OS went on after `check` had looked. Only reads. `plan::checks_in_ram` has the list
//! that both sides are compared with.

use std::os::fd::AsFd;
use std::path::Path;

use anyhow::{bail, ensure, Context, Result};
use formats::counted::counted;
use formats::keep::KeepSet;
use formats::measure::{Measure, Occupied};
use formats::plan::Plan;
use formats::Manifest;
use machine::meminfo;
use plan::needs;
use plan::{ext4_features, xfs_features};
use storage::superblock::{self, Superblock};
use storage::{block, mounts, root};

use crate::ram::{commit_point, parts};
use crate::root::target::{self, TARGET};
use crate::run::boot_paths;
use crate::run::data::{MountedRoot, Start};
use crate::run::kept;

/// What is looked at.
pub struct Subject<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The image.
    pub manifest: &'a Manifest,
    /// The root filesystem, mounted.
    pub root: &'a MountedRoot,
    /// Whether the run begins or is taken up.
    pub start: Start,
    /// What the wipe spares.
    pub keep: &'a KeepSet,
    /// Every kept path, measured.
    pub kept: &'a [Measure],
}

type Check = fn(&Subject) -> Result<()>;

/// Code and check, in the order of the launcher's table.
const CHECKS: [(&str, Check); 13] = [
    ("root", the_root_is_the_only_one),
    ("root-degraded", every_disk_has_all_of_it),
    ("root-type", the_root_is_of_its_type),
    ("root-double", the_root_is_the_only_one),
    ("root-errors", no_errors_are_recorded),
    ("root-features", the_features_are_known),
    ("root-journal", there_is_a_journal),
    ("partition-table", |a| {
        ensure_room_for_loader(a.plan, a.root, a.start)
    }),
    // It came up by this kernel's drivers, or it would not be found.
    ("root-driver", the_root_is_the_only_one),
    ("keep-mounts", |a| ensure_plain_mount(a.root)),
    ("keep", the_kept_paths_are_there),
    ("space", |a| {
        ensure_space(a.plan, a.manifest, a.root, a.kept)
    }),
    ("memory", |_| ensure_memory()),
];

/// Codes that a later step checks, before the commit point too.
#[cfg(test)]
const IN_OTHER_STEPS: [(&str, &str); 1] = [("network-gateway", "network")];

/// Makes all of them. The error of the first that refuses says what the check found.
pub fn check_all(subject: &Subject) -> Result<()> {
    for (code, check) in CHECKS {
        check(subject).with_context(|| format!("check {code}"))?;
    }
    log::info!("check: {} checks agree here too", CHECKS.len());
    Ok(())
}

fn the_root_is_the_only_one(subject: &Subject) -> Result<()> {
    let found = root::find(&subject.plan.root).context("find the root filesystem once more")?;
    let found = found.context("the root filesystem has gone")?;
    ensure!(
        found.device.node() == subject.root.device,
        "the root filesystem is {} now, and was {}",
        found.device.node().display(),
        subject.root.device.display()
    );
    Ok(())
}

/// Behind the commit point the run goes on with the disks that there are.
fn every_disk_has_all_of_it(subject: &Subject) -> Result<()> {
    let found = root::find(&subject.plan.root).context("find the root filesystem once more")?;
    let lacks = found.map(|found| found.lacks).unwrap_or_default();
    if lacks.is_empty() {
        return Ok(());
    }
    let lacks = lacks.join(", ");
    if commit_point::is_passed() {
        log::error!("check root-degraded: {lacks}; going on, past the commit point, with the disks that there are");
        return Ok(());
    }
    bail!("{lacks}")
}

fn the_root_is_of_its_type(subject: &Subject) -> Result<()> {
    let mounts = mounts::read().context("read /proc/self/mountinfo")?;
    let mount = mounts::at(&mounts, Path::new(TARGET)).context("the root is not mounted")?;
    let expected = subject.plan.root.filesystem.name();
    ensure!(
        mount.fstype == expected,
        "it is mounted as {}, expected {expected}",
        mount.fstype
    );
    Ok(())
}

fn superblock(root: &MountedRoot) -> Result<Superblock> {
    let node = &root.device;
    superblock::read(node)
        .with_context(|| format!("read the superblock of {}", node.display()))?
        .with_context(|| format!("{} has no superblock that is known", node.display()))
}

/// After the commit point there is no old OS to go back to: a person who tries a held run again
/// has been told, and decides.
fn no_errors_are_recorded(subject: &Subject) -> Result<()> {
    let Some(said) = superblock(subject.root)?.errors() else {
        return Ok(());
    };
    if commit_point::is_passed() {
        log::warn!("check root-errors: {said}; going on, past the commit point");
        return Ok(());
    }
    bail!("{said}; run e2fsck, for XFS xfs_repair, from a rescue system")
}

fn the_features_are_known(subject: &Subject) -> Result<()> {
    let readers = subject
        .manifest
        .tools
        .readers(&subject.manifest.kernel.release);
    let unknown = match superblock(subject.root)? {
        Superblock::Ext(found) => ext4_features::unknown(found.features, &readers),
        Superblock::Xfs(found) => xfs_features::unknown(found.features, &readers),
    };
    ensure!(unknown.is_empty(), "{}", unknown.join("; "));
    Ok(())
}

/// Nothing repairs what a power cut does to a filesystem without one.
fn there_is_a_journal(subject: &Subject) -> Result<()> {
    let found = superblock(subject.root)?;
    if let Superblock::Ext(found) = &found {
        ensure!(ext4_features::has_journal(found.features), "it has none");
    }
    ensure!(!found.journal_elsewhere(), "it is on another device");
    Ok(())
}

fn the_kept_paths_are_there(subject: &Subject) -> Result<()> {
    let directory = target::directory()?;
    tree::validate_keep(directory.as_fd(), subject.keep).context("check the kept paths")
}

/// Wiping and unpacking must not run out of memory half-way.
pub fn ensure_memory() -> Result<()> {
    let text = std::fs::read_to_string("/proc/meminfo").context("read /proc/meminfo")?;
    let memory = meminfo::parse(&text).context("/proc/meminfo tells no total")?;
    let needed = needs::WORK_BYTES;
    log::info!(
        "memory: {} MiB of {} MiB available",
        memory.available >> 20,
        memory.total >> 20
    );
    ensure!(
        memory.available >= needed,
        "wiping and unpacking take {} MiB of memory, {} MiB are available",
        needed >> 20,
        memory.available >> 20
    );
    Ok(())
}

/// The staged image's loader must fit beside the one in use, and the new OS's beside that. The old
/// OS's kernel said so; this is the disk as it is now.
pub fn ensure_room_for_loader(plan: &Plan, root: &MountedRoot, start: Start) -> Result<()> {
    boot_paths::of(plan, root)?
        .iter()
        .try_for_each(|path| path.ensure_room(start))
}

/// Nothing but the root filesystem may be mounted at or below the target.
pub fn ensure_plain_mount(root: &MountedRoot) -> Result<()> {
    let mounts = mounts::read().context("read /proc/self/mountinfo")?;
    let here: Vec<_> = mounts
        .iter()
        .filter(|m| m.target.starts_with(TARGET))
        .collect();
    let device = mounts::at(&mounts, Path::new(TARGET))
        .context("the root is not mounted")?
        .device;
    let node = block::by_number(device.0, device.1)
        .context("look up the mounted device")?
        .node();
    ensure!(
        here.len() == 1 && node == root.device,
        "{} at or below {TARGET}, of {}; expected one, of {}",
        counted(here.len() as u64, "mount", "mounts"),
        node.display(),
        root.device.display()
    );
    Ok(())
}

/// Bytes and inodes that there will be once the old OS is gone.
pub fn ensure_space(
    plan: &Plan,
    manifest: &Manifest,
    root: &MountedRoot,
    kept: &[Measure],
) -> Result<()> {
    let fs = rustix::fs::statvfs(TARGET).context("statvfs of the root filesystem")?;
    let superblock = superblock(root)?;
    let space = needs::space(
        manifest,
        needs::Filesystem {
            bytes: superblock.bytes_for_files(fs.f_blocks * fs.f_frsize),
            inodes: superblock.inodes(fs.f_files),
        },
        Occupied::by_kept(plan.keep.iter().map(|k| &k.path).zip(kept))
            + kept::spared()?
            + handed_over(plan)?,
    );
    if let Some(lack) = space.lack() {
        bail!("{lack}");
    }
    Ok(())
}

/// What carried files and the overlay will take.
fn handed_over(plan: &Plan) -> Result<Occupied> {
    let archives =
        std::iter::once("carried.tar").chain(plan.overlay.as_ref().map(|_| "overlay.tar"));
    let mut handed = Occupied::default();
    for path in archives.map(parts::at) {
        let archive =
            std::fs::metadata(&path).with_context(|| format!("look at {}", path.display()))?;
        handed.bytes += archive.len();
    }
    Ok(handed)
}

#[cfg(test)]
mod tests {
    use plan::checks_in_ram;

    use super::*;

    #[test]
    fn every_check_that_the_launcher_says_is_made_here_is() {
        let made: Vec<_> = CHECKS
            .iter()
            .map(|(code, _)| *code)
            .chain(IN_OTHER_STEPS.map(|(code, _)| code))
            .collect();
        assert_eq!(made, checks_in_ram::CODES);
    }
}
