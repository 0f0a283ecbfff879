//! The features of a filesystem, whatever its kind: from when on a program knows one, and what is said where
//! the new OS's is older.

use crate::version::Version;

/// Why no filesystem is wiped that finds a name by another one.
pub const SPELLINGS: &str =
    "a name may be found there by other letters than its own, and what is kept would be wiped under its own name";

/// From when on a program knows a feature.
#[derive(Clone, Copy)]
pub enum Since {
    /// Every version that there is on the machines in question, Linux 3.10 and GRUB 2.02 among them.
    Always,
    /// This version, as major and minor.
    Version(u32, u32),
    /// No release so far.
    Never,
}

/// Why a program does not know a feature, in words. One whose version is not known is taken to know what any
/// version does.
fn lack(feature: &str, (program, version): (&str, Option<&str>), since: Since) -> Option<String> {
    let (major, minor) = match since {
        Since::Always => return None,
        Since::Never => return Some(format!("{feature}: no release of {program} knows it")),
        Since::Version(major, minor) => (major, minor),
    };
    let version = version.filter(|v| !v.is_empty())?;
    if Version::parse(version)? >= (Version { major, minor }) {
        return None;
    }
    // As GRUB numbers its own.
    let first = if program == "GRUB" && major == 2 {
        format!("{major}.{minor:02}")
    } else {
        format!("{major}.{minor}")
    };
    Some(format!(
        "{feature}: {program} {version} does not know it, {first} does"
    ))
}

/// Why programs do not know a feature, in words. `grub_refuses` is what the code of the image's GRUB says of it,
/// which goes before its version.
pub fn lacks(
    feature: &str,
    grub_refuses: Option<bool>,
    programs: &[(&str, Option<&str>, Since)],
) -> Vec<String> {
    let by_code = (grub_refuses == Some(true))
        .then(|| format!("{feature}: the image's GRUB does not know it"));
    let by_version = programs.iter().filter_map(|(program, version, since)| {
        let is_told = *program == "GRUB" && grub_refuses.is_some();
        lack(feature, (program, *version), *since).filter(|_| !is_told)
    });
    by_code.into_iter().chain(by_version).collect()
}

/// What is said of every bit of a superblock's words that is set: by `judge` of those that `find` has, and of
/// the others that they have no name here.
pub fn unknown<W: Copy, F>(
    words: &[(W, &str, u32)],
    find: impl Fn(W, u32) -> Option<F>,
    judge: impl Fn(F) -> Vec<String>,
) -> Vec<String> {
    let mut found = Vec::new();
    for (word, name, bits) in words {
        for bit in (0..32).map(|n| 1 << n).filter(|bit| bits & bit != 0) {
            found.extend(find(*word, bit).map_or_else(
                || {
                    vec![format!(
                        "{name} feature {bit:#x}: this release does not know it"
                    )]
                },
                &judge,
            ));
        }
    }
    found
}
