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

/// The most entries of a folder that is carried: it is read into memory.
const MOST_CARRIED: u64 = 200_000;

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

    /// Where a path is, its last name not followed if it is a link.
    pub fn place(&self, path: &str) -> Option<PathBuf> {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        Some(self.at(above)?.join(name))
    }

    /// Whether something is mounted there.
    pub fn is_mount(&self, at: &Path) -> bool {
        self.mounts.iter().any(|mount| mount == at)
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

    /// The text of a file of a package manager's, which may be larger than what a person writes.
    pub fn text_up_to(&self, path: &str, most: u64) -> Option<String> {
        let file = plain_file::open(&self.at(path)?).ok()?;
        let mut bytes = Vec::new();
        file.take(most + 1).read_to_end(&mut bytes).ok()?;
        let whole = bytes.len() as u64 <= most;
        whole.then(|| String::from_utf8_lossy(&bytes).into_owned())
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

    /// Bytes of everything at a path and below it as an archive has them, links not followed, or why it cannot
    /// be carried.
    pub fn weigh(&self, path: &str) -> Result<u64, String> {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let above_at = self.at(above).ok_or("is not there")?;
        let plainly = self.root.join(above.trim_start_matches('/'));
        if above_at != plainly {
            let real = above_at.strip_prefix(&self.root).unwrap_or(&above_at);
            let real = Path::new("/").join(real).join(name);
            return Err(format!(
                "leads through a link; its place is {}",
                real.display()
            ));
        }
        let mut entries = 0;
        let mut bytes = 0;
        let mut todo = vec![above_at.join(name)];
        while let Some(at) = todo.pop() {
            if self.mounts.contains(&at) {
                return Err(format!("has a mount in it, at {}", at.display()));
            }
            // What vanishes meanwhile is not carried either.
            let Ok(found) = fs::symlink_metadata(&at) else {
                continue;
            };
            entries += 1;
            if entries > MOST_CARRIED {
                return Err(format!("has more than {MOST_CARRIED} entries"));
            }
            if found.is_dir() {
                let names = fs::read_dir(&at).map_err(|e| format!("cannot be read: {e}"))?;
                todo.extend(names.flatten().map(|entry| entry.path()));
            }
            let content = if found.is_file() { found.len() } else { 0 };
            // Its header, and blocks of 512 bytes.
            bytes += 1024 + content.next_multiple_of(512);
        }
        Ok(bytes)
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
