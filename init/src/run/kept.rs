//! The kept paths as the steps see them: what the wipe spares, and what each path measures. Only
//! reads.

use std::ops::ControlFlow;
use std::os::fd::BorrowedFd;
use std::path::Path;

use anyhow::{Context, Result};

use formats::counted::counted;
use formats::keep::{filesystem_of, KeepPath, KeepSet, LOST_AND_FOUND, SPARED};
use formats::measure::{Measure, Occupied};
use formats::plan::Plan;
use tree::{Measuring, Stillness, TreeError};

use crate::ram::current_step;
use crate::root::{place, target};

/// Measures every kept path of the plan, in its order. Nobody else is there: whatever moves is an error.
pub fn measure(plan: &Plan) -> Result<Vec<Measure>> {
    let tops = target::tops(plan)?;
    // Each filesystem numbers its inodes by itself.
    let mut measuring: Vec<_> = tops
        .each()
        .map(|(target, top)| (target, on(target, top)))
        .collect();
    let targets: Vec<&str> = plan.systems().map(|(target, _)| target).collect();
    plan.keep
        .iter()
        .map(|kept| {
            let on = filesystem_of(kept.path.as_str(), &targets);
            let measuring = measuring.iter_mut().find(|(target, _)| *target == on);
            let (_, measuring) = measuring.context("it is on no filesystem")?;
            let measure = measuring
                .measure(&kept.path)
                .with_context(|| format!("measure {}", kept.path))?;
            log::info!(
                "kept {}: {}, {} bytes",
                kept.path,
                counted(measure.entries, "entry", "entries"),
                measure.bytes
            );
            Ok(measure)
        })
        .collect()
}

/// Takes measures on one filesystem.
fn on<'a>(target: &str, top: BorrowedFd<'a>) -> Measuring<'a> {
    Measuring::new(top, Stillness::Still)
        .on(target)
        .telling(&gets_on)
}

/// A measure of millions of files does not hang as long as it gets on.
fn gets_on(_: u64) -> ControlFlow<()> {
    current_step::progressed();
    ControlFlow::Continue(())
}

/// What the wipe spares on the filesystem at `target` beside the kept paths: this run's directory, those of
/// earlier runs, and what the filesystem's own check has found.
pub fn spared(plan: &Plan, target: &str) -> Result<Occupied> {
    let tops = target::tops(plan)?;
    let mut each = tops.each();
    let (_, top) = each
        .find(|(at, _)| *at == target)
        .context("it is not mounted")?;
    let mut measuring = on(target, top);
    let mut all = Occupied::default();
    for path in spared_on(target) {
        let path = KeepPath::internal(&path).with_context(|| format!("name {path}"))?;
        match measuring.measure(&path) {
            Ok(measure) => all = all + Occupied::by_kept([(&path, &measure)]),
            Err(TreeError::KeepMissing { .. }) => {}
            Err(e) => return Err(e).with_context(|| format!("measure {path}")),
        }
    }
    Ok(all)
}

/// Directories that the wipe spares on the filesystem at `target` although nobody named them.
fn spared_on(target: &str) -> Vec<String> {
    match target {
        "/" => SPARED.map(str::to_owned).to_vec(),
        target => vec![format!("{target}{LOST_AND_FOUND}")],
    }
}

/// The keep list, and what else is not the old OS's: this run's directory, and the directory that
/// each filesystem's own check puts lost files into.
pub fn keep_set(plan: &Plan) -> Result<KeepSet> {
    let mut keep = KeepSet::new(plan.keep.iter().map(|k| &k.path));
    let systems = plan.systems().map(|(target, _)| target);
    for path in std::iter::once("/").chain(systems).flat_map(spared_on) {
        if target::at(&path).is_dir() {
            keep = keep
                .with_internal(&path)
                .with_context(|| format!("keep {path}"))?;
        }
    }
    Ok(keep)
}

/// The part of it that is on the filesystem whose top `top` is, by paths from there. Where one is mounted in
/// another one, its directory is no part of that.
pub fn keep_set_on(plan: &Plan, target: &str, top: &Path) -> Result<KeepSet> {
    let kept: Vec<KeepPath> = plan
        .kept_on(target)
        .into_iter()
        .map(|(_, path)| path)
        .collect();
    let mut keep = KeepSet::new(&kept);
    for path in spared_on(target) {
        let own = path
            .strip_prefix(target.trim_end_matches('/'))
            .unwrap_or(&path);
        if place::at(top, own).is_dir() {
            keep = keep
                .with_internal(own)
                .with_context(|| format!("keep {path}"))?;
        }
    }
    Ok(keep)
}
