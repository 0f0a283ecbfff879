//! The launcher's checks, those that are asked again here: this kernel has drivers of its own, and
//! the old OS went on after `check` had looked. Only reads. `manifest::asked_again` has the list
//! that both sides are compared with.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{bail, ensure, Context, Result};
use machine::{ext4, mounts, root, tree};
use manifest::ext4_features;
use manifest::keep::KeepSet;
use manifest::measure::Measure;
use manifest::plan::Plan;
use manifest::Manifest;

use crate::ram::commit_point;
use crate::root::target::{self, TARGET};
use crate::run::before::find::MountedRoot;
use crate::run::before::take_up::Start;
use crate::run::before::verify;

/// What is looked at.
pub struct Asked<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The image.
    pub manifest: &'a Manifest,
    /// The root filesystem, mounted.
    pub root: &'a MountedRoot,
    /// Whether the run begins or is taken up again.
    pub start: Start,
    /// What the wipe spares.
    pub keep: &'a KeepSet,
    /// Every kept path, measured.
    pub kept: &'a [Measure],
}

type Ask = fn(&Asked) -> Result<()>;

/// Code and question, in the order of the launcher's table.
const ASKED: [(&str, Ask); 11] = [
    ("root", the_root_is_the_only_one),
    ("root-type", the_root_is_ext4),
    ("root-double", the_root_is_the_only_one),
    ("root-errors", no_errors_are_recorded),
    ("root-features", the_features_are_known),
    ("partition-table", |a| {
        verify::ensure_room_for_loader(a.root, a.start)
    }),
    // It came up by this kernel's drivers, or it would not be found.
    ("root-driver", the_root_is_the_only_one),
    ("keep-mounts", |a| verify::ensure_plain_mount(a.root)),
    ("keep", the_kept_paths_are_there),
    ("space", |a| {
        verify::ensure_space(a.plan, a.manifest, a.kept)
    }),
    ("memory", |_| verify::ensure_memory()),
];

/// Codes that a later step asks about, before the commit point too.
#[cfg(test)]
const IN_OTHER_STEPS: [(&str, &str); 1] = [("network-gateway", "network")];

/// Asks all of them. The error of the first that refuses says what the check found.
pub fn ask(asked: &Asked) -> Result<()> {
    for (code, ask) in ASKED {
        ask(asked).with_context(|| format!("check {code}"))?;
    }
    log::info!("check: {} checks agree here too", ASKED.len());
    Ok(())
}

fn the_root_is_the_only_one(asked: &Asked) -> Result<()> {
    let found = root::find(&asked.plan.root).context("find the root filesystem once more")?;
    let found = found.context("the root filesystem has gone")?;
    ensure!(
        found.device.node() == asked.root.device,
        "the root filesystem is {} now, and was {}",
        found.device.node().display(),
        asked.root.device.display()
    );
    Ok(())
}

fn the_root_is_ext4(_: &Asked) -> Result<()> {
    let mounts = mounts::read().context("read /proc/self/mountinfo")?;
    let mount = mounts::at(&mounts, Path::new(TARGET)).context("the root is not mounted")?;
    ensure!(mount.fstype == "ext4", "it is mounted as {}", mount.fstype);
    Ok(())
}

fn superblock(asked: &Asked) -> Result<ext4::Superblock> {
    let node = &asked.root.device;
    let what = || format!("read the superblock of {}", node.display());
    let mut bytes = vec![0; ext4::SUPERBLOCK_SIZE];
    let device = File::open(node).with_context(what)?;
    device
        .read_exact_at(&mut bytes, ext4::SUPERBLOCK_AT)
        .with_context(what)?;
    ext4::parse(&bytes).with_context(|| format!("{} has no superblock of ext4", node.display()))
}

/// After the commit point there is no old OS to go back to: a person who tries a held run again
/// has been told, and decides.
fn no_errors_are_recorded(asked: &Asked) -> Result<()> {
    let found = superblock(asked)?;
    if !found.has_errors {
        return Ok(());
    }
    let said = format!("the superblock records {} errors", found.error_count);
    if commit_point::is_passed() {
        log::warn!("check root-errors: {said}; going on, past the commit point");
        return Ok(());
    }
    bail!("{said}; run e2fsck from a rescue system")
}

fn the_features_are_known(asked: &Asked) -> Result<()> {
    let readers = asked.manifest.tools.readers(&asked.manifest.kernel.release);
    let unknown = ext4_features::unknown(superblock(asked)?.features, &readers);
    ensure!(unknown.is_empty(), "{}", unknown.join("; "));
    Ok(())
}

fn the_kept_paths_are_there(asked: &Asked) -> Result<()> {
    let directory = target::directory()?;
    tree::validate_keep(directory.as_fd(), asked.keep).context("check the kept paths")
}

#[cfg(test)]
mod tests {
    use manifest::asked_again;

    use super::*;

    #[test]
    fn everything_that_the_launcher_says_is_asked_again_is() {
        let asked: Vec<_> = ASKED
            .iter()
            .map(|(code, _)| *code)
            .chain(IN_OTHER_STEPS.map(|(code, _)| code))
            .collect();
        assert_eq!(asked, asked_again::IN_RAM);
    }
}
