//! Carrying a few files from one OS to the next in a small archive.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::Path;

use super::Disk;
use crate::fixture::{assert_same, keep, run, snapshot};
use formats::keep::KeepSet;
use tree::{pack_items, pack_paths, read_from_home, unpack_tar, HomeFile, Treatment};

#[test]
fn named_files_are_carried_with_all_that_belongs_to_them() {
    let disk = Disk::new();
    let key = disk.file("old/etc/ssh/ssh_host_key", "secret");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    run(
        "setfattr",
        &["-n", "user.x", "-v", "y", key.to_str().unwrap()],
    );
    run("setfacl", &["-m", "u:7:r", key.to_str().unwrap()]);
    run(
        "touch",
        &[
            "-d",
            "2012-04-26 12:00:00.123456789Z",
            key.to_str().unwrap(),
        ],
    );
    disk.file("old/etc/hostname", "shop");
    symlink("../run/resolv.conf", disk.path("old/etc/resolv.conf")).unwrap();
    disk.file("old/etc/new directory/file", "x");
    disk.file("old/etc/passwd", "not asked for");
    let owned = disk.path("old/etc/new directory");
    rustix::fs::chown(&owned, None, Some(rustix::fs::Gid::from_raw(42))).unwrap();
    fs::set_permissions(&owned, fs::Permissions::from_mode(0o2750)).unwrap();
    let old = File::open(disk.path("old")).unwrap();
    let paths = [
        "/etc/ssh/ssh_host_key",
        "etc/hostname",
        "/etc/resolv.conf",
        "/etc/new directory/file",
    ];
    let archive = pack_paths(old.as_fd(), &paths).unwrap();
    assert_eq!(archive, pack_paths(old.as_fd(), &paths).unwrap());

    // The new OS has some of it, and a directory with a mode of its own.
    disk.file("new/etc/hostname", "localhost");
    disk.file("new/etc/fstab", "new");
    symlink("/dangling", disk.path("new/etc/resolv.conf")).unwrap();
    fs::set_permissions(disk.dir("new/etc/ssh"), fs::Permissions::from_mode(0o711)).unwrap();
    let new = File::open(disk.path("new")).unwrap();
    let placed = unpack_tar(new.as_fd(), &archive, &KeepSet::default()).unwrap();
    assert_eq!(
        placed.written, 5,
        "four files and one directory that was not there"
    );

    let portable = |top: &str| -> std::collections::BTreeMap<_, _> {
        let all = snapshot(&disk.path(top)).into_iter();
        all.map(|(path, seen)| (path, seen.portable())).collect()
    };
    let (ours, theirs) = (portable("new/etc"), portable("old/etc"));
    for path in [
        "ssh/ssh_host_key",
        "hostname",
        "resolv.conf",
        "new directory",
        "new directory/file",
    ] {
        assert_eq!(ours[Path::new(path)], theirs[Path::new(path)], "{path}");
    }
    assert_eq!(ours[Path::new("ssh")].mode & 0o7777, 0o711);
    assert_eq!(
        fs::read_to_string(disk.path("new/etc/fstab")).unwrap(),
        "new"
    );
    assert!(!disk.path("new/etc/passwd").exists());
}

#[test]
fn carrying_goes_around_what_is_kept_and_through_no_link() {
    let disk = Disk::new();
    let outside = disk.outside("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "theirs").unwrap();
    for path in [
        "old/etc/a/file",
        "old/etc/b/file",
        "old/etc/c/file",
        "old/etc/d",
    ] {
        disk.file(path, "old");
    }
    let old = File::open(disk.path("old")).unwrap();
    let carried = ["/etc/a/file", "/etc/b/file", "/etc/d"];
    let archive = pack_paths(old.as_fd(), &carried).unwrap();
    disk.file("new/etc/a/file", "kept");
    disk.file("new/etc/b/file/kept", "kept");
    let new = File::open(disk.path("new")).unwrap();
    let keep = keep(&["/etc/a", "/etc/b/file/kept"]);
    let before = snapshot(&disk.path("new/etc/a"));
    assert_eq!(unpack_tar(new.as_fd(), &archive, &keep).unwrap().written, 1);
    assert_same(&before, &snapshot(&disk.path("new/etc/a")));
    assert_eq!(
        fs::read_to_string(disk.path("new/etc/b/file/kept")).unwrap(),
        "kept"
    );

    let archive = pack_paths(old.as_fd(), &["/etc/c/file"]).unwrap();
    symlink(&outside, disk.path("new/etc/c")).unwrap();
    let placed = unpack_tar(new.as_fd(), &archive, &KeepSet::default()).unwrap();
    assert_eq!(placed.written, 0);
    let told = placed.obstructed.join("\n");
    assert!(told.contains("/etc/c is no directory"), "{told}");
    assert!(
        told.contains("/etc/c/file: /etc/c is a symbolic link"),
        "{told}"
    );
    assert_eq!(fs::read_to_string(outside.join("file")).unwrap(), "theirs");

    symlink(&outside, disk.path("old/etc/link")).unwrap();
    for path in [
        "/etc/link/file",
        "/etc/../etc/d",
        "/etc/gone",
        "",
        "/",
        "/etc/./d",
    ] {
        pack_paths(old.as_fd(), &[path]).expect_err(path);
    }
}

#[test]
fn a_host_key_comes_as_the_server_wants_it() {
    let disk = Disk::new();
    let key = disk.file("old/etc/ssh/ssh_host_rsa_key", "secret");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    run("setfacl", &["-m", "u:7:r", key.to_str().unwrap()]);
    rustix::fs::chown(&key, Some(rustix::fs::Uid::from_raw(7)), None).unwrap();
    disk.file("old/etc/keys/real", "another");
    symlink("/etc/keys/real", disk.path("old/etc/ssh/linked")).unwrap();
    symlink("etc", disk.path("old/config")).unwrap();
    disk.file("old/etc/.ssh/authorized", "me");
    let old = File::open(disk.path("old")).unwrap();
    let items = [
        ("/etc/ssh/ssh_host_rsa_key", Treatment::Roots(0o600)),
        ("/etc/ssh/linked", Treatment::Roots(0o600)),
    ];
    let keys = HomeFile {
        home: "/config",
        name: ".ssh/authorized",
        uid: 0,
        gid: 0,
    };
    let keys = read_from_home(&disk.path("old"), keys).unwrap().unwrap();
    let archive = pack_items(old.as_fd(), &items, &[keys]).unwrap();
    disk.dir("new");
    let new = File::open(disk.path("new")).unwrap();
    unpack_tar(new.as_fd(), &archive, &KeepSet::default()).unwrap();
    for (path, text) in [("ssh_host_rsa_key", "secret"), ("linked", "another")] {
        let path = disk.path("new/etc/ssh").join(path);
        let found = fs::symlink_metadata(&path).unwrap();
        assert!(found.is_file(), "{}", path.display());
        assert_eq!(found.permissions().mode() & 0o7777, 0o600);
        assert_eq!(std::os::unix::fs::MetadataExt::uid(&found), 0);
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        let mut names = [0; 256];
        assert_eq!(rustix::fs::llistxattr(&path, &mut names).unwrap(), 0);
    }
    assert!(fs::symlink_metadata(disk.path("new/config"))
        .unwrap()
        .is_dir());
    assert_eq!(
        fs::read_to_string(disk.path("new/config/.ssh/authorized")).unwrap(),
        "me"
    );
}

#[test]
fn a_folder_is_carried_with_everything_in_it() {
    let disk = Disk::new();
    disk.file("old/etc/shop/a/deep", "deep");
    let first = disk.file("old/etc/shop/first", "twice");
    fs::hard_link(&first, disk.path("old/etc/shop/second")).unwrap();
    symlink("first", disk.path("old/etc/shop/link")).unwrap();
    disk.file("old/etc/other", "stays");
    let old = File::open(disk.path("old")).unwrap();
    let archive = pack_paths(old.as_fd(), &["/etc/shop/"]).unwrap();
    disk.file("new/etc/shop/own", "own");
    let new = File::open(disk.path("new")).unwrap();
    assert_eq!(
        unpack_tar(new.as_fd(), &archive, &KeepSet::default())
            .unwrap()
            .written,
        5
    );
    let read = |path: &str| fs::read_to_string(disk.path("new/etc/shop").join(path)).unwrap();
    for (path, text) in [
        ("a/deep", "deep"),
        ("second", "twice"),
        ("link", "twice"),
        ("own", "own"),
    ] {
        assert_eq!(read(path), text, "{path}");
    }
    assert!(!disk.path("new/etc/other").exists());
}
