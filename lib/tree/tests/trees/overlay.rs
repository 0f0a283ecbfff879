//! An operator's overlay: a directory, or an archive by the tars that people have.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::{chown, symlink, MetadataExt, PermissionsExt};
use std::process::Command;

use super::Disk;
use crate::fixture::run;
use formats::keep::KeepSet;
use tree::{unpack_tar, Numbers, Overlay};

/// The new OS has two accounts beside root.
struct New;

impl Numbers for New {
    fn user(&self, name: &str) -> Option<u32> {
        match name {
            "root" => Some(0),
            "shop" => Some(1234),
            _ => None,
        }
    }

    fn group(&self, name: &str) -> Option<u32> {
        match name {
            "root" => Some(0),
            "shop" => Some(4321),
            _ => None,
        }
    }
}

fn with_files(disk: &Disk) {
    let file = disk.file("over/etc/shop/conf", "machine 7");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    fs::hard_link(&file, disk.path("over/etc/shop/twice")).unwrap();
    symlink("conf", disk.path("over/etc/shop/link")).unwrap();
    chown(&file, Some(77), Some(78)).unwrap();
    disk.file("over/usr/local/bin/own", "#!/bin/sh\n");
}

#[test]
fn a_directory_becomes_roots_and_goes_around_what_is_there() {
    let disk = Disk::new();
    with_files(&disk);
    fs::set_permissions(disk.path("over/etc"), fs::Permissions::from_mode(0o700)).unwrap();
    let directory = File::open(disk.path("over")).unwrap();
    let overlay = Overlay::of_directory(directory.as_fd()).unwrap();
    let (directories, files) = overlay.paths();
    assert_eq!(directories.len(), 5, "{directories:?}");
    assert_eq!(
        files,
        [
            "/etc/shop/conf",
            "/etc/shop/link",
            "/etc/shop/twice",
            "/usr/local/bin/own"
        ]
    );
    let archive = overlay.to_tar(&New).unwrap();
    assert!(archive.len() as u64 <= overlay.bytes());

    disk.file("new/etc/shop/conf", "the image's");
    disk.file("new/etc/fstab", "stays");
    let new = File::open(disk.path("new")).unwrap();
    let placed = unpack_tar(new.as_fd(), &archive, &KeepSet::default()).unwrap();
    assert_eq!(placed.obstructed, [""; 0]);
    let found = fs::metadata(disk.path("new/etc/shop/conf")).unwrap();
    assert_eq!(
        (found.uid(), found.gid(), found.mode() & 0o7777),
        (0, 0, 0o640)
    );
    assert_eq!(found.nlink(), 2);
    let read = |path: &str| fs::read_to_string(disk.path(path)).unwrap();
    assert_eq!(read("new/etc/shop/link"), "machine 7");
    assert_eq!(read("new/etc/fstab"), "stays");
    let etc = fs::metadata(disk.path("new/etc")).unwrap();
    assert_ne!(etc.mode() & 0o7777, 0o700, "what is there keeps its mode");

    // Times are nothing that anybody agrees to; contents and permissions are.
    run(
        "touch",
        &[
            "-d",
            "2012-04-26",
            disk.path("over/etc/shop/conf").to_str().unwrap(),
        ],
    );
    let again = || Overlay::of_directory(directory.as_fd()).unwrap().digest();
    assert_eq!(again(), overlay.digest());
    fs::set_permissions(
        disk.path("over/usr/local/bin/own"),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    assert_ne!(again(), overlay.digest());
}

/// Every format that GNU tar writes, with a long name, and an owner that only its name tells.
#[test]
fn an_archive_tells_its_owners_by_name() {
    let disk = Disk::new();
    with_files(&disk);
    let long = format!("etc/{}/{}", "l".repeat(120), "n".repeat(200));
    disk.file(format!("over/{long}"), "long");
    for format in ["gnu", "posix", "oldgnu"] {
        let tar = disk.path("over.tar");
        run(
            "tar",
            &[
                "-C",
                disk.path("over").to_str().unwrap(),
                "-cf",
                tar.to_str().unwrap(),
                "--format",
                format,
                "--owner=shop:1000",
                "--group=shop:1000",
                ".",
            ],
        );
        let overlay = Overlay::of_tar(File::open(&tar).unwrap()).unwrap();
        assert_eq!(
            overlay.owners(),
            (vec!["shop".to_owned()], vec!["shop".to_owned()])
        );
        let archive = overlay.to_tar(&New).unwrap();
        let top = format!("new-{format}");
        disk.dir(&top);
        let new = File::open(disk.path(&top)).unwrap();
        unpack_tar(new.as_fd(), &archive, &KeepSet::default()).unwrap();
        let found = fs::metadata(disk.path(format!("{top}/etc/shop/conf"))).unwrap();
        assert_eq!(
            (found.uid(), found.gid(), found.nlink()),
            (1234, 4321, 2),
            "{format}"
        );
        let text = fs::read_to_string(disk.path(format!("{top}/{long}"))).unwrap();
        assert_eq!(text, "long", "{format}");
    }
}

#[test]
fn what_an_overlay_may_not_have_is_refused_by_name() {
    let disk = Disk::new();
    let refused = |script: &str, told: &str| {
        let top = disk.path("bad");
        let _ = fs::remove_dir_all(&top);
        fs::create_dir(&top).unwrap();
        let made = Command::new("sh")
            .args(["-ec", script])
            .current_dir(&top)
            .status()
            .unwrap();
        assert!(made.success(), "{script}");
        let read = if top.join("x.tar").exists() {
            Overlay::of_tar(File::open(top.join("x.tar")).unwrap())
        } else {
            Overlay::of_directory(File::open(&top).unwrap().as_fd())
        };
        let error = read.err().unwrap_or_else(|| panic!("{script} was taken"));
        assert!(error.to_string().contains(told), "{script}: {error}");
    };
    refused("mkfifo pipe", "files, directories and links only");
    refused(
        "touch \"$(printf 'a\\nb')\"",
        "characters that do not print",
    );
    refused("touch \"$(printf 'a\\377b')\"", "no UTF-8");
    refused(
        "mkfifo p; tar -cf x.tar p",
        "files, directories and links only",
    );
    refused("echo a >a; tar -czf x.tar a", "compressed");
    refused("echo nothing >x.tar", "");
    refused("touch a; tar -P -cf x.tar \"$PWD/a\"", "absolute");
    refused("touch a; tar -cf x.tar a a", "comes twice");
    refused(
        "touch a; ln a b; tar -cf x.tar a b; tar --delete -f x.tar a",
        "does not name a file of the overlay",
    );
    refused("truncate -s 300M big", "larger than 256 MiB");
    refused(
        "truncate -s 300M big; tar -Scf x.tar big; rm big",
        "larger than 256 MiB",
    );
    refused(
        "touch a; setfattr -n user.x -v y a; tar --xattrs -cf x.tar a",
        "extended attributes",
    );
}
