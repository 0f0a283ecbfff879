//! `plan --carry-list`: what on this machine is not as its packages brought it, and is neither kept nor comes
//! along by itself. A list to be edited and given to `--carry-from`. It judges nothing: what somebody has
//! once put there may be of no use in another OS.
//!
//! It only reads: names of everything in a table of places, and the contents of files that packages
//! say are configuration. It does not look into other filesystems, follows no link, and has a limit of
//! time and of entries; where that is reached the list says so.

mod md5;
mod packages;
mod places;

use std::fmt::Write as _;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use formats::counted::counted;
use formats::keep::is_below;
use formats::printable;

use self::packages::Packages;
use self::places::{enables, group_of, left_out, GROUPS, LOOKED_AT};
use crate::survey::identity::Tree;

/// How long it looks.
const TIME: Duration = Duration::from_mins(1);
/// How many entries it looks at, and how many of one folder it counts.
const MOST_ENTRIES: u64 = 1_000_000;
const MOST_COUNTED: u64 = 100_000;
/// How many lines the list has.
const MOST_LINES: usize = 10_000;
/// Configuration that is larger is not read; it is listed as if it were changed.
const LARGEST: u64 = 16 << 20;

/// A line of the list.
struct Line {
    path: String,
    about: String,
}

/// Looks at a machine.
struct Look<'a> {
    tree: &'a Tree,
    packages: Packages,
    /// What of a path comes along anyhow: it is kept, or carried.
    stays: &'a [String],
    groups: Vec<Vec<Line>>,
    lines: usize,
    entries: u64,
    until: Instant,
    /// Names that cannot be a line of a list, and what else to know.
    notes: Vec<String>,
    unlisted: u64,
}

/// The list of the machine's tree below `root`. `stays` are the paths that are in the new OS anyhow.
pub fn list(root: &Path, stays: &[String]) -> String {
    let tree = Tree::new(root);
    let wanted = |path: &str| LOOKED_AT.iter().any(|place| is_below(path, place));
    let packages = Packages::read(&tree, &wanted);
    let mut look = Look {
        tree: &tree,
        packages,
        stays,
        groups: GROUPS.iter().map(|_| Vec::new()).collect(),
        lines: 0,
        entries: 0,
        until: Instant::now() + TIME,
        notes: Vec::new(),
        unlisted: 0,
    };
    for place in LOOKED_AT {
        // A link, as /lib is today, leads to another place of the table.
        let at = root.join(place.trim_start_matches('/'));
        let plain = tree.at(place).is_some_and(|real| real == at);
        if plain && at.is_dir() && !tree.is_mount(&at) {
            look.folder(place);
        }
    }
    look.text()
}

impl Look<'_> {
    fn is_over(&self) -> bool {
        self.entries > MOST_ENTRIES || Instant::now() > self.until
    }

    /// Everything in a folder of packages, by name.
    fn folder(&mut self, path: &str) {
        let Some(Ok(entries)) = self.tree.at(path).map(fs::read_dir) else {
            return;
        };
        let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        for name in names {
            if self.is_over() {
                return;
            }
            self.entries += 1;
            let Some(text) = name.to_str().filter(|name| fits_a_line(name)) else {
                self.unlisted += 1;
                if self.unlisted <= 20 {
                    let name = printable::name(name.as_bytes());
                    self.notes.push(format!(
                        "not listed, for its name does not fit a line: {path}/{name}"
                    ));
                }
                continue;
            };
            self.entry(&format!("{path}/{text}"));
        }
    }

    fn entry(&mut self, path: &str) {
        let stays = |stays: &String| is_below(path, stays);
        if self.stays.iter().any(stays) || enables(path) || left_out(path).is_some() {
            return;
        }
        let Some(at) = self.tree.place(path) else {
            return;
        };
        // Whatever is mounted is no part of this OS, and may not answer.
        if self.tree.is_mount(&at) {
            return;
        }
        let Ok(found) = fs::symlink_metadata(&at) else {
            return;
        };
        let owned = self.packages.own(path);
        if found.is_dir() {
            if owned || self.has_something_else_in_it(path) {
                self.folder(path);
            } else {
                self.unowned_folder(path, at);
            }
            return;
        }
        if !owned {
            let about = if found.is_symlink() {
                "a link of no package".to_owned()
            } else {
                format!("{}, of no package", bytes(found.len()))
            };
            self.add(path, about);
        } else if found.is_file() && self.is_changed(path, &at, &found) {
            self.add(path, format!("{}, changed", bytes(found.len())));
        }
    }

    /// Whether what stays, is left out, or a package has is below a folder that no package has.
    fn has_something_else_in_it(&self, path: &str) -> bool {
        let below = format!("{path}/");
        places::OPENED.contains(&path)
            || self.packages.own_below(&below)
            || places::LEFT_OUT.iter().any(|(pattern, _)| {
                let pattern = pattern.trim_end_matches('*');
                pattern.starts_with(&below)
            })
            || self.stays.iter().any(|stays| stays.starts_with(&below))
    }

    /// One line for all of it.
    fn unowned_folder(&mut self, path: &str, at: PathBuf) {
        let (mut files, mut size, mut counted_entries) = (0, 0, 0);
        let mut todo = vec![at];
        while let Some(folder) = todo.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                counted_entries += 1;
                self.entries += 1;
                if counted_entries > MOST_COUNTED || self.is_over() {
                    todo.clear();
                    break;
                }
                let at = entry.path();
                if self.tree.is_mount(&at) {
                    continue;
                }
                match entry.metadata() {
                    Ok(found) if found.is_dir() => todo.push(at),
                    Ok(found) => {
                        files += 1;
                        size += found.len();
                    }
                    Err(_) => {}
                }
            }
        }
        if files == 0 {
            return;
        }
        let more = if counted_entries > MOST_COUNTED {
            "more than "
        } else {
            ""
        };
        let about = format!(
            "{more}{}, {}, of no package",
            counted(files, "file", "files"),
            bytes(size)
        );
        self.add(path, about);
    }

    fn is_changed(&self, path: &str, at: &Path, found: &Metadata) -> bool {
        if self.packages.changed(path) {
            return true;
        }
        let Some(digests) = self.packages.digests(path) else {
            return false;
        };
        if found.len() > LARGEST {
            return true;
        }
        // What cannot be read cannot be carried either.
        fs::read(at).is_ok_and(|content| !digests.contains(&md5::md5(&content)))
    }

    fn add(&mut self, path: &str, about: String) {
        self.lines += 1;
        if self.lines > MOST_LINES {
            return;
        }
        self.groups[group_of(path)].push(Line {
            path: path.to_owned(),
            about,
        });
    }

    fn text(self) -> String {
        let mut out = String::from(
            "# What on this machine is not as its packages brought it, is not kept, and does not come along by\n\
             # itself. Take out what the new OS shall not have, and give this to --carry-from, or name the paths in\n\
             # `carry` of image.toml. What comes behind a tabulator is a comment.\n",
        );
        let over = self.is_over();
        for note in self.packages.unknown.iter().chain(&self.notes) {
            let _ = writeln!(out, "# {}", printable::line(note));
        }
        if self.unlisted > 20 {
            let _ = writeln!(out, "# and {} more with such names", self.unlisted - 20);
        }
        if over || self.lines > MOST_LINES {
            out.push_str("# THE LIST IS NOT WHOLE: there was more than it has time or room for\n");
        }
        for ((name, _), lines) in GROUPS.iter().zip(&self.groups) {
            if lines.is_empty() {
                continue;
            }
            let _ = writeln!(out, "\n# {name}");
            for line in lines {
                let _ = writeln!(out, "{}\t# {}", line.path, line.about);
            }
        }
        out.push_str("\n# Left out, with the reason:\n");
        for (pattern, why) in places::LEFT_OUT {
            let start = pattern.trim_end_matches('*');
            let folder = start.rsplit_once('/').map_or("", |(folder, _)| folder);
            let fits = |path: &String| path.starts_with(start);
            // Only what is there.
            let there = match pattern.strip_suffix('*') {
                Some(_) => self.tree.folder(folder).iter().any(fits),
                None => self.tree.exists(pattern),
            };
            if there {
                let _ = writeln!(out, "# {pattern}\t{why}");
            }
        }
        out
    }
}

/// Whether a list can have the name: what is behind a tabulator is a comment there.
fn fits_a_line(name: &str) -> bool {
    !name.contains('\t') && printable::line(name) == name
}

/// Bytes as a person reads them.
fn bytes(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes.div_ceil(1024)),
        _ => format!("{} MiB", bytes.div_ceil(1 << 20)),
    }
}

#[cfg(test)]
mod tests;
