//! The checks: whether this machine may be reinstalled with this image. A table, a file a subject;
//! each row reads facts and manifest only, so `check`, `plan` and `go` come to the same verdict.
//!
//! docs/checks.md is made from the table; `page.rs` says how.

mod disk;
mod identity;
mod keep;
mod machine;
mod mounts;
#[cfg(test)]
mod page;
mod quiet;
mod room;

use std::borrow::Cow;

use manifest::facts::Facts;
use manifest::manifest::Manifest;
use manifest::resolve::{Choices, PartSizes};
use serde::Serialize;

/// What the checks look at.
pub struct Context<'a> {
    /// The machine.
    pub facts: &'a Facts,
    /// The image.
    pub manifest: &'a Manifest,
    /// Sizes of its parts.
    pub sizes: PartSizes,
    /// What the operator asked for.
    pub choices: &'a Choices,
    /// Codes that the operator forces.
    pub forced: &'a [String],
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check's code.
    pub code: Cow<'static, str>,
    /// What the check asks.
    pub question: Cow<'static, str>,
    /// Where it looks.
    pub reads: Cow<'static, str>,
    /// Its verdict.
    pub verdict: Verdict,
    /// What was found, where it does not just pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<Cow<'static, str>>,
}

/// The verdict of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing against it.
    Pass,
    /// Nothing against it, and something to know.
    Note,
    /// It refuses.
    Refuse,
    /// It refuses, and the operator forces it.
    Forced,
}

impl Finding {
    /// Whether this alone keeps the machine from being reinstalled.
    pub fn refuses(&self) -> bool {
        self.verdict == Verdict::Refuse
    }
}

/// Whether the operator may go on although a check refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Force {
    /// Never: it would fail or lose something.
    Never,
    /// It may be wrong, or the operator may know better.
    Allowed,
    /// It refuses nothing: what it finds is told.
    NotNeeded,
}

/// When a check is asked beside `check`, `plan` and `go`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// When everything is loaded, right before services are stopped. It refuses as before.
    Stop,
    /// In the RAM environment, before the commit point. The init asks, see its `checks_again.rs`.
    Ram,
}

struct Check {
    code: &'static str,
    question: &'static str,
    /// Files, calls and devices that it goes by, for people.
    reads: &'static str,
    force: Force,
    again: &'static [Moment],
    remedy: &'static str,
    /// What speaks against it; nothing where it passes.
    against: fn(&Context) -> Option<String>,
}

/// Whether a path is `parent` or below it.
fn is_below(path: &str, parent: &str) -> bool {
    path.strip_prefix(parent)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Some lines as one; nothing where there are none.
fn joined(lines: &[String]) -> Option<String> {
    (!lines.is_empty()).then(|| lines.join("; "))
}

/// Subjects with their checks, in the order in which a person would ask.
const SUBJECTS: [(&str, &[Check]); 7] = [
    ("The machine", machine::CHECKS),
    ("The root filesystem and its disk", disk::CHECKS),
    ("Other filesystems and swap", mounts::CHECKS),
    ("The keep list", keep::CHECKS),
    ("Room", room::CHECKS),
    ("Identity", identity::CHECKS),
    ("Rest", quiet::CHECKS),
];

/// Every check.
fn all() -> impl Iterator<Item = &'static Check> {
    SUBJECTS.iter().flat_map(|(_, checks)| checks.iter())
}

/// Whether a check with this code exists and may be forced.
pub fn may_be_forced(code: &str) -> bool {
    all().any(|c| c.code == code && c.force == Force::Allowed)
}

/// Runs every check.
pub fn run(context: &Context) -> Vec<Finding> {
    all().map(|check| ask(check, context)).collect()
}

/// Runs the checks that are asked again at a moment.
pub fn run_again(context: &Context, moment: Moment) -> Vec<Finding> {
    all()
        .filter(|check| check.again.contains(&moment))
        .map(|check| ask(check, context))
        .collect()
}

fn ask(check: &'static Check, context: &Context) -> Finding {
    let found = (check.against)(context);
    let verdict = match (&found, check.force) {
        (None, _) => Verdict::Pass,
        (Some(_), Force::NotNeeded) => Verdict::Note,
        (Some(_), Force::Allowed) if context.forced.iter().any(|f| f == check.code) => {
            Verdict::Forced
        }
        (Some(_), _) => Verdict::Refuse,
    };
    Finding {
        code: check.code.into(),
        question: check.question.into(),
        reads: check.reads.into(),
        verdict,
        remedy: found.is_some().then(|| check.remedy.into()),
        found,
    }
}

#[cfg(test)]
mod tests;
