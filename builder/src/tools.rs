//! What a payload's programs know about disks: versions by dpkg's or nobody's word, GRUB's own
//! code for what it reads of ext4, and which programs are there.

use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result};
use formats::tools::{BtrfsTools, Tools, XfsTools, GRUB_EFI, PROGRAMS};

use crate::checker;
use crate::new_identity::has_program;
use crate::root_tree::RootTree;

/// Packages that GRUB is from, by the distribution.
const GRUB_PACKAGES: [&str; 2] = ["grub-common", "grub-pc-bin"];
/// Platforms that a payload's GRUB may be for.
const GRUB_PLATFORMS: [&str; 2] = ["i386-pc", GRUB_EFI];
/// GRUB's module for ext2 to ext4.
const EXT2_MODULE: &str = "usr/lib/grub/i386-pc/ext2.mod";
/// GRUB's module for XFS.
const XFS_MODULE: &str = "usr/lib/grub/i386-pc/xfs.mod";

/// GRUB's module for Btrfs; it tests no feature.
const BTRFS_MODULE: &str = "usr/lib/grub/i386-pc/btrfs.mod";

/// Looks at a finished tree whose kernel is of this release.
pub fn look(tree: &RootTree, kernel: &str) -> Result<Tools> {
    // A tree without dpkg has no status file; its versions are not known then.
    let status = tree.read("var/lib/dpkg/status").unwrap_or_default();
    let path = format!("boot/vmlinuz-{kernel}");
    let made = tree
        .file(&path)
        .and_then(|file| file.metadata()?.modified())
        .with_context(|| format!("look at /{path} in the new root"))?;
    Ok(Tools {
        kernel_time: made.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()),
        e2fsprogs: version(&status, "e2fsprogs"),
        grub: GRUB_PACKAGES
            .iter()
            .find_map(|package| version(&status, package)),
        grub_refuses: tree
            .read(EXT2_MODULE)
            .ok()
            .and_then(|code| refused(&code, &EXT4)),
        // Only making it tells.
        grub_core_sectors: None,
        xfs: tree.read(XFS_MODULE).ok().map(|code| XfsTools {
            grub_refuses: refused(&code, &XFS),
            grub_core_sectors: None,
            repair: tree.has(checker::FOR_XFS),
        }),
        btrfs: tree.has(BTRFS_MODULE).then(|| BtrfsTools {
            grub_core_sectors: None,
            repair: tree.has(checker::FOR_BTRFS),
        }),
        lvm_core_sectors: BTreeMap::new(),
        grub_platforms: GRUB_PLATFORMS
            .iter()
            .filter(|platform| tree.has(&format!("usr/lib/grub/{platform}/moddep.lst")))
            .map(ToString::to_string)
            .collect(),
        programs: PROGRAMS
            .iter()
            .map(|(_, program)| *program)
            .filter(|program| has_program(tree, program))
            .map(str::to_owned)
            .collect(),
    })
}

/// Version of an installed package, by dpkg's status file.
fn version(status: &[u8], package: &str) -> Option<String> {
    let status = String::from_utf8_lossy(status);
    let paragraph = status
        .split("\n\n")
        .find(|p| p.lines().next() == Some(&format!("Package: {package}")))?;
    let field = |name: &str| paragraph.lines().find_map(|l| l.strip_prefix(name));
    field("Status: ")?
        .ends_with(" installed")
        .then(|| field("Version: ").map(str::to_owned))?
}

/// How GRUB's module of a filesystem tests the word of incompatible features: by a constant.
struct Test {
    /// Features that every GRUB refuses, bits that nobody has given a meaning among them.
    refused_by_all: u32,
    /// Those that none does.
    refused_by_none: u32,
    /// How the constant lies in the code.
    number: fn([u8; 4]) -> u32,
    /// Second bytes of a comparison with a field whose place takes four bytes, if that is looked for.
    far_fields: &'static [u8],
}

/// Refused by all: compression, an external journal. By none: file types, extents, flexible groups.
const EXT4: Test = Test {
    refused_by_all: 0xfff0_0009,
    refused_by_none: 0x0000_0242,
    number: u32::from_le_bytes,
    far_fields: &[],
};
/// The word is tested as it is on the disk, highest byte first. Refused by none: file types.
const XFS: Test = Test {
    refused_by_all: 0xffff_f000,
    refused_by_none: 0x1,
    number: u32::from_be_bytes,
    far_fields: &[0x80, 0x81, 0x82, 0x83, 0x85, 0x86, 0x87],
};

/// The incompatible features that GRUB refuses, by the code of its module: the constant of the
/// one instruction that tests them, `test` or `and` with a register (Debian 12 and 13 have one of
/// each). `None` where there is not exactly one such constant.
fn refused(code: &[u8], test: &Test) -> Option<u32> {
    let number = |at: usize| Some((test.number)(*code.get(at..)?.first_chunk::<4>()?));
    let mut found: Vec<u32> = code
        .windows(2)
        .enumerate()
        .filter_map(|(at, op)| match op {
            [0xa9 | 0x25, _] => number(at + 1),
            // The register form, and that of a field behind %esp or %ebp with a short offset.
            [0xf7, 0xc0..=0xc7] | [0x81, 0xe0..=0xe7] => number(at + 2),
            [0xf7, 0x40..=0x43 | 0x45..=0x47] => number(at + 3),
            [0xf7, field] if test.far_fields.contains(field) => number(at + 6),
            _ => None,
        })
        .filter(|mask| {
            mask & test.refused_by_all == test.refused_by_all && mask & test.refused_by_none == 0
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    match found[..] {
        [mask] => Some(mask),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As [`grubs_own_module_says_what_it_refuses`], of XFS; and Debian 11's and 13's own instruction.
    #[test]
    fn grubs_module_for_xfs_says_what_it_refuses() {
        let path = "/usr/lib/grub/i386-pc/xfs.mod";
        let code = std::fs::read(path).unwrap_or_else(|e| panic!("{path}: {e}: grub-pc-bin"));
        let mask = refused(&code, &XFS).unwrap();
        assert_eq!(
            mask & 0xb,
            0,
            "file types, sparse inodes, large times: {mask:#x}"
        );
        assert_ne!(mask & 0x100, 0, "metadata directories: {mask:#x}");
        let bullseye = b"\xf7\x83\xd8\x00\x00\x00\xff\xff\xff\xe0";
        let trixie = b"\x90\xf7\x83\xdc\x00\x00\x00\xff\xff\xff\xc0\x83\xe0\xf8";
        assert_eq!(refused(bullseye, &XFS), Some(!0x1f));
        assert_eq!(refused(trixie, &XFS), Some(!0x3f));
        assert_eq!(refused(b"\x81\xe1\xff\xff\x1f\x00", &XFS), None);
    }

    #[test]
    fn versions_are_those_of_installed_packages() {
        let status = b"Package: e2fsprogs\nEssential: yes\nStatus: install ok installed\n\
            Version: 1.47.2-3+b3\n\nPackage: grub-common\nStatus: deinstall ok config-files\n\
            Version: 2.06-3\n";
        assert_eq!(version(status, "e2fsprogs").as_deref(), Some("1.47.2-3+b3"));
        assert_eq!(version(status, "grub-common"), None);
        assert_eq!(version(b"", "e2fsprogs"), None);
    }

    /// GRUB 2.06 of Debian 12, or whichever release this machine has: it must say something, and
    /// not that it refuses what mke2fs always makes.
    #[test]
    fn grubs_own_module_says_what_it_refuses() {
        let path = "/usr/lib/grub/i386-pc/ext2.mod";
        let code = std::fs::read(path).unwrap_or_else(|e| panic!("{path}: {e}: grub-pc-bin"));
        let mask = refused(&code, &EXT4).unwrap();
        assert_ne!(mask & 0x8000, 0, "inline_data is refused: {mask:#x}");
        assert_eq!(
            mask & 0x2d6,
            0,
            "extents, 64bit and the like are read: {mask:#x}"
        );
    }

    #[test]
    fn the_constant_is_found_in_both_forms_and_no_other_is_taken() {
        // GRUB 2.06 of Debian 12, 2.12 of Debian 13, and what else is in their code.
        let test = b"\x90\xa9\x29\x9c\xfe\xff\x74\x10";
        let and = b"\x90\x81\xe2\x29\x9c\xfe\xff\x74\x10";
        let others = b"\x25\x00\x00\x08\x00\x81\xff\xff\xff\xff\x0f\x81\xe1\xf4\xff\xff\xff";
        assert_eq!(refused(test, &EXT4), Some(0xfffe_9c29));
        assert_eq!(
            refused(&[&others[..], and].concat(), &EXT4),
            Some(0xfffe_9c29)
        );
        assert_eq!(refused(others, &EXT4), None);
        assert_eq!(refused(b"no code", &EXT4), None);
    }
}
