//! Extended attributes: listing them without opening the file, and setting them.
//!
//! ACLs and file capabilities are extended attributes to the kernel, and to everything here.

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::fs::XattrFlags;
use rustix::io::Errno;

/// Names under which XFS shows root an ACL a second time, as it has it on the disk. Who sets one sets the ACL,
/// with the numbers of owners that were meant for another machine.
const SECOND_NAMES: [&CStr; 2] = [c"trusted.SGI_ACL_DEFAULT", c"trusted.SGI_ACL_FILE"];

/// An extended attribute's name and value.
pub(super) type Attribute = (CString, Vec<u8>);

/// The path of `name` in an open directory for calls that know no directory handles. The magic
/// link of the descriptor is followed, `name` is not if the call does not follow.
fn by_descriptor(dir: BorrowedFd<'_>, name: &CStr) -> CString {
    let mut path = format!("/proc/self/fd/{}/", dir.as_raw_fd()).into_bytes();
    path.extend_from_slice(name.to_bytes());
    // A CStr holds no NUL.
    CString::new(path).unwrap_or_default()
}

/// The extended attributes of `name` in `dir`, ordered by name. Needs /proc.
pub(super) fn list_at(dir: BorrowedFd<'_>, name: &CStr) -> Result<Vec<Attribute>, Errno> {
    let path = by_descriptor(dir, name);
    collect(
        |buffer| rustix::fs::llistxattr(&path, buffer),
        |name, buffer| rustix::fs::lgetxattr(&path, name, buffer),
    )
}

/// The extended attributes of an open file, ordered by name.
pub(super) fn list(file: BorrowedFd<'_>) -> Result<Vec<Attribute>, Errno> {
    collect(
        |buffer| rustix::fs::flistxattr(file, buffer),
        |name, buffer| rustix::fs::fgetxattr(file, name, buffer),
    )
}

fn collect(
    list: impl Fn(&mut [u8]) -> Result<usize, Errno>,
    get: impl Fn(&CStr, &mut [u8]) -> Result<usize, Errno>,
) -> Result<Vec<Attribute>, Errno> {
    // Most files have none, and then a small buffer on the stack is all that is needed.
    let mut small = [0; 256];
    let large;
    let names = match list(&mut small) {
        Ok(length) => &small[..length],
        Err(Errno::RANGE) => {
            large = grow(&list)?;
            &large[..]
        }
        // A filesystem, or a type of file, without extended attributes.
        Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Err(errno) => return Err(errno),
    };
    let mut attributes = Vec::new();
    let mut rest = names;
    while let Ok(name) = CStr::from_bytes_until_nul(rest) {
        rest = &rest[name.to_bytes_with_nul().len()..];
        if SECOND_NAMES.contains(&name) {
            continue;
        }
        match grow(|buffer: &mut [u8]| get(name, buffer)) {
            Ok(value) => attributes.push((name.to_owned(), value)),
            // Removed meanwhile.
            Err(Errno::NODATA) => {}
            Err(errno) => return Err(errno),
        }
    }
    attributes.sort_unstable();
    Ok(attributes)
}

/// Reads a value of unknown length. The kernel's limit for both names and values is 64 KiB.
fn grow(read: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; 256];
    loop {
        match read(&mut buffer) {
            Ok(length) => {
                buffer.truncate(length);
                return Ok(buffer);
            }
            Err(Errno::RANGE) if buffer.len() < 1 << 20 => buffer.resize(buffer.len() * 4, 0),
            Err(errno) => return Err(errno),
        }
    }
}

/// Sets one attribute of an open file.
pub(super) fn set(file: BorrowedFd<'_>, attribute: &Attribute) -> Result<(), Errno> {
    rustix::fs::fsetxattr(file, &attribute.0, &attribute.1, XattrFlags::empty())
}

/// Sets one attribute of `name` in `dir`, which may be a link or a device. Needs /proc.
pub(super) fn set_at(dir: BorrowedFd<'_>, name: &CStr, attribute: &Attribute) -> Result<(), Errno> {
    let path = by_descriptor(dir, name);
    rustix::fs::lsetxattr(&path, &attribute.0, &attribute.1, XattrFlags::empty())
}

/// Removes all attributes of an open file.
pub(super) fn clear(file: BorrowedFd<'_>) -> Result<(), Errno> {
    for (name, _) in list(file)? {
        match rustix::fs::fremovexattr(file, &name) {
            Ok(()) | Err(Errno::NODATA) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
