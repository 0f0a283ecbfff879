//! Programs of the operator's or of the image's that a run calls at its moments.

use serde::{Deserialize, Serialize};

/// Where those are that are called in the old OS before services stop.
pub const BEFORE_STOP: &str = "/etc/reroot/before-stop.d";
/// Where the new OS has those that are called in it before it has a boot loader.
pub const AFTER_UNPACK: &str = "/etc/reroot/after-unpack.d";
/// Where the new OS has those that are called at its first boot.
pub const FIRST_BOOT: &str = "/etc/reroot/first-boot.d";

/// How long one may take, in seconds.
pub const LIMIT_S: u64 = 300;

/// What every program that is called for a machine has in its environment: at which moment, the machine's name,
/// and the paths that are kept, a line each.
pub fn variables<'a>(
    moment: &str,
    hostname: &str,
    kept: impl Iterator<Item = &'a str>,
) -> Vec<(&'static str, String)> {
    vec![
        ("REROOT_MOMENT", moment.to_owned()),
        ("REROOT_HOSTNAME", hostname.to_owned()),
        ("REROOT_KEPT", kept.collect::<Vec<_>>().join("\n")),
    ]
}

/// Programs by their absolute path, each moment's in the order in which they are called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hooks {
    /// In the old OS, before services stop.
    pub before_stop: Vec<String>,
    /// In the new OS's root, before it has a boot loader.
    pub after_unpack: Vec<String>,
    /// At the first boot of the new OS.
    pub first_boot: Vec<String>,
}

/// Whether a name in such a directory is that of a program: letters, digits, `-`, `_` and `.`, without what
/// editors and package managers leave beside a file.
#[must_use]
pub fn is_name(name: &str) -> bool {
    const LEFT: [&str; 6] = [
        ".bak",
        ".orig",
        ".rpmnew",
        ".rpmsave",
        ".dpkg-dist",
        ".dpkg-old",
    ];
    let known = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    !name.is_empty()
        && name.bytes().all(known)
        && !name.starts_with('.')
        && !LEFT.iter().any(|end| name.ends_with(end))
}
