//! Failures that the operator can do something about.
//!
//! The chain of causes travels in `anyhow::Error`. A [`Refusal`] in it adds the one sentence that
//! says what to do next; `main` prints both, once.

use std::fmt;

/// Something is not as it has to be, and the operator can change that.
#[derive(Debug)]
pub struct Refusal {
    /// What is wrong.
    what: String,
    /// What to do about it.
    pub next: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Refusal {}

/// An error that says what is wrong and what to do next.
pub fn refusal(what: impl Into<String>, next: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(advice(what, next))
}

/// What to add to an error's chain so that it says what to do next.
pub fn advice(what: impl Into<String>, next: impl Into<String>) -> Refusal {
    Refusal {
        what: what.into(),
        next: next.into(),
    }
}

/// A tool that is not installed, and the package that brings it.
pub fn missing_tool(tool: &str, package: &str) -> anyhow::Error {
    refusal(
        format!("{tool} is not installed"),
        format!("install the package {package}: apt-get install {package}"),
    )
}
