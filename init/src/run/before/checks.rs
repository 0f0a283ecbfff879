//! The launcher's checks, those that are made here too: this kernel has drivers of its own, and the
//! old OS went on after `check` had looked. Only reads. `plan::checks_in_ram` has the list
//! that both sides are compared with.

use std::path::Path;

use anyhow::{bail, ensure, Context, Result};
use formats::facts::BtrfsFacts;
use formats::keep::KeepSet;
use formats::measure::{Measure, Occupied};
use formats::plan::Plan;
use formats::Manifest;
use machine::meminfo;
use plan::needs;
use plan::{btrfs_features, btrfs_room, ext4_features, filesystems, xfs_features};
use storage::superblock::{self, Superblock};
use storage::{mounts, root, subvolumes};

use crate::ram::{commit_point, parts};
use crate::root::target::{self, TARGET};
use crate::run::boot_paths;
use crate::run::data::{MountedRoot, Start, System};
use crate::run::{kept, systems};

/// What is looked at.
pub struct Subject<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The image.
    pub manifest: &'a Manifest,
    /// The root filesystem, mounted.
    pub root: &'a MountedRoot,
    /// The filesystems that are wiped with it, mounted.
    pub systems: &'a [System],
    /// Whether the run begins or is taken up.
    pub start: Start,
    /// What the wipe spares.
    pub keep: &'a KeepSet,
    /// Every kept path, measured.
    pub kept: &'a [Measure],
}

type Check = fn(&Subject) -> Result<()>;

/// Code and check, in the order of the launcher's table.
const CHECKS: [(&str, Check); 16] = [
    ("root", the_root_is_the_only_one),
    ("root-degraded", every_disk_has_all_of_it),
    ("root-type", the_root_is_of_its_type),
    ("root-btrfs", the_subvolume_is_the_root),
    ("root-subvolumes", the_subvolumes_may_go),
    ("root-double", the_root_is_the_only_one),
    ("root-errors", no_errors_are_recorded),
    ("root-features", the_features_are_known),
    ("root-journal", there_is_a_journal),
    ("partition-table", |a| {
        ensure_room_for_loader(a.plan, a.root, a.start)
    }),
    // It came up by this kernel's drivers, or it would not be found.
    ("root-driver", the_root_is_the_only_one),
    ("separate-mounts", the_systems_are_the_only_ones),
    ("keep-mounts", |a| {
        systems::ensure_mounted(a.root, a.systems)
    }),
    ("keep", the_kept_paths_are_there),
    ("space", ensure_space),
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
    let plan = subject.plan;
    let all = std::iter::once(("/", &plan.root)).chain(plan.systems());
    let mut lacks = Vec::new();
    for (target, identity) in all.filter(|(_, identity)| identity.array.is_some()) {
        let found = root::find(identity)
            .with_context(|| format!("find the filesystem of {target} once more"))?;
        lacks.extend(found.map(|found| found.lacks).unwrap_or_default());
    }
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

fn the_systems_are_the_only_ones(subject: &Subject) -> Result<()> {
    for ((target, identity), system) in subject.plan.systems().zip(subject.systems) {
        let found = root::find(identity).with_context(|| format!("find what was at {target}"))?;
        let found = found.with_context(|| format!("the filesystem of {target} has gone"))?;
        ensure!(
            found.device.node() == system.device && system.target == target,
            "the filesystem of {target} is {} now, and was {}",
            found.device.node().display(),
            system.device.display()
        );
    }
    Ok(())
}

fn superblock(node: &Path) -> Result<Superblock> {
    superblock::read(node)
        .with_context(|| format!("read the superblock of {}", node.display()))?
        .with_context(|| format!("{} has no superblock that is known", node.display()))
}

/// Asks the superblock of the root and of each filesystem that is wiped with it.
fn each(subject: &Subject, ask: impl Fn(&str, &Superblock) -> Result<()>) -> Result<()> {
    ask("/", &superblock(&subject.root.device)?)?;
    for system in subject.systems {
        ask(&system.target, &superblock(&system.device)?)
            .with_context(|| format!("the filesystem of {}", system.target))?;
    }
    Ok(())
}

/// After the commit point there is no old OS to go back to: a person who tries a held run again
/// has been told, and decides.
fn no_errors_are_recorded(subject: &Subject) -> Result<()> {
    each(subject, |_, superblock| {
        let Some(said) = superblock.errors() else {
            return Ok(());
        };
        if commit_point::is_passed() {
            log::warn!("check root-errors: {said}; going on, past the commit point");
            return Ok(());
        }
        bail!("{said}; run e2fsck, for XFS xfs_repair, from a rescue system")
    })
}

fn the_features_are_known(subject: &Subject) -> Result<()> {
    let readers = subject
        .manifest
        .tools
        .readers(&subject.manifest.kernel.release);
    let without_loader = filesystems::without_loader(readers);
    each(subject, |target, superblock| {
        let readers = if target == "/" {
            &readers
        } else {
            &without_loader
        };
        let unknown = match superblock {
            Superblock::Ext(found) => ext4_features::unknown(found.features, readers),
            Superblock::Xfs(found) => xfs_features::unknown(found.features, readers),
            Superblock::Btrfs(found) => btrfs_features::unknown(&btrfs(found)?, readers),
        };
        ensure!(unknown.is_empty(), "{}", unknown.join("; "));
        Ok(())
    })
}

/// What is known of the Btrfs that the root is on.
fn btrfs(superblock: &storage::btrfs::Superblock) -> Result<BtrfsFacts> {
    let mounts = mounts::read().context("read /proc/self/mountinfo")?;
    subvolumes::read(Path::new(TARGET), superblock, &mounts)
        .context("read the filesystem's trees of chunks and subvolumes")
}

/// The same of the root's device, where the root is on Btrfs.
fn root_btrfs(subject: &Subject) -> Result<Option<BtrfsFacts>> {
    match superblock(&subject.root.device)? {
        Superblock::Btrfs(found) => btrfs(&found).map(Some),
        Superblock::Ext(_) | Superblock::Xfs(_) => Ok(None),
    }
}

fn the_subvolume_is_the_root(subject: &Subject) -> Result<()> {
    let (Some(root), Some(facts)) = (&subject.plan.root.subvolume, root_btrfs(subject)?) else {
        return Ok(());
    };
    systems::ensure_subvolume(Path::new(TARGET), root)?;
    let found = plan::subvolumes::against_root(root, &facts);
    ensure!(found.is_empty(), "{}", found.join("; "));
    Ok(())
}

/// Behind the commit point there is nothing to decide any more: what is in the way of the wipe, it says itself.
fn the_subvolumes_may_go(subject: &Subject) -> Result<()> {
    let Some(facts) = root_btrfs(subject)?.filter(|_| !commit_point::is_passed()) else {
        return Ok(());
    };
    let kept = subject.plan.keep.iter();
    let kept: Vec<&str> = kept.map(|kept| kept.path.as_str()).collect();
    let mounts = mounts::read().context("read /proc/self/mountinfo")?;
    let mut nested = facts.nested;
    for system in subject.systems.iter().filter(|s| s.subvolume.is_some()) {
        let (more, read_only) =
            subvolumes::nested(&target::at(&system.target), &system.target, &mounts)
                .with_context(|| format!("look for subvolumes in {}", system.target))?;
        ensure!(!read_only, "{} is a read-only subvolume", system.target);
        nested.extend(more);
    }
    let found = plan::subvolumes::against(&nested, facts.default, &kept);
    ensure!(found.is_empty(), "{}", found.join("; "));
    Ok(())
}

/// Nothing repairs what a power cut does to a filesystem without one.
fn there_is_a_journal(subject: &Subject) -> Result<()> {
    each(subject, |_, superblock| {
        if let Superblock::Ext(found) = superblock {
            ensure!(ext4_features::has_journal(found.features), "it has none");
        }
        ensure!(!superblock.journal_elsewhere(), "it is on another device");
        Ok(())
    })
}

fn the_kept_paths_are_there(subject: &Subject) -> Result<()> {
    let tops = target::tops(subject.plan)?;
    tree::validate_keep(tops.roots(), subject.keep).context("check the kept paths")
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

/// Bytes and inodes that there will be on each filesystem once the old OS is gone.
fn ensure_space(subject: &Subject) -> Result<()> {
    let plan = subject.plan;
    // What is free in a subvolume of the root's Btrfs is the root's.
    let (of_root, apart): (Vec<&System>, Vec<&System>) =
        subject.systems.iter().partition(|s| s.subvolume.is_some());
    let of_root: Vec<&str> = of_root.iter().map(|s| s.target.as_str()).collect();
    let targets: Vec<&str> = apart.iter().map(|s| s.target.as_str()).collect();
    let parts = needs::parts(
        &subject.manifest.payload,
        Some(plan.root.filesystem),
        &targets,
    );
    // Without anything for the filesystem itself.
    let whole = needs::parts(&subject.manifest.payload, None, &targets);
    let devices = apart.iter().map(|system| &system.device);
    let devices = std::iter::once(&subject.root.device).chain(devices);
    let targets = std::iter::once("/").chain(targets);
    for ((target, device), part) in targets.zip(devices).zip(parts) {
        let fs = rustix::fs::statvfs(target::at(target))
            .with_context(|| format!("statvfs of the filesystem of {target}"))?;
        let superblock = superblock(device)?;
        let with = if target == "/" { &of_root[..] } else { &[] };
        let mut there = Occupied::default();
        for target in std::iter::once(target).chain(with.iter().copied()) {
            let kept = plan.kept_on(target);
            let kept = kept
                .iter()
                .filter_map(|(at, path)| Some((path, subject.kept.get(*at)?)));
            there = there + Occupied::by_kept(kept) + kept::spared(plan, target)?;
        }
        let handed = handed_over(plan)?;
        let mut of_trees = None;
        let room = match &superblock {
            Superblock::Btrfs(found) => {
                let wiped = of_root_btrfs(subject);
                let taken = btrfs_room::Taken {
                    wiped: &wiped,
                    part: whole[0],
                    beside: handed.bytes,
                    kept: there,
                };
                of_trees = btrfs_room::lack(&btrfs(found)?.room, taken);
                needs::Filesystem::of_btrfs(fs.f_bavail * fs.f_frsize, there)
            }
            Superblock::Ext(_) | Superblock::Xfs(_) => needs::Filesystem {
                bytes: superblock.bytes_for_files(fs.f_blocks * fs.f_frsize),
                inodes: superblock.inodes(fs.f_files),
            },
        };
        let space = needs::space(target, part, room, there + handed);
        let Some(lack) = space.lack(target).or(of_trees) else {
            continue;
        };
        // What Btrfs has free it says of now, when the new OS may be there already, to be wiped once more.
        if commit_point::is_passed() {
            log::warn!("check space: {lack}; going on, past the commit point");
            continue;
        }
        bail!("{lack}");
    }
    Ok(())
}

/// The numbers of the subvolumes that are wiped, where the root is one.
fn of_root_btrfs(subject: &Subject) -> Vec<u64> {
    let root = subject.plan.root.subvolume.iter();
    let beside = subject.systems.iter().filter_map(|s| s.subvolume.as_ref());
    root.chain(beside).map(|wiped| wiped.id).collect()
}

/// What carried files and the overlay will take. Which filesystem takes how much of it is not looked at: each has
/// to have room for all of it.
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
