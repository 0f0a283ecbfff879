//! Symbolic links of kept trees that lead to what is not kept: it goes with the old OS, and the link
//! then leads nowhere, or to something of the new OS.
//!
//! Decided by the text of the link alone. A target is never looked at: whoever owns a kept tree
//! could have it lead to where looking hangs.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};

use formats::facts::WipedTargets;
use formats::keep::{is_below, KeepPath};
use rustix::fs::{AtFlags, FileType};

use super::error::{printable, TreeError};
use super::lookup::again;
use super::mount_points::MountPoints;
use super::names::Reader;

/// How many links are told by name.
const EXAMPLES: usize = 5;
/// How many links of the root directory one path may lead through.
const LINKS: usize = 8;

/// Directories whose like every OS has. A link there may work in the new OS, or may not.
const OF_THE_OS: [&str; 9] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc/alternatives",
    "/etc/ssl/certs",
];
/// What is below is data all the same.
const BUT_FOR: [&str; 2] = ["/usr/local", "/usr/src"];
/// What the kernel or the OS fills at every boot, be it mounted or not.
const VOLATILE: [&str; 6] = ["/proc", "/sys", "/dev", "/run", "/var/run", "/var/lock"];

/// Notes links that lead out of what is kept.
#[derive(Debug)]
pub struct LeadingOut {
    kept: Vec<String>,
    mounts: MountPoints,
    /// Links in the root directory, as `/home2 → /data`.
    tops: BTreeMap<Vec<u8>, Vec<u8>>,
    found: WipedTargets,
}

impl LeadingOut {
    /// For these kept paths below `root`. What is mounted is not wiped.
    pub fn new<'a>(
        root: BorrowedFd<'_>,
        kept: impl IntoIterator<Item = &'a KeepPath>,
        mounts: MountPoints,
    ) -> Result<Self, TreeError> {
        let kept = kept.into_iter().map(|path| path.as_str().to_owned());
        Ok(Self {
            kept: kept.collect(),
            tops: tops(root, &mounts)?,
            mounts,
            found: WipedTargets::default(),
        })
    }

    /// Notes a link at `path`, if it leads out.
    pub(super) fn note(&mut self, path: &[u8], target: &[u8]) {
        match self.leads_to(path, target) {
            Leads::Nowhere => {}
            Leads::ToTheOs => self.found.of_the_os += 1,
            Leads::Out(to) => {
                self.found.links += 1;
                if self.found.examples.len() < EXAMPLES {
                    let shown = format!("{} → {}", printable(path), printable(&to));
                    self.found.examples.push(shown);
                }
            }
        }
    }

    /// What was noted.
    pub fn found(self) -> WipedTargets {
        self.found
    }

    fn leads_to(&self, path: &[u8], target: &[u8]) -> Leads {
        let above = path.rsplitn(2, |&b| b == b'/').nth(1).unwrap_or_default();
        let mut to = lexical(above, target);
        for _ in 0..LINKS {
            let top = to.split(|&b| b == b'/').nth(1).unwrap_or_default();
            let Some(link) = self.tops.get(top) else {
                break;
            };
            let rest = &to[1 + top.len()..];
            to = [lexical(b"", link), rest.to_vec()].concat();
        }
        let is_in = |list: &[&str]| list.iter().any(|above| is_below(&to, above.as_bytes()));
        let kept = self.kept.iter();
        if to.is_empty()
            || kept.clone().any(|kept| is_below(&to, kept.as_bytes()))
            || is_in(&VOLATILE)
            || self.mounts.crossed_by(&to).is_some()
        {
            Leads::Nowhere
        } else if is_in(&OF_THE_OS) && !is_in(&BUT_FOR) {
            Leads::ToTheOs
        } else {
            Leads::Out(to)
        }
    }
}

/// Where a link leads.
#[derive(Debug, PartialEq, Eq)]
enum Leads {
    /// To what is kept, to another filesystem, or to the root directory.
    Nowhere,
    /// To a directory of the OS.
    ToTheOs,
    /// To this path, which is wiped.
    Out(Vec<u8>),
}

/// The path that a text names when it stands in the directory `above`; empty for the root.
fn lexical(above: &[u8], text: &[u8]) -> Vec<u8> {
    let above = if text.starts_with(b"/") { b"" } else { above };
    let mut names: Vec<&[u8]> = Vec::new();
    for name in above
        .split(|&b| b == b'/')
        .chain(text.split(|&b| b == b'/'))
    {
        match name {
            b"" | b"." => {}
            b".." => {
                names.pop();
            }
            name => names.push(name),
        }
    }
    names
        .iter()
        .flat_map(|name| [b"/", *name])
        .flatten()
        .copied()
        .collect()
}

/// The links in the root directory. A name there that something is mounted at is not looked at.
fn tops(
    root: BorrowedFd<'_>,
    mounts: &MountPoints,
) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, TreeError> {
    let (dir, _) = again(root).map_err(|e| TreeError::io("open", b"/", e))?;
    let mut names = Reader::new()
        .names(dir.as_fd())
        .map_err(|e| TreeError::io("read", b"/", e))?;
    let mut tops = BTreeMap::new();
    while let Some(name) = names.pop() {
        if mounts.child(name.to_bytes()).is_some() {
            continue;
        }
        let stat = rustix::fs::statat(&dir, &name, AtFlags::SYMLINK_NOFOLLOW);
        if stat.is_ok_and(|s| FileType::from_raw_mode(s.st_mode) == FileType::Symlink) {
            // One that goes away meanwhile leads nowhere.
            if let Ok(target) = rustix::fs::readlinkat(&dir, &name, Vec::new()) {
                tops.insert(name.into_bytes(), target.into_bytes());
            }
        }
    }
    Ok(tops)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_link_leads_out_by_its_text_alone() {
        let tops = [("home2", "/data"), ("bin", "usr/bin"), ("loop", "loop")];
        let noted = LeadingOut {
            kept: vec![
                "/srv".to_owned(),
                "/home".to_owned(),
                "/data/kept".to_owned(),
            ],
            mounts: MountPoints::below(Path::new("/"), ["/mnt/archive", "/proc"]),
            tops: tops
                .map(|(name, target)| (name.into(), target.into()))
                .into(),
            found: WipedTargets::default(),
        };
        let out = |path: &str| Leads::Out(path.into());
        for (link, target, leads) in [
            ("/home/shop/www", "/var/www", out("/var/www")),
            ("/home/shop/www", "../../var/www/", out("/var/www")),
            ("/home/shop/www", "www-2", Leads::Nowhere),
            ("/home/shop/www", "../../../../../srv/x", Leads::Nowhere),
            ("/home/shop/www", "/srvother", out("/srvother")),
            ("/home/a", "/home2/a", out("/data/a")),
            ("/home/a", "/home2/kept/x", Leads::Nowhere),
            ("/home/py", "/bin/python3", Leads::ToTheOs),
            ("/home/py", "/usr/local/bin/py", out("/usr/local/bin/py")),
            ("/home/fd", "/proc/self/fd", Leads::Nowhere),
            ("/home/run", "/var/run/x", Leads::Nowhere),
            ("/home/m", "/mnt/archive/x", Leads::Nowhere),
            ("/home/m", "/mnt/other", out("/mnt/other")),
            ("/home/l", "/loop/x", out("/loop/x")),
            ("/home/r", "/", Leads::Nowhere),
            ("/home/r", "", Leads::Nowhere),
        ] {
            let found = noted.leads_to(link.as_bytes(), target.as_bytes());
            assert_eq!(found, leads, "{link} → {target}");
        }
    }

    #[test]
    fn what_is_told_cannot_paint_on_a_terminal() {
        let mut noted = LeadingOut {
            kept: vec!["/home".to_owned()],
            mounts: MountPoints::default(),
            tops: BTreeMap::new(),
            found: WipedTargets::default(),
        };
        for _ in 0..9 {
            noted.note(b"/home/\x1b[2J", b"/var/\nREFUSED");
        }
        let found = noted.found();
        assert_eq!((found.links, found.examples.len()), (9, EXAMPLES));
        assert_eq!(found.examples[0], "/home/\\u{1b}[2J → /var/\\nREFUSED");
    }
}
