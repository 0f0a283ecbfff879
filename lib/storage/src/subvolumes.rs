//! The subvolumes of a Btrfs that is mounted, as the kernel has them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use formats::facts::{BtrfsFacts, NestedSubvolume, Subvolume};

use crate::btrfs::{self, Chunks};
use crate::btrfs_room;
use crate::btrfs_root_tree::{NUMBERS, PARENT_AT, ROOT_ITEM, ROOT_TREE, TOP};
use crate::mounts::Mount;

/// `BTRFS_ROOT_TREE_DIR_OBJECTID`, which has the name `default`.
const DIRECTORY: u64 = 6;
/// Kinds of items: `BTRFS_DIR_ITEM_KEY`, `BTRFS_ROOT_BACKREF_KEY`.
const DIR_ITEM: u8 = 84;
const ROOT_BACKREF: u8 = 144;
/// In `struct btrfs_root_item`: flags and references.
const FLAGS_AT: usize = 208;
const REFERENCES_AT: usize = 216;
/// `BTRFS_ROOT_SUBVOL_RDONLY`.
const READ_ONLY: u64 = 1;
/// The inode of the directory that a subvolume begins with.
pub const FIRST_INODE: u64 = 256;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its number.
    pub id: u64,
    /// The one that it is in.
    pub parent: u64,
    /// Its path from the one that all are in.
    pub path: String,
    /// Nothing in it may be changed.
    pub read_only: bool,
    /// It began as a copy of another one.
    pub snapshot: bool,
}

/// All of a filesystem but those that are being removed, by number; the one that all are in first. `file` is any of it.
pub fn all(file: impl AsFd) -> io::Result<Vec<Found>> {
    let file = file.as_fd();
    let strange = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut items = BTreeMap::new();
    for item in syscalls::btrfs::search(file, ROOT_TREE, NUMBERS, ROOT_ITEM)? {
        items.insert(item.object, item.bytes);
    }
    // By number: the one that it is in, and its path there.
    let mut places = BTreeMap::new();
    for item in syscalls::btrfs::search(file, ROOT_TREE, NUMBERS, ROOT_BACKREF)? {
        let directory = btrfs::u64_at(&item.bytes, 0).ok_or_else(|| strange("a short item"))?;
        let name = item
            .bytes
            .get(18..)
            .ok_or_else(|| strange("a short item"))?;
        let mut path = syscalls::btrfs::path_of(file, item.offset, directory)?;
        path.extend(name);
        places.insert(item.object, (item.offset, path));
    }
    let mut found = vec![Found {
        id: TOP,
        parent: 0,
        path: "/".to_owned(),
        read_only: false,
        snapshot: false,
    }];
    for (&id, &(parent, _)) in &places {
        let Some(bytes) = items.get(&id) else {
            return Err(strange("a subvolume without an item of its own"));
        };
        let word = |at| btrfs::u64_at(bytes, at).unwrap_or(0);
        // Without a reference it is being removed.
        if bytes.get(REFERENCES_AT..REFERENCES_AT + 4) == Some(&[0; 4]) {
            continue;
        }
        found.push(Found {
            id,
            parent,
            path: whole(&places, id).ok_or_else(|| strange("subvolumes in a circle"))?,
            read_only: word(FLAGS_AT) & READ_ONLY != 0,
            snapshot: bytes
                .get(PARENT_AT)
                .is_some_and(|uuid| uuid.iter().any(|&b| b != 0)),
        });
    }
    Ok(found)
}

fn whole(places: &BTreeMap<u64, (u64, Vec<u8>)>, id: u64) -> Option<String> {
    let (mut path, mut at) = (String::new(), id);
    for _ in 0..=places.len() {
        if at == TOP {
            return Some(path);
        }
        let (parent, name) = places.get(&at)?;
        path = format!("/{}{path}", String::from_utf8_lossy(name));
        at = *parent;
    }
    None
}

/// The subvolume that begins at a directory; `None` where none begins there.
pub fn at(directory: &File) -> io::Result<Option<Subvolume>> {
    if rustix::fs::fstat(directory)?.st_ino != FIRST_INODE {
        return Ok(None);
    }
    let id = syscalls::btrfs::subvolume_of(directory.as_fd())?;
    let found = all(directory)?.into_iter().find(|found| found.id == id);
    Ok(found.map(|Found { id, path, .. }| Subvolume { id, path }))
}

/// What is known of the filesystem with a root that is mounted at `place`; `mounts` say what of it is mounted
/// elsewhere.
pub fn read(
    place: &Path,
    superblock: &btrfs::Superblock,
    mounts: &[Mount],
) -> io::Result<BtrfsFacts> {
    let top = File::open(place)?;
    let root = syscalls::btrfs::subvolume_of(top.as_fd())?;
    let all = all(&top)?;
    let mut strange = Chunks::read(&top)?.spread(superblock.device);
    if superblock.seed {
        strange.push("it is a seed, which nobody writes to".to_owned());
    }
    if superblock.checksums != 0 {
        strange.push(format!(
            "its checksums are of kind {}, which this release was not tried with",
            superblock.checksums
        ));
    }
    let (nested, others) = split(root, &all, &elsewhere(place, mounts));
    Ok(BtrfsFacts {
        compat_ro: superblock.compat_ro,
        incompat: superblock.incompat,
        devices: superblock.devices,
        strange,
        default: default(&top)?,
        nested,
        others,
        room: btrfs_room::read(&top, superblock.device)?,
    })
}

/// Those in the subvolume that is mounted at `place`, and whether nothing may be changed in that itself. `target` is
/// where the machine has it.
pub fn nested(
    place: &Path,
    target: &str,
    mounts: &[Mount],
) -> io::Result<(Vec<NestedSubvolume>, bool)> {
    let top = File::open(place)?;
    let own = syscalls::btrfs::subvolume_of(top.as_fd())?;
    let all = all(&top)?;
    let (mut nested, _) = split(own, &all, &elsewhere(place, mounts));
    for found in &mut nested {
        found.path.insert_str(0, target.trim_end_matches('/'));
    }
    let read_only = all.iter().any(|found| found.id == own && found.read_only);
    Ok((nested, read_only))
}

/// What of the filesystem at `place` is mounted besides.
fn elsewhere<'m>(place: &Path, mounts: &'m [Mount]) -> Vec<&'m Mount> {
    let here = crate::mounts::at(mounts, place).map(|mount| (mount.device, mount.id));
    let is_elsewhere =
        |mount: &&Mount| here.is_some_and(|(device, id)| mount.device == device && mount.id != id);
    mounts.iter().filter(is_elsewhere).collect()
}

/// Those in the root, with paths from there, and all others but the one that all are in.
fn split(root: u64, all: &[Found], mounts: &[&Mount]) -> (Vec<NestedSubvolume>, Vec<String>) {
    let by_id = |id| all.iter().find(|found| found.id == id);
    let own = by_id(root)
        .map_or("/", |found| &found.path)
        .trim_end_matches('/');
    let is_nested = |found: &Found| {
        let mut at = found.parent;
        while at != root {
            match by_id(at) {
                Some(above) => at = above.parent,
                None => return false,
            }
        }
        true
    };
    let (nested, others): (Vec<_>, Vec<_>) = all
        .iter()
        .filter(|found| found.id != root && found.id != TOP)
        .partition(|found| is_nested(found));
    let nested = nested.into_iter().map(|found| NestedSubvolume {
        id: found.id,
        path: found
            .path
            .strip_prefix(own)
            .unwrap_or(&found.path)
            .to_owned(),
        read_only: found.read_only,
        snapshot: found.snapshot,
        mounted: mounts
            .iter()
            .filter(|mount| mount.root == Path::new(&found.path))
            .map(|mount| mount.target.display().to_string())
            .collect(),
    });
    let others = others.into_iter().map(|found| found.path.clone());
    (nested.collect(), others.collect())
}

/// The number of the subvolume that is mounted where none is named.
fn default(file: &File) -> io::Result<u64> {
    let items = syscalls::btrfs::search(file.as_fd(), ROOT_TREE, (DIRECTORY, DIRECTORY), DIR_ITEM)?;
    // `struct btrfs_dir_item` begins with the key of what it names.
    let named = items
        .iter()
        .find(|item| item.bytes.get(30..) == Some(b"default"));
    Ok(named
        .and_then(|item| btrfs::u64_at(&item.bytes, 0))
        .unwrap_or(TOP))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(id: u64, parent: u64, path: &str) -> Found {
        Found {
            id,
            parent,
            path: path.to_owned(),
            read_only: false,
            snapshot: false,
        }
    }

    #[test]
    fn what_is_in_the_root_is_told_from_what_is_beside_it() {
        let all = [
            found(5, 0, "/"),
            found(256, 5, "/root"),
            found(257, 5, "/home"),
            found(258, 256, "/root/var/lib/machines"),
            found(259, 258, "/root/var/lib/machines/one"),
            found(260, 5, "/rooted"),
        ];
        let mounts = crate::mounts::parse(
            b"25 24 253:3 /root/var/lib/machines /m rw - btrfs /dev/vda3 rw\n",
        );
        let (nested, others) = split(256, &all, &[&mounts[0]]);
        let paths: Vec<_> = nested.iter().map(|n| (&*n.path, n.mounted.len())).collect();
        assert_eq!(
            paths,
            [("/var/lib/machines", 1), ("/var/lib/machines/one", 0)]
        );
        assert_eq!(others, ["/home", "/rooted"]);
        let (nested, others) = split(5, &all, &[]);
        assert_eq!((nested.len(), others.len()), (5, 0));
        assert_eq!(nested[0].path, "/root");
    }

    #[test]
    fn paths_are_put_together_and_circles_end() {
        let places = BTreeMap::from([
            (256, (5, b"root".to_vec())),
            (258, (256, b"var/lib/machines".to_vec())),
            (300, (301, b"a".to_vec())),
            (301, (300, b"b".to_vec())),
        ]);
        assert_eq!(
            whole(&places, 258).as_deref(),
            Some("/root/var/lib/machines")
        );
        assert_eq!(whole(&places, 300), None);
        assert_eq!(whole(&places, 7), None);
    }
}
