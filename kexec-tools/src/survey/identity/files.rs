//! Small files of an OS that lies below a directory, links resolved as that OS would.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use formats::identity::InHome;
use identity::files::Files;
use machine::plain_file;
use storage::mounts;
use tree::in_root;

/// Nothing that a person writes is larger.
const LARGEST: u64 = 4 << 20;

/// An OS's files.
pub struct Tree {
    root: PathBuf,
    /// Where something is mounted in it. Anybody may mount a filesystem of theirs that never answers,
    /// and what is mounted is no part of this OS.
    mounts: Vec<PathBuf>,
}

impl Tree {
    pub fn new(root: &Path) -> Tree {
        Tree {
            root: root.to_owned(),
            // What cannot be read is as if nothing were mounted.
            mounts: mounts::read()
                .unwrap_or_default()
                .into_iter()
                .map(|mount| mount.target)
                .collect(),
        }
    }

    /// Where a path leads; one that leads nowhere is not there for anybody.
    pub fn at(&self, path: &str) -> Option<PathBuf> {
        in_root::resolve(&self.root, Path::new(path)).ok()
    }

    /// Is there anything, a link to nowhere included?
    pub fn exists(&self, path: &str) -> bool {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.at(above)
            .is_some_and(|above| fs::symlink_metadata(above.join(name)).is_ok())
    }

    pub fn is_file(&self, path: &str) -> bool {
        self.at(path).is_some_and(|at| at.is_file())
    }

    /// Is a file on another filesystem than the root?
    pub fn is_mounted(&self, path: &str) -> bool {
        let device = |path: &Path| fs::metadata(path).ok().map(|found| found.dev());
        let there = self.at(path).and_then(|at| device(&at));
        there.is_some_and(|there| device(&self.root) != Some(there))
    }

    /// Bytes of a file.
    pub fn size(&self, path: &str) -> Option<u64> {
        Some(fs::metadata(self.at(path)?).ok()?.len())
    }

    /// The bytes of a plain file that is not too large.
    pub fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        let file = plain_file::open(&self.at(path)?).ok()?;
        let mut bytes = Vec::new();
        // It may grow while it is read; a part of it would say something else.
        file.take(LARGEST + 1).read_to_end(&mut bytes).ok()?;
        (bytes.len() as u64 <= LARGEST).then_some(bytes)
    }

    /// The text of a file; bytes that are no UTF-8 become U+FFFD, CRLF becomes LF.
    pub fn text(&self, path: &str) -> Option<String> {
        let bytes = self.bytes(path)?;
        Some(String::from_utf8_lossy(&bytes).replace("\r\n", "\n"))
    }

    /// Paths of what is in a folder, sorted; names that are no UTF-8 are shown lossily.
    pub fn folder(&self, path: &str) -> Vec<String> {
        let Some(entries) = self.at(path).and_then(|at| fs::read_dir(at).ok()) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .flatten()
            .map(|e| format!("{path}/{}", e.file_name().to_string_lossy()))
            .collect();
        names.sort();
        names
    }

    /// How many files there are at a path and below it, links not followed; `most` is enough.
    pub fn count_of(&self, path: &str, most: usize) -> usize {
        let mut found = 0;
        if most == 0 {
            return 0;
        }
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let at = self.at(above).map(|above| above.join(name));
        if !at.is_some_and(|at| fs::symlink_metadata(at).is_ok_and(|m| m.is_dir())) {
            return 1;
        }
        let mut folders: Vec<PathBuf> = self.at(path).into_iter().collect();
        while let Some(entries) = folders.pop().map(fs::read_dir) {
            for entry in entries.into_iter().flatten().flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => {
                        let path = entry.path();
                        if !self.mounts.contains(&path) {
                            folders.push(path);
                        }
                    }
                    _ => found += 1,
                }
                if found >= most {
                    return most;
                }
            }
        }
        found
    }
}

impl Files for Tree {
    fn text(&self, path: &str) -> Option<String> {
        Tree::text(self, path)
    }

    fn folder(&self, path: &str) -> Vec<String> {
        Tree::folder(self, path)
    }
}

/// Lines of a text that are no comments, trimmed.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with(['#', ';']))
}

/// An absolute path of names, none of them `.` or `..`.
pub fn plain(path: &str) -> bool {
    path.strip_prefix('/')
        .is_some_and(|rest| rest.split('/').all(|n| !["", ".", ".."].contains(&n)))
}

/// Reads a file in a home as its owner would.
pub fn in_home(root: &Path, file: &InHome) -> Result<Option<tree::FromHome>, String> {
    tree::read_from_home(
        root,
        tree::HomeFile {
            home: &file.home.path,
            name: &file.name,
            uid: file.home.uid,
            gid: file.home.gid,
        },
    )
}
