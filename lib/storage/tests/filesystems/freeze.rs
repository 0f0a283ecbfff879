//! Whoever kills the process that freezes a filesystem does not leave it frozen.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fixtures::program::run;

/// Tells the test program that it is the one to be killed.
const MOUNTED: &str = "REROOT_TEST_FREEZES";
const KILLS: u32 = 60;

/// Whether a file can be written within a time that a frozen filesystem does not give.
fn takes_writes(mounted: &Path, round: u32) -> bool {
    let mut write = Command::new("cp")
        .arg("/proc/self/stat")
        .arg(mounted.join(format!("probe-{round}")))
        .spawn()
        .unwrap();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(10) {
        if write.try_wait().unwrap().is_some() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    // It cannot be waited for: it stays until the filesystem is thawed.
    let _ = write.kill();
    std::mem::forget(write);
    false
}

#[test]
fn a_killed_process_leaves_nothing_frozen() {
    if let Some(mounted) = std::env::var_os(MOUNTED) {
        for round in 0u64.. {
            // Something to be written to its place, so that freezing takes a while.
            fs::write(
                Path::new(&mounted).join("data"),
                round.to_string().repeat(1 << 18),
            )
            .unwrap();
            storage::freeze::settle(Path::new(&mounted)).unwrap();
        }
    }
    assert!(
        rustix::process::geteuid().is_root(),
        "this test mounts a filesystem and needs root: sudo -E cargo test -p storage --test filesystems"
    );
    #[allow(deprecated)] // The flag shares nothing that Rust relies on.
    rustix::thread::unshare(rustix::thread::UnshareFlags::NEWNS).unwrap();
    run("mount", &["--make-rprivate", "/"]);
    let directory = tempfile::tempdir().unwrap();
    let (image, mounted) = (directory.path().join("image"), directory.path().join("fs"));
    File::create(&image).unwrap().set_len(64 << 20).unwrap();
    fs::create_dir(&mounted).unwrap();
    let at = mounted.to_str().unwrap();
    run("mkfs.ext4", &["-q", "-F", image.to_str().unwrap()]);
    run("mount", &["-o", "loop", image.to_str().unwrap(), at]);
    let mut frozen = 0;
    for round in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "freeze::a_killed_process_leaves_nothing_frozen"])
            .env(MOUNTED, &mounted)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(40 + u64::from(round) * 3));
        child.kill().unwrap();
        child.wait().unwrap();
        if !takes_writes(&mounted, round) {
            frozen += 1;
            run("fsfreeze", &["-u", at]);
        }
    }
    run("umount", &["-l", at]);
    assert_eq!(frozen, 0, "of {KILLS}");
}
