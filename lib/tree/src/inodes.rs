//! Inodes that were seen, so that a file with several names is counted once.
//!
//! A bit an inode, in pages of the numbers that occur. Filesystems number inodes close together, so
//! that a tree of ten million files with several names takes one or two megabytes, and a root full
//! of inodes an eighth of a byte for each that it can have.

use std::collections::BTreeMap;

/// Bits in a page.
const PAGE: u64 = 4096;
/// How many pages there are at most: 64 MiB. Beyond that a file is counted once a name, which only
/// asks for more room than is needed.
const MOST_PAGES: usize = 1 << 17;

/// A set of inode numbers.
#[derive(Debug, Default)]
pub(super) struct Inodes {
    pages: BTreeMap<u64, Box<[u64; PAGE as usize / 64]>>,
}

impl Inodes {
    /// Adds a number; whether it is to be counted, since it was not there.
    pub(super) fn insert(&mut self, inode: u64) -> bool {
        let page = inode / PAGE;
        if self.pages.len() >= MOST_PAGES && !self.pages.contains_key(&page) {
            return true;
        }
        let words = self
            .pages
            .entry(page)
            .or_insert_with(|| Box::new([0; PAGE as usize / 64]));
        let bit = inode % PAGE;
        let word = &mut words[(bit / 64) as usize];
        let new = *word & (1 << (bit % 64)) == 0;
        *word |= 1 << (bit % 64);
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_counts_once_wherever_it_is_in_its_page() {
        let mut inodes = Inodes::default();
        for inode in [0, 63, 64, 4095, 4096, u64::MAX, 1 << 40] {
            assert!(inodes.insert(inode), "{inode}");
            assert!(!inodes.insert(inode), "{inode}");
        }
    }

    #[test]
    fn millions_of_inodes_of_one_filesystem_take_a_bit_each() {
        let mut inodes = Inodes::default();
        assert!((11..5_000_011).all(|inode| inodes.insert(inode)));
        assert!((11..5_000_011).all(|inode| !inodes.insert(inode)));
        assert_eq!(inodes.pages.len(), 1221);
    }
}
