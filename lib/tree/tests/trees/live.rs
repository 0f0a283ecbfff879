//! Measuring a kept tree while the old OS runs: names come and go, things are mounted below it that
//! do not answer, and files have many names.

use std::fs;
use std::io::{self, Read};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use super::Disk;
use crate::fixture::{hostile, measure, run, LOOKUPS};
use formats::keep::KeepPath;
use formats::measure::Measure;
use storage::mounts;
use tree::{LeadingOut, Lookup, Measuring, MountPoints, Stillness, TreeError};

fn path(text: &str) -> KeepPath {
    KeepPath::parse(text).unwrap()
}

/// What is mounted below a directory, in the namespace of this thread.
fn mounted_below(root: &Path) -> io::Result<MountPoints> {
    let mounts = mounts::parse(&fs::read("/proc/thread-self/mountinfo")?);
    Ok(MountPoints::below(root, mounts.iter().map(|m| &m.target)))
}

fn live(root: &Path, fd: BorrowedFd<'_>, lookup: Lookup, kept: &str) -> Result<Measure, TreeError> {
    let mounted = || mounted_below(root);
    Measuring::new(fd, Stillness::Live(&mounted))
        .looking_up(lookup)
        .measure(&path(kept))
}

/// What customers do all the time: temporary files, sessions, caches, a name that is a file now and
/// a link or a directory a moment later, trees that are moved while somebody stands in them.
fn keep_busy(home: &Path, round: usize) {
    let deep = |top: &str| -> PathBuf {
        let mut path = home.join(top);
        for level in 0..24 {
            path.push(format!("{level}"));
        }
        path
    };
    let name = home.join(format!("tmp-{}", round % 40));
    let _ = fs::write(&name, "x");
    let _ = fs::remove_file(&name);
    let _ = symlink("nowhere", &name);
    let _ = fs::remove_file(&name);
    let _ = fs::create_dir_all(name.join("below/it"));
    let _ = fs::write(name.join("below/it/file"), "x");
    let _ = fs::remove_dir_all(&name);
    let _ = fs::write(&name, "x");
    let _ = fs::rename(&name, home.join("renamed"));
    let _ = fs::create_dir_all(deep("a"));
    let _ = fs::rename(home.join("a/0/1/2"), home.join("moved"));
    let _ = fs::rename(home.join("a"), home.join("b"));
    let _ = fs::remove_dir_all(home.join("moved"));
    let _ = fs::remove_dir_all(home.join("b"));
}

#[test]
fn files_that_come_and_go_never_make_a_live_measure_fail() {
    let disk = Disk::new();
    let home = disk.dir("home/shop");
    for n in 0..200 {
        disk.file(format!("home/shop/orders/{}/{n}", n % 7), "x");
    }
    let least = 200;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for round in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    keep_busy(&home, round);
                }
            });
        }
        let rounds = || {
            for lookup in LOOKUPS {
                for round in 0..400 {
                    let found = live(&disk.path(""), disk.fd(), lookup, "/home")
                        .map_err(|e| format!("{lookup:?}, round {round}: {e:?}"))?;
                    if found.entries < least {
                        return Err(format!("{lookup:?}, round {round}: {found:?}"));
                    }
                }
            }
            Ok(())
        };
        let result = rounds();
        stop.store(true, Ordering::Relaxed);
        result.unwrap();
    });
    // Where nothing moves a live measure and a strict one are the same.
    let strict = measure(disk.fd(), &path("/home")).unwrap();
    for lookup in LOOKUPS {
        let found = live(&disk.path(""), disk.fd(), lookup, "/home").unwrap();
        assert_eq!(found, strict);
    }
}

/// FUSE whose process never reads a request; `others` lets root look at it, as `allow_other` does.
fn hang(at: &Path, others: bool) -> Child {
    let script = "exec 9<>/dev/fuse && \
        mount -i -t fuse -o \"fd=9,rootmode=40000,user_id=7,group_id=7$2\" hangs \"$1\" && \
        echo mounted && exec sleep 600";
    let mut server = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(at)
        .arg(if others { ",allow_other" } else { "" })
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = [0; 7];
    let mounted = server.stdout.as_mut().unwrap().read_exact(&mut said);
    mounted.expect("mount FUSE: needs root and /dev/fuse (modprobe fuse)");
    server
}

#[test]
fn a_mount_that_is_silent_or_closed_to_root_is_not_asked_and_the_rest_is_measured() {
    for others in [true, false] {
        let disk = Disk::new();
        disk.file("home/shop/orders", "four");
        let at = disk.dir("home/shop/drive");
        disk.file("home/shop/drive/hidden", "x");
        disk.file("home/shop/zz", "x");
        let mut server = hang(&at, others);
        let (done, wait) = mpsc::channel();
        let (root, fd) = (disk.path(""), fs::File::open(disk.path("")).unwrap());
        std::thread::spawn(move || {
            use std::os::fd::AsFd;
            for lookup in LOOKUPS {
                let _ = done.send((
                    live(&root, fd.as_fd(), lookup, "/home"),
                    live(&root, fd.as_fd(), lookup, "/home/shop/drive"),
                ));
            }
        });
        let found: Vec<_> = LOOKUPS
            .iter()
            .map(|_| wait.recv_timeout(Duration::from_mins(1)))
            .collect();
        // What hangs in the mount is let go of by this.
        server.kill().unwrap();
        server.wait().unwrap();
        for found in found {
            let (tree, mount) = found.expect("a measure waits for the mount");
            let tree = tree.unwrap();
            // /home, shop, drive, orders, zz; nothing below the mount.
            assert_eq!((tree.entries, tree.bytes), (5, 5));
            assert!(
                matches!(mount, Err(TreeError::KeepMount { .. })),
                "{mount:?}"
            );
        }
    }
}

#[test]
fn what_is_mounted_below_is_counted_as_the_directory_that_it_is_on() {
    let disk = Disk::new();
    disk.file("srv/shop/orders", "four");
    let archive = disk.dir("srv/archive");
    let shown = disk.dir("srv/ftp/pub");
    let file = disk.file("srv/conf", "");
    let at = |path: &Path| path.to_str().unwrap().to_owned();
    let strict = measure(disk.fd(), &path("/srv")).unwrap();
    run("mount", &["-t", "tmpfs", "tmpfs", &at(&archive)]);
    fs::write(archive.join("big"), [0; 5000]).unwrap();
    run(
        "mount",
        &["--bind", &at(&disk.path("srv/shop")), &at(&shown)],
    );
    run(
        "mount",
        &["--bind", &at(&disk.path("srv/shop/orders")), &at(&file)],
    );
    for lookup in LOOKUPS {
        let found = live(&disk.path(""), disk.fd(), lookup, "/srv").unwrap();
        assert_eq!(
            (found.entries, found.inodes),
            (strict.entries, strict.inodes)
        );
        assert_eq!(found.bytes, 4);
    }
}

#[test]
fn a_file_with_many_names_takes_its_blocks_and_its_inode_once() {
    let disk = Disk::new();
    for n in 0..30 {
        disk.file(format!("srv/backup/daily.0/file{n}"), vec![1; 9000]);
    }
    for day in 1..40 {
        let to = disk.dir(format!("srv/backup/daily.{day}"));
        for n in 0..30 {
            let name = format!("file{n}");
            fs::hard_link(disk.path("srv/backup/daily.0").join(&name), to.join(name)).unwrap();
        }
    }
    let shown = disk.path("srv");
    let du = |what: &[&str]| -> u64 {
        let told = run("du", &[what, &["-s", shown.to_str().unwrap()]].concat());
        told.split_whitespace().next().unwrap().parse().unwrap()
    };
    let found = measure(disk.fd(), &path("/srv")).unwrap();
    assert_eq!(found.entries, 2 + 40 + 40 * 30);
    assert_eq!(found.inodes, 2 + 40 + 30);
    assert_eq!(found.inodes, du(&["--inodes"]));
    assert_eq!(found.disk_bytes, du(&["--block-size=1"]));
    assert_eq!(found.bytes, 40 * 30 * 9000, "bytes are counted a name");
    // Two kept trees that share files share their room.
    fs::hard_link(
        disk.path("srv/backup/daily.0/file0"),
        disk.file("home/a", "").with_file_name("b"),
    )
    .unwrap();
    let mut measuring = Measuring::new(disk.fd(), Stillness::Still);
    let first = measuring.measure(&path("/srv")).unwrap();
    let second = measuring.measure(&path("/home")).unwrap();
    assert_eq!((first.inodes, second.entries, second.inodes), (72, 3, 2));
}

#[test]
fn whether_files_are_immutable_is_measured_beside_everything_else() {
    let disk = Disk::new();
    let file = disk.file("srv/shop/orders", "x");
    let at = file.to_str().unwrap();
    let before = measure(disk.fd(), &path("/srv")).unwrap();
    let mut seen = vec![before.flags.expect("this kernel tells flags by statx")];
    for change in ["+i", "-i+a", "-a"] {
        for part in change.split_inclusive(char::is_alphabetic) {
            run("chattr", &[part, at]);
        }
        let now = measure(disk.fd(), &path("/srv")).unwrap();
        assert_eq!(now.digest, before.digest, "{change}");
        assert_eq!(now.is_same_tree(&before), change == "-a", "{change}");
        seen.push(now.flags.unwrap());
    }
    assert!(seen[0] == seen[3] && seen[0] != seen[1] && seen[1] != seen[2]);
}

#[test]
fn links_that_lead_out_of_what_is_kept_are_found_while_measuring() {
    let disk = Disk::new();
    let shop = disk.dir("home/shop");
    disk.file("data/anna/mail", "x");
    disk.file("var/www/index.html", "x");
    symlink("/data", disk.path("home2")).unwrap();
    for (name, target) in [
        ("www", "/var/www"),
        ("mail", "../../home2/anna/mail"),
        ("orders", "/srv/orders"),
        ("self", "."),
        ("python", "/usr/bin/python3"),
    ] {
        symlink(target, shop.join(name)).unwrap();
    }
    let kept = [path("/home"), path("/srv")];
    let noted = LeadingOut::new(disk.fd(), &kept, MountPoints::default()).unwrap();
    let mut measuring = Measuring::new(disk.fd(), Stillness::Still).noting(noted);
    measuring.measure(&kept[0]).unwrap();
    let found = measuring.noted().1.unwrap().found();
    assert_eq!((found.links, found.of_the_os), (2, 1));
    assert_eq!(
        found.examples,
        [
            "/home/shop/mail → /data/anna/mail",
            "/home/shop/www → /var/www"
        ]
    );
}

#[test]
fn a_measure_stops_when_it_is_told_to() {
    let disk = Disk::new();
    hostile::fill(&disk.path("srv/shop"), Path::new("/nowhere"));
    for n in 0..1000 {
        disk.file(format!("srv/many/{n}"), "");
    }
    let told = std::sync::atomic::AtomicU64::new(0);
    let tell = |n| {
        let all = told.fetch_add(n, Ordering::Relaxed) + n;
        if all > 500 {
            std::ops::ControlFlow::Break(())
        } else {
            std::ops::ControlFlow::Continue(())
        }
    };
    let mut measuring = Measuring::new(disk.fd(), Stillness::Still).telling(&tell);
    let error = measuring.measure(&path("/srv")).unwrap_err();
    assert!(matches!(error, TreeError::Stopped), "{error}");
    assert!(told.load(Ordering::Relaxed) < 900);
}
