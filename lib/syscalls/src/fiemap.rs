//! Where a file's bytes are on its block device: `FS_IOC_FIEMAP` of `linux/fiemap.h` (Linux 2.6.28
//! and later).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `FS_IOC_FIEMAP`, `_IOWR('f', 11, struct fiemap)`.
const FS_IOC_FIEMAP: libc::c_ulong = 0xc020_660b;
/// Write the file's data out first: only then has it a place.
const FIEMAP_FLAG_SYNC: u32 = 1;
/// Extents that one call asks for.
const EXTENTS: u32 = 32;

/// `FIEMAP_EXTENT_LAST`: no extent of the file comes behind this one.
pub const LAST: u32 = 0x1;
/// `FIEMAP_EXTENT_MERGED`: made of blocks that the filesystem keeps one by one.
pub const MERGED: u32 = 0x1000;

/// `FIEMAP_EXTENT_SHARED`: it is of other files, too.
pub const SHARED: u32 = 0x2000;

/// `struct fiemap_extent`: bytes of a file that lie together on the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Extent {
    /// Where they begin in the file, in bytes.
    pub logical: u64,
    /// Where they begin on the filesystem's block device, in bytes.
    pub physical: u64,
    /// How many they are.
    pub length: u64,
    reserved64: [u64; 2],
    /// `FIEMAP_EXTENT_…`.
    pub flags: u32,
    reserved: [u32; 3],
}

impl Extent {
    /// An extent, for those who decide by extents.
    #[must_use]
    pub fn new(logical: u64, physical: u64, length: u64, flags: u32) -> Extent {
        Extent {
            logical,
            physical,
            length,
            flags,
            ..Extent::default()
        }
    }
}

/// `struct fiemap` with the extents behind it.
#[repr(C)]
struct Request {
    start: u64,
    length: u64,
    flags: u32,
    mapped: u32,
    count: u32,
    reserved: u32,
    extents: [Extent; EXTENTS as usize],
}

/// The first extents of a file from byte `start` on, in the file's order; a file has more if the
/// last of them is not marked [`LAST`]. What was written to the file is put on the disk first.
pub fn extents(file: BorrowedFd, start: u64) -> io::Result<Vec<Extent>> {
    let mut request = Request {
        start,
        length: u64::MAX - start,
        flags: FIEMAP_FLAG_SYNC,
        mapped: 0,
        count: EXTENTS,
        reserved: 0,
        extents: [Extent::default(); EXTENTS as usize],
    };
    // SAFETY: the request points to a `struct fiemap` with room for `count` extents behind it; the
    // kernel writes no further, and it lives for the length of the call.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), FS_IOC_FIEMAP, &raw mut request) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let found = request.mapped.min(EXTENTS) as usize;
    Ok(request.extents[..found].to_vec())
}
