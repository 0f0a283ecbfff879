//! The directory that a path's last name is in, opened one component at a time.
//!
//! Archives list neighbours one after the other, so the way to the last directory stays open and
//! only what differs is opened anew.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::error::TreeError;
use super::lookup::{Lookup, Opened};
use super::roots::Roots;

/// How many directories from the root down stay open. Further down only the last one does.
const STAY_OPEN: usize = 24;

/// Directories below a root, by path.
pub(super) struct Parents<'r> {
    lookup: Lookup,
    roots: Roots<'r>,
    /// Below which of the roots the open directories are.
    at: usize,
    open: Vec<(Vec<u8>, OwnedFd)>,
    far: Option<(Vec<u8>, OwnedFd)>,
}

impl<'r> Parents<'r> {
    pub(super) fn new(lookup: Lookup, roots: impl Into<Roots<'r>>) -> Self {
        Self {
            lookup,
            roots: roots.into(),
            at: 0,
            open: Vec::new(),
            far: None,
        }
    }

    /// The directory that `path` is in, and its name in it. The path is not that of the root.
    pub(super) fn of<'p>(
        &mut self,
        path: &'p [u8],
    ) -> Result<(BorrowedFd<'_>, CString), TreeError> {
        let (above, name): (&'p [u8], &'p [u8]) = split(path);
        let name = CString::new(name).map_err(|_| TreeError::entry(path, "NUL in the name"))?;
        Ok((self.directory(above)?, name))
    }

    /// What the tree is on.
    pub(super) fn roots(&self) -> &Roots<'r> {
        &self.roots
    }

    /// The directory at `path`; an empty path is the root.
    pub(super) fn directory(&mut self, path: &[u8]) -> Result<BorrowedFd<'_>, TreeError> {
        let (at, root, skipped) = self.roots.of(path);
        if at != self.at {
            self.open.clear();
            self.far = None;
            self.at = at;
        }
        self.below(root, path, skipped)
    }

    /// The directory at `whole`, of which the first bytes lead to `root`.
    fn below<'s>(
        &'s mut self,
        root: BorrowedFd<'s>,
        whole: &[u8],
        skipped: usize,
    ) -> Result<BorrowedFd<'s>, TreeError> {
        let path = &whole[skipped..];
        if path.is_empty() {
            return Ok(root);
        }
        let mut end = 0;
        let mut depth = 0;
        while end < path.len() && depth < STAY_OPEN {
            let start = if depth == 0 { 0 } else { end + 1 };
            end = component_end(path, start);
            let component = &path[start..end];
            if self
                .open
                .get(depth)
                .is_none_or(|(name, _)| name != component)
            {
                self.open.truncate(depth);
                let above = self.open.last().map_or(root, |(_, fd)| fd.as_fd());
                let fd = self.open_in(above, component, &whole[..skipped + end])?;
                self.open.push((component.to_vec(), fd));
            }
            depth += 1;
        }
        if end == path.len() {
            return Ok(self.open.get(depth - 1).map_or(root, |(_, fd)| fd.as_fd()));
        }
        let far = match self.far.take() {
            Some((far, fd)) if is_at_or_below(path, &far) => {
                end = far.len();
                Some(fd)
            }
            _ => None,
        };
        let mut far = far;
        while end < path.len() {
            let start = end + 1;
            end = component_end(path, start);
            let above = match &far {
                Some(fd) => fd.as_fd(),
                None => self.open.last().map_or(root, |(_, fd)| fd.as_fd()),
            };
            far = Some(self.open_in(above, &path[start..end], &whole[..skipped + end])?);
        }
        let far = self.far.insert((
            path.to_vec(),
            // The loop ran at least once, or the directory was the last one asked for.
            far.ok_or_else(|| TreeError::entry(path, "is not a path"))?,
        ));
        Ok(far.1.as_fd())
    }

    fn open_in(
        &self,
        above: BorrowedFd<'_>,
        component: &[u8],
        path: &[u8],
    ) -> Result<OwnedFd, TreeError> {
        let mut buffer = [0; 256];
        let name = buffer
            .get_mut(..=component.len())
            .map(|buffer| {
                buffer[..component.len()].copy_from_slice(component);
                &*buffer
            })
            .and_then(|bytes| CStr::from_bytes_with_nul(bytes).ok())
            .ok_or_else(|| TreeError::entry(path, "is not a name"))?;
        match self
            .lookup
            .directory(above, name)
            .map_err(|e| TreeError::io("open", path, e))?
        {
            Opened::Directory(fd, _) => Ok(fd),
            Opened::Mount => Err(TreeError::mount(path)),
            Opened::Missing => Err(TreeError::obstacle(
                path,
                "does not exist, but something in it is named",
            )),
            Opened::NotDirectory => Err(TreeError::obstacle(
                path,
                "is a symbolic link or a file, where a directory must be",
            )),
        }
    }
}

/// A path's directory and last name.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

fn component_end(path: &[u8], start: usize) -> usize {
    path[start..]
        .iter()
        .position(|&byte| byte == b'/')
        .map_or(path.len(), |length| start + length)
}

fn is_at_or_below(path: &[u8], above: &[u8]) -> bool {
    path.strip_prefix(above)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}
