//! Proving, before anything is removed, that every path to keep is there and is what it seems.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd};

use formats::keep::{Fate, KeepNode, KeepSet};
use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;

use super::error::{printable, TreeError};
use super::lookup::{Lookup, Opened};
use super::roots::Roots;

/// Proves that each path in `keep` exists below `root`, that no component of it is a symbolic
/// link, and that none is on a mount that is not one of the tree's. Only reads.
pub fn validate_keep<'r>(roots: impl Into<Roots<'r>>, keep: &KeepSet) -> Result<(), TreeError> {
    let roots = roots.into();
    validate_keep_by(Lookup::detect(roots.root()), roots, keep)
}

/// [`validate_keep`], with the way to look names up given: tests force the one of old kernels.
pub fn validate_keep_by<'r>(
    lookup: Lookup,
    roots: impl Into<Roots<'r>>,
    keep: &KeepSet,
) -> Result<(), TreeError> {
    let roots = roots.into();
    directory(lookup, &roots, roots.root(), keep.root(), &mut Vec::new())
}

/// One directory. A path has at most 2047 names, which bounds the recursion and the descriptors;
/// the latter is the one place where they grow with depth, and only with that of the keep list.
fn directory(
    lookup: Lookup,
    roots: &Roots<'_>,
    dir: BorrowedFd<'_>,
    node: &KeepNode,
    path: &mut Vec<u8>,
) -> Result<(), TreeError> {
    for (name, fate) in node.children() {
        let above = path.len();
        path.push(b'/');
        path.extend_from_slice(name);
        // A name of a KeepPath holds no NUL.
        let name = CString::new(name)
            .map_err(|_| TreeError::obstacle(path, "contains a NUL character"))?;
        match fate {
            Fate::Kept => leaf(lookup, dir, &name, path)?,
            Fate::Ancestor(child) => {
                if let Some(top) = roots.top(&path[1..]) {
                    directory(lookup, roots, top, child, path)?;
                    path.truncate(above);
                    continue;
                }
                let opened = lookup
                    .directory(dir, &name)
                    .map_err(|e| TreeError::io("open", path, e))?;
                match opened {
                    Opened::Directory(fd, _) => {
                        directory(lookup, roots, fd.as_fd(), child, path)?;
                    }
                    Opened::Mount => return Err(TreeError::keep_mount(path)),
                    Opened::Missing => return Err(TreeError::keep_missing(path)),
                    Opened::NotDirectory => return Err(not_directory(dir, &name, path)),
                }
            }
            Fate::Gone => {}
        }
        path.truncate(above);
    }
    Ok(())
}

/// The kept path itself, of whatever type but a link.
fn leaf(lookup: Lookup, dir: BorrowedFd<'_>, name: &CString, path: &[u8]) -> Result<(), TreeError> {
    let stat = match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Err(TreeError::keep_missing(path)),
        Err(error) => return Err(TreeError::io("look at", path, error)),
    };
    if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
        return Err(TreeError::KeepLink {
            path: printable(path),
        });
    }
    match lookup.is_mount(dir, name) {
        Ok(false) => Ok(()),
        Ok(true) => Err(TreeError::keep_mount(path)),
        Err(error) => Err(TreeError::io("find the mount of", path, error)),
    }
}

/// Which of the two reasons it is that a component cannot be entered.
fn not_directory(dir: BorrowedFd<'_>, name: &CString, path: &[u8]) -> TreeError {
    let path_text = printable(path);
    match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => {
            TreeError::KeepLink { path: path_text }
        }
        Ok(_) => TreeError::KeepNotDirectory { path: path_text },
        Err(error) => TreeError::io("look at", path, error),
    }
}
