//! One tree on several filesystems: a root directory, and the tops of what is mounted below it and belongs
//! to the tree too.
//!
//! Nothing crosses a mount by going down. Where a path leads on to another filesystem of the tree, the walk
//! begins anew at that one's own handle; whatever else is mounted is as foreign as ever.

use std::os::fd::BorrowedFd;

/// A root, with what is mounted below it and belongs to it.
#[derive(Clone, Debug)]
pub struct Roots<'r> {
    root: BorrowedFd<'r>,
    /// Where, without a slash at either end, and the top.
    apart: Vec<(Vec<u8>, BorrowedFd<'r>)>,
}

impl<'r> From<BorrowedFd<'r>> for Roots<'r> {
    /// One filesystem.
    fn from(root: BorrowedFd<'r>) -> Self {
        Self {
            root,
            apart: Vec::new(),
        }
    }
}

impl<'r> Roots<'r> {
    /// With a filesystem that is mounted at an absolute path below the root; the caller answers for `top` being
    /// its top.
    #[must_use]
    pub fn with(mut self, target: &str, top: BorrowedFd<'r>) -> Self {
        let target = target.trim_matches('/').as_bytes().to_vec();
        self.apart.push((target, top));
        self
    }

    /// The root itself.
    pub(super) fn root(&self) -> BorrowedFd<'r> {
        self.root
    }

    /// The top that the walk to `path` begins at, how much of the path leads to it, its slash included, and
    /// a number for it: 0 is the root.
    pub(super) fn of(&self, path: &[u8]) -> (usize, BorrowedFd<'r>, usize) {
        let apart = self.apart.iter().enumerate();
        let above = apart.filter(|(_, (target, _))| is_at_or_below(path, target));
        match above.max_by_key(|(_, (target, _))| target.len()) {
            Some((at, (target, top))) => (at + 1, *top, (target.len() + 1).min(path.len())),
            None => (0, self.root, 0),
        }
    }

    /// The top of what is mounted at this very path.
    pub(super) fn top(&self, path: &[u8]) -> Option<BorrowedFd<'r>> {
        let mut apart = self.apart.iter();
        apart
            .find(|(target, _)| target == path)
            .map(|(_, top)| *top)
    }

    /// Whether something of the tree is mounted at this path or below it.
    pub(super) fn leads_to_another(&self, path: &[u8]) -> bool {
        self.apart
            .iter()
            .any(|(target, _)| is_at_or_below(target, path))
    }
}

fn is_at_or_below(path: &[u8], above: &[u8]) -> bool {
    path.strip_prefix(above)
        .is_some_and(|rest| above.is_empty() || rest.is_empty() || rest.starts_with(b"/"))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::{AsFd, AsRawFd};

    use super::*;

    #[test]
    fn a_path_begins_at_the_deepest_top_above_it() {
        let files: Vec<File> = (0..3).map(|_| tempfile::tempfile().unwrap()).collect();
        let roots = Roots::from(files[0].as_fd())
            .with("/var", files[1].as_fd())
            .with("/var/log", files[2].as_fd());
        for (path, top, rest) in [
            ("", 0, ""),
            ("etc/fstab", 0, "etc/fstab"),
            ("variant", 0, "variant"),
            ("var", 1, ""),
            ("var/lib/mysql", 1, "lib/mysql"),
            ("var/logs", 1, "logs"),
            ("var/log", 2, ""),
            ("var/log/shop", 2, "shop"),
        ] {
            let (at, fd, skipped) = roots.of(path.as_bytes());
            assert_eq!((at, &path[skipped..]), (top, rest), "{path}");
            assert_eq!(fd.as_raw_fd(), files[top].as_raw_fd(), "{path}");
            let is_top = rest.is_empty() && top > 0;
            assert_eq!(roots.top(path.as_bytes()).is_some(), is_top, "{path}");
        }
        assert!(roots.leads_to_another(b"var") && roots.leads_to_another(b"var/log"));
        assert!(!roots.leads_to_another(b"var/lo") && !roots.leads_to_another(b"opt"));
    }
}
