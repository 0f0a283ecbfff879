use std::io::Write;
use std::process::{Command, Stdio};

use crate::modules::parse_dep;

use super::*;

const DEP: &str = "\
kernel/fs/ext4/ext4.ko.xz: kernel/fs/jbd2/jbd2.ko.xz
kernel/fs/jbd2/jbd2.ko.xz:
kernel/drivers/block/virtio_blk.ko.xz:
kernel/drivers/nvme/host/nvme.ko.xz: kernel/drivers/nvme/host/nvme-core.ko.xz
kernel/drivers/nvme/host/nvme-core.ko.xz:
";

fn entry(archive: &mut Vec<u8>, name: &str, bytes: &[u8]) {
    let mut header = vec![0; 13];
    header[6] = bytes.len();
    header[11] = name.len() + 1;
    archive.extend_from_slice(b"070701");
    for field in header {
        archive.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    archive.extend_from_slice(name.as_bytes());
    archive.push(0);
    archive.resize(archive.len().next_multiple_of(4), 0);
    archive.extend_from_slice(bytes);
    archive.resize(archive.len().next_multiple_of(4), 0);
}

fn cpio(names: &[&str]) -> Vec<u8> {
    let mut archive = Vec::new();
    for name in names {
        entry(&mut archive, name, b"\x01\x02\x03\x04\x05");
    }
    entry(&mut archive, "TRAILER!!!", b"");
    archive.resize(archive.len().next_multiple_of(512), 0);
    archive
}

/// As initramfs-tools lays it out.
fn modules() -> Vec<u8> {
    cpio(&[
        ".",
        "init",
        "usr/lib/modules/6.12/kernel/fs/ext4/ext4.ko.xz",
        "usr/lib/modules/6.12/kernel/fs/jbd2/jbd2.ko.xz",
        "usr/lib/modules/6.12/kernel/drivers/block/virtio_blk.ko.xz",
        "usr/lib/modules/6.12/kernel/drivers/nvme/host/nvme.ko.xz",
        "usr/lib/modules/6.12/modules.dep",
    ])
}

fn microcode() -> Vec<u8> {
    cpio(&["kernel/x86/microcode/GenuineIntel.bin"])
}

/// What a program makes of bytes: those that initramfs-tools and dracut call.
fn through(program: &str, arguments: &[&str], bytes: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{program}: {e}: apt-get install {program}"));
    let mut input = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let feeder = std::thread::spawn(move || input.write_all(&bytes).unwrap());
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    assert!(output.status.success(), "{program}");
    output.stdout
}

#[test]
fn an_initrd_is_read_through_microcode_and_every_usual_compression() {
    for (program, arguments) in [
        ("cat", &[][..]),
        ("gzip", &["-9"]),
        ("zstd", &["-q", "-1"]),
        ("xz", &["--check=crc32"]),
        ("lz4", &["-9", "-l"]),
        ("lz4", &["-9"]),
    ] {
        for front in [vec![], microcode()] {
            let mut bytes = front;
            bytes.extend(through(program, arguments, &modules()));
            let found = read(&bytes[..]).unwrap_or_else(|e| panic!("{program}: {e}"));
            assert!(found.has_init, "{program}");
            let names: Vec<_> = found.modules["6.12"].iter().map(String::as_str).collect();
            assert_eq!(names, ["ext4", "jbd2", "nvme", "virtio_blk"], "{program}");
        }
    }
}

#[test]
fn what_is_behind_the_archive_is_no_matter() {
    let mut bytes = through("gzip", &[], &modules());
    bytes.extend_from_slice(&[0; 5]);
    bytes.extend_from_slice(b"junk that no kernel minds");
    assert!(read(&bytes[..]).unwrap().has_init);
}

#[test]
fn what_is_no_whole_archive_is_refused() {
    let packed = through("zstd", &["-q"], &modules());
    let plain = modules();
    for (bytes, said) in [
        (&b""[..], "cut short"),
        (&[0; 4096], "cut short"),
        (b"<html>no</html>", "no archive"),
        (&plain[..300], "cut short"),
        (&packed[..packed.len() / 2], ""),
        (b"BZh91AY&SY", "bzip2"),
        (&[b"070701".as_slice(), &[b'z'; 200]].concat(), "damaged"),
        (&microcode(), ""),
    ] {
        match read(bytes) {
            Err(error) => assert!(error.to_string().contains(said), "{error}"),
            // An archive without anything to start.
            Ok(found) => assert!(!found.has_init && found.modules.is_empty()),
        }
    }
}

#[test]
fn a_driver_without_what_it_needs_is_none() {
    let contents = read(&modules()[..]).unwrap();
    let dependencies = parse_dep(DEP).unwrap();
    for (release, drivers, lacks) in [
        ("6.12", &["virtio_blk", "ext4"][..], &[][..]),
        ("6.12", &["nvme"], &["nvme_core"]),
        // Part of the kernel, or another kernel's.
        ("6.12", &["sd_mod"], &[]),
        ("6.13", &["ext4"], &["jbd2", "ext4"]),
    ] {
        let found = contents
            .lacks(release, &dependencies, drivers.iter().copied())
            .unwrap();
        assert_eq!(found, lacks, "{release} {drivers:?}");
    }
    let whole = contents.complete("6.12", &dependencies);
    assert_eq!(
        whole.into_iter().collect::<Vec<_>>(),
        ["ext4", "jbd2", "virtio_blk"]
    );
}

#[test]
fn programs_are_told_by_where_programs_are() {
    let names = [
        "init",
        "sbin/lvm",
        "usr/bin/sh",
        "usr/share/lvm2",
        "bin/more/deep",
        "conf/bin/x",
    ];
    let found = read(&cpio(&names)[..]).unwrap();
    let programs: Vec<_> = found.programs.iter().map(String::as_str).collect();
    assert_eq!(programs, ["lvm", "sh"]);
}

/// Names as they are in initrds of Debian 11 and 13; in the latter, `/lib` is a link.
#[test]
fn what_calls_lvm_and_mdadm_for_more_than_the_root_is_told_by_its_name() {
    for (names, programs) in [
        (
            &["scripts/local-block/lvm2", "usr/sbin/lvm"][..],
            &["lvm"][..],
        ),
        (&["usr/lib/udev/rules.d/69-lvm.rules"], &["lvm"]),
        (
            &[
                "lib/udev/rules.d/69-lvm.rules",
                "lib/udev/rules.d/64-md-raid-assembly.rules",
            ],
            &["lvm", "mdadm"],
        ),
        (&["./scripts/local-block/mdadm"], &["mdadm"]),
        // Of Debian 11, for what runs systemd; of old releases, for root= and resume=.
        (
            &[
                "lib/udev/rules.d/69-lvm-metad.rules",
                "scripts/local-top/lvm2",
                "sbin/lvm",
                "sbin/mdadm",
            ],
            &[],
        ),
    ] {
        let found = read(&cpio(names)[..]).unwrap();
        assert_eq!(
            found.for_all_mounts.iter().copied().collect::<Vec<_>>(),
            programs,
            "{names:?}"
        );
    }
}
