//! What a measure adds up.

use std::ffi::CStr;

use formats::accounts::Owners;
use formats::measure::Measure;
use formats::Digest;
use rustix::fs::FileType;

use super::acl;
use super::entry::{Entry, Inode};
use super::inodes::Inodes;
use super::subvolume;

/// A measure that is being taken.
#[derive(Default)]
pub(super) struct Tally {
    entries: u64,
    inodes: u64,
    bytes: u64,
    disk_bytes: u64,
    pub(super) owners: Owners,
    hasher: blake3::Hasher,
    flags: Flags,
}

/// Immutable and append-only inodes.
#[derive(Default)]
struct Flags {
    hasher: blake3::Hasher,
    unknown: bool,
}

impl Tally {
    pub(super) fn mark(&mut self, mark: u8) {
        self.hasher.update(&[mark]);
    }

    /// Adds bytes with their length before them, so that no two sequences look the same.
    pub(super) fn bytes_of(&mut self, bytes: &[u8]) {
        self.hasher.update(&(bytes.len() as u64).to_le_bytes());
        self.hasher.update(bytes);
    }

    /// A directory that something is mounted at: it is there, and that is all that is asked.
    pub(super) fn mount(&mut self, name: &CStr) {
        self.entries += 1;
        self.inodes += 1;
        self.mark(b'M');
        self.bytes_of(name.to_bytes());
    }

    /// Adds a name. The inode's blocks count with its first name only; `seen` holds those that have
    /// several.
    pub(super) fn add(&mut self, name: &CStr, entry: &Entry, seen: &mut Inodes) {
        let inode = &entry.inode;
        let file_type = inode.file_type();
        self.entries += 1;
        // The names of a directory are its own `.` and its children's `..`.
        let several = inode.names > 1 && file_type != FileType::Directory;
        if !several || seen.insert(inode.number) {
            self.inodes += 1;
            self.disk_bytes += inode.blocks * 512;
        }
        if file_type == FileType::RegularFile {
            self.bytes += inode.size;
        }
        self.owners.users.insert(inode.user);
        self.owners.groups.insert(inode.group);
        self.mark(b'e');
        self.bytes_of(name.to_bytes());
        self.inode(inode, file_type);
        if let Some(target) = &entry.target {
            self.bytes_of(target.to_bytes());
        }
        for (name, value) in &entry.attributes {
            self.mark(b'x');
            self.bytes_of(name.to_bytes());
            self.bytes_of(value);
            acl::collect(name, value, &mut self.owners);
        }
    }

    fn inode(&mut self, inode: &Inode, file_type: FileType) {
        let device = match file_type {
            FileType::CharacterDevice | FileType::BlockDevice => inode.device,
            // Elsewhere the field means nothing and a filesystem may fill it with anything.
            _ => 0,
        };
        let size = match file_type {
            // What its names take is the filesystem's: e2fsck, which mends a root on the way, puts them in
            // another order.
            FileType::Directory => 0,
            _ => inode.size,
        };
        let modified = if subvolume::is_made_up(inode.number, file_type) {
            (0, 0)
        } else {
            inode.modified
        };
        let fields = [
            inode.number,
            u64::from(inode.mode),
            u64::from(inode.user),
            u64::from(inode.group),
            size,
            modified.0,
            modified.1,
            device,
        ];
        for field in fields {
            self.hasher.update(&field.to_le_bytes());
        }
        // Nothing else has flags that can be set.
        if !matches!(file_type, FileType::RegularFile | FileType::Directory) {
            return;
        }
        match inode.flags {
            None => self.flags.unknown = true,
            Some(0) => {}
            Some(flags) => {
                for field in [self.entries, inode.number, flags] {
                    self.flags.hasher.update(&field.to_le_bytes());
                }
            }
        }
    }

    pub(super) fn finish(self) -> Measure {
        let digest = |hasher: blake3::Hasher| Digest(*hasher.finalize().as_bytes());
        Measure {
            entries: self.entries,
            inodes: self.inodes,
            bytes: self.bytes,
            disk_bytes: self.disk_bytes,
            digest: digest(self.hasher),
            flags: (!self.flags.unknown).then(|| digest(self.flags.hasher)),
            owners: self.owners,
        }
    }
}
