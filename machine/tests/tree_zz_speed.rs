//! temporary
mod tree_fixture;
use machine::tree::{measure, pack, unpack, wipe, PackOptions, Source, UnpackOptions};
use std::fs::File;
use std::os::fd::AsFd;
use std::time::Instant;
use tree_fixture::{keep, quiet, run, Disk};

#[test]
fn speed() {
    let disk = Disk::sized(2048);
    let t13 = File::open("/tmp/exp/t13").unwrap();
    let stored = std::path::PathBuf::from("/tmp/tree/payload.zst");
    let t = Instant::now();
    let mut out = File::create(&stored).unwrap();
    let payload = pack(
        t13.as_fd(),
        &mut out,
        &PackOptions {
            level: 3,
            ..Default::default()
        },
        &quiet,
    )
    .unwrap();
    println!(
        "pack {:?} {} frames {} entries {} bytes, stored {}",
        t.elapsed(),
        payload.frames.len(),
        payload.entries,
        payload.unpacked_bytes,
        payload.length()
    );
    payload.validate().unwrap();
    let root = disk.path("");
    let root = root.to_str().unwrap();
    let zst = stored.to_str().unwrap();
    let tar =
        format!("zstd -dc {zst} | tar x --numeric-owner --xattrs --xattrs-include='*' -C {root}");
    let tar_plain = format!("zstd -dc {zst} | tar x -C {root}");
    run("sh", &["-c", &tar]);
    run("sync", &["-f", root]);
    disk.file("srv/data/x", "x");
    let source = Source::new(File::open(&stored).unwrap(), 0);
    for round in 0..8 {
        let t = Instant::now();
        run("sh", &["-c", &format!("rm -rf {root}/*")]);
        let rm = t.elapsed();
        run("sh", &["-c", &tar_plain]);
        let untar = t.elapsed();
        run("sync", &["-f", root]);
        let theirs = t.elapsed();
        println!(
            "{round} rm {rm:?} tar {:?} sync {:?} total {theirs:?}",
            untar.checked_sub(rm).unwrap(),
            theirs.checked_sub(untar).unwrap()
        );
        let t = Instant::now();
        let report = wipe(disk.fd(), &keep(&[]), &quiet).unwrap();
        let rm = t.elapsed();
        unpack(
            disk.fd(),
            &source,
            &payload,
            &keep(&[]),
            &UnpackOptions { threads: 2 },
            &quiet,
        )
        .unwrap();
        let untar = t.elapsed();
        rustix::fs::syncfs(disk.fd()).unwrap();
        let ours = t.elapsed();
        println!(
            "{round} wipe {rm:?} ({}) unpack {:?} sync {:?} total {ours:?} ratio {:.3}",
            report.removed,
            untar.checked_sub(rm).unwrap(),
            ours.checked_sub(untar).unwrap(),
            ours.as_secs_f64() / theirs.as_secs_f64()
        );
    }
    let a: Vec<_> = tree_fixture::snapshot(&disk.path(""))
        .into_iter()
        .map(|(p, s)| (p, s.portable()))
        .collect();
    let b: Vec<_> = tree_fixture::snapshot(std::path::Path::new("/tmp/exp/t13"))
        .into_iter()
        .map(|(p, s)| (p, s.portable()))
        .collect();
    for (a, b) in a.iter().zip(&b) {
        assert_eq!(a, b);
    }
    assert_eq!(a.len(), b.len());
    let t = Instant::now();
    println!(
        "{:?} {:?}",
        measure(
            disk.fd(),
            &manifest::keep::KeepPath::parse("/usr/share").unwrap()
        )
        .unwrap(),
        t.elapsed()
    );
}
