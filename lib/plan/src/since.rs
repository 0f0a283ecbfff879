//! The features of a filesystem, whatever its kind: from when on a program knows one, and what is said where
//! the new OS's is older.

use crate::version::Version;

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
pub fn lack(
    feature: &str,
    (program, version): (&str, Option<&str>),
    since: Since,
) -> Option<String> {
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

/// Every bit of a superblock's words that is set, with its word.
pub fn bits<W: Copy>(words: &[(W, u32)]) -> impl Iterator<Item = (W, u32)> + '_ {
    words.iter().flat_map(|(word, bits)| {
        let set = (0..32).map(|n| 1 << n).filter(move |bit| bits & bit != 0);
        set.map(move |bit| (*word, bit))
    })
}

/// What is said of a bit that no table here has.
pub fn nameless(word: &str, bit: u32) -> String {
    format!("{word} feature {bit:#x}: this release does not know it")
}
