//! Btrfs: the ioctls of `linux/btrfs.h` that its trees are asked by, and a subvolume is removed by (Linux 3.2 has
//! all of them). Asking needs `CAP_SYS_ADMIN`.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `BTRFS_IOC_SNAP_DESTROY`, `_IOW(0x94, 15, struct btrfs_ioctl_vol_args)`.
const SNAP_DESTROY: libc::c_ulong = 0x5000_940f;
/// `BTRFS_IOC_TREE_SEARCH`, `_IOWR(0x94, 17, struct btrfs_ioctl_search_args)`.
const TREE_SEARCH: libc::c_ulong = 0xd000_9411;
/// `BTRFS_IOC_INO_LOOKUP`, `_IOWR(0x94, 18, struct btrfs_ioctl_ino_lookup_args)`.
const INO_LOOKUP: libc::c_ulong = 0xd000_9412;
/// `BTRFS_IOC_SPACE_INFO`, `_IOWR(0x94, 20, struct btrfs_ioctl_space_args)`.
const SPACE_INFO: libc::c_ulong = 0xc010_9414;
/// `BTRFS_IOC_DEV_INFO`, `_IOWR(0x94, 30, struct btrfs_ioctl_dev_info_args)`.
const DEV_INFO: libc::c_ulong = 0xd000_941e;

/// Bytes of a name that `struct btrfs_ioctl_vol_args` has room for, its end included.
const NAME_BYTES: usize = 4088;
/// Bytes of a path that `struct btrfs_ioctl_ino_lookup_args` has room for.
const PATH_BYTES: usize = 4080;
/// Bytes of found items in `struct btrfs_ioctl_search_args`.
const FOUND_BYTES: usize = 4096 - 104;
/// How many kinds of space are asked for; a filesystem on one device has four, or eight while a balance converts it.
const SPACES: usize = 32;
/// `struct btrfs_ioctl_search_header`: before each item.
const HEADER_BYTES: usize = 32;

/// An item of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The first part of its key.
    pub object: u64,
    /// The second part.
    pub kind: u8,
    /// The third part.
    pub offset: u64,
    /// What is in it; empty where it is too large for the answer.
    pub bytes: Vec<u8>,
}

/// `struct btrfs_ioctl_search_args`.
#[repr(C)]
struct Search {
    tree: u64,
    min_object: u64,
    max_object: u64,
    min_offset: u64,
    max_offset: u64,
    min_transaction: u64,
    max_transaction: u64,
    min_kind: u32,
    max_kind: u32,
    items: u32,
    unused: u32,
    unused_more: [u64; 4],
    found: [u8; FOUND_BYTES],
}

/// Every item of a tree whose key has these objects, in both ends included, and this kind, in the order of
/// their keys. `file` is any of the filesystem.
pub fn search(file: BorrowedFd, tree: u64, objects: (u64, u64), kind: u8) -> io::Result<Vec<Item>> {
    let mut all = Vec::new();
    // A search compares whole keys: it begins behind the last one that was given.
    let mut from = (objects.0, kind, 0);
    loop {
        let some = search_from(file, tree, from, objects.1)?;
        let Some(last) = some.last() else {
            return Ok(all);
        };
        from = match (last.offset.checked_add(1), last.kind.checked_add(1)) {
            (Some(offset), _) => (last.object, last.kind, offset),
            (None, Some(kind)) => (last.object, kind, 0),
            (None, None) => match last.object.checked_add(1) {
                Some(object) => (object, 0, 0),
                None => return Ok(all),
            },
        };
        all.extend(some.into_iter().filter(|item| item.kind == kind));
    }
}

fn search_from(
    file: BorrowedFd,
    tree: u64,
    (object, kind, offset): (u64, u8, u64),
    last_object: u64,
) -> io::Result<Vec<Item>> {
    let mut search = Search {
        tree,
        min_object: object,
        max_object: last_object,
        min_offset: offset,
        max_offset: u64::MAX,
        min_transaction: 0,
        max_transaction: u64::MAX,
        min_kind: u32::from(kind),
        max_kind: u32::from(u8::MAX),
        items: u32::MAX,
        unused: 0,
        unused_more: [0; 4],
        found: [0; FOUND_BYTES],
    };
    // SAFETY: the request points to a whole `struct btrfs_ioctl_search_args` of 4096 bytes, which the kernel
    // reads and writes, and which lives for the length of the call.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), TREE_SEARCH, &raw mut search) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(items(&search.found, search.items))
}

/// The items in what a search has found.
fn items(found: &[u8], count: u32) -> Vec<Item> {
    let mut all = Vec::new();
    let mut rest = found;
    for _ in 0..count {
        let Some((header, behind)) = rest.split_at_checked(HEADER_BYTES) else {
            break;
        };
        let u32_at = |at: usize| {
            let bytes = header[at..at + 4].first_chunk();
            bytes.map_or(0, |bytes| u32::from_ne_bytes(*bytes))
        };
        let u64_at = |at: usize| {
            let bytes = header[at..at + 8].first_chunk();
            bytes.map_or(0, |bytes| u64::from_ne_bytes(*bytes))
        };
        let Some((bytes, behind)) = behind.split_at_checked(u32_at(28) as usize) else {
            break;
        };
        all.push(Item {
            object: u64_at(8),
            offset: u64_at(16),
            kind: u8::try_from(u32_at(24)).unwrap_or(u8::MAX),
            bytes: bytes.to_vec(),
        });
        rest = behind;
    }
    all
}

/// `struct btrfs_ioctl_ino_lookup_args`.
#[repr(C)]
struct Lookup {
    tree: u64,
    object: u64,
    name: [u8; PATH_BYTES],
}

/// The number of the subvolume that a file is in.
pub fn subvolume_of(file: BorrowedFd) -> io::Result<u64> {
    // Of the directory that every subvolume begins with.
    Ok(look_up(file, 0, 256)?.tree)
}

/// The path of a directory in a subvolume, with `/` at its end; empty for the subvolume's first one.
pub fn path_of(file: BorrowedFd, subvolume: u64, directory: u64) -> io::Result<Vec<u8>> {
    let found = look_up(file, subvolume, directory)?;
    let end = found.name.iter().position(|&byte| byte == 0);
    Ok(found.name[..end.unwrap_or(PATH_BYTES)].to_vec())
}

fn look_up(file: BorrowedFd, tree: u64, object: u64) -> io::Result<Lookup> {
    let mut lookup = Lookup {
        tree,
        object,
        name: [0; PATH_BYTES],
    };
    // SAFETY: the request points to a whole `struct btrfs_ioctl_ino_lookup_args` of 4096 bytes, which the
    // kernel reads and writes, and which lives for the length of the call.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), INO_LOOKUP, &raw mut lookup) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(lookup)
}

/// Removes the subvolume of this name in a directory, with all that is in it.
pub fn destroy(directory: BorrowedFd, name: &CStr) -> io::Result<()> {
    // `struct btrfs_ioctl_vol_args`: a number that is not looked at here, and the name.
    #[repr(C)]
    struct Volume {
        fd: i64,
        name: [u8; NAME_BYTES],
    }
    let mut volume = Volume {
        fd: 0,
        name: [0; NAME_BYTES],
    };
    let name = name.to_bytes();
    let Some(place) = volume.name[..NAME_BYTES - 1].get_mut(..name.len()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    place.copy_from_slice(name);
    // SAFETY: the request points to a whole `struct btrfs_ioctl_vol_args` of 4096 bytes, whose name ends with
    // a NUL, and which lives for the length of the call.
    let result = unsafe { libc::ioctl(directory.as_raw_fd(), SNAP_DESTROY, &raw const volume) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// `struct btrfs_ioctl_space_info`: what a filesystem has given to one kind of use.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// `BTRFS_BLOCK_GROUP_…`: which use, and how it is spread.
    pub flags: u64,
    /// Bytes given to it, each counted once.
    pub total: u64,
    /// Bytes of them in use.
    pub used: u64,
}

/// `struct btrfs_ioctl_space_args` with the room behind it.
#[repr(C)]
struct Spaces {
    slots: u64,
    found: u64,
    each: [Space; SPACES],
}

/// What a filesystem has given to each kind of use, and its reserve (since Linux 3.15). `file` is any of it.
pub fn spaces(file: BorrowedFd) -> io::Result<Vec<Space>> {
    let mut spaces = Spaces {
        slots: SPACES as u64,
        found: 0,
        each: [Space::default(); SPACES],
    };
    // SAFETY: the request points to a whole `struct btrfs_ioctl_space_args` with room for as many spaces behind it
    // as it says, which is all that the kernel reads and writes, and which lives for the length of the call.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), SPACE_INFO, &raw mut spaces) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let found = usize::try_from(spaces.found).unwrap_or(SPACES);
    Ok(spaces.each.into_iter().take(found).collect())
}

/// `struct btrfs_ioctl_dev_info_args`.
#[repr(C)]
struct Device {
    number: u64,
    uuid: [u8; 16],
    used: u64,
    total: u64,
    unused: [u64; 379],
    path: [u8; 1024],
}

/// Bytes of a filesystem's device of this number, and how many of them it has given to some use, copies included.
pub fn device(file: BorrowedFd, number: u64) -> io::Result<(u64, u64)> {
    let mut device = Device {
        number,
        uuid: [0; 16],
        used: 0,
        total: 0,
        unused: [0; 379],
        path: [0; 1024],
    };
    // SAFETY: the request points to a whole `struct btrfs_ioctl_dev_info_args` of 4096 bytes, which the kernel
    // reads and writes, and which lives for the length of the call.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), DEV_INFO, &raw mut device) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((device.total, device.used))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_have_the_kernels_sizes() {
        assert_eq!(size_of::<Search>(), 4096);
        assert_eq!(size_of::<Lookup>(), 4096);
        assert_eq!(size_of::<Device>(), 4096);
        assert_eq!(size_of::<Space>(), 24);
        assert_eq!(size_of::<Spaces>(), 16 + 24 * SPACES);
    }

    #[test]
    fn items_are_taken_apart_and_half_ones_are_left() {
        let mut found = Vec::new();
        for (object, offset, length) in [(5u64, 7u64, 3u32), (6, 8, 0), (7, 9, 100)] {
            found.extend(1u64.to_ne_bytes());
            found.extend(object.to_ne_bytes());
            found.extend(offset.to_ne_bytes());
            found.extend(228u32.to_ne_bytes());
            found.extend(length.to_ne_bytes());
            found.extend(vec![9; length.min(3) as usize]);
        }
        let items = items(&found, 3);
        let told: Vec<_> = items
            .iter()
            .map(|i| (i.object, i.kind, i.offset, i.bytes.len()))
            .collect();
        assert_eq!(told, [(5, 228, 7, 3), (6, 228, 8, 0)]);
    }
}
