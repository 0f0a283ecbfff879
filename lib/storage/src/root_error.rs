//! Why a root filesystem is not one that can be found again, or could not be looked at.

use std::io;

/// Why the root is not one that this program can find again without a doubt.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// Reading it failed.
    #[error("{what}")]
    Read {
        /// What was attempted.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// It is built in a way that is not supported.
    #[error("{0}")]
    Unsupported(String),
}

/// Names what was attempted.
///
/// # Errors
/// The one that came in, as [`RootError::Read`].
pub fn reading<T>(what: impl Into<String>, result: io::Result<T>) -> Result<T, RootError> {
    result.map_err(|source| RootError::Read {
        what: what.into(),
        source,
    })
}

/// Refuses, for this reason.
///
/// # Errors
/// Always, as [`RootError::Unsupported`].
pub fn unsupported<T>(why: impl Into<String>) -> Result<T, RootError> {
    Err(RootError::Unsupported(why.into()))
}
