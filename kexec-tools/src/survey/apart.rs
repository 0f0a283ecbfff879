//! Looks at trees of the running OS, taken by a child.
//!
//! Mount points are known before a tree is looked at, and are not asked. But the OS goes on: what is
//! mounted a moment later may not answer, and a disk may hang. Whoever asks it then waits beyond the
//! reach of signals; so a child does, and is left behind if it has to be.

use std::ffi::OsString;
use std::process::Command;

use anyhow::{anyhow, Context, Result};
use formats::facts::{Unkept, UnkeptWay, Written};
use formats::keep::KeepPath;
use machine::answers::{self, Answer};
use machine::processes;
use serde::de::DeserializeOwned;
use serde::Serialize;
use storage::mounts;

use crate::survey::kept::KeptTrees;
use crate::survey::{accounts, kept, written};

/// The hidden command of this program that is the child's part.
pub const COMMAND: &str = "look-apart";

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Subject {
    /// The kept trees.
    Kept,
    /// What is written beside them.
    Written,
}

/// Measures the kept paths. One that does not answer has no measure.
/// `systems` are where filesystems are mounted that are wiped as the root is.
pub fn kept(keep: &[KeepPath], systems: &[String]) -> Result<KeptTrees> {
    let answer = ask(Subject::Kept, systems, keep.iter().map(KeepPath::as_str))?;
    Ok(answer.unwrap_or_else(|| KeptTrees::unmeasured(keep, &silent())))
}

/// Looks for what is written beside these paths, which stay.
pub fn written(stays: &[&str], systems: &[String]) -> Result<Written> {
    let answer = ask(Subject::Written, systems, stays.iter().copied())?;
    answer.ok_or_else(|| anyhow!("{}", silent().why))
}

fn silent() -> Unkept {
    Unkept {
        way: UnkeptWay::Unread,
        why: "something there does not answer: the disk, or what has been mounted there since the mounts \
              were listed"
            .to_owned(),
    }
}

/// What the child says; nothing if it is silent.
fn ask<'a, T: DeserializeOwned>(
    subject: Subject,
    systems: &[String],
    paths: impl Iterator<Item = &'a str>,
) -> Result<Option<T>> {
    let mut child = Command::new("/proc/self/exe");
    child.arg(COMMAND);
    for system in systems {
        child.arg("--system").arg(system);
    }
    child.arg(subject.name()).arg("--").args(paths);
    match answers::ask(child).context("start a child that looks")? {
        Answer::Silent => Ok(None),
        Answer::Said(bytes) => {
            let said: Result<T, String> =
                serde_json::from_slice(&bytes).context("the child that looks has ended early")?;
            said.map(Some).map_err(|why| anyhow!(why))
        }
    }
}

impl Subject {
    fn name(self) -> &'static str {
        match self {
            Subject::Kept => "kept",
            Subject::Written => "written",
        }
    }
}

/// The child's part: looks, and gives what it says. May never return.
pub fn look(subject: Subject, systems: &[String], paths: &[OsString]) -> Result<String> {
    let paths: Vec<&str> = paths.iter().filter_map(|path| path.to_str()).collect();
    match subject {
        Subject::Kept => said(look_at_kept(&paths, systems)),
        Subject::Written => said(look_at_written(&paths, systems)),
    }
}

fn said<T: Serialize>(found: Result<T>) -> Result<String> {
    let found = found.map_err(|e| format!("{e:#}"));
    serde_json::to_string(&found).context("write what was found")
}

fn look_at_kept(paths: &[&str], systems: &[String]) -> Result<KeptTrees> {
    let keep: Result<Vec<_>, _> = paths.iter().map(|path| KeepPath::parse(path)).collect();
    let mounts = mounts::read().context("read /proc/self/mountinfo")?;
    kept::look(&keep?, systems, &mounts)
}

fn look_at_written(stays: &[&str], systems: &[String]) -> Result<Written> {
    let mounts = mounts::read().context("read /proc/self/mountinfo")?;
    let processes = processes::all().context("list processes")?;
    Ok(written::read(
        stays,
        systems,
        &accounts::read(),
        &processes,
        &mounts,
    ))
}
