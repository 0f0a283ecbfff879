//! The accounts of a machine: read from its files, merged, and written again.
//!
//! Formats: passwd(5), shadow(5), group(5), gshadow(5), subuid(5). Names are text; everything else
//! in a line is bytes, for old GECOS fields are in old encodings.

mod lines;
mod login_defs;
pub mod merge;
#[cfg(test)]
mod merge_tests;
mod notes;
mod parse;
mod password;
pub mod render;
#[cfg(test)]
mod render_tests;
pub(crate) mod shell;
mod side;

pub use parse::{parse, parse_on};

/// Whether a user's fields of passwd(5) come from the old OS, by the rule of the plan.
pub(crate) fn brings_its_fields(rule: formats::accounts::AccountRule) -> bool {
    side::brings_its_fields(Some(&rule))
}

/// What is wrong with account files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// A line that cannot be read for sure.
    #[error("{file}, line {line}: {what}")]
    Line {
        /// The file.
        file: &'static str,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// The files are not those that the plan was made of.
    #[error("{file}: {what}")]
    NotAsPlanned {
        /// The file.
        file: &'static str,
        /// What differs.
        what: String,
    },
}
