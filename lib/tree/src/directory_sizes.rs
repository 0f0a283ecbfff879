//! How much of a tree is below each of its first directories: what a machine has to have room for on
//! whichever filesystem it has mounted there.

use std::collections::{BTreeMap, HashMap};

use formats::payload::{DirectorySize, LEVELS_COUNTED};

use super::header::{Entry, Kind};

/// The sizes, by path; the root is none of them. `entries` are all of an archive; `bytes` says how much an
/// entry takes on a disk.
pub(super) fn directory_sizes<'e>(
    entries: impl Iterator<Item = &'e Entry> + Clone,
    bytes: impl Fn(&Entry) -> u64,
) -> Vec<DirectorySize> {
    let mut sizes: BTreeMap<&[u8], DirectorySize> = BTreeMap::new();
    let mut files: HashMap<&[u8], u64> = HashMap::new();
    for entry in entries.clone() {
        let path = entry.path.as_slice();
        if entry.kind == Kind::Directory && (1..=LEVELS_COUNTED).contains(&level(path)) {
            // A path that is no text is none that a filesystem is mounted at by any name in fstab.
            if let Ok(text) = std::str::from_utf8(path) {
                let size = DirectorySize {
                    path: format!("/{text}"),
                    bytes: 0,
                    inodes: 0,
                    shared_bytes: 0,
                    shared_inodes: 0,
                };
                sizes.insert(path, size);
            }
        }
    }
    for entry in entries.clone() {
        if matches!(entry.kind, Kind::HardLink { .. }) {
            continue;
        }
        let taken = bytes(entry);
        files.insert(&entry.path, taken);
        for above in at_and_above(&entry.path) {
            if let Some(size) = sizes.get_mut(above) {
                size.bytes += taken;
                size.inodes += 1;
            }
        }
    }
    for entry in entries {
        let Kind::HardLink { target } = &entry.kind else {
            continue;
        };
        let taken = files.get(target.as_slice()).copied().unwrap_or(0);
        let here: Vec<&[u8]> = at_and_above(&entry.path).collect();
        let there: Vec<&[u8]> = at_and_above(target).collect();
        // In every directory that has one of the names and not the other.
        let apart = here.iter().filter(|above| !there.contains(above));
        let apart = apart.chain(there.iter().filter(|above| !here.contains(above)));
        for above in apart {
            if let Some(size) = sizes.get_mut(above) {
                size.shared_bytes += taken;
                size.shared_inodes += 1;
            }
        }
    }
    sizes.into_values().collect()
}

/// How deep a path is: 1 in the root.
fn level(path: &[u8]) -> usize {
    if path.is_empty() {
        return 0;
    }
    path.split(|&byte| byte == b'/').count()
}

/// The path and those above it, without the root.
fn at_and_above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(path).filter(|path| !path.is_empty());
    std::iter::from_fn(move || {
        let here = rest?;
        let slash = here.iter().rposition(|&byte| byte == b'/');
        rest = slash.map(|slash| &here[..slash]);
        Some(here)
    })
}
