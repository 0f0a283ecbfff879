//! Login shells that are not in the new OS.

use std::collections::BTreeSet;

/// Shells that people type into. A program that is none of these may be there to keep its user
/// from a shell; who has one that is missing does not get a shell instead.
const INTERACTIVE: &[&str] = &[
    "ash", "bash", "csh", "dash", "elvish", "fish", "ksh", "ksh2020", "ksh93", "lksh", "mksh",
    "nu", "oksh", "osh", "pdksh", "posh", "pwsh", "sh", "tcsh", "xonsh", "yash", "zsh", "zsh5",
];
/// Where a program may be under its own name: distributions moved them about.
const DIRECTORIES: &[&str] = &[
    "/bin",
    "/usr/bin",
    "/sbin",
    "/usr/sbin",
    "/usr/local/bin",
    "/usr/local/sbin",
];
/// What interactive shells are replaced with.
const FALLBACKS: [&str; 2] = ["/bin/bash", "/bin/sh"];
/// What keeps a user from logging in, in the order of choice.
const REFUSING: [&str; 5] = [
    "/usr/sbin/nologin",
    "/sbin/nologin",
    "/usr/bin/nologin",
    "/bin/false",
    "/usr/bin/false",
];

/// Whether somebody with this shell gets one; an empty field is /bin/sh.
pub(crate) fn lets_in(shell: &str) -> bool {
    let name = shell.rsplit('/').next().unwrap_or(shell);
    name.is_empty() || INTERACTIVE.contains(&name)
}

/// What becomes of a login shell.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shell {
    /// It stays.
    Stays,
    /// The same program under another path.
    MovedTo(String),
    /// An interactive shell that is not there.
    ReplacedBy(String),
    /// Something else that is not there.
    Missing,
}

/// Decides, given the shells of the new OS.
pub(super) fn choose(shell: &str, there: &BTreeSet<&str>) -> Shell {
    // An empty field means /bin/sh to login(1).
    if shell.is_empty() || there.contains(shell) {
        return Shell::Stays;
    }
    let name = shell.rsplit('/').next().unwrap_or(shell);
    let same = DIRECTORIES
        .iter()
        .map(|directory| format!("{directory}/{name}"));
    if let Some(path) = same.into_iter().find(|path| there.contains(path.as_str())) {
        return Shell::MovedTo(path);
    }
    if matches!(name, "nologin" | "false") {
        let other = REFUSING.into_iter().find(|path| there.contains(path));
        return other.map_or(Shell::Stays, |path| Shell::MovedTo(path.to_owned()));
    }
    if !INTERACTIVE.contains(&name) {
        return Shell::Missing;
    }
    let [first, last] = FALLBACKS;
    let fallback = if there.contains(first) { first } else { last };
    Shell::ReplacedBy(fallback.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shells_that_are_not_there_are_replaced_or_said_to_be_missing() {
        let debian: &[&str] = &["/bin/sh", "/bin/bash", "/usr/sbin/nologin", "/usr/bin/zsh"];
        let small: &[&str] = &["/bin/sh", "/bin/false"];
        let moved = |path: &str| Shell::MovedTo(path.to_owned());
        let replaced = |path: &str| Shell::ReplacedBy(path.to_owned());
        let cases: &[(&str, &[&str], &str, Shell)] = &[
            ("there", debian, "/bin/bash", Shell::Stays),
            ("none", debian, "", Shell::Stays),
            ("elsewhere", debian, "/bin/zsh", moved("/usr/bin/zsh")),
            ("not there", debian, "/usr/bin/fish", replaced("/bin/bash")),
            (
                "not there, no bash",
                small,
                "/bin/bash",
                replaced("/bin/sh"),
            ),
            (
                "nothing known at all",
                &[],
                "/bin/bash",
                replaced("/bin/sh"),
            ),
            (
                "nologin elsewhere",
                debian,
                "/sbin/nologin",
                moved("/usr/sbin/nologin"),
            ),
            (
                "nologin as false",
                small,
                "/sbin/nologin",
                moved("/bin/false"),
            ),
            (
                "false as nologin",
                debian,
                "/bin/false",
                moved("/usr/sbin/nologin"),
            ),
            (
                "nologin nowhere",
                &["/bin/sh"],
                "/sbin/nologin",
                Shell::Stays,
            ),
            (
                "a shell that restricts",
                debian,
                "/usr/bin/git-shell",
                Shell::Missing,
            ),
            (
                "a program of their own",
                debian,
                "/usr/local/bin/menu",
                Shell::Missing,
            ),
        ];
        for (case, there, shell, expected) in cases {
            let there = there.iter().copied().collect();
            assert_eq!(choose(shell, &there), *expected, "{case}");
        }
    }
}
