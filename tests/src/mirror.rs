//! Which archive a Debian suite is fetched from: the one this machine's apt is set up with.
//!
//! No host name is built in. `REROOT_MIRROR` overrides; otherwise every archive named in apt's
//! sources is asked for the suite's signed index, and the first that is Debian's own is taken.
//! Follows sources.list(5), both its one-line and its deb822 style.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, Context, Result};

use crate::command::run;

/// The address of an archive that has `suite`.
pub fn for_suite(suite: &str) -> Result<String> {
    if let Ok(mirror) = std::env::var("REROOT_MIRROR") {
        return Ok(mirror);
    }
    let candidates = from_apt()?;
    for mirror in &candidates {
        if has_suite(mirror, suite) {
            return Ok(mirror.clone());
        }
    }
    bail!(
        "none of the archives that apt is set up with has Debian's suite {suite}: {}\n\
         name one that has it: REROOT_MIRROR=ADDRESS make ...",
        candidates.join(", ")
    )
}

/// Whether the archive's index for `suite` can be fetched and is Debian's.
fn has_suite(mirror: &str, suite: &str) -> bool {
    let Ok(directory) = tempfile::tempdir() else {
        return false;
    };
    let index = directory.path().join("InRelease");
    let address = format!("{mirror}/dists/{suite}/InRelease");
    // apt's own helper: it honours the proxy and the certificates that apt is set up with.
    let fetched = run(Command::new("/usr/lib/apt/apt-helper")
        .arg("download-file")
        .arg(&address)
        .arg(&index));
    let text = fetched.and_then(|_| fs::read_to_string(&index).context("read the index"));
    text.is_ok_and(|text| {
        text.lines().any(|line| line == "Origin: Debian")
            && text
                .lines()
                .any(|line| line == format!("Codename: {suite}"))
    })
}

/// Every archive in apt's sources, in order, each once.
fn from_apt() -> Result<Vec<String>> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        let mut more: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        more.sort();
        files.extend(more);
    }
    let mut found: Vec<String> = Vec::new();
    for file in files {
        // A machine has one style or the other: an absent file is as good as an empty one.
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        let deb822 = file
            .extension()
            .is_some_and(|extension| extension == "sources");
        let mirrors = if deb822 {
            deb822_uris(&text)
        } else {
            one_line_uris(&text)
        };
        for mirror in mirrors {
            let mirror = mirror.trim_end_matches('/').to_owned();
            if is_fetched_directly(&mirror) && !found.contains(&mirror) {
                found.push(mirror);
            }
        }
    }
    if found.is_empty() {
        bail!(
            "apt's sources name no archive ({}); set REROOT_MIRROR=ADDRESS",
            Path::new("/etc/apt").display()
        );
    }
    Ok(found)
}

/// Methods that need no helper of their own in apt (`cdrom:`, `tor+http:` and others do).
fn is_fetched_directly(mirror: &str) -> bool {
    ["http://", "https://", "file:"]
        .iter()
        .any(|scheme| mirror.starts_with(scheme))
}

/// `deb [options] URI suite component...`
fn one_line_uris(text: &str) -> Vec<String> {
    let mut uris = Vec::new();
    for line in text.lines() {
        let Some(rest) = line.trim().strip_prefix("deb ") else {
            continue;
        };
        let rest = rest.trim_start();
        let rest = if rest.starts_with('[') {
            rest.split_once(']').map_or("", |(_, after)| after)
        } else {
            rest
        };
        uris.extend(rest.split_whitespace().next().map(str::to_owned));
    }
    uris
}

/// Stanzas of `Types:`, `URIs:` and others; a line that begins with a blank goes on with the last field.
fn deb822_uris(text: &str) -> Vec<String> {
    let mut uris = Vec::new();
    for stanza in text.split("\n\n") {
        let mut types = String::new();
        let mut addresses = String::new();
        let mut enabled = true;
        let mut field = String::new();
        for line in stanza.lines().filter(|line| !line.starts_with('#')) {
            let value = if line.starts_with([' ', '\t']) {
                line.trim()
            } else if let Some((name, value)) = line.split_once(':') {
                field = name.to_ascii_lowercase();
                value.trim()
            } else {
                continue;
            };
            match field.as_str() {
                "types" => types = format!("{types} {value}"),
                "uris" => addresses = format!("{addresses} {value}"),
                "enabled" => enabled = !value.eq_ignore_ascii_case("no"),
                _ => {}
            }
        }
        if enabled && types.split_whitespace().any(|kind| kind == "deb") {
            uris.extend(addresses.split_whitespace().map(str::to_owned));
        }
    }
    uris
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_one_line_sources_with_and_without_options() {
        let text = "# a comment\ndeb http://mirror.example/debian bookworm main\n\
                    deb-src http://mirror.example/src bookworm main\n\
                    deb [signed-by=/k.gpg arch=amd64] https://other.example/debian/ sid main\n";
        assert_eq!(
            one_line_uris(text),
            [
                "http://mirror.example/debian",
                "https://other.example/debian/"
            ]
        );
    }

    #[test]
    fn reads_deb822_sources_that_are_enabled_and_binary() {
        let text = "Types: deb deb-src\n# a comment\nURIs: http://a.example/debian\n \
                    http://b.example/debian\nSuites: trixie\n\nTypes: deb-src\n\
                    URIs: http://c.example/\n\nEnabled: no\nTypes: deb\nURIs: http://d.example/\n";
        assert_eq!(
            deb822_uris(text),
            ["http://a.example/debian", "http://b.example/debian"]
        );
    }

    #[test]
    fn leaves_out_what_needs_a_method_of_its_own() {
        assert!(!is_fetched_directly("cdrom:[Debian]/"));
        assert!(is_fetched_directly("file:/srv/mirror"));
    }
}
