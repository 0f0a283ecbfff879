//! A real filesystem for a test, ext4, XFS or Btrfs, and what a kept tree looks like to someone else.
//!
//! The filesystem lies in a sparse file, is mounted through a loop device in a mount namespace of
//! the test's own thread, and goes away with it, whatever becomes of the test.

#![allow(dead_code)] // Each test program uses a part of this.

pub mod hostile;
pub mod payloads;

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr};
use std::fs::{self, File};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use formats::keep::{KeepPath, KeepSet};
use formats::measure::Measure;
use formats::Digest;
use tree::{Lookup, Measuring, Stillness, TreeError};

/// Both ways to look names up; everything destructive is tested with each.
pub const LOOKUPS: [Lookup; 3] = [Lookup::Kernel, Lookup::Comparison, Lookup::MountList];

/// Measures a tree on which nobody else works.
pub fn measure(root: BorrowedFd<'_>, path: &KeepPath) -> Result<Measure, TreeError> {
    Measuring::new(root, Stillness::Still).measure(path)
}

/// [`measure`], with the way to look names up given.
pub fn measure_by(
    lookup: Lookup,
    root: BorrowedFd<'_>,
    path: &KeepPath,
) -> Result<Measure, TreeError> {
    Measuring::new(root, Stillness::Still)
        .looking_up(lookup)
        .measure(path)
}

/// Whether the test program is the one for XFS, by its name.
fn is_on_xfs() -> bool {
    module_path!().starts_with("tree_on_xfs")
}

/// The same of Btrfs.
fn is_on_btrfs() -> bool {
    module_path!().starts_with("tree_on_btrfs")
}

/// A mounted filesystem of its own.
pub struct Disk {
    directory: tempfile::TempDir,
    root: File,
}

impl Disk {
    /// Makes and mounts a filesystem.
    pub fn new() -> Self {
        Self::sized(256)
    }

    /// Makes and mounts a filesystem of so many MiB.
    pub fn sized(mebibytes: u64) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "this test mounts a filesystem and needs root: sudo -E cargo test -p machine --tests"
        );
        // A namespace of this thread: other tests and the machine never see the mount, and the
        // kernel takes it down with the thread.
        #[allow(deprecated)] // The flag shares nothing that Rust relies on.
        rustix::thread::unshare(rustix::thread::UnshareFlags::NEWNS).expect("unshare mounts");
        run("mount", &["--make-rprivate", "/"]);
        let directory = tempfile::tempdir().unwrap();
        let image = directory.path().join("image");
        // XFS is not made smaller.
        let least = if is_on_xfs() { 320 } else { 0 };
        File::create(&image)
            .unwrap()
            .set_len(mebibytes.max(least) << 20)
            .unwrap();
        let root = directory.path().join("root");
        fs::create_dir(&root).unwrap();
        let (image, at) = (image.to_str().unwrap(), root.to_str().unwrap());
        let others = is_on_xfs() || is_on_btrfs();
        if is_on_xfs() {
            run("mkfs.xfs", &["-q", image]);
        } else if is_on_btrfs() {
            run("mkfs.btrfs", &["-q", image]);
        } else {
            run("mkfs.ext4", &["-q", "-F", "-N", "65536", image]);
        }
        run("mount", &["-o", "loop", image, at]);
        if !others {
            fs::remove_dir(root.join("lost+found")).unwrap();
        }
        let root = File::open(root).unwrap();
        Self { directory, root }
    }

    /// Unmounts it and mounts it again: what the kernel only remembered of it is forgotten.
    pub fn mount_again(&mut self) {
        let (image, at) = (self.outside("image"), self.path(""));
        self.root = File::open(self.directory.path()).unwrap();
        // A test beside this one that starts a program has for a moment what this one has open.
        let unmounted = || {
            let done = rustix::mount::unmount(&at, rustix::mount::UnmountFlags::empty());
            done.is_ok() || {
                std::thread::sleep(Duration::from_millis(100));
                false
            }
        };
        assert!((0..50).any(|_| unmounted()), "{}", at.display());
        let (image, mounted) = (image.to_str().unwrap(), at.to_str().unwrap());
        run("mount", &["-o", "loop", image, mounted]);
        self.root = File::open(at).unwrap();
    }

    /// The root of the filesystem.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// A path on the filesystem; an empty one is its root.
    pub fn path(&self, path: impl AsRef<OsStr>) -> PathBuf {
        let root = self.directory.path().join("root");
        let path = Path::new(path.as_ref());
        root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// A place outside of the filesystem.
    pub fn outside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Makes a directory with those above it.
    pub fn dir(&self, path: impl AsRef<OsStr>) -> PathBuf {
        let path = self.path(path);
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// Makes a file with the directories above it.
    pub fn file(&self, path: impl AsRef<OsStr>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// All paths on the filesystem, relative to its root, in order.
    pub fn paths(&self) -> Vec<String> {
        snapshot(&self.path(""))
            .into_keys()
            .filter(|path| !path.as_os_str().is_empty())
            .map(|path| path.display().to_string())
            .collect()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Detached at once; the filesystem ends when the last descriptor does.
        let _ = rustix::mount::unmount(self.path(""), rustix::mount::UnmountFlags::DETACH);
    }
}

/// Runs a program that has to succeed.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|e| panic!("{program} is needed by this test: {e}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// A keep list.
pub fn keep(paths: &[&str]) -> KeepSet {
    paths
        .iter()
        .map(|path| KeepPath::parse(path).unwrap())
        .collect()
}

/// No one to tell.
pub fn quiet(_: u64) {}

/// All that must not change about a kept file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub ino: u64,
    pub mode: u32,
    pub owner: (u32, u32),
    pub size: u64,
    pub mtime: (i64, i64),
    pub rdev: u64,
    pub content: Option<Digest>,
    pub target: Option<PathBuf>,
    pub attributes: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Seen {
    /// Without what differs between two trees that are otherwise alike.
    pub fn portable(mut self) -> Self {
        self.ino = 0;
        if self.mode & 0o170_000 == 0o040_000 {
            self.size = 0;
        }
        self
    }
}

/// Looks at a tree with nothing but the standard library and the plain calls for attributes.
pub fn snapshot(top: &Path) -> BTreeMap<PathBuf, Seen> {
    let mut seen = BTreeMap::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(path) = pending.pop() {
        let full = if path.as_os_str().is_empty() {
            top.to_owned()
        } else {
            top.join(&path)
        };
        let metadata = fs::symlink_metadata(&full).unwrap();
        let file_type = metadata.file_type();
        let content = file_type
            .is_file()
            .then(|| Digest::of(&fs::read(&full).unwrap()));
        if file_type.is_dir() {
            let names = fs::read_dir(&full).unwrap();
            pending.extend(names.map(|name| path.join(name.unwrap().file_name())));
        }
        let one = Seen {
            ino: metadata.ino(),
            mode: metadata.mode(),
            owner: (metadata.uid(), metadata.gid()),
            size: metadata.size(),
            mtime: (metadata.mtime(), metadata.mtime_nsec()),
            rdev: if file_type.is_char_device() || file_type.is_block_device() {
                metadata.rdev()
            } else {
                0
            },
            content,
            target: file_type
                .is_symlink()
                .then(|| fs::read_link(&full).unwrap()),
            attributes: attributes(&full),
        };
        seen.insert(path, one);
    }
    seen
}

fn attributes(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut names = vec![0; 65536];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap();
    names[..length]
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| {
            let mut value = vec![0; 65536];
            let name = CString::new(name).unwrap();
            let length = rustix::fs::lgetxattr(path, &name, &mut value[..]).unwrap();
            (name.into_bytes(), value[..length].to_vec())
        })
        .collect()
}

/// Fails with the first difference between two snapshots, for a whole one fills screens.
#[track_caller]
pub fn assert_same(left: &BTreeMap<PathBuf, Seen>, right: &BTreeMap<PathBuf, Seen>) {
    for (path, seen) in left {
        assert_eq!(Some(seen), right.get(path), "{}", path.display());
    }
    if let Some(path) = right.keys().find(|path| !left.contains_key(*path)) {
        panic!("{} is in the second tree only", path.display());
    }
}

/// A path from bytes.
pub fn bytes(path: &[u8]) -> &OsStr {
    OsStr::from_bytes(path)
}
