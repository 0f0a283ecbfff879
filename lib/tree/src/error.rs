//! What can go wrong with a tree, as operation, object and cause.

use std::io;

use thiserror::Error;

/// A failed operation on a tree. Paths are absolute within the tree, with bytes that do not print
/// escaped.
#[derive(Debug, Error)]
pub enum TreeError {
    /// The kernel refused an operation.
    #[error("cannot {operation} {path}")]
    Io {
        /// What was tried, as a verb phrase that the path completes.
        operation: &'static str,
        /// On what.
        path: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A path to keep is not there.
    #[error("the path to keep {path} does not exist; nothing was changed")]
    KeepMissing {
        /// The first component that is missing.
        path: String,
    },
    /// A path to keep is, or goes through, a symbolic link.
    #[error("{path} is a symbolic link and part of a path to keep; keep the path it leads to instead; nothing was changed")]
    KeepLink {
        /// The link.
        path: String,
    },
    /// A path to keep goes through something that is no directory.
    #[error("{path} is no directory, but a path below it is to be kept; nothing was changed")]
    KeepNotDirectory {
        /// The component that is no directory.
        path: String,
    },
    /// A path to keep is on another filesystem.
    #[error("{path} is a mount point and part of a path to keep; another filesystem is never touched and need not be kept; nothing was changed")]
    KeepMount {
        /// The mount point.
        path: String,
    },
    /// Something was there that the work on a tree must not touch or pass.
    #[error("{path} {what}")]
    Obstacle {
        /// What is in the way.
        path: String,
        /// What is wrong with it, as a predicate.
        what: &'static str,
    },
    /// A path is kept, is below one that is, or leads to one.
    #[error("{path} is kept, or leads to what is kept: nothing is written, made or removed there")]
    Kept {
        /// The path.
        path: String,
    },
    /// Whoever was told of the progress had the work stop.
    #[error("stopped before its end")]
    Stopped,
    /// A file was written to while it was being read.
    #[error("{path} changed while it was being packed; stop what writes to it and pack again")]
    Changed {
        /// The file.
        path: String,
    },
    /// The description of the payload contradicts itself.
    #[error("the description of the payload is unsound")]
    Description(#[from] formats::payload::PayloadError),
    /// A frame's bytes are not the ones that were packed.
    #[error("frame {index} of the payload is damaged: its digest is {found}, not {expected}")]
    FrameDigest {
        /// Which frame, counted from zero.
        index: usize,
        /// The digest in the manifest.
        expected: String,
        /// The digest of what was read.
        found: String,
    },
    /// A frame could not be read or decompressed.
    #[error("cannot read frame {index} of the payload")]
    FrameRead {
        /// Which frame, counted from zero.
        index: usize,
        /// Why.
        source: io::Error,
    },
    /// An archive is malformed, or holds what no payload may hold.
    #[error("the archive is malformed at {place}: {what}")]
    Archive {
        /// The entry or the frame.
        place: String,
        /// What is wrong.
        what: String,
    },
}

impl TreeError {
    /// An error of the kernel on a path.
    pub(super) fn io(operation: &'static str, path: &[u8], source: impl Into<io::Error>) -> Self {
        Self::Io {
            operation,
            path: printable(path),
            source: source.into(),
        }
    }

    /// Something in the way.
    pub(super) fn obstacle(path: &[u8], what: &'static str) -> Self {
        Self::Obstacle {
            path: printable(path),
            what,
        }
    }

    /// A mount in the way of work below it.
    pub(super) fn mount(path: &[u8]) -> Self {
        Self::obstacle(
            path,
            "is a mount point, and what is below it is never touched",
        )
    }

    /// A path to keep that is not there.
    pub(super) fn keep_missing(path: &[u8]) -> Self {
        Self::KeepMissing {
            path: printable(path),
        }
    }

    /// A path to keep on another filesystem.
    pub(super) fn keep_mount(path: &[u8]) -> Self {
        Self::KeepMount {
            path: printable(path),
        }
    }

    /// A malformed entry of an archive.
    pub(super) fn entry(path: &[u8], what: impl Into<String>) -> Self {
        Self::Archive {
            place: printable(path),
            what: what.into(),
        }
    }
}

/// A path as a person can read it on any console: absolute, and otherwise as
/// [`formats::printable::name`] has it.
pub fn printable(path: &[u8]) -> String {
    let slash = if path.starts_with(b"/") { "" } else { "/" };
    format!("{slash}{}", formats::printable::name(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_print_on_one_line_and_unambiguously() {
        let cases: &[(&[u8], &str)] = &[
            (b"", "/"),
            (b"/", "/"),
            (b"etc/fstab", "/etc/fstab"),
            (b"/a\nb", "/a\\nb"),
            (b"/a\\nb", "/a\\\\nb"),
            ("/ü".as_bytes(), "/ü"),
            (b"/\xff\x1b[31m", "/\\xff\\u{1b}[31m"),
        ];
        for (path, text) in cases {
            assert_eq!(printable(path), *text);
        }
    }
}
