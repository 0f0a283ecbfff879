//! The fence: whether a run may begin is decided together with its beginning, under the lock that the
//! run then holds. Of any number of calls at the same moment one begins a run, whoever repeats it.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::str::FromStr;

use anyhow::{bail, Context, Result};
use formats::begun::{self, Begun};
use formats::run_id::{NotARunId, RunId};
use formats::Document;
use machine::moment;
use machine::runs::directory::{Places, PROGRAM};
use machine::runs::evidence::{self, number};
use machine::runs::lock;
use machine::step_record::boot_id;

/// The run that has to be the newest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum After {
    /// There is none.
    NoRun,
    /// This one.
    Run(RunId),
}

impl FromStr for After {
    type Err = NotARunId;

    fn from_str(text: &str) -> Result<After, NotARunId> {
        match text {
            "none" => Ok(After::NoRun),
            run => run.parse().map(After::Run),
        }
    }
}

impl After {
    fn allows(&self, newest: Option<&str>) -> bool {
        match self {
            After::NoRun => newest.is_none(),
            After::Run(run) => newest == Some(run.as_str()),
        }
    }

    /// As it was said.
    pub fn text(&self) -> &str {
        match self {
            After::NoRun => "none",
            After::Run(run) => run.as_str(),
        }
    }
}

/// What has to be so for a run to begin.
#[derive(Clone, Debug, Default)]
pub struct Fence {
    /// The run's name, where it was given one.
    pub run: Option<RunId>,
    /// The run that has to be the newest, where that is asked for.
    pub after: Option<After>,
}

/// Why no run begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closed {
    /// A run of that name is there.
    There(RunId),
    /// Another run is the newest, or none is there.
    NotTheNewest(Option<String>),
    /// Another run is in progress.
    Busy(String),
}

impl Fence {
    /// Whether it is closed on this machine; a run in progress is not asked for.
    pub fn ask(&self, places: &Places) -> Result<Option<Closed>> {
        if let Some(run) = &self.run {
            if places.find(run.as_str()).is_some() {
                return Ok(Some(Closed::There(run.clone())));
            }
        }
        let Some(after) = &self.after else {
            return Ok(None);
        };
        let runs = evidence::evidence(places)?;
        let newest = runs.last().map(|e| e.run.clone());
        Ok((!after.allows(newest.as_deref())).then_some(Closed::NotTheNewest(newest)))
    }

    /// What it says of the run that has the lock, which may have left nothing yet.
    fn ask_holder(&self, places: &Places) -> Result<Closed> {
        let holder = lock::holder(places).unwrap_or_default().run;
        if let Some(closed) = self.ask(places)? {
            return Ok(closed);
        }
        let run = self.run.as_ref().filter(|run| run.as_str() == holder);
        if let Some(run) = run {
            return Ok(Closed::There(run.clone()));
        }
        let known = !holder.is_empty();
        Ok(match &self.after {
            Some(after) if known && !after.allows(Some(&holder)) => {
                Closed::NotTheNewest(Some(holder))
            }
            _ => Closed::Busy(holder),
        })
    }
}

/// A run that is to begin: its name and the documents in its directory.
pub struct Beginning<'a> {
    /// The name.
    pub run: &'a str,
    /// The consent that it begins on.
    pub consent: String,
    /// Codes of checks that are forced.
    pub forced: Vec<String>,
    /// Files of its directory, with their texts.
    pub documents: Vec<(&'a str, String)>,
    /// The program that tells of the run: the image may lie anywhere, and be removed.
    pub program: Vec<u8>,
}

/// Begins the run, if the fence is open: makes its directory, and has `start` start its worker with
/// the lock. The directory appears whole: who reads it finds every document.
pub fn begin(
    places: &Places,
    fence: &Fence,
    beginning: &Beginning,
    start: impl FnOnce(&Path, OwnedFd) -> Result<Child>,
) -> Result<Result<(Child, PathBuf), Closed>> {
    make_base(&places.base)?;
    let Some(lock) = lock::take(places, beginning.run)? else {
        return Ok(Err(fence.ask_holder(places)?));
    };
    if let Some(closed) = fence.ask(places)? {
        return Ok(Err(closed));
    }
    let directory = make(places, beginning)?;
    let child = lock
        .share()
        .context("share the lock of the run")
        .and_then(|lock| start(&directory, lock));
    match child {
        Ok(child) => {
            // The worker says so itself as well, so that a failure is none of the run; until it does
            // nobody is told of a launcher that is gone.
            let _ = lock.held_by(child.id(), beginning.run);
            Ok(Ok((child, directory)))
        }
        Err(e) => {
            // Nothing but the directory exists yet.
            let _ = fs::remove_dir_all(&directory);
            Err(e)
        }
    }
}

/// Makes the place of all runs, readable by root alone.
fn make_base(base: &Path) -> Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(base) {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => {
            return Err(e).with_context(|| format!("make {}", base.display()))
        }
        _ => {}
    }
    let found =
        fs::symlink_metadata(base).with_context(|| format!("look at {}", base.display()))?;
    if !found.is_dir() {
        bail!("{} is not a directory; move it away", base.display());
    }
    Ok(())
}

/// Not the name of a run, so that nobody takes it for one.
const NEW: &str = ".new";

/// Makes the run's directory under the name of none, and then gives it its own.
fn make(places: &Places, beginning: &Beginning) -> Result<PathBuf> {
    let runs = evidence::evidence(places)?;
    let begun = Begun {
        run: beginning.run.to_owned(),
        number: 1 + runs.iter().map(number).max().unwrap_or(0),
        after: runs.last().map(|e| e.run.clone()),
        at: moment::now(),
        boot_id: boot_id(),
        consent: beginning.consent.clone(),
        forced: beginning.forced.clone(),
    };
    let new = places.base.join(NEW);
    match fs::remove_dir_all(&new) {
        Err(e) if e.kind() != ErrorKind::NotFound => {
            return Err(e).with_context(|| format!("remove {}, left by an attempt", new.display()))
        }
        _ => {}
    }
    let directory = places.base.join(beginning.run);
    let make = || -> io::Result<()> {
        fs::DirBuilder::new().mode(0o700).create(&new)?;
        write(&new.join(begun::NAME), begun.to_json().as_bytes(), 0o600)?;
        for (name, text) in &beginning.documents {
            write(&new.join(name), text.as_bytes(), 0o600)?;
        }
        write(&new.join(PROGRAM), &beginning.program, 0o700)?;
        // On the disk before the worker starts, the name last.
        File::open(&new)?.sync_all()?;
        fs::rename(&new, &directory)?;
        File::open(&places.base)?.sync_all()
    };
    make().with_context(|| format!("make {}", directory.display()))?;
    Ok(directory)
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
#[path = "fence_tests.rs"]
mod tests;
