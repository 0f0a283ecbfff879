//! A guest that makes disks: what the host's kernel cannot do, for it may have no device-mapper and no md, is
//! done by Debian's own lvm2 and mdadm in a machine that boots in seconds and runs one script.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{ensure, Context, Result};

use crate::bare::{self, Bare};
use crate::base::{digest, forget_others, say};
use crate::command::{last_lines, run};
use crate::old_server::only_kernel;
use crate::{debian, lock, paths};

use super::tree::OLD;

/// What a script may use, beside what every Debian has.
const PACKAGES: &[&str] = &[
    "busybox-static",
    "dosfstools",
    "e2fsprogs",
    "fdisk",
    "kmod",
    "linux-image-cloud-amd64",
    "lvm2",
    "mdadm",
    "mount",
    "tar",
    "xfsprogs",
];
const SCRIPT: &str = include_str!("maker.sh");
/// Bytes of its own disk.
const OWN_DISK: u64 = 2 << 30;
const PREFIX: &str = "tiny-maker-";
const MEMORY_MIB: u32 = 512;
/// How long a script may take on real hardware.
const LIMIT: Duration = Duration::from_mins(2);
/// What nothing asks for by itself, before a script.
const MODULES: &str = "modprobe -a dm-mod raid1 xfs\n";
/// What the guest says behind what its script has said.
const ENDED: &str = "maker: ended with ";

/// The guest's files.
#[derive(Debug)]
pub struct Maker {
    kernel: PathBuf,
    initramfs: PathBuf,
    disk: PathBuf,
}

/// The guest, made if it is not there yet. The suite is that of tiny old servers, so that a disk is as an
/// installer of that time makes it.
pub fn maker() -> Result<Maker> {
    let name = format!("{PREFIX}{}", digest(&[&debian::key(OLD, PACKAGES), SCRIPT]));
    let directory = paths::base().join(&name);
    let maker = Maker {
        kernel: directory.join("vmlinuz"),
        initramfs: directory.join("maker.cpio"),
        disk: directory.join("disk.raw"),
    };
    let _lock = lock::exclusive(&paths::base().join("tiny-maker.lock"))?;
    if directory.exists() {
        return Ok(maker);
    }
    let tarball = debian::tarball(OLD, PACKAGES, "tiny-packages-maker-")?;
    say("making the guest that makes disks");
    let scratch = tempfile::tempdir_in(paths::base()).context("create a scratch directory")?;
    let (tree, made) = (scratch.path().join("tree"), scratch.path().join("made"));
    fs::create_dir(&tree).context("create the tree's directory")?;
    fs::create_dir(&made).context("create the guest's directory")?;
    debian::unpack(&tarball, &tree)?;
    run(&mut debian::script_in(&tree, SCRIPT))?;
    fs::copy(only_kernel(&tree)?, made.join("vmlinuz")).context("copy the kernel")?;
    fs::rename(tree.join("maker.cpio"), made.join("maker.cpio")).context("take its initramfs")?;
    let disk = made.join("disk.raw");
    File::create(&disk)
        .and_then(|file| file.set_len(OWN_DISK))
        .context("make its disk")?;
    run(Command::new("mkfs.ext4")
        .args(["-q", "-F", "-O", "^orphan_file,^metadata_csum_seed", "-d"])
        .args([&tree, &disk]))?;
    fs::rename(&made, &directory).with_context(|| format!("name {}", directory.display()))?;
    forget_others(&name, PREFIX);
    Ok(maker)
}

impl Maker {
    /// Runs a shell script (`sh -eu`, as root) to its end, which has to be 0, and gives what it has said.
    ///
    /// `disks` are raw files, `/dev/vdb` and on for it, in this order; the kernel reads the partition table of
    /// each when it starts, so that `/dev/vdb1` is there. A tar archive may be one of them, and is read by
    /// `tar -xf /dev/vdc`. What the script writes to its own root is gone afterwards.
    pub fn run(&self, script: &str, disks: &[&Path]) -> Result<String> {
        let mut initramfs = fs::read(&self.initramfs).context("read the guest's initramfs")?;
        initramfs.resize(initramfs.len().next_multiple_of(4), 0);
        initramfs.extend(bare::initramfs(&[bare::File {
            name: "script".to_owned(),
            bytes: [MODULES, script].concat().into_bytes(),
        }])?);
        let drive =
            |path: &Path, more: &str| format!("file={},format=raw,if=virtio{more}", path.display());
        let mut drives = vec![drive(&self.disk, ",snapshot=on")];
        drives.extend(disks.iter().map(|disk| drive(disk, ",cache=unsafe")));
        let more: Vec<&str> = drives.iter().flat_map(|d| ["-drive", d.as_str()]).collect();
        let guest = Bare {
            kernel: &self.kernel,
            initramfs: &initramfs,
            cmdline: "quiet",
            memory_mib: MEMORY_MIB,
            board: "pc",
            more: &more,
        };
        let console = guest.run(LIMIT)?;
        let (said, status) = console.split_once(ENDED).with_context(|| {
            format!("the guest has run no script:\n{}", last_lines(&console, 40))
        })?;
        let status = status.lines().next().unwrap_or_default().trim();
        ensure!(
            status == "0",
            "the script ended with {status}:\n{}",
            last_lines(said, 40)
        );
        Ok(said.to_owned())
    }
}
