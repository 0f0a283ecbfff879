//! The checks: whether this machine may be reinstalled with this image. A table, a file a subject;
//! each row reads facts and manifest only, so `check`, `plan` and `go` come to the same verdict.
//!
//! docs/checks.md is made from the table; `page.rs` says how.

pub mod check;
mod disk;
mod identity;
mod keep;
mod machine;
mod mounts;
#[cfg(test)]
mod page;
mod quiet;
mod room;

use check::{Check, Context, Force, Moment};

use crate::survey::finding::{Finding, Verdict};

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

/// Asks every check.
pub fn ask_all(context: &Context) -> Vec<Finding> {
    all().map(|check| ask(check, context)).collect()
}

/// Asks the checks that are asked again at a moment.
pub fn ask_again(context: &Context, moment: Moment) -> Vec<Finding> {
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
