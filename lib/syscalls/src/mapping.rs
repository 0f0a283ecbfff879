//! Files mapped into memory, for system calls to read from.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// A whole file, mapped. Its bytes are for the kernel only: a file may change or be cut at any
/// moment, so nothing here gives them to this program as a slice.
#[derive(Debug)]
pub struct Mapping {
    start: *mut libc::c_void,
    length: usize,
}

impl Mapping {
    /// Maps the first `length` bytes of a file, to be read.
    pub fn of(file: BorrowedFd, length: usize) -> io::Result<Mapping> {
        // SAFETY: the kernel chooses an address that is free, so no memory that is in use changes;
        // nobody gets a reference to what is mapped.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ,
                libc::MAP_PRIVATE | libc::MAP_POPULATE,
                file.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Mapping { start, length })
    }

    /// Bytes in it.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    /// The address of `length` bytes at `offset`, if all of them are mapped.
    pub(crate) fn at(&self, offset: usize, length: usize) -> Option<*const libc::c_void> {
        let end = offset.checked_add(length)?;
        (end <= self.length).then(|| self.start.cast_const().wrapping_byte_add(offset))
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this is the mapping that `of` made, and no address from it outlives `self`.
        let result = unsafe { libc::munmap(self.start, self.length) };
        debug_assert_eq!(result, 0, "munmap of an own mapping");
    }
}
