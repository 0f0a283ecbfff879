//! A tree with everything that has ever hurt a program that walks trees.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{symlink, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{FileType, Mode, CWD};

use super::{bytes, run};

/// Fills `top`. `outside` is a directory that links point to; nothing in it belongs to the tree.
pub fn fill(top: &Path, outside: &Path) {
    fs::create_dir_all(top).unwrap();
    names(top);
    links(top, outside);
    attributes(top);
    special(top);
    content(top);
    times(top);
}

fn names(top: &Path) {
    let names: [&[u8]; 8] = [
        b"new\nline",
        b" space ",
        b"\xff\xfe not UTF-8",
        b"-rf",
        b"*",
        b"...",
        &[b'n'; 255],
        "grün".as_bytes(),
    ];
    for name in names {
        fs::write(top.join(bytes(name)), name).unwrap();
    }
    let deep = top
        .join(bytes(&[b'd'; 255]))
        .join(bytes(b"\xff\n"))
        .join("a/b/c");
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("file"), "deep").unwrap();
    fs::create_dir(top.join("empty")).unwrap();
}

fn links(top: &Path, outside: &Path) {
    symlink(outside, top.join("to outside")).unwrap();
    symlink("/", top.join("to the root")).unwrap();
    symlink("../../../../../../../../etc", top.join("up and out")).unwrap();
    symlink(".", top.join("here")).unwrap();
    symlink("nowhere", top.join("dangling")).unwrap();
    symlink("x".repeat(1000), top.join("long target")).unwrap();
    fs::write(top.join("first name"), "two names").unwrap();
    fs::hard_link(top.join("first name"), top.join("second name")).unwrap();
    fs::hard_link(top.join("dangling"), top.join("linked link")).unwrap();
    fs::create_dir_all(top.join("a directory")).unwrap();
    fs::hard_link(top.join("first name"), top.join("a directory/third name")).unwrap();
}

fn attributes(top: &Path) {
    let file = top.join("attributes");
    fs::write(&file, "x").unwrap();
    let path = file.to_str().unwrap();
    run(
        "setfattr",
        &["-n", "user.colour", "-v", "0x0a00ff0a3d", path],
    );
    run("setfattr", &["-n", "user.odd=100%", "-v", "x", path]);
    run("setfattr", &["-n", "user.empty", path]);
    run(
        "setfattr",
        &["-n", "trusted.reroot", "-v", "root only", path],
    );
    run("setfacl", &["-m", "u:1234:r,g:4321:rw", path]);
    let program = top.join("capable");
    fs::write(&program, "#!/bin/true").unwrap();
    rustix::fs::chown(&program, Some(rustix::fs::Uid::from_raw(70_000)), None).unwrap();
    run(
        "setcap",
        &["cap_net_bind_service=+ep", program.to_str().unwrap()],
    );
    let directory = top.join("inherits");
    fs::create_dir(&directory).unwrap();
    let path = directory.to_str().unwrap();
    run("setfacl", &["-d", "-m", "u:1234:rwx", path]);
    fs::write(directory.join("heir"), "x").unwrap();
    fs::set_permissions(&directory, Permissions::from_mode(0o2770)).unwrap();
    for (name, mode) in [
        ("setuid", 0o4755),
        ("setgid", 0o2711),
        ("secret", 0),
        ("all", 0o7777),
    ] {
        let file = top.join(name);
        fs::write(&file, name).unwrap();
        let (owner, group) = (
            rustix::fs::Uid::from_raw(33),
            rustix::fs::Gid::from_raw(4_000_000),
        );
        rustix::fs::chown(&file, Some(owner), Some(group)).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
    }
    let sticky = top.join("sticky");
    fs::create_dir(&sticky).unwrap();
    fs::set_permissions(&sticky, Permissions::from_mode(0o1777)).unwrap();
    let locked = top.join("locked");
    fs::create_dir(&locked).unwrap();
    fs::write(locked.join("in it"), "x").unwrap();
    fs::set_permissions(&locked, Permissions::from_mode(0o0)).unwrap();
}

fn special(top: &Path) {
    let make = |name: &str, file_type, device| {
        let mode = Mode::from_raw_mode(0o640);
        rustix::fs::mknodat(CWD, top.join(name), file_type, mode, device).unwrap();
    };
    make("fifo", FileType::Fifo, 0);
    make("null", FileType::CharacterDevice, rustix::fs::makedev(1, 3));
    make(
        "disk",
        FileType::BlockDevice,
        rustix::fs::makedev(259, 70_000),
    );
    run(
        "setfattr",
        &[
            "-h",
            "-n",
            "trusted.x",
            "-v",
            "y",
            top.join("fifo").to_str().unwrap(),
        ],
    );
    run(
        "setfattr",
        &[
            "-h",
            "-n",
            "trusted.x",
            "-v",
            "y",
            top.join("here").to_str().unwrap(),
        ],
    );
}

/// A socket lies in a tree, but is never packed.
pub fn socket(path: &Path) {
    // The name of a socket may have at most 108 bytes, which the path to a test's tree exceeds.
    let directory = File::open(path.parent().unwrap()).unwrap();
    let short = format!(
        "/proc/self/fd/{}/{}",
        std::os::fd::AsRawFd::as_raw_fd(&directory),
        path.file_name().unwrap().to_str().unwrap()
    );
    drop(UnixListener::bind(short).unwrap());
}

fn content(top: &Path) {
    let mut sparse = File::create(top.join("sparse")).unwrap();
    sparse.write_all(b"begin").unwrap();
    sparse.seek(SeekFrom::Start(5 << 20)).unwrap();
    sparse.write_all(b"middle").unwrap();
    sparse.set_len((9 << 20) + 7).unwrap();
    File::create(top.join("only a hole"))
        .unwrap()
        .set_len(3 << 20)
        .unwrap();
    fs::write(top.join("empty file"), "").unwrap();
    for size in [511, 512, 513, 65_535, 65_536, 65_537, 300_000] {
        let mut content: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
        // Zeros that are no hole, and some that are nearly one.
        let middle = size / 2;
        content[middle..(middle + 70_000).min(size)].fill(0);
        fs::write(top.join(format!("of {size} bytes")), content).unwrap();
    }
}

fn times(top: &Path) {
    let set = |name: &str, seconds, nanoseconds| {
        let time = rustix::fs::Timespec {
            tv_sec: seconds,
            tv_nsec: nanoseconds,
        };
        let times = rustix::fs::Timestamps {
            last_access: time,
            last_modification: time,
        };
        let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::utimensat(CWD, top.join(name), &times, flags).unwrap();
    };
    set("*", 0, 0);
    set("-rf", -1, 999_999_999);
    set("here", 1_000_000_000, 5);
    set("null", 2_147_483_648, 1);
    set("empty", 12_345, 678_000_000);
    set("a directory", 1, 0);
    set("sticky", 4_294_967_296, 1);
}

/// An immutable file, an append-only one, and directories of either kind with a file in each.
pub fn hinder(top: &Path) {
    fs::create_dir_all(top).unwrap();
    for (flag, name) in [("+i", "immutable"), ("+a", "append-only")] {
        let directory = top.join(format!("{name} directory"));
        fs::create_dir_all(directory.join("below")).unwrap();
        fs::write(directory.join("below/file"), "x").unwrap();
        fs::write(directory.join("file"), "x").unwrap();
        fs::write(top.join(name), "x").unwrap();
        run("chattr", &[flag, top.join(name).to_str().unwrap()]);
        run("chattr", &[flag, directory.join("file").to_str().unwrap()]);
        run("chattr", &[flag, directory.to_str().unwrap()]);
    }
}

/// The inode flags of a file, as lsattr shows them.
pub fn flags(path: &Path) -> String {
    let shown = run("lsattr", &["-d", path.to_str().unwrap()]);
    shown.split(' ').next().unwrap().to_owned()
}

/// Appends to a file that exists.
pub fn append(path: &Path, content: &str) {
    let mut file = OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(content.as_bytes()).unwrap();
}
