//! Names of one directory, packed into one piece of memory.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;

use rustix::fs::{FileType, RawDir};
use rustix::io::Errno;

/// How much of a directory is read in one call.
const READ_BUFFER: usize = 64 * 1024;

/// File names, each closed with NUL, in one vector: a directory with a million names takes their
/// bytes and eight more for each, nothing else.
#[derive(Debug, Default)]
pub(super) struct Names {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

impl Names {
    pub(super) fn push(&mut self, name: &CStr) {
        self.starts.push(self.bytes.len());
        self.bytes.extend_from_slice(name.to_bytes_with_nul());
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    pub(super) fn get(&self, index: usize) -> Option<&CStr> {
        let start = *self.starts.get(index)?;
        CStr::from_bytes_until_nul(&self.bytes[start..]).ok()
    }

    /// Orders the names by their bytes.
    pub(super) fn sort(&mut self) {
        let bytes = &self.bytes;
        self.starts.sort_unstable_by_key(|&start| {
            // Every name was pushed with its NUL.
            CStr::from_bytes_until_nul(&bytes[start..]).unwrap_or_default()
        });
    }

    /// Takes the last name.
    pub(super) fn pop(&mut self) -> Option<std::ffi::CString> {
        let name = self.get(self.len().checked_sub(1)?)?.to_owned();
        self.bytes.truncate(self.starts.pop()?);
        Some(name)
    }
}

/// A buffer to read directories with, used again for each.
pub(super) struct Reader {
    buffer: Box<[MaybeUninit<u8>]>,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self {
            buffer: vec![MaybeUninit::uninit(); READ_BUFFER].into_boxed_slice(),
        }
    }

    /// All names in `dir` from where its descriptor stands.
    pub(super) fn names(&mut self, dir: BorrowedFd<'_>) -> Result<Names, Errno> {
        let mut names = Names::default();
        self.each(dir, |name, _| {
            names.push(name);
            Ok::<_, Errno>(())
        })?;
        Ok(names)
    }

    /// Calls `visit` for each entry of `dir` from where its descriptor stands, but for `.` and
    /// `..`. The type is what the directory says of it, which may be [`FileType::Unknown`].
    pub(super) fn each<E>(
        &mut self,
        dir: BorrowedFd<'_>,
        mut visit: impl FnMut(&CStr, FileType) -> Result<(), E>,
    ) -> Result<(), E>
    where
        E: From<Errno>,
    {
        let mut entries = RawDir::new(dir, &mut self.buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name();
            if name != c"." && name != c".." {
                visit(name, entry.file_type())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_by_bytes_and_taken_from_the_end() {
        let mut names = Names::default();
        for name in [c"b", c"a b", c"a", c"\xff", c"a\nb"] {
            names.push(name);
        }
        names.sort();
        let sorted: Vec<_> = (0..names.len()).map(|i| names.get(i).unwrap()).collect();
        assert_eq!(sorted, [c"a", c"a\nb", c"a b", c"b", c"\xff"]);
        let mut names = Names::default();
        names.push(c"one");
        names.push(c"two");
        assert_eq!(names.pop().unwrap().as_c_str(), c"two");
        names.push(c"three");
        assert_eq!(names.pop().unwrap().as_c_str(), c"three");
        assert_eq!(names.pop().unwrap().as_c_str(), c"one");
        assert!(names.pop().is_none());
    }
}
