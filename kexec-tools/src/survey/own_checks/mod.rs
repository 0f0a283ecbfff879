//! The operator's own checks: programs in /etc/reroot/checks.d, and in a directory that `--checks`
//! names. Each is asked with the others, and again right before services are stopped: what was
//! true an hour ago, such as a fresh backup, may not be true any more.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{bail, Context, Result};
use formats::facts::Facts;
use formats::hooks;
use formats::Document;
use machine::own_programs::{self, Answer, OwnProgram, Word};

use crate::survey::finding::{Finding, Verdict};

/// Where they are unless the operator names another directory too.
const DIRECTORY: &str = "/etc/reroot/checks.d";

/// What codes of own checks begin with.
const PREFIX: &str = "own:";

/// What an own check looks at, whatever it is.
const READS: &str = "what the operator's own program reads";

/// One of them, found in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnCheck {
    /// The program.
    pub program: OwnProgram,
    /// Its code, `own:NAME`.
    pub code: String,
}

/// When they are asked; the program reads it in `REROOT_MOMENT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// With the other checks.
    Check,
    /// Right before services are stopped.
    Stop,
}

impl Moment {
    fn word(self) -> &'static str {
        match self {
            Moment::Check => "check",
            Moment::Stop => "stop",
        }
    }
}

/// Every own check of the directories, by name within each. A directory that the operator named
/// must be there; the usual one need not.
pub fn find(named: &[PathBuf]) -> Result<Vec<OwnCheck>> {
    let mut found: Vec<OwnCheck> = Vec::new();
    let usual = Path::new(DIRECTORY);
    for directory in std::iter::once(usual).chain(named.iter().map(PathBuf::as_path)) {
        for check in in_directory(directory, directory != usual)? {
            if let Some(twin) = found.iter().find(|known| known.code == check.code) {
                bail!(
                    "{} and {} have one code, {}; rename one of them",
                    twin.program.path.display(),
                    check.program.path.display(),
                    check.code
                );
            }
            found.push(check);
        }
    }
    Ok(found)
}

fn in_directory(directory: &Path, must_exist: bool) -> Result<Vec<OwnCheck>> {
    let programs = match own_programs::in_directory(directory) {
        Err(e) if e.kind() == ErrorKind::NotFound && !must_exist => return Ok(Vec::new()),
        other => other
            .with_context(|| format!("read the directory of own checks {}", directory.display()))?,
    };
    let check = |program: OwnProgram| OwnCheck {
        code: format!("{PREFIX}{}", program.name),
        program,
    };
    Ok(programs.into_iter().map(check).collect())
}

/// Asks all of them, one after another.
pub fn ask_all(
    checks: &[OwnCheck],
    facts: &Facts,
    moment: Moment,
    forced: &[String],
) -> Vec<Finding> {
    if checks.is_empty() {
        return Vec::new();
    }
    let json = facts.to_json();
    let kept = facts.kept.iter().map(|k| k.path.as_str());
    let variables = hooks::variables(moment.word(), &facts.hostname, kept);
    checks
        .iter()
        .map(|check| {
            let answer = own_programs::ask(&check.program, &variables, &json);
            finding(check, answer, forced)
        })
        .collect()
}

fn finding(check: &OwnCheck, answer: Answer, forced: &[String]) -> Finding {
    let verdict = match answer.word {
        Word::Refuse if forced.contains(&check.code) => Verdict::Forced,
        Word::Refuse => Verdict::Refuse,
        Word::Note => Verdict::Note,
        Word::Pass => Verdict::Pass,
    };
    Finding {
        code: check.code.clone().into(),
        question: format!("Does {} agree?", check.program.path.display()).into(),
        reads: READS.into(),
        verdict,
        remedy: (verdict != Verdict::Pass).then(|| "see what that program asks for".into()),
        found: (verdict != Verdict::Pass).then_some(answer.said),
    }
}

#[cfg(test)]
mod tests;
