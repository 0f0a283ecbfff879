//! A check: a row of the tables, and what it looks at.

use formats::facts::Facts;
use formats::manifest::Manifest;
use plan::choices::Choices;
use plan::needs::PartSizes;

/// What the checks look at.
pub struct Context<'a> {
    /// The machine.
    pub facts: &'a Facts,
    /// The image.
    pub manifest: &'a Manifest,
    /// Sizes of its parts.
    pub sizes: PartSizes,
    /// What the operator wishes of the plan.
    pub choices: &'a Choices,
    /// Codes that the operator forces.
    pub forced: &'a [String],
}

/// Whether the operator may go on although a check refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Force {
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

/// A row.
pub(super) struct Check {
    pub code: &'static str,
    pub question: &'static str,
    /// Files, calls and devices that it goes by, for people.
    pub reads: &'static str,
    pub force: Force,
    pub again: &'static [Moment],
    pub remedy: &'static str,
    /// What speaks against it; nothing where it passes.
    pub against: fn(&Context) -> Option<String>,
}

/// Some lines as one; nothing where there are none.
pub(super) fn joined(lines: &[String]) -> Option<String> {
    (!lines.is_empty()).then(|| lines.join("; "))
}

/// Some names in one line; nothing where there are none.
pub(super) fn listed(names: impl Iterator<Item = String>) -> Option<String> {
    let names: Vec<String> = names.collect();
    (!names.is_empty()).then(|| names.join(", "))
}
