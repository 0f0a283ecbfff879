//! The features of ext4: which kernel, which e2fsck and which GRUB came to know each. The old OS
//! may have made its root with one that the new OS's older programs refuse.
//!
//! Sources: `fs/ext4/ext4.h` of Linux by release, `lib/ext2fs/ext2fs.h` and the release notes of
//! e2fsprogs, `grub-core/fs/ext2.c` of GRUB by release.

use formats::facts::Ext4Features;
use formats::tools::Readers;

use crate::since::{
    self,
    Since::{self, Always, Never, Version as From},
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Compat,
    Incompat,
    RoCompat,
}

/// `COMPAT_HAS_JOURNAL`.
const HAS_JOURNAL: u32 = 0x4;

/// Whether the filesystem has a journal.
pub fn has_journal(features: Ext4Features) -> bool {
    features.compat & HAS_JOURNAL != 0
}

struct Feature(Word, u32, &'static str, Since, Since, Since);

use Word::{Compat, Incompat, RoCompat};

/// Word, bit, name, then since which kernel, e2fsprogs and GRUB it is known. GRUB only looks at
/// the incompatible ones. Older than Linux 3.2, e2fsprogs 1.42 and GRUB 2.00 is `Always`.
#[rustfmt::skip]
const FEATURES: &[Feature] = &[
    Feature(Compat,   0x0001, "dir_prealloc",       Always,      Always,      Always),
    Feature(Compat,   0x0002, "imagic_inodes",      Always,      Always,      Always),
    Feature(Compat,   0x0004, "has_journal",        Always,      Always,      Always),
    Feature(Compat,   0x0008, "ext_attr",           Always,      Always,      Always),
    Feature(Compat,   0x0010, "resize_inode",       Always,      Always,      Always),
    Feature(Compat,   0x0020, "dir_index",          Always,      Always,      Always),
    Feature(Compat,   0x0040, "lazy_bg",            Always,      Always,      Always),
    Feature(Compat,   0x0200, "sparse_super2",      Always,      From(1, 43), Always),
    Feature(Compat,   0x0400, "fast_commit",        Always,      From(1, 46), Always),
    Feature(Compat,   0x0800, "stable_inodes",      Always,      From(1, 45), Always),
    Feature(Compat,   0x1000, "orphan_file",        Always,      From(1, 47), Always),
    Feature(Incompat, 0x0001, "compression",        Never,       Never,       Never),
    Feature(Incompat, 0x0002, "filetype",           Always,      Always,      Always),
    Feature(Incompat, 0x0004, "needs_recovery",     Always,      Always,      Always),
    Feature(Incompat, 0x0008, "journal_dev",        Never,       Never,       Never),
    Feature(Incompat, 0x0010, "meta_bg",            Always,      Always,      Always),
    Feature(Incompat, 0x0040, "extents",            Always,      Always,      Always),
    Feature(Incompat, 0x0080, "64bit",              Always,      Always,      Always),
    Feature(Incompat, 0x0100, "mmp",                Always,      Always,      Always),
    Feature(Incompat, 0x0200, "flex_bg",            Always,      Always,      Always),
    Feature(Incompat, 0x0400, "ea_inode",           From(4, 13), From(1, 44), Never),
    Feature(Incompat, 0x1000, "dirdata",            Never,       Never,       Never),
    Feature(Incompat, 0x2000, "metadata_csum_seed", From(4, 4),  From(1, 43), From(2, 12)),
    Feature(Incompat, 0x4000, "large_dir",          From(4, 13), From(1, 44), From(2, 12)),
    Feature(Incompat, 0x8000, "inline_data",        From(3, 8),  From(1, 43), Never),
    Feature(Incompat, 0x1_0000, "encrypt",          From(4, 1),  From(1, 43), From(2, 4)),
    Feature(Incompat, CASEFOLD, "casefold",         From(5, 2),  From(1, 45), Never),
    Feature(RoCompat, 0x0001, "sparse_super",       Always,      Always,      Always),
    Feature(RoCompat, 0x0002, "large_file",         Always,      Always,      Always),
    Feature(RoCompat, 0x0004, "btree_dir",          Always,      Always,      Always),
    Feature(RoCompat, 0x0008, "huge_file",          Always,      Always,      Always),
    Feature(RoCompat, 0x0010, "uninit_bg",          Always,      Always,      Always),
    Feature(RoCompat, 0x0020, "dir_nlink",          Always,      Always,      Always),
    Feature(RoCompat, 0x0040, "extra_isize",        Always,      Always,      Always),
    Feature(RoCompat, 0x0080, "snapshot",           Never,       Never,       Always),
    Feature(RoCompat, 0x0100, "quota",              From(3, 6),  Always,      Always),
    Feature(RoCompat, 0x0200, "bigalloc",           Always,      Always,      Always),
    Feature(RoCompat, 0x0400, "metadata_csum",      From(3, 5),  From(1, 43), Always),
    Feature(RoCompat, 0x0800, "replica",            Never,       Never,       Always),
    Feature(RoCompat, 0x1000, "read-only",          Never,       Never,       Always),
    Feature(RoCompat, 0x2000, "project",            From(4, 5),  From(1, 43), Always),
    Feature(RoCompat, 0x4000, "shared_blocks",      Never,       From(1, 45), Always),
    Feature(RoCompat, 0x8000, "verity",             From(5, 4),  From(1, 45), Always),
    Feature(RoCompat, 0x1_0000, "orphan_present",   From(5, 15), From(1, 47), Always),
];

/// What of a root's features the new OS's programs do not know, in words, one a program and
/// feature. A program whose version is not known is taken to know what any version does.
pub fn unknown(features: Ext4Features, readers: &Readers) -> Vec<String> {
    // A kernel may pass over what is only compatible; e2fsck does not.
    let words = [
        (Compat, "compatible", features.compat),
        (Incompat, "incompatible", features.incompat),
        (RoCompat, "read-only compatible", features.ro_compat),
    ];
    let find = |word, bit| FEATURES.iter().find(|f| f.0 == word && f.1 == bit);
    let mut found = since::unknown(&words, find, |feature| judge(feature, readers));
    if features.incompat & CASEFOLD != 0 {
        found.push(format!("casefold: {}", since::SPELLINGS));
    }
    found
}

/// `EXT4_FEATURE_INCOMPAT_CASEFOLD`.
const CASEFOLD: u32 = 0x2_0000;

fn judge(feature: &Feature, readers: &Readers) -> Vec<String> {
    let Feature(word, bit, name, kernel, e2fsprogs, grub) = feature;
    let by_code = readers.grub_refuses.filter(|_| *word == Incompat);
    let programs = [
        ("Linux", Some(readers.kernel), *kernel),
        ("e2fsck", readers.e2fsprogs, *e2fsprogs),
        ("GRUB", readers.grub, *grub),
    ];
    since::lacks(name, by_code.map(|refused| refused & bit != 0), &programs)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Readers = Readers {
        kernel: "4.4.0-210-generic",
        e2fsprogs: Some("1.42.13-1ubuntu1.2"),
        grub: Some("2.02~beta2-36ubuntu3.32"),
        grub_refuses: None,
        grub_refuses_xfs: None,
    };
    const NEW: Readers = Readers {
        kernel: "6.12.57+deb13-amd64",
        e2fsprogs: Some("1.47.2-3+b3"),
        grub: Some("2.12-9+deb13u1"),
        grub_refuses: None,
        grub_refuses_xfs: None,
    };

    /// As `dumpe2fs -h` names them, of a root that Debian 11's installer made.
    const BULLSEYE: Ext4Features = Ext4Features {
        compat: 0x3c,
        incompat: 0x2c6,
        ro_compat: 0x46b,
    };

    #[test]
    fn a_newer_os_knows_what_an_older_one_made() {
        assert_eq!(unknown(BULLSEYE, &NEW), [""; 0]);
    }

    #[test]
    fn an_older_os_does_not() {
        let found = unknown(BULLSEYE, &OLD);
        assert_eq!(
            found,
            ["metadata_csum: e2fsck 1.42.13-1ubuntu1.2 does not know it, 1.43 does"]
        );
    }

    #[test]
    fn each_program_is_asked_for_itself() {
        for (features, expected) in [
            (
                Ext4Features {
                    incompat: 0x2000,
                    ..Ext4Features::default()
                },
                &["metadata_csum_seed: e2fsck", "metadata_csum_seed: GRUB"][..],
            ),
            (
                Ext4Features {
                    incompat: 0x8000,
                    ..Ext4Features::default()
                },
                &["inline_data: e2fsck", "inline_data: no release of GRUB"],
            ),
            (
                Ext4Features {
                    incompat: 0x2_0000,
                    ..Ext4Features::default()
                },
                &[
                    "casefold: Linux 4.4",
                    "casefold: e2fsck",
                    "casefold: no release of GRUB",
                    "casefold: a name may be found",
                ],
            ),
            (
                Ext4Features {
                    compat: 0x1000,
                    ro_compat: 0x1_0000,
                    ..Ext4Features::default()
                },
                &[
                    "orphan_file: e2fsck",
                    "orphan_present: Linux",
                    "orphan_present: e2fsck",
                ],
            ),
            (
                Ext4Features {
                    ro_compat: 0x200,
                    incompat: 0x90,
                    ..Ext4Features::default()
                },
                &[],
            ),
            (
                Ext4Features {
                    incompat: 0x8000_0000,
                    ..Ext4Features::default()
                },
                &["incompatible feature 0x80000000"],
            ),
        ] {
            let found = unknown(features, &OLD);
            assert_eq!(found.len(), expected.len(), "{found:?}");
            for (found, start) in found.iter().zip(expected) {
                assert!(found.starts_with(start), "{found} is not {start}");
            }
        }
    }

    #[test]
    fn a_version_that_is_not_known_speaks_against_nothing_but_what_none_knows() {
        let nobody = Readers::default();
        assert_eq!(unknown(BULLSEYE, &nobody), [""; 0]);
        let inline = Ext4Features {
            incompat: 0x8000,
            ..Ext4Features::default()
        };
        assert_eq!(
            unknown(inline, &nobody),
            ["inline_data: no release of GRUB knows it"]
        );
    }

    #[test]
    fn what_grubs_code_says_goes_before_its_version() {
        // GRUB 2.06 of Debian 12, which was given what 2.12 knows.
        let patched = Readers {
            grub: Some("2.06-13+deb12u1"),
            grub_refuses: Some(0xfffe_9c29),
            grub_refuses_xfs: None,
            ..NEW
        };
        let features = |incompat| Ext4Features {
            incompat,
            ..Ext4Features::default()
        };
        assert_eq!(unknown(features(0x2000), &patched), [""; 0]);
        assert_eq!(
            unknown(features(0x8000), &patched),
            ["inline_data: the image's GRUB does not know it"]
        );
    }

    #[test]
    fn every_bit_is_in_the_table_once() {
        for (i, a) in FEATURES.iter().enumerate() {
            assert_eq!(a.1.count_ones(), 1, "{}", a.2);
            assert!(
                FEATURES[..i].iter().all(|b| (a.0, a.1) != (b.0, b.1)),
                "{}",
                a.2
            );
        }
    }
}
