//! What is refused: damaged images, and builds that cannot come out well. Nothing is left behind.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::program::{elf, refused, require_root, reroot, succeed};
use crate::small_os::{initrd, noise, SmallOs, KERNEL, NVME};
use formats::trailer::{PartKind, Trailer, TRAILER_SIZE};

/// A small filesystem of its own, gone with the value.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(size: &str) -> SmallDisk {
        let folder = tempfile::tempdir().unwrap();
        succeed(
            Command::new("mount")
                .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
                .arg(folder.path()),
        );
        SmallDisk(folder)
    }

    fn is_empty(&self) -> bool {
        fs::read_dir(self.0.path()).unwrap().next().is_none()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

fn verify(image: &Path) -> Command {
    let mut command = reroot(&["verify"]);
    command.arg(image);
    command
}

#[test]
fn verify_finds_one_flipped_byte_anywhere() {
    require_root();
    let os = SmallOs::make();
    let image = os.build("image");
    assert!(succeed(&mut verify(&image)).contains("good; 5 parts"));
    let good = fs::read(&image).unwrap();
    let end = good.len() - TRAILER_SIZE;
    let trailer = Trailer::decode(good[end..].try_into().unwrap(), good.len() as u64).unwrap();
    let mut cases: Vec<(usize, String)> = Vec::new();
    for kind in PartKind::ALL {
        let part = trailer.part(kind);
        for at in [0, part.length / 2, part.length - 1] {
            let says = format!("the {} is damaged", kind.name());
            cases.push(((part.offset + at) as usize, says));
        }
    }
    let launcher_end = trailer.part(PartKind::Launcher).length as usize;
    cases.push((
        launcher_end,
        format!("byte {launcher_end} between the parts is not zero"),
    ));
    cases.push((end, "this is not a reroot image".into()));
    cases.push((end + 100, "the trailer is damaged".into()));
    cases.push((good.len() - 1, "the trailer is damaged".into()));
    let bad = os.place.path().join("bad");
    for (at, says) in cases {
        let mut bytes = good.clone();
        bytes[at] ^= 0x40;
        fs::write(&bad, bytes).unwrap();
        refused(&mut verify(&bad), &[&says]);
    }
}

#[test]
fn verify_names_what_a_file_is_not() {
    require_root();
    let os = SmallOs::make();
    let good = fs::read(os.build("image")).unwrap();
    let bad = os.place.path().join("bad");
    let end = good.len() - TRAILER_SIZE;
    for length in [0, 1, TRAILER_SIZE, good.len() / 2, good.len() - 1] {
        fs::write(&bad, &good[..length]).unwrap();
        refused(&mut verify(&bad), &["cut short"]);
    }
    let mut newer = good.clone();
    newer[end + 8] = 2;
    fs::write(&bad, newer).unwrap();
    refused(&mut verify(&bad), &["version 2", "reads version 1"]);
    let mut needy = good.clone();
    needy[end + 12] = 4;
    fs::write(&bad, needy).unwrap();
    refused(&mut verify(&bad), &["requires features 0x4"]);
    refused(
        &mut verify(&os.place.path().join("absent")),
        &["No such file"],
    );
}

/// `MODULES=dep` has the drivers of the machine that made it.
#[test]
fn an_initrd_for_one_machine_alone_makes_no_image() {
    require_root();
    let os = SmallOs::make();
    let image = os.place.path().join("image");
    for (bytes, says) in [
        (
            initrd(&["fs/ext4/ext4.ko", "fs/jbd2/jbd2.ko"]),
            "no drivers for nvme",
        ),
        (initrd(&["fs/ext4/ext4.ko", NVME]), "no drivers for ext4"),
        (noise(5_000), "cannot be looked into: it is no archive"),
    ] {
        let path = os.root().join(format!("boot/initrd.img-{KERNEL}"));
        fs::write(path, bytes).unwrap();
        refused(&mut os.build_command(&image), &[says]);
    }
}

#[test]
fn a_full_disk_leaves_nothing_behind() {
    require_root();
    let os = SmallOs::make();
    let disk = SmallDisk::mount("1m");
    let target = disk.0.path().join("image");
    let full = [
        "No space left on device",
        "free space on that filesystem",
        "no image was written",
    ];
    refused(&mut os.build_command(&target), &full);
    assert!(disk.is_empty(), "a part of the image is left");

    let elsewhere = os.place.path().join("image");
    refused(
        os.build_command(&elsewhere).env("TMPDIR", disk.0.path()),
        &["No space left on device"],
    );
    assert!(disk.is_empty(), "a part of the root filesystem is left");
    assert!(!elsewhere.exists());
}

#[test]
fn a_build_that_is_told_to_stop_leaves_nothing_behind() {
    require_root();
    let os = SmallOs::make();
    fs::write(os.root().join("usr/share/more"), noise(40_000_000)).unwrap();
    let work = tempfile::tempdir().unwrap();
    let mut child = os
        .build_command(&work.path().join("image"))
        .args(["--level", "19", "--threads", "1"])
        .env("TMPDIR", work.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        if line.starts_with("packing") {
            let id = child.id().to_string();
            succeed(Command::new("kill").args(["-TERM", &id]));
        }
        said.push_str(&line);
    }
    assert_eq!(child.wait().unwrap().code(), Some(1), "{said}");
    assert!(said.contains("interrupted"), "{said}");
    assert!(
        fs::read_dir(work.path()).unwrap().next().is_none(),
        "something is left"
    );
}

#[test]
fn an_image_that_exists_outlives_a_failed_build() {
    require_root();
    let os = SmallOs::make();
    let image = os.build("image");
    let before = fs::read(&image).unwrap();
    fs::remove_file(os.root().join(format!("boot/initrd.img-{KERNEL}"))).unwrap();
    let says = [
        &format!("/boot/initrd.img-{KERNEL}") as &str,
        "initramfs-tools",
    ];
    refused(&mut os.build_command(&image), &says);
    assert!(fs::read(&image).unwrap() == before);
    let here = fs::read_dir(os.place.path()).unwrap();
    assert_eq!(here.count(), 4, "launcher, init, the folder and the image");
}

/// A change of the folder, and what the build says to it.
type Case = (&'static str, fn(&SmallOs), &'static [&'static str]);

const FOLDERS: &[Case] = &[
    (
        "no grub",
        |os| remove(os, "usr/lib/grub/i386-pc/moddep.lst"),
        &["grub-pc-bin"],
    ),
    (
        "no init",
        |os| remove(os, "sbin/init"),
        &["/sbin/init", "systemd-sysv"],
    ),
    (
        "no modules",
        |os| remove(os, "lib/modules/6.1.0-test/modules.dep"),
        &["linux-image-amd64"],
    ),
    (
        "no kernel",
        |os| remove(os, "boot/vmlinuz-6.1.0-test"),
        &["linux-image-amd64"],
    ),
    (
        "a kernel that is none",
        |os| fs::write(os.root().join("boot/vmlinuz-6.1.0-test"), "kernel").unwrap(),
        &["no x86 kernel", "amd64"],
    ),
    (
        "another architecture",
        |os| fs::write(os.root().join("usr/lib/systemd/systemd"), elf(183)).unwrap(),
        &["not for x86-64", "ELF machine 183", "amd64"],
    ),
    (
        "a module that is missing",
        |os| remove(os, "lib/modules/6.1.0-test/kernel/fs/jbd2/jbd2.ko"),
        &["read the module", "jbd2.ko"],
    ),
    (
        "a launcher for another architecture",
        |os| fs::write(os.place.path().join("launcher"), elf(40)).unwrap(),
        &[
            "cannot be reroot-launch",
            "ELF machine 40",
            "--launcher PATH",
        ],
    ),
    (
        "an init that is missing",
        |os| fs::remove_file(os.place.path().join("init")).unwrap(),
        &["init does not exist", "--init PATH"],
    ),
    (
        "a rescue shell that is none",
        |os| fs::write(os.folder().join("rescue"), "#!/bin/sh").unwrap(),
        &["cannot be the rescue shell", "busybox-static"],
    ),
    (
        "a hook that fails",
        add_hook,
        &["run the hook", "hooks/hook", "its last lines"],
    ),
    (
        "a mistake in image.toml",
        |os| os.recipe("directory = \"root\"\nsuites = \"x\""),
        &[
            "image.toml, line 5, [source] suites",
            "unknown field `suites`",
            "docs/images.md",
        ],
    ),
    (
        "no image.toml",
        |os| fs::remove_file(os.folder().join("image.toml")).unwrap(),
        &["image.toml does not exist", "images/trixie"],
    ),
];

/// Adds a hook that fails.
fn add_hook(os: &SmallOs) {
    let path = os.folder().join("hooks/hook");
    fs::create_dir(os.folder().join("hooks")).unwrap();
    fs::write(&path, "#!/bin/sh\nexit 1\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let file = os.folder().join("image.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("hooks = [\"hook\"]\n{text}")).unwrap();
}

fn remove(os: &SmallOs, path: &str) {
    fs::remove_file(os.root().join(path)).unwrap();
}

#[test]
fn a_folder_that_cannot_become_an_image_is_refused_with_the_way_out() {
    require_root();
    for (name, change, says) in FOLDERS {
        eprintln!("case: {name}");
        let os = SmallOs::make();
        change(&os);
        let work = tempfile::tempdir().unwrap();
        let image: PathBuf = work.path().join("image");
        refused(os.build_command(&image).env("TMPDIR", work.path()), says);
        assert!(
            fs::read_dir(work.path()).unwrap().next().is_none(),
            "{name}: something is left"
        );
    }
}

#[test]
fn only_root_may_build() {
    require_root();
    let os = SmallOs::make();
    fs::set_permissions(os.place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // The program itself may lie where nobody else may look.
    let program = os.place.path().join("reroot");
    fixtures::program::put(env!("CARGO_BIN_EXE_reroot"), &program);
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(program)
        .arg("build")
        .arg(os.folder())
        .args(["-o", "/tmp/never.reroot"]);
    refused(&mut command, &["only root", "sudo"]);
}

#[test]
fn usage_errors_exit_with_2() {
    for arguments in [&["build"][..], &["build", "x"], &["verify"], &["fly"]] {
        let output = reroot(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(output.stdout, b"", "{arguments:?}");
    }
}
