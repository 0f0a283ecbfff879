//! Going down and up in a tree with a bounded number of open directories.
//!
//! The directories nearest to where the walker stands stay open. Further up only what identifies
//! them is remembered; on the way back `..` is opened and has to be the very directory that was
//! left, so that nothing moved meanwhile can lead the walker out of the tree.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::error::TreeError;
use super::lookup::{again, parent, Identity, Lookup, Opened};

/// How many directories above the current one stay open.
const STAY_OPEN: usize = 16;

/// A directory between the root and where the walker stands, the latter included.
struct Level<T> {
    name: CString,
    identity: Identity,
    /// Open only for a few levels above the current one, and never for that one itself.
    dir: Option<OwnedFd>,
    state: T,
}

/// A walker's way from the root to where it stands, with a state for each directory on it.
pub(super) struct Descent<T> {
    lookup: Lookup,
    /// The path of the root, for messages.
    base: Vec<u8>,
    root: OwnedFd,
    here: OwnedFd,
    top: Level<T>,
    above: Vec<Level<T>>,
}

/// What going down came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entered {
    Yes,
    Mount,
    Missing,
    NotDirectory,
}

/// Whether there was a way up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// The walker stands in a directory further up.
    ForAbove,
    /// It stands in the root, where it stood before or where everything above has moved.
    AtRoot,
}

impl<T> Descent<T> {
    /// Stands in `root`, which is opened anew so that its position is the walker's own. `base` is
    /// its path, for messages.
    pub(super) fn new(
        lookup: Lookup,
        root: BorrowedFd<'_>,
        base: &[u8],
        state: T,
    ) -> Result<Self, TreeError> {
        let (here, identity) = again(root).map_err(|e| TreeError::io("open", base, e))?;
        let (root, _) = again(root).map_err(|e| TreeError::io("open", base, e))?;
        let top = Level {
            name: CString::default(),
            identity,
            dir: None,
            state,
        };
        Ok(Self {
            lookup,
            base: base.to_vec(),
            root,
            here,
            top,
            above: Vec::new(),
        })
    }

    pub(super) fn dir(&self) -> BorrowedFd<'_> {
        self.here.as_fd()
    }

    pub(super) fn state(&mut self) -> &mut T {
        &mut self.top.state
    }

    /// The current directory and its state at once.
    pub(super) fn dir_and_state(&mut self) -> (BorrowedFd<'_>, &mut T) {
        (self.here.as_fd(), &mut self.top.state)
    }

    pub(super) fn is_root(&self) -> bool {
        self.above.is_empty()
    }

    /// The path of the current directory, without a leading slash.
    pub(super) fn path(&self) -> Vec<u8> {
        let mut path = self.base.clone();
        for level in self.above.iter().chain([&self.top]).skip(1) {
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(level.name.to_bytes());
        }
        path
    }

    /// The path of `name` in the current directory, without a leading slash.
    pub(super) fn path_of(&self, name: &CStr) -> Vec<u8> {
        let mut path = self.path();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name.to_bytes());
        path
    }

    /// Goes down into `name`, unless it is no directory of this filesystem.
    pub(super) fn enter(&mut self, name: &CStr, state: T) -> Result<Entered, TreeError> {
        let opened = self.lookup.directory(self.dir(), name);
        match opened.map_err(|e| TreeError::io("open", &self.path_of(name), e))? {
            Opened::Directory(dir, identity) => {
                let level = Level {
                    name: name.to_owned(),
                    identity,
                    dir: None,
                    state,
                };
                let mut above = std::mem::replace(&mut self.top, level);
                above.dir = Some(std::mem::replace(&mut self.here, dir));
                self.above.push(above);
                if let Some(far) = self.above.len().checked_sub(STAY_OPEN + 1) {
                    self.above[far].dir = None;
                }
                Ok(Entered::Yes)
            }
            Opened::Mount => Ok(Entered::Mount),
            Opened::Missing => Ok(Entered::Missing),
            Opened::NotDirectory => Ok(Entered::NotDirectory),
        }
    }

    /// Goes up, and gives the name and the state of the directory that was left. At the root
    /// there is nowhere to go.
    pub(super) fn leave(&mut self) -> Result<Option<(CString, T)>, TreeError> {
        let Some(mut above) = self.above.pop() else {
            return Ok(None);
        };
        let dir = if let Some(dir) = above.dir.take() {
            dir
        } else {
            let (dir, identity) =
                parent(self.dir()).map_err(|e| TreeError::io("go up from", &self.path(), e))?;
            if identity != above.identity {
                return Err(TreeError::obstacle(
                    &self.path(),
                    "was moved while its tree was being walked",
                ));
            }
            dir
        };
        self.here = dir;
        let left = std::mem::replace(&mut self.top, above);
        Ok(Some((left.name, left.state)))
    }

    /// Goes up as [`Self::leave`] does. Where a directory on the way has been moved or removed, goes
    /// to the nearest one above it that is still where it was, looked up by names from the root.
    pub(super) fn leave_or_find_back(&mut self) -> Result<Left, TreeError> {
        let Some(above) = self.above.last_mut() else {
            return Ok(Left::AtRoot);
        };
        let near = above.dir.take();
        let dir = near.or_else(|| {
            let (dir, identity) = parent(self.here.as_fd()).ok()?;
            (identity == above.identity).then_some(dir)
        });
        let dir = match dir {
            Some(dir) => dir,
            None => self.find_back()?,
        };
        // `find_back` leaves at least the root.
        if let Some(above) = self.above.pop() {
            self.here = dir;
            self.top = above;
        }
        Ok(Left::ForAbove)
    }

    /// Gives up the directories above that are not where they were, and opens the last of the rest.
    fn find_back(&mut self) -> Result<OwnedFd, TreeError> {
        let open = |e| TreeError::io("open", &self.base, e);
        let (mut dir, _) = again(self.root.as_fd()).map_err(open)?;
        let mut found = 1;
        for level in self.above.iter().skip(1) {
            match self.lookup.directory(dir.as_fd(), &level.name) {
                Ok(Opened::Directory(next, identity)) if identity == level.identity => dir = next,
                // What cannot be opened is no way either; what is above says why, if it matters.
                _ => break,
            }
            found += 1;
        }
        self.above.truncate(found);
        Ok(dir)
    }
}
