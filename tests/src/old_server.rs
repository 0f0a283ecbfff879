//! The old server: a Debian 11 with a web server, a shop, a database's files and a person's home.
//!
//! Made once, kept under `target/base/` and keyed by a digest of everything that it is made from:
//! the packages, the script that runs in the tree, the data, how the disk is written. Needs root
//! for the owners and device nodes of the tree.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{bail, Context, Result};

use crate::base::{digest, forget_others, say};
use crate::command::{run, stdout_of};
use crate::lock;
use crate::shop_data::{self, Owners};
use crate::{cloud_disk, debian, disk, paths};

/// The suite of the old server: two before the one it is replaced with, so that one is skipped.
pub const SUITE: &str = "bullseye";

/// The root filesystem's UUID on every old server.
pub const ROOT_UUID: &str = "4f3c1a52-93d7-4e0b-8c36-d1f1c6a0be11";

pub(crate) const PACKAGES: &[&str] = &[
    "acl",
    "attr",
    "ca-certificates",
    "e2fsprogs",
    "grub-pc",
    "ifupdown",
    "initramfs-tools",
    "iproute2",
    "iputils-ping",
    "isc-dhcp-client",
    "kmod",
    "libcap2-bin",
    "linux-image-amd64",
    "nginx-light",
    "openssh-server",
    "procps",
    "systemd-sysv",
    "udev",
];

pub(crate) const SCRIPT: &str = include_str!("old_server.sh");

/// The old server as files on this machine, to be used as they are and never written.
#[derive(Debug, Clone)]
pub struct OldServer {
    /// The disk, a qcow2 file for others to be layered on.
    pub disk: PathBuf,
    /// The kernel alone, for trial guests.
    pub kernel: PathBuf,
    /// The directory that these are in, for what is derived from them.
    pub directory: PathBuf,
    /// What starts it.
    pub firmware: Firmware,
}

/// What starts a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firmware {
    /// `SeaBIOS`.
    Bios,
    /// OVMF, with Secure Boot off and variables of the machine's own.
    Uefi,
    /// OVMF with Secure Boot on, by the keys that firmware is sold with.
    UefiSecure,
}

/// The private half of the key that logs in as root.
pub fn ssh_key() -> Result<PathBuf> {
    let key = paths::base().join("ssh/id_ed25519");
    let _lock = lock::exclusive(&paths::base().join("ssh.lock"))?;
    if !key.exists() {
        fs::create_dir_all(paths::base().join("ssh")).context("create target/base/ssh")?;
        run(Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "reroot-tests", "-f"])
            .arg(&key))?;
    }
    Ok(key)
}

/// What its disk is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DiskKind {
    /// A master boot record and one partition.
    Plain,
    /// As clouds have it, see [`cloud_disk`].
    Cloud,
}

impl DiskKind {
    /// How its directories' names begin.
    fn prefix(self) -> &'static str {
        match self {
            DiskKind::Plain => "old-server-",
            DiskKind::Cloud => "hybrid-server-",
        }
    }

    /// What runs in its tree.
    fn script(self) -> String {
        match self {
            DiskKind::Plain => SCRIPT.to_owned(),
            DiskKind::Cloud => {
                let efi = format!(
                    "\necho 'PARTUUID={} /boot/efi vfat defaults,x-systemd.device-timeout=30min 0 0' >>/etc/fstab\nmkdir /boot/efi\n",
                    cloud_disk::EFI_GUID
                );
                SCRIPT.replace("msdos", "gpt") + &efi
            }
        }
    }

    /// The text that says how it is written.
    fn source(self) -> &'static str {
        match self {
            DiskKind::Plain => concat!(include_str!("disk.rs"), include_str!("by_hand.rs")),
            DiskKind::Cloud => concat!(include_str!("cloud_disk.rs"), include_str!("by_hand.rs")),
        }
    }
}

/// The old server, made if it is not there yet (about two minutes, with the archive at hand).
pub fn old_server() -> Result<OldServer> {
    server_on(DiskKind::Plain)
}

/// The same in a cloud, with a GUID partition table.
pub fn cloud_server() -> Result<OldServer> {
    server_on(DiskKind::Cloud)
}

/// The same disk, started by UEFI.
pub fn cloud_server_by_uefi() -> Result<OldServer> {
    let server = cloud_server()?;
    Ok(OldServer {
        firmware: Firmware::Uefi,
        ..server
    })
}

fn server_on(kind: DiskKind) -> Result<OldServer> {
    let public_key = fs::read_to_string(ssh_key()?.with_extension("pub"))
        .context("read the public half of the tests' ssh key")?;
    let tree_key = debian::key(SUITE, PACKAGES);
    let disk_key = digest(&[
        &tree_key,
        &public_key,
        &kind.script(),
        include_str!("shop_data.rs"),
        kind.source(),
    ]);
    let name = format!("{}{disk_key}", kind.prefix());
    let directory = paths::base().join(&name);
    let server = OldServer {
        disk: directory.join("disk.qcow2"),
        kernel: directory.join("vmlinuz"),
        directory: directory.clone(),
        firmware: Firmware::Bios,
    };
    let _lock = lock::exclusive(&paths::base().join("old-server.lock"))?;
    if directory.exists() {
        return Ok(server);
    }
    if !rustix::process::geteuid().is_root() {
        bail!("making the old server's disk needs root; run `make test` or `make demo`");
    }
    let tarball = debian::tarball(SUITE, PACKAGES, &format!("{SUITE}-"))?;

    say(&format!(
        "making the old server's disk in {}",
        directory.display()
    ));
    let scratch = tempfile::tempdir_in(paths::base()).context("create a scratch directory")?;
    let tree = scratch.path().join("tree");
    let made = scratch.path().join("made");
    fs::create_dir(&tree).context("create the tree's directory")?;
    fs::create_dir(&made).context("create the disk's directory")?;
    run(Command::new("tar")
        .args(["--numeric-owner", "--xattrs", "--xattrs-include=*", "-xpf"])
        .arg(&tarball)
        .arg("-C")
        .arg(&tree))?;
    run(debian::script_in(&tree, &kind.script())
        .env("ROOT_UUID", ROOT_UUID)
        .env("ROOT_KEY", public_key.trim()))?;
    shop_data::fill(&tree, owners(&tree)?)?;
    fs::copy(only_kernel(&tree)?, made.join("vmlinuz")).context("copy the kernel")?;
    let to = made.join("disk.qcow2");
    match kind {
        DiskKind::Plain => disk::make(&tree, ROOT_UUID, &to)?,
        DiskKind::Cloud => cloud_disk::make(&tree, ROOT_UUID, &to)?,
    }
    fs::rename(&made, &directory).with_context(|| format!("name {}", directory.display()))?;
    forget_others(&name, kind.prefix());
    Ok(server)
}

/// The numbers that the tree gave to the accounts of [`SCRIPT`].
pub(crate) fn owners(tree: &Path) -> Result<Owners> {
    let of = |name: &str| -> Result<(u32, u32)> {
        let ids = stdout_of(Command::new("chroot").arg(tree).args([
            "/bin/sh",
            "-c",
            &format!("echo $(id -u {name}) $(id -g {name})"),
        ]))?;
        let (user, group) = ids.split_once(' ').context("two numbers from id")?;
        Ok((user.parse()?, group.parse()?))
    };
    Ok(Owners {
        mysql: of("mysql")?,
        alice: of("alice")?,
        shop: of("shop")?,
    })
}

/// The kernel of a tree that has one.
pub fn only_kernel(tree: &Path) -> Result<PathBuf> {
    for entry in fs::read_dir(tree.join("boot")).context("read the tree's /boot")? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("vmlinuz-") {
            return Ok(entry.path());
        }
    }
    bail!("the tree has no kernel in /boot")
}
