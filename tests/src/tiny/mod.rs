//! Tiny machines: servers that boot in a few seconds in emulation, on every kind of disk.
//!
//! The old server is a Debian 11 of some forty megabytes, the new OS a Debian 13 of the same kind; both
//! are picked out of Debian's own packages by `tree.sh`. Kernel, GRUB, ssh server, e2fsck and the tools
//! that kept data is measured with are Debian's; the init is busybox's, with the few lines in
//! `start` and `units`. What is about Debian's userspace (systemd, its packages' own scripts) belongs on
//! the large machines of `old_server.rs`.
//!
//! They are driven by ssh, as those are: a login costs half a second of an emulated processor, and all that
//! is known of how a machine answers, goes away and comes back serves both.

pub mod disk;
pub mod doors;
pub mod layouts;
pub mod maker;
pub mod mirror;
mod subvolumes;
mod tree;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{bail, Context, Result};

use self::layouts::{Kind, Layout, Subvolumes};
use crate::base::{digest, forget_others, say};
use crate::command::run;
use crate::disk::Disk;
use crate::old_server::{only_kernel, ssh_key, Firmware, OldServer};
use crate::shop_data::{self, Owners};
use crate::vm::{self, Machine};
use crate::{debian, lock, paths};

pub use tree::{tree, NEW, OLD};

/// Memory of a tiny machine, in MiB.
pub const MEMORY_MIB: u32 = 512;

/// By [`OLD_SCRIPT`].
const OWNERS: Owners = Owners {
    mysql: (111, 111),
    alice: (1000, 1000),
    shop: (112, 112),
};

const OLD_SCRIPT: &str = include_str!("old.sh");

/// A command that fails where a file of the OS is not as it was made.
pub const WHOLE: &str = "cd / && b2sum --quiet -c /usr/share/tiny.sums";

/// The old server on such a disk, made if it is not there yet.
pub fn server(layout: &Layout) -> Result<OldServer> {
    let tarball = tree(OLD)?;
    let key = digest(&[
        &tarball.display().to_string(),
        &key()?,
        &format!("{layout:?}"),
        include_str!("disk.rs"),
        include_str!("subvolumes.rs"),
    ]);
    let prefix = format!("tiny-server-{}-", layout.name);
    let name = format!("{prefix}{key}");
    let directory = paths::base().join(&name);
    let server = OldServer {
        disk: directory.join("disk.qcow2"),
        kernel: directory.join("vmlinuz"),
        directory: directory.clone(),
        firmware: Firmware::Bios,
    };
    let _lock = lock::exclusive(&paths::base().join(format!("tiny-{}.lock", layout.name)))?;
    if directory.exists() {
        return Ok(server);
    }
    if !rustix::process::geteuid().is_root() {
        bail!("making a tiny server's disk needs root; run `make test`");
    }
    say(&format!("making the tiny server {}", layout.name));
    let scratch = tempfile::tempdir_in(paths::base()).context("create a scratch directory")?;
    let tree = scratch.path().join("tree");
    let made = scratch.path().join("made");
    fs::create_dir(&made).context("create the disk's directory")?;
    let uuid_of = |kind, uuid: &'static str| if layout.has(kind) { uuid } else { "" };
    let volumes = layout.mounted_volumes();
    let mut mounted: Vec<String> = layout
        .mounted()
        .map(|(part, at, filesystem, options)| (part.number, at, filesystem, options))
        .chain(
            volumes.map(|(number, _, at, filesystem, options)| (number, at, filesystem, options)),
        )
        .map(|(number, at, filesystem, options)| {
            let uuid = disk::mounted_uuid(number);
            format!("UUID={uuid} {at} {} {options} 0 2", filesystem.name())
        })
        .collect();
    let subvolume = layout.subvolume();
    mounted.extend(layout.mounted_subvolumes().map(|(path, at, options)| {
        let uuid = disk::ROOT_UUID;
        format!("UUID={uuid} {at} btrfs {options},subvol={path} 0 0")
    }));
    let mut subvolumes = layout.subvolumes.iter();
    let by_default = subvolumes.any(|s| s.is == Subvolumes::Default);
    old_tree(
        &tree,
        &tarball,
        &[
            ("ROOT_TYPE", layout.root.name()),
            ("GRUB_MODULE", layout.root.grub_module()),
            ("ROOT_UUID", disk::ROOT_UUID),
            ("SUBVOLUME", &subvolume),
            ("NAMED_SUBVOLUME", if by_default { "" } else { &subvolume }),
            ("SWAP_UUID", uuid_of(Kind::Swap, disk::SWAP_UUID)),
            ("BOOT_UUID", uuid_of(Kind::Boot, disk::BOOT_UUID)),
            ("HOME_UUID", uuid_of(Kind::Home, disk::HOME_UUID)),
            ("MOUNTED", &mounted.join("\n")),
            ("ESP_UUID", uuid_of(Kind::Esp, disk::ESP_UUID)),
        ],
    )?;
    let kernel = only_kernel(&tree)?;
    fs::copy(kernel, made.join("vmlinuz")).context("copy the kernel")?;
    let first = made.join("by-hand.qcow2");
    disk::make(&tree, layout, &first)?;
    let made_server = OldServer {
        disk: first.clone(),
        kernel: made.join("vmlinuz"),
        directory: made.clone(),
        firmware: Firmware::Bios,
    };
    install_grub(&made_server, &made.join("disk.qcow2"))
        .with_context(|| format!("have GRUB install itself on {}", layout.name))?;
    fs::remove_file(&first).context("remove the first disk")?;
    fs::rename(&made, &directory).with_context(|| format!("name {}", directory.display()))?;
    forget_others(&name, &prefix);
    Ok(server)
}

fn public_key() -> Result<String> {
    let key = fs::read_to_string(ssh_key()?.with_extension("pub"));
    key.context("read the public half of the tests' ssh key")
}

/// What the tree of an old server depends on beside its packages.
fn key() -> Result<String> {
    Ok(digest(&[
        &public_key()?,
        OLD_SCRIPT,
        include_str!("../by_hand.rs"),
        include_str!("../shop_data.rs"),
    ]))
}

/// Makes the tree of an old server at `to`, which is told this of its filesystems.
fn old_tree(to: &Path, tarball: &Path, filesystems: &[(&str, &str)]) -> Result<()> {
    fs::create_dir(to).context("create the tree's directory")?;
    debian::unpack(tarball, to)?;
    // What a machine does not have is empty.
    let none = [
        "BOOT_UUID",
        "ESP_UUID",
        "HOME_UUID",
        "MOUNTED",
        "NAMED_SUBVOLUME",
        "SUBVOLUME",
        "SWAP_UUID",
    ]
    .map(|name| (name, ""));
    run(debian::script_in(to, OLD_SCRIPT)
        .env("ROOT_KEY", public_key()?.trim())
        .envs(none)
        .envs(filesystems.iter().copied()))?;
    shop_data::fill(to, OWNERS)
}

/// The old server on such a disk, booted.
pub fn boot(layout: &Layout, name: &str) -> Result<Machine> {
    let server = server(layout)?;
    let mut machine = Machine::boot(&server, name, MEMORY_MIB)?;
    machine.wait_for_old_ssh()?;
    Ok(machine)
}

/// Boots the server whose GRUB was put there by hand, and has GRUB's own program do it, which puts codes
/// behind the core image that mend it. `to` is the disk after that.
fn install_grub(server: &OldServer, to: &std::path::Path) -> Result<()> {
    let directory = vm::directory("tiny-grub")?;
    let disk = Disk::over(&server.disk, &directory.path().join("disk.qcow2"))?;
    let mut machine = vm::boot_disk(server, directory, disk, MEMORY_MIB)?;
    machine.wait_for_old_ssh()?;
    machine.expect("grub-install --no-floppy /dev/vda 2>&1")?;
    machine.expect(
        "swapoff -a
         umount /boot/efi /boot 2>/dev/null
         for place in $(awk '$1 ~ \"^/dev/\" && $2 != \"/\" { print $2 }' /proc/mounts | sort -r); do
             umount $place || mount -o remount,ro $place
         done
         mount -o remount,ro / && sync",
    )?;
    let off = machine.cut_power()?;
    run(Command::new("qemu-img")
        .args(["convert", "-O", "qcow2"])
        .arg(off.disk.path())
        .arg(to))?;
    Ok(())
}
