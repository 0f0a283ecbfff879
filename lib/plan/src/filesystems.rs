//! What becomes of each filesystem that is mounted beside the root: the system's, wiped as the root is, or
//! data, which is left alone and mounted again. A table of rules decides, and the operator where it may.
//!
//! The table names what is the system's. Whatever it does not name is data: there will always be a place
//! that nobody thought of, and to take it for the system's is to lose it.

use formats::counted::counted;
use formats::facts::{Facts, Mount, MountWishes, MountedFilesystem, RootType};
use formats::filesystems::Contents;
use formats::keep::{is_below, Reach, SITE};
use formats::manifest::Manifest;
use formats::plan::{Becomes, FilesystemPlan};
use formats::tools::Readers;
use identity::mounts::MOUNTED_BY_INITRD;

use crate::{ext4_features, root_type, xfs_features};

/// Whether the operator may decide otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Other {
    /// It can be left alone: the new OS's own directory is then hidden below it.
    Allowed,
    /// Without it there is no new OS.
    Never,
    /// The new OS empties it (tmpfiles.d), or covers it with memory: what is left alone there would not last.
    Emptied,
}

/// A rule: where, how far it reaches, and whether the operator may decide otherwise.
struct Rule(&'static str, Reach, Other);

use Other::{Allowed, Emptied, Never};
use Reach::{Below, Exactly};

/// What is the system's, by the Filesystem Hierarchy Standard; the longest path decides. Below /var and
/// /usr/local the standard gives places to services and to the site, so those are named one by one.
#[rustfmt::skip]
const SYSTEM: [Rule; 12] = [
    Rule("/opt",           Exactly, Allowed),
    Rule("/root",          Exactly, Never),
    Rule("/tmp",           Exactly, Emptied),
    Rule("/usr",           Below,   Never),
    Rule("/usr/local",     Exactly, Allowed),
    Rule("/usr/local/bin", Exactly, Allowed),
    Rule("/var",           Exactly, Never),
    Rule("/var/cache",     Exactly, Allowed),
    Rule("/var/lib",       Exactly, Never),
    Rule("/var/log",       Exactly, Allowed),
    Rule("/var/log/audit", Exactly, Allowed),
    Rule("/var/tmp",       Exactly, Emptied),
];

/// What is refused on a filesystem of its own, whoever decides.
const NOT_APART: [&str; 8] = [
    "/etc", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", ROOTS_HOME,
];

/// In a subvolume of the root's own Btrfs it is there whenever the root is.
const ROOTS_HOME: &str = "/root";

/// Its filesystems are neither needed nor touched.
const BOOT: &str = "/boot";

/// What becomes of a filesystem, and by which rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What.
    pub becomes: Becomes,
    /// The rule, in words.
    pub rule: String,
}

fn rule_of(target: &str) -> Option<&'static Rule> {
    let rules = SYSTEM.iter().filter(|rule| rule.1.has(rule.0, target));
    let found = rules.max_by_key(|rule| rule.0.len())?;
    let site = SITE
        .iter()
        .any(|site| is_below(target, site) && *site != target);
    (found.0 == target || !site).then_some(found)
}

/// Decides about what is mounted at `target`, with these paths kept.
pub fn decide(target: &str, kept: &[&str], wishes: &MountWishes) -> Decision {
    let data = |rule| Decision {
        becomes: Becomes::Data,
        rule,
    };
    let system = |rule| Decision {
        becomes: Becomes::System,
        rule,
    };
    if let Some(kept) = kept.iter().find(|kept| is_below(target, kept)) {
        return data(format!("{kept} is kept"));
    }
    if wishes.wipe.iter().any(|wish| wish == target) {
        return system(format!("--wipe-mount {target}"));
    }
    if wishes.keep.iter().any(|wish| wish == target) {
        return data(format!("--keep-mount {target}"));
    }
    match rule_of(target) {
        Some(Rule(path, ..)) => system(format!("{path} is the system's")),
        None => data("no rule gives it to the system".to_owned()),
    }
}

/// Of what is mounted at these places, what is the system's, each behind the one that it is mounted in.
pub fn systems<'t>(
    targets: impl IntoIterator<Item = &'t str>,
    kept: &[&str],
    wishes: &MountWishes,
) -> Vec<String> {
    let targets = targets
        .into_iter()
        .filter(|target| !is_boot(target) && *target != "/");
    let is_system = |target: &&str| decide(target, kept, wishes).becomes == Becomes::System;
    let mut found: Vec<String> = targets.filter(is_system).map(str::to_owned).collect();
    found.sort();
    found.dedup();
    found
}

/// The same of facts: those that are the system's and that a run can find again, with what is known of each.
pub fn systems_of(facts: &Facts) -> Vec<&MountedFilesystem> {
    let mut found: Vec<_> = decided(facts)
        .filter(|(_, decision)| decision.becomes == Becomes::System)
        .filter_map(|(mount, _)| known(facts, &mount.target))
        .collect();
    found.sort_by(|a, b| a.target.cmp(&b.target));
    found
}

/// Those of them that have space of their own: what is free in a subvolume of the root's Btrfs is the root's.
pub fn spacious(facts: &Facts) -> Vec<&MountedFilesystem> {
    let mut found = systems_of(facts);
    found.retain(|system| system.subvolume().is_none());
    found
}

/// All of them, for the plan.
pub fn plan(facts: &Facts) -> Vec<FilesystemPlan> {
    let mut plans: Vec<_> = decided(facts)
        .filter(|(mount, _)| mount.contents() == Contents::Data && mount.source.starts_with('/'))
        .map(|(mount, Decision { becomes, rule })| {
            let known = known(facts, &mount.target);
            let identity = known.and_then(|known| known.identity.clone().ok());
            FilesystemPlan {
                target: mount.target.clone(),
                device: known.map_or(&mount.source, |known| &known.device).clone(),
                identity: identity.filter(|_| becomes == Becomes::System),
                becomes,
                rule,
            }
        })
        .collect();
    plans.sort_by(|a, b| a.target.cmp(&b.target));
    plans.dedup_by(|a, b| a.target == b.target);
    plans
}

/// Every mount that something is decided about, with the decision.
fn decided(facts: &Facts) -> impl Iterator<Item = (&Mount, Decision)> {
    let kept: Vec<&str> = facts.kept.iter().map(|kept| kept.path.as_str()).collect();
    let mounts = facts.mounts.iter();
    let mounts = mounts.filter(|mount| !mount.bind_of_root && !is_boot(&mount.target));
    mounts.map(move |mount| {
        let decision = decide(&mount.target, &kept, &facts.condition.mount_wishes);
        (mount, decision)
    })
}

fn is_boot(target: &str) -> bool {
    is_below(target, BOOT)
}

fn known<'f>(facts: &'f Facts, target: &str) -> Option<&'f MountedFilesystem> {
    let mut filesystems = facts.filesystems.iter();
    filesystems.find(|filesystem| filesystem.target == target)
}

/// What speaks against wiping what is the system's together with the root, and against leaving alone what is
/// data: one line each.
pub fn against(facts: &Facts, manifest: &Manifest) -> Vec<String> {
    let mut found = Vec::new();
    for mount in &facts.mounts {
        let target = mount.target.as_str();
        let shows_root = mount.bind_of_root && (target == BOOT || rule_of(target).is_some());
        if is_not_apart(facts, target) || shows_root {
            found.push(format!("{target} is on {}", mount.source));
        }
    }
    let all: Vec<_> = decided(facts).collect();
    for (mount, decision) in &all {
        let target = mount.target.as_str();
        if is_not_apart(facts, target) {
            continue;
        }
        let why = match decision.becomes {
            Becomes::System => {
                let data_above = all.iter().find(|(above, decision)| {
                    decision.becomes == Becomes::Data
                        && above.target != target
                        && is_below(target, &above.target)
                });
                against_system(facts, mount, manifest).or_else(|| {
                    let above = &data_above?.0.target;
                    Some(format!("it is mounted in {above}, which is data"))
                })
            }
            Becomes::Data => {
                let why = rule_of(target).and_then(|rule| match rule.2 {
                    Allowed => None,
                    Never => Some("without it there is no new OS"),
                    Emptied => Some("the new OS empties it or covers it with memory"),
                });
                why.map(|why| format!("{why}, and {}", decision.rule))
            }
        };
        let way_out = match (decision.becomes, rule_of(target)) {
            (Becomes::System, Some(rule)) if rule.2 == Allowed => {
                format!(" (--keep-mount {target} leaves it alone)")
            }
            _ => String::new(),
        };
        found.extend(why.map(|why| format!("{target} is on {}: {why}{way_out}", mount.source)));
    }
    found.extend(against_wishes(facts));
    found
}

/// Whether what is mounted there is refused, whoever decides.
fn is_not_apart(facts: &Facts, target: &str) -> bool {
    let beside = || known(facts, target).is_some_and(|known| known.subvolume().is_some());
    NOT_APART.contains(&target) && !(target == ROOTS_HOME && beside())
}

fn against_system(facts: &Facts, mount: &Mount, manifest: &Manifest) -> Option<String> {
    let Some(filesystem) = known(facts, &mount.target) else {
        return Some(match RootType::of(&mount.fstype) {
            Some(_) => "what it is on was not found out".to_owned(),
            None => format!("{} is neither ext4 nor XFS", mount.fstype),
        });
    };
    if let Err(why) = &filesystem.identity {
        return Some(why.clone());
    }
    if !filesystem.shown_again.is_empty() {
        let places = filesystem.shown_again.join(", ");
        return Some(format!("the same filesystem is mounted at {places} too"));
    }
    let apart = filesystem.identity.as_ref().ok();
    let root = facts.root.as_ref().map(|root| &root.identity);
    if let (Some(subvolume), Some(apart)) = (filesystem.subvolume(), apart) {
        if !root.is_some_and(|root| apart.is_subvolume_beside(root)) {
            return Some(format!("{} is not of the root's Btrfs", subvolume.words()));
        }
        if mount.target == MOUNTED_BY_INITRD {
            return Some(
                "the new OS's initrd mounts it, and was not seen to do so with a subvolume"
                    .to_owned(),
            );
        }
    }
    let payload = &manifest.payload;
    if payload.directories.is_empty() {
        return Some("the image does not say how much goes there; build it anew".to_owned());
    }
    let mut links = payload.directory_links.iter();
    let link = links.find(|link| is_below(&mount.target, &link.path));
    link.map(|link| format!("the new OS has a link at {}", link.path))
}

fn against_wishes(facts: &Facts) -> Vec<String> {
    let MountWishes { wipe, keep } = &facts.condition.mount_wishes;
    let wishes = [("--wipe-mount", wipe), ("--keep-mount", keep)];
    let mut found = Vec::new();
    for (option, paths) in wishes {
        for path in paths {
            let there = decided(facts).any(|(mount, _)| mount.target == *path);
            if is_boot(path) {
                found.push(format!("{option} {path}: it is left as it is, always"));
            } else if !there {
                found.push(format!(
                    "{option} {path}: no other filesystem is mounted there"
                ));
            }
        }
    }
    for path in wipe {
        if keep.contains(path) {
            found.push(format!(
                "{path} is named by both --wipe-mount and --keep-mount"
            ));
        }
        let mut kept = facts.kept.iter().map(|kept| kept.path.as_str());
        if let Some(kept) = kept.find(|kept| is_below(path, kept)) {
            found.push(format!("--wipe-mount {path}: {kept} is kept"));
        }
    }
    found
}

/// What the superblocks of the system's filesystems say against relying on them.
pub fn errors(facts: &Facts) -> Vec<String> {
    of_each(facts, |filesystem| {
        Vec::from_iter(filesystem.errors.clone())
    })
}

/// Which of them are not the only ones with their UUID.
pub fn doubles(facts: &Facts) -> Vec<String> {
    of_each(facts, |filesystem| {
        let doubles = filesystem.doubles.iter();
        doubles
            .map(|double| format!("{double} has its UUID too"))
            .collect()
    })
}

/// Which of them are on a mirror that lacks a disk.
pub fn degraded(facts: &Facts) -> Vec<String> {
    of_each(facts, |filesystem| {
        let lacks = (filesystem.missing > 0).then(|| {
            let disks = counted(u64::from(filesystem.missing), "disk", "disks");
            format!("its mirror {} lacks {disks}", filesystem.device)
        });
        Vec::from_iter(lacks)
    })
}

/// The drivers that they hang on, each once.
pub fn drivers(facts: &Facts) -> Vec<String> {
    let of_systems = systems_of(facts);
    let mut drivers: Vec<String> = of_systems.iter().flat_map(|s| s.drivers.clone()).collect();
    drivers.sort_unstable();
    drivers.dedup();
    drivers
}

/// Which of them cannot be written to.
pub fn read_only(facts: &Facts) -> Vec<String> {
    of_each(facts, |filesystem| {
        let read_only = filesystem.read_only;
        Vec::from_iter(read_only.then(|| "it is mounted read-only".to_owned()))
    })
}

/// Which of them have no journal in themselves.
pub fn journals(facts: &Facts) -> Vec<String> {
    of_each(facts, |filesystem| {
        let none = filesystem
            .ext4
            .is_some_and(|features| !ext4_features::has_journal(features));
        let why = match (filesystem.journal_elsewhere, none) {
            (true, _) => Some("its journal is on another device"),
            (_, true) => Some("it has no journal"),
            _ => None,
        };
        why.map(str::to_owned).into_iter().collect()
    })
}

/// Which of them are of a type, or have features, that the new OS does not know.
pub fn unknown(facts: &Facts, manifest: &Manifest) -> Vec<String> {
    let readers = without_loader(manifest.tools.readers(&manifest.kernel.release));
    of_each(facts, |filesystem| {
        let mut found = Vec::from_iter(root_type::against_mounted(&filesystem.fstype, manifest));
        if let Some(features) = filesystem.ext4 {
            found.extend(ext4_features::unknown(features, &readers));
        }
        if let Some(features) = filesystem.xfs {
            found.extend(xfs_features::unknown(features, &readers));
        }
        found
    })
}

/// Who reads a filesystem that a boot loader has no business with. GRUB's version is of no matter, and that
/// it refuses nothing by its code.
pub fn without_loader(readers: Readers<'_>) -> Readers<'_> {
    Readers {
        grub: None,
        grub_refuses: Some(0),
        grub_refuses_xfs: Some(0),
        ..readers
    }
}

fn of_each(facts: &Facts, ask: impl Fn(&MountedFilesystem) -> Vec<String>) -> Vec<String> {
    let filesystems = systems_of(facts).into_iter();
    filesystems
        .flat_map(|filesystem| {
            let said = ask(filesystem).into_iter();
            said.map(|why| format!("{}: {why}", filesystem.target))
                .collect::<Vec<_>>()
        })
        .collect()
}

#[cfg(test)]
#[path = "filesystems_tests.rs"]
mod tests;
