//! A root filesystem in a directory, looked at as if it were `/`.
//!
//! Links in it lead to places in it: an absolute link never leads out to the machine that builds.
//! Every path is relative to the tree, without a leading slash. Needs openat2(2), Linux 5.6.

use std::fs::{File, FileTimes};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{Mode, OFlags, ResolveFlags, CWD};

/// An open tree.
pub struct RootTree {
    root: OwnedFd,
}

/// A directory of a tree, held open; names in it are reached through [`Folder::path`].
pub struct Folder(OwnedFd);

impl RootTree {
    /// Opens the tree below a directory.
    pub fn open(path: &Path) -> io::Result<RootTree> {
        let root = rustix::fs::openat(
            CWD,
            path,
            OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY,
            Mode::empty(),
        )?;
        Ok(RootTree { root })
    }

    fn at(&self, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
        let path = if path.is_empty() { "." } else { path };
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        Ok(rustix::fs::openat2(
            &self.root,
            path,
            flags | OFlags::CLOEXEC,
            Mode::empty(),
            resolve,
        )?)
    }

    /// Opens a file for reading.
    pub fn file(&self, path: &str) -> io::Result<File> {
        // NONBLOCK: a FIFO under a file's name must not stop the build.
        let file = File::from(self.at(path, OFlags::RDONLY | OFlags::NONBLOCK)?);
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(io::Error::other("it is not a file"))
        }
    }

    /// Reads a file.
    pub fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file(path)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads a file of text.
    pub fn text(&self, path: &str) -> io::Result<String> {
        String::from_utf8(self.read(path)?).map_err(io::Error::other)
    }

    /// Whether something is at the end of a path, links followed.
    pub fn has(&self, path: &str) -> bool {
        self.at(path, OFlags::PATH).is_ok()
    }

    /// Opens a directory.
    pub fn folder(&self, path: &str) -> io::Result<Folder> {
        Ok(Folder(self.at(path, OFlags::RDONLY | OFlags::DIRECTORY)?))
    }

    /// The names in a directory, sorted; none where it does not exist. Names that are not UTF-8
    /// are left out: nothing that reroot looks for has one.
    pub fn names(&self, path: &str) -> io::Result<Vec<String>> {
        let folder = match self.folder(path) {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder.path())? {
            names.extend(entry?.file_name().into_string());
        }
        names.sort();
        Ok(names)
    }
}

impl Folder {
    /// A path by which this very directory is reached, whatever happens to its name.
    pub fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }

    /// Changes what is in the directory and gives it its old modification time back, so that
    /// building twice from one tree gives the same bytes.
    pub fn change<T>(&self, change: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
        let path = self.path();
        let before = std::fs::metadata(&path)?.modified()?;
        let result = change(&path)?;
        set_modified(&path, before)?;
        Ok(result)
    }
}

/// Sets a modification time.
pub fn set_modified(path: &Path, time: SystemTime) -> io::Result<()> {
    File::open(path)?.set_times(FileTimes::new().set_modified(time))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_lead_to_places_in_the_tree() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("usr/lib")).unwrap();
        std::fs::write(root.join("usr/lib/here"), "in the tree").unwrap();
        symlink("/usr/lib", root.join("lib")).unwrap();
        symlink("/etc/passwd", root.join("outside")).unwrap();
        symlink("../../../../etc/passwd", root.join("above")).unwrap();
        let tree = RootTree::open(root).unwrap();
        assert_eq!(tree.text("lib/here").unwrap(), "in the tree");
        assert!(tree.has("lib/here"));
        for path in ["outside", "above", "lib/none"] {
            assert!(!tree.has(path), "{path}");
        }
        assert_eq!(tree.names("lib").unwrap(), ["here"]);
        assert_eq!(tree.names("none").unwrap(), Vec::<String>::new());
        assert!(tree.file("lib").is_err());
    }

    #[test]
    fn changing_a_directory_keeps_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let tree = RootTree::open(folder.path()).unwrap();
        set_modified(folder.path(), SystemTime::UNIX_EPOCH).unwrap();
        tree.folder("")
            .unwrap()
            .change(|path| std::fs::write(path.join("x"), ""))
            .unwrap();
        let after = std::fs::metadata(folder.path())
            .unwrap()
            .modified()
            .unwrap();
        assert_eq!(after, SystemTime::UNIX_EPOCH);
    }
}
