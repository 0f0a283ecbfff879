//! Which archive this machine's apt uses: for building a suite of the machine's own distribution
//! without naming a mirror anywhere.
//!
//! Reads both styles of sources.list(5). Third parties' archives are told apart by their suites
//! and components, never by a host's name.

use std::path::Path;

use anyhow::{Context, Result};

/// One source of binary packages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AptSource {
    /// Addresses, all holding the same.
    pub uris: Vec<String>,
    /// Suites, such as `trixie` and `trixie-updates`.
    pub suites: Vec<String>,
    /// Components, such as `main`.
    pub components: Vec<String>,
}

/// The archives of a distribution.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Archives {
    /// The archive of releases.
    pub main: Option<String>,
    /// The archive of security updates, where it is another one.
    pub security: Option<String>,
}

/// Names of suites that move on with each release.
const MOVING: [&str; 5] = ["oldstable", "stable", "testing", "unstable", "sid"];

/// Reads the sources below a directory that is laid out like `/etc/apt`.
pub fn read(etc_apt: &Path) -> Result<Vec<AptSource>> {
    let mut files = vec![etc_apt.join("sources.list")];
    let folder = etc_apt.join("sources.list.d");
    if folder.is_dir() {
        let entries = std::fs::read_dir(&folder)
            .with_context(|| format!("list {}", folder.display()))?
            .collect::<Result<Vec<_>, _>>()?;
        let mut more: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
        more.sort();
        files.extend(more);
    }
    let mut sources = Vec::new();
    for file in files {
        let parse: fn(&str) -> Vec<AptSource> = match file.extension().and_then(|e| e.to_str()) {
            Some("list") => parse_list,
            Some("sources") => parse_deb822,
            // apt passes over other names too.
            _ => continue,
        };
        match std::fs::read_to_string(&file) {
            Ok(text) => sources.extend(parse(&text)),
            // A machine has one style or the other.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("read {}", file.display())),
        }
    }
    Ok(sources)
}

/// The style of one line a source: `deb [OPTIONS] URI SUITE COMPONENT…`.
pub fn parse_list(text: &str) -> Vec<AptSource> {
    text.lines().filter_map(list_line).collect()
}

fn list_line(line: &str) -> Option<AptSource> {
    let line = line.split('#').next().unwrap_or("").trim();
    let rest = line
        .strip_prefix("deb")
        .filter(|r| r.starts_with([' ', '\t']))?
        .trim_start();
    let rest = match rest.strip_prefix('[') {
        Some(options) => options.split_once(']')?.1,
        None => rest,
    };
    let mut words = rest.split_whitespace().map(str::to_owned);
    Some(AptSource {
        uris: vec![words.next()?],
        suites: vec![words.next()?],
        components: words.collect(),
    })
}

/// The style of stanzas, deb822(5).
pub fn parse_deb822(text: &str) -> Vec<AptSource> {
    let mut sources = Vec::new();
    let mut stanza: Vec<(String, String)> = Vec::new();
    for line in text.lines().chain([""]) {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            sources.extend(deb822_source(&stanza));
            stanza.clear();
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = stanza.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            stanza.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    sources
}

fn deb822_source(stanza: &[(String, String)]) -> Option<AptSource> {
    let field = |name: &str| -> Vec<String> {
        let found = stanza.iter().find(|(key, _)| key == name);
        found.map_or_else(Vec::new, |(_, v)| {
            v.split_whitespace().map(str::to_owned).collect()
        })
    };
    let disabled = field("enabled").iter().any(|value| {
        ["no", "false", "without", "off", "disable"].contains(&value.to_ascii_lowercase().as_str())
    });
    let source = AptSource {
        uris: field("uris"),
        suites: field("suites"),
        components: field("components"),
    };
    let usable = !disabled
        && field("types").iter().any(|kind| kind == "deb")
        && !source.uris.is_empty()
        && !source.suites.is_empty();
    usable.then_some(source)
}

/// Picks the distribution's own archives out of a machine's sources. `codename` is that of the
/// release the machine runs; its archive holds the other releases too.
pub fn archives(sources: &[AptSource], codename: &str) -> Archives {
    let own = |suite: &str| suite == codename || MOVING.contains(&suite);
    let first = |wanted: &dyn Fn(&str) -> bool| {
        sources
            .iter()
            .filter(|source| {
                source
                    .components
                    .iter()
                    .any(|component| component == "main")
            })
            .filter(|source| source.suites.iter().any(|suite| wanted(suite)))
            .flat_map(|source| &source.uris)
            .find(|uri| is_plain(uri))
            .map(|uri| uri.trim_end_matches('/').to_owned())
    };
    Archives {
        main: first(&own),
        security: first(&|suite| {
            let base = suite
                .strip_suffix("-security")
                .or_else(|| suite.strip_suffix("/updates"));
            base.is_some_and(own)
        }),
    }
}

/// Addresses that need nothing but apt itself: no `cdrom:`, no `mirror+file:`, no `tor+http:`.
fn is_plain(uri: &str) -> bool {
    ["http://", "https://", "file:/"]
        .iter()
        .any(|scheme| uri.starts_with(scheme))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "\
# deb http://commented.example/debian bookworm main
deb cdrom:[Debian]/ bookworm main
deb-src http://m.example/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://m.example/debian/ bookworm main contrib # words
deb http://m.example/debian bookworm-updates main
deb\thttp://s.example/security bookworm-security main
deb https://docker.example/linux bookworm stable
deb https://third.example/apt cloud-bookworm main
deb
deb [broken
";

    const NEW: &str = "\
Types: deb-src
URIs: http://src.example/debian
Suites: bookworm
Components: main

# a comment
Types: deb deb-src
# another
URIs: http://m.example/debian/
 http://n.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /k.gpg

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
\t
Types: deb
URIs: http://s.example/security
Suites: bookworm-security
Components: main
";

    #[test]
    fn both_styles_give_the_same_archives() {
        let expected = Archives {
            main: Some("http://m.example/debian".into()),
            security: Some("http://s.example/security".into()),
        };
        assert_eq!(archives(&parse_list(OLD), "bookworm"), expected);
        assert_eq!(archives(&parse_deb822(NEW), "bookworm"), expected);
    }

    #[test]
    fn stanzas_that_are_disabled_or_hold_sources_are_passed_over() {
        let uris: Vec<_> = parse_deb822(NEW).into_iter().flat_map(|s| s.uris).collect();
        assert_eq!(
            uris,
            [
                "http://m.example/debian/",
                "http://n.example/debian",
                "http://s.example/security"
            ]
        );
    }

    #[test]
    fn archives_are_told_apart_by_suite_and_component() {
        for (line, main, security) in [
            ("deb http://a/d trixie main", None, None),
            ("deb http://a/d stable main", Some("http://a/d"), None),
            ("deb http://a/d bookworm contrib", None, None),
            ("deb http://a/d buster/updates main", None, None),
            (
                "deb http://a/d bookworm/updates main",
                None,
                Some("http://a/d"),
            ),
            (
                "deb http://a/d stable-security main",
                None,
                Some("http://a/d"),
            ),
            ("deb mirror+file:/etc/m bookworm main", None, None),
            (
                "deb file:///srv/mirror bookworm main",
                Some("file:///srv/mirror"),
                None,
            ),
        ] {
            let found = archives(&parse_list(line), "bookworm");
            assert_eq!(
                (found.main.as_deref(), found.security.as_deref()),
                (main, security),
                "{line}"
            );
        }
    }

    #[test]
    fn a_machine_without_sources_has_no_archives() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap(), []);
        std::fs::create_dir(folder.path().join("sources.list.d")).unwrap();
        std::fs::write(folder.path().join("sources.list.d/a.sources"), NEW).unwrap();
        std::fs::write(folder.path().join("sources.list.d/a.sources.bak"), NEW).unwrap();
        std::fs::write(folder.path().join("sources.list"), OLD).unwrap();
        assert_eq!(read(folder.path()).unwrap().len(), 6 + 2);
    }
}
