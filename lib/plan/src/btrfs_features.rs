//! The features of Btrfs: which kernel and which GRUB came to know each. The old OS may have made its root with
//! one that the new OS's programs refuse.
//!
//! Sources: `include/uapi/linux/btrfs.h` of Linux by release, and `grub-core/fs/btrfs.c` of GRUB by release, which
//! asks for no feature: it reads what it finds. What is not in the table was not tried, and is refused.

use formats::facts::{BtrfsFacts, BtrfsFeatures};
use formats::tools::Readers;

use crate::since::{
    self,
    Since::{self, Always, Version as From},
};

/// Which word of the superblock.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Incompat,
    CompatRo,
}

struct Feature(Word, u32, &'static str, Since, Since);

use Word::{CompatRo, Incompat};

/// Word, bit, name, then since which kernel and GRUB it is known. What GRUB never looks at it always knows: it
/// reads the trees of chunks, roots and files.
#[rustfmt::skip]
const FEATURES: &[Feature] = &[
    Feature(CompatRo, 0x1,   "free_space_tree",       From(4, 5),  Always),
    Feature(CompatRo, 0x2,   "free_space_tree_valid", From(4, 9),  Always),
    Feature(CompatRo, 0x4,   "verity",                From(5, 15), Always),
    Feature(CompatRo, 0x8,   "block_group_tree",      From(6, 1),  Always),
    Feature(Incompat, 0x1,   "mixed_backref",         Always,      Always),
    // Somebody has named a subvolume to be mounted: the new OS names its own.
    Feature(Incompat, 0x2,   "default_subvol",        Always,      Always),
    Feature(Incompat, 0x4,   "mixed_groups",          Always,      Always),
    Feature(Incompat, 0x8,   "compress_lzo",          Always,      Always),
    Feature(Incompat, 0x10,  "compress_zstd",         From(4, 14), From(2, 4)),
    Feature(Incompat, 0x20,  "big_metadata",          Always,      Always),
    Feature(Incompat, 0x40,  "extended_iref",         Always,      Always),
    Feature(Incompat, 0x100, "skinny_metadata",       Always,      Always),
    Feature(Incompat, 0x200, "no_holes",              From(3, 14), Always),
];

/// What of a root's features the new OS's programs do not know, in words, one a program and feature. A program
/// whose version is not known is taken to know what any version does.
pub fn unknown(facts: &BtrfsFacts, readers: &Readers) -> Vec<String> {
    let low = |word: u64| u32::try_from(word & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    let words = [
        (Incompat, "incompatible", low(facts.incompat)),
        (CompatRo, "read-only compatible", low(facts.compat_ro)),
    ];
    let find = |word, bit| FEATURES.iter().find(|f| f.0 == word && f.1 == bit);
    let judge = |Feature(_, _, name, kernel, grub): &Feature| {
        let programs = [
            ("Linux", Some(readers.kernel), *kernel),
            ("GRUB", readers.grub, *grub),
        ];
        since::lacks(name, None, &programs)
    };
    let mut found = since::unknown(&words, find, judge);
    let high = (facts.incompat | facts.compat_ro) >> 32;
    found.extend((high != 0).then(|| {
        format!("features {high:#x} of the higher word: this release does not know them")
    }));
    found
}

/// The same of a filesystem that is left alone: what is not in the table is the kernel's affair, as several devices
/// are, which no root may be on.
pub fn unknown_of_data(features: BtrfsFeatures, readers: &Readers) -> Vec<String> {
    let known = |word| -> u64 {
        let of_word = FEATURES.iter().filter(|feature| feature.0 == word);
        of_word.map(|feature| u64::from(feature.1)).sum()
    };
    let facts = BtrfsFacts {
        incompat: features.incompat & known(Incompat),
        compat_ro: features.compat_ro & known(CompatRo),
        ..BtrfsFacts::default()
    };
    unknown(&facts, readers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readers<'a>(kernel: &'a str, grub: &'a str) -> Readers<'a> {
        Readers {
            kernel,
            grub: Some(grub),
            ..Readers::default()
        }
    }

    fn with(incompat: u64, compat_ro: u64) -> BtrfsFacts {
        BtrfsFacts {
            incompat,
            compat_ro,
            ..BtrfsFacts::default()
        }
    }

    #[test]
    fn each_program_is_asked_for_what_the_old_os_has_made() {
        let trixie = readers("6.12.48+deb13-cloud-amd64", "2.12-9+deb13u4");
        let bionic = readers("4.15.0-213-generic", "2.02-2ubuntu8.26");
        for (facts, by_trixie, by_bionic) in [
            // Debian 11, Fedora 38.
            (with(0x141, 0), &[][..], &[][..]),
            // Fedora with its own compression, and block groups in a tree of their own.
            (
                with(0x351, 0xb),
                &[],
                &[
                    "compress_zstd: GRUB 2.02-2ubuntu8.26 does not know it, 2.04 does",
                    "block_group_tree: Linux 4.15.0-213-generic does not know it, 6.1 does",
                ],
            ),
            // Zones, and an UUID beside that of the metadata.
            (
                with(0x1400, 0),
                &[
                    "incompatible feature 0x400: this release does not know it",
                    "incompatible feature 0x1000: this release does not know it",
                ],
                &[
                    "incompatible feature 0x400: this release does not know it",
                    "incompatible feature 0x1000: this release does not know it",
                ],
            ),
        ] {
            assert_eq!(unknown(&facts, &trixie), by_trixie);
            assert_eq!(unknown(&facts, &bionic), by_bionic);
        }
        assert_eq!(unknown(&with(1 << 40, 0), &trixie).len(), 1);
    }
}
