//! Building an image from a small tree, and looking into the result.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use crate::program::{elf, refused, require_root, reroot, succeed};
use crate::small_os::{write, SmallOs, KERNEL, NVME};
use formats::trailer::{PartKind, Trailer, TRAILER_SIZE};
use formats::{Digest, Document, Manifest};

fn trailer(image: &[u8]) -> Trailer {
    let at = image.len() - TRAILER_SIZE;
    Trailer::decode(image[at..].try_into().unwrap(), image.len() as u64).unwrap()
}

fn part(image: &[u8], kind: PartKind) -> &[u8] {
    let part = trailer(image).part(kind);
    &image[part.offset as usize..(part.offset + part.length) as usize]
}

fn manifest(image: &[u8]) -> Manifest {
    Manifest::from_json(part(image, PartKind::Manifest)).unwrap()
}

/// The names in a directory.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn building_twice_gives_the_same_bytes() {
    require_root();
    let os = SmallOs::make();
    let first = os.build("first");
    // Times of the source's files stay; what the builder adds must not depend on the clock.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let second = os.place.path().join("second");
    succeed(os.build_command(&second).args(["--threads", "3"]));
    assert!(
        fs::read(&first).unwrap() == fs::read(&second).unwrap(),
        "the images differ"
    );
    assert_eq!(fs::metadata(&first).unwrap().mode() & 0o7777, 0o755);
    assert!(
        os.root().join("etc/ssh/ssh_host_rsa_key").exists(),
        "the source was changed"
    );
}

#[test]
fn the_image_holds_what_the_folder_describes() {
    require_root();
    let os = SmallOs::make();
    let image = fs::read(os.build("image")).unwrap();
    // The launcher as it is, but for bytes that no kernel looks at, and a word for shells behind it.
    let (launcher, given) = (part(&image, PartKind::Launcher), elf(62));
    assert_eq!(launcher[..7], given[..7]);
    assert_eq!(launcher[16..given.len()], given[16..]);
    let word = String::from_utf8_lossy(&launcher[given.len()..]);
    assert!(word.contains("cannot run 64-bit programs"), "{word}");
    let manifest = manifest(&image);
    assert_eq!(manifest.name, "small");
    assert_eq!(manifest.os.pretty_name, "Small OS 1");
    assert_eq!(manifest.kernel.release, KERNEL);
    assert_eq!(manifest.kernel.load, ["jbd2", "ext4"]);
    assert_eq!(
        manifest.kernel.drivers,
        ["ext4", "jbd2", "nvme", "sd_mod", "xfs"]
    );
    assert_eq!(
        manifest
            .keep
            .iter()
            .map(formats::keep::KeepPath::as_str)
            .collect::<Vec<_>>(),
        ["/home"]
    );
    manifest.payload.validate().unwrap();

    let payload = part(&image, PartKind::Payload);
    let mut archive = tar::Archive::new(zstd::Decoder::new(payload).unwrap());
    let mut seen = Vec::new();
    for entry in archive.entries().unwrap() {
        let entry = entry.unwrap();
        let path = entry
            .path()
            .unwrap()
            .to_string_lossy()
            .trim_end_matches('/')
            .to_owned();
        if path.ends_with("usr/share/noise") || path.ends_with("usr/share/again") {
            assert_eq!(
                (entry.header().uid().unwrap(), entry.header().gid().unwrap()),
                (1234, 5678)
            );
        }
        seen.push(path.trim_start_matches("./").to_owned());
    }
    assert_eq!(seen.len() as u64, manifest.payload.entries);
    for path in [
        "etc/default/grub.d/reroot.cfg",
        "etc/machine-id",
        "sbin/init",
        "usr/share/again",
    ] {
        assert!(seen.iter().any(|s| s == path), "{path} is not in {seen:?}");
    }
    assert!(
        !seen.iter().any(|s| s == "etc/ssh/ssh_host_rsa_key"),
        "a host key is in the payload"
    );
}

/// The files of the initramfs.
fn initramfs(image: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let packed = part(image, PartKind::Initramfs);
    let mut input = flate2::read::MultiGzDecoder::new(packed);
    let mut found = BTreeMap::new();
    loop {
        let mut reader = cpio::NewcReader::new(&mut input).unwrap();
        if reader.entry().is_trailer() {
            break;
        }
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        found.insert(reader.entry().name().to_owned(), bytes);
        reader.finish().unwrap();
    }
    found
}

/// A module that names firmware.
fn module_with_firmware(names: &[&str]) -> Vec<u8> {
    const STRINGS: &[u8] = b"\0.shstrtab\0.modinfo\0";
    let mut modinfo = String::new();
    for name in names {
        let _ = write!(modinfo, "firmware={name}\0");
    }
    let mut bytes = elf(62);
    bytes.extend_from_slice(STRINGS);
    bytes.extend_from_slice(modinfo.as_bytes());
    let table = bytes.len() as u64;
    bytes[40..48].copy_from_slice(&table.to_le_bytes());
    bytes[58..64].copy_from_slice(&[64, 0, 3, 0, 1, 0]);
    for (name, offset, length) in [
        (0u32, 0, 0),
        (1, 64, STRINGS.len()),
        (11, 64 + STRINGS.len(), modinfo.len()),
    ] {
        let mut header = [0; 64];
        header[..4].copy_from_slice(&name.to_le_bytes());
        header[24..32].copy_from_slice(&(offset as u64).to_le_bytes());
        header[32..40].copy_from_slice(&(length as u64).to_le_bytes());
        bytes.extend_from_slice(&header);
    }
    bytes
}

/// One driver, three kinds of file: plain, compressed, not there.
#[test]
fn firmware_that_drivers_name_is_recorded_and_put_in() {
    require_root();
    let os = SmallOs::make();
    let names = ["nvme/plain.fw", "nvme/packed.fw", "nvme/absent.fw"];
    let module = format!("lib/modules/{KERNEL}/kernel/{NVME}");
    write(&os.root().join(module), module_with_firmware(&names));
    // One stands on the other, as qede on qed.
    let over = format!("lib/modules/{KERNEL}/kernel/drivers/net/over.ko");
    write(&os.root().join(over), elf(62));
    let dep = os.root().join(format!("lib/modules/{KERNEL}/modules.dep"));
    let mut text = fs::read_to_string(&dep).unwrap();
    let _ = writeln!(text, "kernel/drivers/net/over.ko: kernel/{NVME}");
    write(&dep, text);
    write(&os.root().join("lib/firmware/nvme/plain.fw"), "plain");
    let packed = zstd::encode_all(&b"packed"[..], 1).unwrap();
    write(&os.root().join("lib/firmware/nvme/packed.fw.zst"), packed);
    let image = fs::read(os.build("image")).unwrap();
    let drivers = manifest(&image).payload_drivers.unwrap();
    let firmware = drivers.firmware_of("nvme").unwrap();
    assert_eq!(firmware.there, ["nvme/packed.fw", "nvme/plain.fw"]);
    assert_eq!(firmware.missing, ["nvme/absent.fw"]);
    assert_eq!(drivers.firmware_of("over").unwrap().there, firmware.there);
    let found = initramfs(&image);
    assert_eq!(found["lib/firmware/nvme/plain.fw"], b"plain");
    assert_eq!(found["lib/firmware/nvme/packed.fw"], b"packed");
    assert!(!found.contains_key("lib/firmware/nvme/absent.fw"));
    // And what the new OS drives with it, the initrd included.
    assert_eq!(
        drivers.modules,
        ["ext4", "jbd2", "nvme", "over", "sd_mod", "xfs"]
    );
    assert_eq!(drivers.initrd, ["ext4", "jbd2", "nvme", "sd_mod"]);
}

#[test]
fn the_initramfs_holds_the_chosen_modules_decompressed() {
    require_root();
    let os = SmallOs::make();
    let image = fs::read(os.build("image")).unwrap();
    let found = initramfs(&image);
    let modules = format!("lib/modules/{KERNEL}");
    for path in ["kernel/fs/ext4/ext4.ko", "kernel/fs/jbd2/jbd2.ko"] {
        assert_eq!(found[&format!("{modules}/{path}")], elf(62), "{path}");
    }
    // For a root on it, and loaded for that alone.
    assert!(found.contains_key(&format!("{modules}/kernel/fs/xfs/xfs.ko")));
    let dep = String::from_utf8(found[&format!("{modules}/modules.dep")].clone()).unwrap();
    assert!(
        dep.contains("kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko\n"),
        "{dep}"
    );
    assert_eq!(found["bin/sh"], b"busybox");
    assert_eq!(found["init"], elf(62));
    assert!(found.contains_key("dev/console"));
    assert!(manifest(&image).initramfs.unpacked_bytes > 5 * 4096);
}

#[test]
fn every_kind_of_tarball_gives_the_same_payload() {
    require_root();
    let os = SmallOs::make();
    let payload = |name: &str| {
        let image = fs::read(os.build(name)).unwrap();
        Digest::of(part(&image, PartKind::Payload))
    };
    let expected = payload("directory.reroot");
    let tar = os.folder().join("root.tar");
    succeed(
        Command::new("tar")
            .args(["--xattrs", "--xattrs-include=*", "--acls", "-C"])
            .arg(os.root())
            .arg("-cf")
            .arg(&tar)
            .arg("."),
    );
    let plain = fs::read(&tar).unwrap();
    os.recipe("tarball = \"root.tar\"");
    assert_eq!(payload("plain"), expected, "plain");
    for tool in ["gzip", "xz", "zstd"] {
        // The name says nothing: what counts is how the file begins.
        fs::write(&tar, &plain).unwrap();
        let packed = Command::new(tool).arg("-1c").arg(&tar).output().unwrap();
        assert!(packed.status.success(), "{tool}");
        fs::write(&tar, packed.stdout).unwrap();
        assert_eq!(payload(tool), expected, "{tool}");
    }
    fs::write(&tar, &plain[..plain.len() / 2]).unwrap();
    refused(
        &mut os.build_command(&os.place.path().join("cut")),
        &["extract the tarball", "root.tar"],
    );
    assert!(!os.place.path().join("cut").exists());
}

#[test]
fn inspect_tells_people_and_programs_the_same() {
    require_root();
    let os = SmallOs::make();
    let image = os.build("image");
    let text = succeed(reroot(&["inspect"]).arg(&image));
    for part in [
        "Small OS 1",
        KERNEL,
        "/home",
        "payload",
        "small, format 1",
        "this kernel cannot run 64-bit programs",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let json = succeed(reroot(&["inspect", "--json"]).arg(&image));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let bytes = fs::read(&image).unwrap();
    let table = trailer(&bytes);
    assert_eq!(json["kind"], "reroot-inspect");
    for kind in PartKind::ALL {
        let said = &json["parts"][kind as usize];
        assert_eq!(said["name"], kind.name());
        assert_eq!(said["offset"], table.part(kind).offset);
        assert_eq!(said["digest"], table.part(kind).digest.to_string());
    }
    assert_eq!(json["manifest"]["os"]["pretty_name"], "Small OS 1");
}

#[test]
fn unpack_gives_each_part_as_a_file() {
    require_root();
    let os = SmallOs::make();
    let image = os.build("image");
    let folder = os.place.path().join("parts");
    succeed(reroot(&["unpack"]).arg(&image).arg(&folder));
    let bytes = fs::read(&image).unwrap();
    for (name, kind) in [
        ("launcher", PartKind::Launcher),
        ("kernel", PartKind::Kernel),
        ("initramfs", PartKind::Initramfs),
        ("payload.tar.zst", PartKind::Payload),
        ("manifest.json", PartKind::Manifest),
    ] {
        assert!(
            fs::read(folder.join(name)).unwrap() == part(&bytes, kind),
            "{name}"
        );
    }
    assert_eq!(names(&folder).len(), 5);
    refused(
        reroot(&["unpack"]).arg(&image).arg(&folder),
        &["is not empty"],
    );

    let mut bad = bytes.clone();
    let at = trailer(&bytes).part(PartKind::Payload).offset as usize + 100;
    bad[at] ^= 1;
    let damaged = os.place.path().join("damaged");
    fs::write(&damaged, bad).unwrap();
    let other = os.place.path().join("other");
    refused(
        reroot(&["unpack"]).arg(&damaged).arg(&other),
        &["the payload is damaged"],
    );
    assert!(!other.exists());
    assert!(!names(os.place.path())
        .iter()
        .any(|name| name.starts_with(".reroot-")));
}

#[test]
fn completions_and_manuals_cover_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let text = succeed(&mut reroot(&["completions", shell]));
        for word in ["build", "inspect", "verify", "unpack", "keyring"] {
            assert!(text.contains(word), "{shell}: {word}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    succeed(reroot(&["man"]).arg(folder.path().join("man1")));
    let pages = names(&folder.path().join("man1"));
    for page in [
        "reroot.1",
        "reroot-build.1",
        "reroot-verify.1",
        "reroot-unpack.1",
    ] {
        assert!(
            pages.iter().any(|name| name == page),
            "{page} is not in {pages:?}"
        );
    }
    let mut text = String::new();
    let page = folder.path().join("man1/reroot-build.1");
    File::open(page).unwrap().read_to_string(&mut text).unwrap();
    assert!(text.contains("image.toml"), "{text}");
}
