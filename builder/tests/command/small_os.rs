//! A hand-made image folder with the smallest tree that passes for an OS: no download, no
//! package tool, built in a moment.

use std::fs::{self, Permissions};
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::{elf, reroot, succeed};

/// The release of the tree's kernel.
pub const KERNEL: &str = "6.1.0-test";

/// A temporary image folder, with the programs that an image needs beside it.
pub struct SmallOs {
    /// Everything is below.
    pub place: tempfile::TempDir,
}

/// This machine's GRUB (packages grub-common, grub-pc-bin), put into the tree.
const MKIMAGE: &str = "/usr/bin/grub-mkimage";
const GRUB: &str = "/usr/lib/grub/i386-pc";

/// Puts a file of this machine into the tree, at the same path.
fn copy_in(root: &Path, path: &str) {
    let to = root.join(path.trim_start_matches('/'));
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(path, to).unwrap_or_else(|error| panic!("{path}: {error}"));
}

/// Puts in `grub-mkimage`, the libraries that it is linked with, and what it makes images of.
fn put_grub_in(root: &Path) {
    copy_in(root, MKIMAGE);
    let listed = Command::new("ldd").arg(MKIMAGE).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    for library in listed
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
    {
        copy_in(root, library);
    }
    for file in fs::read_dir(GRUB).expect("the package grub-pc-bin") {
        let path = file.unwrap().path();
        if path
            .extension()
            .is_some_and(|kind| kind == "mod" || kind == "img" || kind == "lst")
        {
            copy_in(root, path.to_str().unwrap());
        }
    }
}

/// Bytes that do not compress, always the same.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// The tree's one driver of disks, below `kernel/`.
pub const NVME: &str = "drivers/nvme/host/nvme.ko";

/// An initrd as initramfs-tools lays it out: microcode, then a compressed archive, with these modules.
pub fn initrd(modules: &[&str]) -> Vec<u8> {
    let mut bytes = archive(&["kernel/x86/microcode/GenuineIntel.bin".to_owned()]);
    let mut names = vec!["init".to_owned()];
    names.extend(
        modules
            .iter()
            .map(|module| format!("usr/lib/modules/{KERNEL}/kernel/{module}")),
    );
    bytes.extend(gzip(&archive(&names)));
    bytes
}

fn archive(names: &[String]) -> Vec<u8> {
    let mut out = Vec::new();
    for name in names {
        let entry = cpio::newc::Builder::new(name).mode(0o100_644);
        entry.write(&mut out, 0).finish().unwrap();
    }
    cpio::newc::trailer(&mut out).unwrap();
    out
}

/// Writes a file and the directories above it.
pub fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

impl SmallOs {
    /// Makes the folder; its source is the directory `root` in it.
    pub fn make() -> SmallOs {
        let os = SmallOs {
            place: tempfile::tempdir().unwrap(),
        };
        let root = os.root();
        let mut kernel = noise(20_000);
        kernel[0x202..0x206].copy_from_slice(b"HdrS");
        let modules = format!("lib/modules/{KERNEL}");
        for (path, bytes) in [
            (
                "etc/os-release",
                b"ID=small\nVERSION_ID=1\nPRETTY_NAME=\"Small OS 1\"\n".to_vec(),
            ),
            ("usr/lib/systemd/systemd", elf(62)),
            ("etc/default/grub", b"GRUB_DEFAULT=0\n".to_vec()),
            ("etc/ssh/ssh_host_rsa_key", b"secret".to_vec()),
            ("bin/busybox", fs::read("/bin/busybox").unwrap()),
            // Linked with nothing, as a checker may be.
            ("sbin/e2fsck", fs::read("/bin/busybox").unwrap()),
            ("usr/sbin/grub-mkconfig", b"".to_vec()),
            ("usr/sbin/update-grub", b"".to_vec()),
            ("usr/share/noise", noise(3_000_000)),
            (&format!("boot/vmlinuz-{KERNEL}"), kernel),
            (
                &format!("boot/initrd.img-{KERNEL}"),
                initrd(&["fs/ext4/ext4.ko", "fs/jbd2/jbd2.ko", NVME]),
            ),
            (
                &format!("{modules}/modules.dep"),
                b"kernel/fs/ext4/ext4.ko.gz: kernel/fs/jbd2/jbd2.ko\nkernel/fs/jbd2/jbd2.ko:\n\
                  kernel/drivers/nvme/host/nvme.ko:\nkernel/fs/xfs/xfs.ko:\n"
                    .to_vec(),
            ),
            (
                &format!("{modules}/modules.builtin"),
                b"kernel/drivers/scsi/sd_mod.ko\n".to_vec(),
            ),
            (
                &format!("{modules}/kernel/fs/ext4/ext4.ko.gz"),
                gzip(&elf(62)),
            ),
            (&format!("{modules}/kernel/fs/jbd2/jbd2.ko"), elf(62)),
            (&format!("{modules}/kernel/fs/xfs/xfs.ko"), elf(62)),
            (
                &format!("{modules}/kernel/drivers/nvme/host/nvme.ko"),
                elf(62),
            ),
        ] {
            write(&root.join(path), bytes);
        }
        put_grub_in(&root);
        symlink("busybox", root.join("bin/sh")).unwrap();
        fs::set_permissions(root.join("bin/busybox"), Permissions::from_mode(0o755)).unwrap();
        fs::create_dir_all(root.join("sbin")).unwrap();
        // An absolute link, as older releases have it: it must be read as one within the tree.
        symlink("/usr/lib/systemd/systemd", root.join("sbin/init")).unwrap();
        for folder in ["proc", "sys", "dev", "run", "tmp"] {
            fs::create_dir(root.join(folder)).unwrap();
        }
        std::os::unix::fs::chown(root.join("usr/share/noise"), Some(1234), Some(5678)).unwrap();
        fs::hard_link(root.join("usr/share/noise"), root.join("usr/share/again")).unwrap();
        write(&os.place.path().join("launcher"), elf(62));
        write(&os.place.path().join("init"), elf(62));
        write(&os.folder().join("rescue"), elf(62));
        os.recipe("directory = \"root\"");
        os
    }

    /// The image folder.
    pub fn folder(&self) -> PathBuf {
        self.place.path().join("small")
    }

    /// The tree.
    pub fn root(&self) -> PathBuf {
        self.folder().join("root")
    }

    /// Writes an image.toml with this source.
    pub fn recipe(&self, source: &str) {
        let text = format!(
            "keep = [\"/home\"]\nrescue = \"rescue\"\n[source]\n{source}\n\
             [boot]\nloader = \"grub-pc\"\nconsoles = [\"tty0\"]\n\
             [drivers]\nclasses = [\"nvme\"]\n"
        );
        write(&self.folder().join("image.toml"), text);
    }

    /// The command that builds an image.
    pub fn build_command(&self, output: &Path) -> Command {
        let mut command = reroot(&["build"]);
        command
            .arg(self.folder())
            .arg("-o")
            .arg(output)
            .arg("--launcher")
            .arg(self.place.path().join("launcher"))
            .arg("--init")
            .arg(self.place.path().join("init"));
        command
    }

    /// Builds an image and returns where it is.
    pub fn build(&self, name: &str) -> PathBuf {
        let output = self.place.path().join(name);
        succeed(&mut self.build_command(&output));
        output
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}
