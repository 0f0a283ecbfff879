//! A program of the new OS, as the run starts it: in the root, with what is kept read-only.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const BUSYBOX: &str = "/bin/busybox";

/// A root with a shell, a kept tree, a kept file and the run's directory.
fn root() -> tempfile::TempDir {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test mounts and needs root: sudo -E cargo test -p reroot-init --test as_program"
    );
    let dir = tempfile::tempdir().unwrap();
    let at = |path: &str| dir.path().join(path);
    for path in [
        "bin",
        "dev",
        "tmp",
        "etc/ssh",
        "srv/shop",
        ".reroot/run",
        "proc",
    ] {
        fs::create_dir_all(at(path)).unwrap();
    }
    // Where programs put what they would say of their failures; without it they do nothing at all.
    fs::write(at("dev/null"), "").unwrap();
    for name in ["sh", "busybox"] {
        fixtures::program::put(BUSYBOX, at("bin").join(name));
    }
    for path in ["srv/shop/order", "etc/kept", ".reroot/run/payload"] {
        fs::write(at(path), "before").unwrap();
    }
    dir
}

fn run(root: &Path, kept: &[&str], script: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_reroot-init"))
        .arg("in-root")
        .arg(root)
        .args(kept)
        .args(["--", "/bin/sh", "-c", script])
        .output()
        .unwrap()
}

#[test]
fn nothing_that_is_kept_can_be_written_to() {
    let dir = root();
    let script = "
        for path in /srv/shop/order /srv/shop/new /etc/kept /.reroot/run/payload; do
            (echo after > $path) 2>/dev/null && echo wrote $path
        done
        for path in /srv/shop/order /.reroot/run/payload; do
            busybox rm $path 2>/dev/null && echo removed $path
        done
        busybox mkdir /srv/shop/dir 2>/dev/null && echo made a directory
        busybox mount -o remount,bind,rw /srv/shop 2>/dev/null && echo remounted
        busybox umount /srv/shop 2>/dev/null && echo unmounted
        echo scratch > /tmp/scratch && echo beside > /srv/beside && echo key > /etc/ssh/key
    ";
    let output = run(dir.path(), &["/srv/shop", "/etc/kept"], script);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    // The same words do all of it where nothing is kept, but for what the run's own directory is.
    let output = run(root().path(), &[], script);
    let done = String::from_utf8_lossy(&output.stdout).into_owned();
    for what in [
        "wrote /srv/shop/order",
        "wrote /srv/shop/new",
        "wrote /etc/kept",
        "removed /srv/shop/order",
        "made a directory",
    ] {
        assert!(done.contains(what), "{what}: {output:?}");
    }
    let read = |path: &str| fs::read_to_string(dir.path().join(path)).unwrap();
    for path in ["srv/shop/order", "etc/kept", ".reroot/run/payload"] {
        assert_eq!(read(path), "before");
    }
    // What is not kept is the program's, and what it left in /tmp was in memory.
    assert_eq!(read("srv/beside"), "beside\n");
    assert_eq!(read("etc/ssh/key"), "key\n");
    assert!(!dir.path().join("tmp/scratch").exists());
    // Of its mounts nothing is left for others.
    fs::write(dir.path().join("srv/shop/order"), "mine").unwrap();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(dir.path().to_str().unwrap()));
}

#[test]
fn a_kept_path_that_cannot_be_protected_keeps_the_program_from_running() {
    let dir = root();
    let output = run(dir.path(), &["/srv/gone"], "echo ran");
    assert_eq!(output.status.code(), Some(126));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("make /srv/gone read-only"), "{said}");
}
