//! Where the staged kernel and initramfs lie on the disk: `staged.json` in the run's directory.
//!
//! A boot loader that must not trust a filesystem in flux loads them by these places alone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Digest;

/// What was staged, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged {
    /// The run that it was staged for.
    pub run: String,
    /// The kernel.
    pub kernel: StagedFile,
    /// The initramfs.
    pub initramfs: StagedFile,
    /// Room for a boot loader for a BIOS, where the disk's own is too small; zeros at first.
    #[serde(default)]
    pub loader: Option<StagedFile>,
    /// Digests of what the run is told (plan, manifest, carried files, accounts), by the path that
    /// each has in the RAM environment, without a slash in front. They come there through memory
    /// alone, and much of it is used behind the commit point.
    pub order: BTreeMap<String, Digest>,
}

/// A file whose bytes lie in one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedFile {
    /// Where it begins, in bytes from the start of the root's partition; a multiple of 512.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
    /// Digest of these bytes.
    pub digest: Digest,
}

impl Staged {
    /// The document's name in the run's directory.
    pub const FILE: &'static str = "staged.json";
}

/// The staged initramfs in the run's directory.
pub const INITRAMFS: &str = "initramfs";
/// The staged kernel.
pub const KERNEL: &str = "kernel";
/// Room for the staged image's boot loader.
pub const LOADER: &str = "loader";
/// The staged payload.
pub const PAYLOAD: &str = "payload";
/// The initramfs with the payload in it: only `kexec_file_load` needs it, and only until it has its
/// copy.
pub const WITH_PAYLOAD: &str = "initramfs-with-payload";

/// Everything that staging and loading make in the run's directory: of no use to the old OS, nor to
/// the new one.
pub const COPIES: [&str; 6] = [
    INITRAMFS,
    KERNEL,
    LOADER,
    PAYLOAD,
    WITH_PAYLOAD,
    Staged::FILE,
];

/// What a kernel or initramfs is called until a place for it in one run on the disk was found.
pub const ATTEMPT: &str = "attempt-";

/// Whether a file of a run's directory is one of [`COPIES`], or an attempt at one that was broken
/// off.
pub fn is_copy(name: &str) -> bool {
    let attempt = name.rsplit_once('.').and_then(|(of, ending)| {
        let number = ending.strip_prefix(ATTEMPT)?;
        (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())).then_some(of)
    });
    COPIES.contains(&attempt.unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_and_attempts_at_them_are_told_from_records() {
        for name in COPIES {
            assert!(is_copy(name), "{name}");
        }
        assert!(is_copy("kernel.attempt-0") && is_copy("initramfs.attempt-12"));
        for name in [
            "plan.json",
            "launch.log",
            "kernel.attempt-",
            "x.attempt-1",
            "kernel.bak",
        ] {
            assert!(!is_copy(name), "{name}");
        }
    }
}
