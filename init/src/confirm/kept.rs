//! The kept paths at the first boot, measured before local filesystems are mounted over them and
//! before any service writes to them: as the RAM environment measured them.

use std::fs;
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use formats::confirm::KeptFound;
use formats::counted::counted;
use formats::facts::{Kept, Unkept, UnkeptWay};
use formats::keep::filesystem_of;
use formats::plan::{KeptPath, Plan};
use formats::Document;
use rustix::fs::{Mode, OFlags};
use tree::{Measuring, Stillness, TreeError};

use super::documents::{read_document, read_plan};
use super::say::say;
use crate::ram::state::{self, STATE};
use crate::root::place;

/// The outcome's name, in the run's directory and in memory.
const FOUND: &str = "kept-found.json";
const IN_MEMORY: &str = "kept.json";

/// How long the boot waits for it in all. Every service waits, ssh among them; a tree for which that
/// is not enough was measured by the RAM environment a minute ago. The unit's own end in time comes
/// later, and is for a disk that hangs.
const BUDGET: Duration = Duration::from_secs(90);

/// Measures every kept path, once: at later boots services have been writing to them, so that the
/// first outcome stands. It is put in the run's directory and in memory.
pub fn measure(directory: &Path) -> Result<()> {
    let plan = read_plan(directory)?;
    let path = directory.join(FOUND);
    let found = if path.exists() {
        read_document(&path)?
    } else {
        // Where it is cut off, this tells the next boot that it is too late.
        let found = measure_all(&plan, BUDGET, &|so_far| write(&plan, so_far))?;
        write(&plan, &found);
        found
    };
    fs::create_dir_all(STATE).with_context(|| format!("make {STATE}"))?;
    state::write(IN_MEMORY, found.to_json().as_bytes(), 0o600)?;
    Ok(())
}

/// A disk that cannot be written to is no reason not to measure: memory has the outcome too.
fn write(plan: &Plan, found: &KeptFound) {
    let path = format!("{}/{FOUND}", plan.run_directory());
    let written = place::gate(Path::new("/"), plan)
        .and_then(|gate| gate.write(&path, found.to_json().as_bytes(), 0o600));
    if let Err(e) = written {
        say(&format!("reroot: {:#}", anyhow::Error::from(e)));
    }
}

pub(super) fn measure_all(
    plan: &Plan,
    budget: Duration,
    so_far: &dyn Fn(&KeptFound),
) -> Result<KeptFound> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open("/", flags, Mode::empty()).context("open directory /")?;
    let apart = place::tops(Path::new("/"), plan);
    let apart = apart.iter().map(|(target, top)| (*target, top.as_fd()));
    let tops: Vec<_> = std::iter::once(("/", root.as_fd())).chain(apart).collect();
    let targets: Vec<&str> = tops[1..].iter().map(|(target, _)| *target).collect();
    let begun = Instant::now();
    let tell = |_| {
        if begun.elapsed() > budget {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    // Each filesystem numbers its inodes by itself.
    let mut measuring = Vec::with_capacity(tops.len());
    for (target, top) in &tops {
        measuring.push(
            Measuring::new(*top, Stillness::Still)
                .on(target)
                .telling(&tell),
        );
    }
    // The small ones first: one that takes too long leaves no time for those behind it.
    let mut trees: Vec<_> = plan.keep.iter().collect();
    trees.sort_by_key(|kept| kept.measure.entries);
    let mut found = KeptFound::default();
    so_far(&found);
    for kept in trees {
        let on = filesystem_of(kept.path.as_str(), &targets);
        let at = tops
            .iter()
            .position(|(target, _)| *target == on)
            .unwrap_or(0);
        found.kept.push(Kept {
            path: kept.path.clone(),
            found: measuring[at]
                .measure(&kept.path)
                .map_err(|e| why(e, kept, budget)),
        });
        so_far(&found);
    }
    found.ended = true;
    Ok(found)
}

fn why(error: TreeError, kept: &KeptPath, budget: Duration) -> Unkept {
    match error {
        TreeError::Stopped => Unkept {
            way: UnkeptWay::Unasked,
            why: format!(
                "it was not measured again: with {} it would have kept the boot waiting for \
                 longer than {} s; the RAM environment measured it right before its reboot, and it was \
                 as it was",
                counted(kept.measure.entries, "entry", "entries"),
                budget.as_secs()
            ),
        },
        error => Unkept {
            way: UnkeptWay::Unread,
            why: format!("{:#}", anyhow::Error::from(error)),
        },
    }
}

/// What the early unit found.
pub fn outcome(directory: &Path) -> Result<KeptFound> {
    read_document(&state::at(IN_MEMORY))
        .or_else(|_| read_document(&directory.join(FOUND)))
        .context("the early unit left nothing")
}
