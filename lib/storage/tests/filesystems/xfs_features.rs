//! Filesystems that mkfs.xfs really makes, with the features that are of interest, read by our own parser and
//! compared with what an old and a new OS know.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use formats::facts::RootType;
use formats::tools::Readers;
use plan::xfs_features::unknown;
use storage::superblock::{self, Superblock};
use storage::xfs;

fn run(program: &str, arguments: &[&str], file: &Path) -> String {
    let output = Command::new(program).args(arguments).arg(file).output();
    let output = output.unwrap_or_else(|e| panic!("{program}: {e}: apt-get install xfsprogs"));
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {output:?}"
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A filesystem made so, and its superblock.
fn made(arguments: &[&str]) -> (tempfile::TempDir, xfs::Superblock) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fs");
    File::create(&file).unwrap().set_len(320 << 20).unwrap();
    run("mkfs.xfs", &[&["-q", "-f"], arguments].concat(), &file);
    let found = superblock::read(&file).unwrap().unwrap();
    assert_eq!(found.filesystem(), RootType::Xfs);
    let Superblock::Xfs(found) = found else {
        panic!("{found:?}");
    };
    (directory, found)
}

const TRIXIE: Readers = Readers {
    kernel: "6.12.57+deb13-amd64",
    e2fsprogs: None,
    grub: Some("2.12-9+deb13u4"),
    grub_refuses: None,
    grub_refuses_xfs: Some(!0x3f),
};
const XENIAL: Readers = Readers {
    kernel: "4.4.0-210-generic",
    e2fsprogs: None,
    grub: Some("2.02~beta2-36ubuntu3.32"),
    grub_refuses: None,
    grub_refuses_xfs: None,
};

#[test]
fn features_that_mkfs_makes_are_known_by_name_and_program() {
    // Arguments, then what trixie and xenial do not know of it, as the beginnings of lines.
    let old = ["-m", "bigtime=0,inobtcount=0,reflink=0", "-i", "sparse=0"];
    for (arguments, trixie, xenial) in [
        (&old[..], &[][..], &[][..]),
        (
            &["-m", "bigtime=0,inobtcount=0", "-i", "sparse=0"],
            &[],
            &["reflink: Linux"],
        ),
        (
            &["-m", "bigtime=1,inobtcount=1,rmapbt=1"],
            &[],
            &[
                "sparse: GRUB",
                "bigtime: Linux",
                "bigtime: GRUB",
                "rmapbt: Linux",
                "reflink: Linux",
                "inobtcount: Linux",
            ],
        ),
    ] {
        let (_directory, found) = made(arguments);
        for (readers, expected) in [(TRIXIE, trixie), (XENIAL, xenial)] {
            let found = unknown(found.features, &readers);
            assert_eq!(found.len(), expected.len(), "{arguments:?}: {found:?}");
            for (found, start) in found.iter().zip(expected) {
                assert!(found.starts_with(start), "{found} is not {start}");
            }
        }
    }
}

#[test]
fn what_is_of_version_4_or_has_its_log_elsewhere_is_seen() {
    let (_directory, old) = made(&["-m", "crc=0"]);
    assert!(unknown(old.features, &TRIXIE)[0].contains("version 4"));
    let log = tempfile::NamedTempFile::new().unwrap();
    log.as_file().set_len(64 << 20).unwrap();
    let device = format!("logdev={},size=16384b", log.path().display());
    let (_directory, found) = made(&["-l", &device]);
    assert!(found.journal_elsewhere);
    let section = tempfile::NamedTempFile::new().unwrap();
    section.as_file().set_len(64 << 20).unwrap();
    let device = format!("rtdev={}", section.path().display());
    let (_directory, found) = made(&["-r", &device, "-m", "reflink=0"]);
    assert!(found.features.realtime && !found.journal_elsewhere);
    assert!(unknown(found.features, &TRIXIE)[0].contains("realtime"));
}

#[test]
fn identity_and_room_are_those_that_xfs_says() {
    let uuid = "6f8ba2d3-0ef5-4d42-a9c1-000000000001";
    let (directory, found) = made(&["-m", &format!("uuid={uuid}")]);
    assert_eq!(found.uuid, uuid);
    assert_eq!(found.bytes, 320 << 20);
    let file = directory.path().join("fs");
    let said = run(
        "xfs_db",
        &["-r", "-c", "sb 0", "-c", "p imax_pct inodesize"],
        &file,
    );
    assert!(
        said.contains("imax_pct = 25") && said.contains("inodesize = 512"),
        "{said}"
    );
    assert_eq!(found.most_inodes, (320 << 20) / 100 * 25 / 512);
    // Another UUID, as for a copy: the one that everybody goes by is read.
    run("xfs_admin", &["-U", "generate"], &file);
    let after = superblock::read(&file).unwrap().unwrap();
    assert_ne!(after.uuid(), uuid);
    let blkid = run("blkid", &["-p", "-s", "UUID", "-o", "value"], &file);
    assert_eq!(after.uuid(), blkid.trim());
}
