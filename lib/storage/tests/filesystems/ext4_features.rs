//! Filesystems that mke2fs really makes, with the features that are of interest, read by our own
//! parser and compared with what an old and a new OS know.

use std::path::Path;
use std::process::Command;

use fixtures::disk::Loop;
use formats::tools::Readers;
use plan::ext4_features::unknown;
use storage::ext4;
use storage::ext4::Superblock;

fn run(program: &str, arguments: &[&str], file: &Path) {
    let status = Command::new(program).args(arguments).arg(file).status();
    let status = status.unwrap_or_else(|e| panic!("{program}: {e}: apt-get install e2fsprogs"));
    assert!(status.success(), "{program} {arguments:?}");
}

fn superblock(file: &Path) -> Superblock {
    let bytes = std::fs::read(file).unwrap();
    let at = ext4::SUPERBLOCK_AT as usize;
    ext4::parse(&bytes[at..at + ext4::SUPERBLOCK_SIZE]).unwrap()
}

/// A filesystem with the features of Debian 11's own mke2fs, and these besides.
fn made(features: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fs");
    std::fs::File::create(&file)
        .unwrap()
        .set_len(64 << 20)
        .unwrap();
    let base = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,\
        sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum";
    let features = match features {
        "" => base.to_owned(),
        more => format!("{base},{more}"),
    };
    run(
        "mke2fs",
        &["-q", "-F", "-t", "ext4", "-O", &features],
        &file,
    );
    (directory, file)
}

const XENIAL: Readers = Readers {
    kernel: "4.4.0-210-generic",
    e2fsprogs: Some("1.42.13-1ubuntu1.2"),
    grub: Some("2.02~beta2-36ubuntu3.32"),
    grub_refuses: None,
    grub_refuses_xfs: None,
};
const TRIXIE: Readers = Readers {
    kernel: "6.12.57+deb13-amd64",
    e2fsprogs: Some("1.47.2-3+b3"),
    grub: Some("2.12-9+deb13u1"),
    grub_refuses: None,
    grub_refuses_xfs: None,
};

#[test]
fn features_that_mke2fs_makes_are_known_by_name_and_program() {
    // Features, then what trixie and xenial do not know of them, as `feature: program`.
    for (features, trixie, xenial) in [
        ("", &[][..], &["metadata_csum: e2fsck"][..]),
        ("bigalloc", &[], &["metadata_csum: e2fsck"]),
        ("^resize_inode,meta_bg", &[], &["metadata_csum: e2fsck"]),
        (
            "metadata_csum_seed",
            &[],
            &[
                "metadata_csum_seed: e2fsck",
                "metadata_csum_seed: GRUB",
                "metadata_csum: e2fsck",
            ],
        ),
        (
            "inline_data",
            &["inline_data: no release of GRUB"],
            &[
                "inline_data: e2fsck",
                "inline_data: no release of GRUB",
                "metadata_csum: e2fsck",
            ],
        ),
        (
            "encrypt,verity",
            &[],
            &[
                "encrypt: e2fsck",
                "encrypt: GRUB",
                "metadata_csum: e2fsck",
                "verity: Linux",
                "verity: e2fsck",
            ],
        ),
        (
            "casefold",
            &["casefold: no release of GRUB", "casefold: a name"],
            &[
                "casefold: Linux",
                "casefold: e2fsck",
                "casefold: no release of GRUB",
                "metadata_csum: e2fsck",
                "casefold: a name",
            ],
        ),
        (
            "large_dir,ea_inode,project,quota",
            &["ea_inode: no release of GRUB"],
            &[
                "ea_inode: Linux",
                "ea_inode: e2fsck",
                "ea_inode: no release of GRUB",
                "large_dir: Linux",
                "large_dir: e2fsck",
                "large_dir: GRUB",
                "metadata_csum: e2fsck",
                "project: Linux",
                "project: e2fsck",
            ],
        ),
        (
            "orphan_file",
            &[],
            &["orphan_file: e2fsck", "metadata_csum: e2fsck"],
        ),
    ] {
        let (_directory, file) = made(features);
        let found = superblock(&file).features;
        for (readers, expected) in [(&TRIXIE, trixie), (&XENIAL, xenial)] {
            let unknown = unknown(found, readers);
            let same = unknown.len() == expected.len()
                && unknown.iter().zip(expected).all(|(u, e)| u.starts_with(e));
            assert!(same, "{features}: {unknown:?} is not {expected:?}");
        }
    }
}

#[test]
fn recorded_errors_are_seen_and_gone_after_e2fsck() {
    let (_directory, file) = made("");
    assert!(!superblock(&file).has_errors);
    run("debugfs", &["-w", "-R", "set_super_value state 3"], &file);
    run(
        "debugfs",
        &["-w", "-R", "set_super_value error_count 7"],
        &file,
    );
    let found = superblock(&file);
    assert!(found.has_errors);
    assert_eq!(found.error_count, 7);
    run("e2fsck", &["-p", "-f"], &file);
    assert!(!superblock(&file).has_errors);
}

#[test]
fn a_journal_on_another_device_is_told_from_one_in_the_filesystem() {
    let (directory, own) = made("");
    assert!(!superblock(&own).journal_elsewhere);
    let journal = directory.path().join("journal");
    std::fs::File::create(&journal)
        .unwrap()
        .set_len(16 << 20)
        .unwrap();
    let journal_device = ["-q", "-F", "-b", "4096", "-O", "journal_dev"];
    run("mke2fs", &journal_device, &journal);
    let device = Loop::of(&journal);
    let apart = directory.path().join("apart");
    std::fs::File::create(&apart)
        .unwrap()
        .set_len(64 << 20)
        .unwrap();
    let made = Command::new("mke2fs")
        .args(["-q", "-F", "-t", "ext4", "-b", "4096", "-J"])
        .arg(format!("device={}", device.node().display()))
        .arg(&apart)
        .status();
    assert!(made.unwrap().success());
    let found = superblock(&apart);
    assert!(plan::ext4_features::has_journal(found.features));
    assert!(found.journal_elsewhere);
}
