//! The features of XFS: which kernel and which GRUB came to know each. The old OS may have made its root
//! with one that the new OS's programs refuse.
//!
//! Sources: `fs/xfs/libxfs/xfs_format.h` of Linux by release, `grub-core/fs/xfs.c` of GRUB by release and,
//! for what an image's own GRUB knows, the code of its module. `xfs_repair` comes with the release of Linux
//! that it is numbered by, and is not asked: what mends the log is the kernel.

use formats::facts::XfsFeatures;
use formats::tools::Readers;

use crate::since::{
    self,
    Since::{self, Always, Never, Version as From},
};
use crate::version::Version;

/// `XFS_SB_VERSION_NUMBITS`.
const VERSION: u16 = 0xf;
/// `XFS_SB_VERSION_BORGBIT`, which `mkfs.xfs -n version=ci` sets: names are compared without regard to case.
const WITHOUT_CASE: u16 = 0x4000;
/// The version of the format that has checksums and feature words, made since 2015.
const FIVE: u16 = 5;

/// Which word of the superblock.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Incompat,
    RoCompat,
    LogIncompat,
}

struct Feature(Word, u32, &'static str, Since, Since);

use Word::{Incompat, LogIncompat, RoCompat};

/// Word, bit, name, then since which kernel and GRUB it is known. GRUB only looks at the incompatible ones.
#[rustfmt::skip]
const FEATURES: &[Feature] = &[
    Feature(RoCompat,    0x01,  "finobt",      From(3, 16), Always),
    Feature(RoCompat,    0x02,  "rmapbt",      From(4, 8),  Always),
    Feature(RoCompat,    0x04,  "reflink",     From(4, 9),  Always),
    Feature(RoCompat,    0x08,  "inobtcount",  From(5, 10), Always),
    Feature(Incompat,    0x001, "ftype",       Always,      Always),
    Feature(Incompat,    0x002, "sparse",      From(4, 2),  From(2, 4)),
    Feature(Incompat,    0x004, "meta_uuid",   From(4, 3),  From(2, 4)),
    Feature(Incompat,    0x008, "bigtime",     From(5, 10), From(2, 6)),
    // Nobody mounts it then; a check of its own says so.
    Feature(Incompat,    0x010, "needsrepair", Always,      Always),
    Feature(Incompat,    LARGE_COUNTERS, "nrext64", From(5, 19), From(2, 12)),
    Feature(Incompat,    0x040, "exchange",    From(6, 10), Never),
    Feature(Incompat,    0x080, "parent",      From(6, 10), Never),
    Feature(Incompat,    0x100, "metadir",     From(6, 13), Never),
    // Its files are in a section of their own.
    Feature(Incompat,    0x200, "zoned",       From(6, 15), Never),
    Feature(Incompat,    0x400, "zone_gaps",   From(6, 15), Never),
    // In the log while attributes are written by it.
    Feature(LogIncompat, 0x1,   "log_xattrs",  From(5, 19), Always),
];

/// `XFS_SB_FEAT_INCOMPAT_NREXT64`.
const LARGE_COUNTERS: u32 = 0x20;

/// What of a root's features the new OS's programs do not know, in words, one a program and feature. A
/// program whose version is not known is taken to know what any version does.
pub fn unknown(features: XfsFeatures, readers: &Readers) -> Vec<String> {
    let mut found = Vec::new();
    let version = features.version & VERSION;
    if version != FIVE {
        found.push(format!(
            "it is of version {version} of the format, without checksums, which this release was not tried \
             with; only making the filesystem anew gives it another one"
        ));
    }
    if features.version & WITHOUT_CASE != 0 {
        found.push(format!("version=ci: {}", since::SPELLINGS));
    }
    if features.realtime {
        found.push("it has a realtime section, on which a boot loader finds no file".to_owned());
    }
    let words = [
        (Incompat, "incompatible", features.incompat),
        (RoCompat, "read-only compatible", features.ro_compat),
        (LogIncompat, "incompatible log", features.log_incompat),
    ];
    let find = |word, bit| FEATURES.iter().find(|f| f.0 == word && f.1 == bit);
    let named = since::unknown(&words, find, |feature| judge(feature, readers));
    found.extend(named);
    found
}

fn judge(feature: &Feature, readers: &Readers) -> Vec<String> {
    let Feature(word, bit, name, kernel, grub) = feature;
    let by_code = readers.grub_refuses_xfs.filter(|_| *word == Incompat);
    let programs = [
        ("Linux", Some(readers.kernel), *kernel),
        ("GRUB", readers.grub, *grub),
    ];
    let mut found = since::lacks(name, by_code.map(|refused| refused & bit != 0), &programs);
    let misread = *word == Incompat && *bit == LARGE_COUNTERS;
    if let Some(grub) = readers.grub.filter(|v| misread && misreads_counters(v)) {
        found.push(format!(
            "{name}: GRUB {grub} may not find the files in larger directories, 2.14 does"
        ));
    }
    found
}

/// Whether this GRUB says that it knows large counters of extents, and takes the number of a directory's
/// extents from where it is no more: upstream's before 2.14. Debian's 12 and 13 were seen to read them.
fn misreads_counters(version: &str) -> bool {
    let number = |text: &str| -> u32 {
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or(0)
    };
    let mended = [("2.06-13+deb12u", 2), ("2.12-", 9)]
        .iter()
        .filter_map(|(start, first)| Some((version.strip_prefix(start)?, *first)))
        .any(|(revision, first)| number(revision) >= first && !revision.contains("ubuntu"));
    let old = Version::parse(version).is_some_and(|v| {
        v < Version {
            major: 2,
            minor: 14,
        }
    });
    old && !mended
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIXIE: Readers = Readers {
        kernel: "6.12.57+deb13-amd64",
        e2fsprogs: Some("1.47.2-3+b3"),
        grub: Some("2.12-9+deb13u4"),
        grub_refuses: None,
        grub_refuses_xfs: Some(!0x3f),
    };
    const XENIAL: Readers = Readers {
        kernel: "4.4.0-210-generic",
        e2fsprogs: Some("1.42.13-1ubuntu1.2"),
        grub: Some("2.02~beta2-36ubuntu3.32"),
        grub_refuses: None,
        grub_refuses_xfs: None,
    };

    fn with(incompat: u32, ro_compat: u32) -> XfsFeatures {
        XfsFeatures {
            version: 0xb4a5,
            incompat,
            ro_compat,
            ..XfsFeatures::default()
        }
    }

    /// What each maker of roots gives them, and what an old and a new OS have against it.
    #[test]
    fn names_without_case_are_refused() {
        // As `mkfs.xfs -n version=ci` of xfsprogs 6.13 makes it.
        let features = XfsFeatures {
            version: 0xf4a5,
            ..with(0xb, 0xd)
        };
        let found = unknown(features, &TRIXIE);
        assert!(found[0].starts_with("version=ci: a name"), "{found:?}");
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn each_program_is_asked_for_itself() {
        for (features, trixie, xenial) in [
            // Amazon Linux 2, RHEL 7.
            (with(0x1, 0), &[][..], &[][..]),
            // RHEL 8.
            (
                with(0x3, 0x5),
                &[],
                &["sparse: GRUB 2.02", "reflink: Linux 4.4"],
            ),
            // RHEL 9, Amazon Linux 2023.
            (
                with(0xb, 0xd),
                &[],
                &[
                    "sparse: GRUB",
                    "bigtime: Linux",
                    "bigtime: GRUB",
                    "reflink: Linux",
                    "inobtcount: Linux",
                ],
            ),
            // xfsprogs 6.5 and later; RHEL 10.
            (
                with(0x2b, 0xf),
                &[],
                &[
                    "sparse: GRUB",
                    "bigtime: Linux",
                    "bigtime: GRUB",
                    "nrext64: Linux",
                    "nrext64: GRUB 2.02~beta2-36ubuntu3.32 does not know it, 2.12 does",
                    "nrext64: GRUB 2.02~beta2-36ubuntu3.32 may not find",
                    "rmapbt: Linux",
                    "reflink: Linux",
                    "inobtcount: Linux",
                ],
            ),
            (
                with(0xc1, 0),
                &[
                    "exchange: the image's GRUB does not know it",
                    "parent: the image's GRUB does not know it",
                ],
                &[
                    "exchange: Linux",
                    "exchange: no release",
                    "parent: Linux",
                    "parent: no release",
                ],
            ),
            (
                with(0x8000_0000, 0x8000_0000),
                &[
                    "the image",
                    "read-only compatible feature 0x80000000: this release",
                ],
                &[
                    "incompatible feature 0x80000000",
                    "read-only compatible feature 0x80000000",
                ],
            ),
        ] {
            for (readers, expected) in [(TRIXIE, trixie), (XENIAL, xenial)] {
                let found = unknown(features, &readers);
                let known = found.len() == expected.len()
                    || found.iter().any(|f| f.starts_with("incompatible feature"));
                assert!(known, "{found:?}");
                for start in expected.iter().filter(|e| **e != "the image") {
                    assert!(
                        found.iter().any(|f| f.starts_with(start)),
                        "{start}: {found:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_grub_that_misreads_directories_is_known_by_its_version() {
        for (version, misreads) in [
            ("2.12", true),
            ("2.12-1ubuntu7.3", true),
            ("2.12-5", true),
            ("2.12-9+deb13u4", false),
            ("2.06-13+deb12u2", false),
            ("2.06-13+deb12u1", true),
            ("2.14-1", false),
            ("no number", false),
        ] {
            assert_eq!(misreads_counters(version), misreads, "{version}");
        }
        let plain = Readers {
            grub: Some("2.12-1ubuntu7.3"),
            ..TRIXIE
        };
        assert_eq!(unknown(with(0x21, 0), &plain).len(), 1);
        assert_eq!(unknown(with(0x1, 0), &plain), [""; 0]);
    }

    #[test]
    fn an_older_format_and_a_realtime_section_are_refused() {
        let old = XfsFeatures {
            version: 0xb4a4,
            ..XfsFeatures::default()
        };
        assert!(unknown(old, &TRIXIE)[0].contains("version 4"));
        let realtime = XfsFeatures {
            realtime: true,
            ..with(1, 0)
        };
        assert!(unknown(realtime, &TRIXIE)[0].contains("realtime"));
    }

    #[test]
    fn a_version_that_is_not_known_speaks_against_nothing_but_what_none_knows() {
        let nobody = Readers::default();
        assert_eq!(unknown(with(0x2b, 0xf), &nobody), [""; 0]);
        assert_eq!(
            unknown(with(0x41, 0), &nobody),
            ["exchange: no release of GRUB knows it"]
        );
    }
}
