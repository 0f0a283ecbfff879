//! What a Debian has on its EFI system partition where Secure Boot is on: shim, signed by a key that every firmware
//! of these years has, and GRUB, signed by Debian. Both come as they are from Debian's packages, kept under
//! `target/base/`; the machine's kernel is signed anyway.
//!
//! They are put where `grub-install --uefi-secure-boot` and its `--removable` have them, with the same few lines in
//! `EFI/debian/grub.cfg`, for the signed GRUB looks there and nowhere else.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{ensure, Context, Result};

use crate::base::{digest, forget_others, say};
use crate::command::run;
use crate::vm::Machine;
use crate::{debian, lock, paths};

/// The packages, and what of each is wanted under which name.
const FILES: [(&str, &str, &str); 3] = [
    (
        "shim-signed",
        "usr/lib/shim/shimx64.efi.signed",
        "shimx64.efi",
    ),
    (
        "shim-helpers-amd64-signed",
        "usr/lib/shim/mmx64.efi.signed",
        "mmx64.efi",
    ),
    (
        "grub-efi-amd64-signed",
        "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
        "grubx64.efi",
    ),
];

/// A directory with `shimx64.efi`, `mmx64.efi` and `grubx64.efi` of this suite.
pub fn loaders(suite: &str) -> Result<PathBuf> {
    let prefix = format!("signed-{suite}-");
    let name = format!("{prefix}{}", digest(&[&format!("{FILES:?}")]));
    let directory = paths::base().join(&name);
    let _lock = lock::exclusive(&paths::base().join(format!("signed-{suite}.lock")))?;
    if directory.exists() {
        return Ok(directory);
    }
    say(&format!("fetching the signed loaders of {suite}"));
    let scratch = tempfile::tempdir_in(paths::base()).context("create a scratch directory")?;
    let at = |name: &str| scratch.path().join(name);
    for folder in ["packages", "unpacked", "made"] {
        fs::create_dir(at(folder)).with_context(|| format!("create {folder}"))?;
    }
    let names = FILES.map(|(package, ..)| package);
    for package in debian::newest_packages(suite, &names, &at("packages"))? {
        run(Command::new("dpkg-deb")
            .arg("-x")
            .arg(package)
            .arg(at("unpacked")))?;
    }
    for (package, from, to) in FILES {
        fs::copy(at("unpacked").join(from), at("made").join(to))
            .with_context(|| format!("take {from} out of {package}"))?;
    }
    fs::rename(at("made"), &directory).with_context(|| format!("name {}", directory.display()))?;
    forget_others(&name, &prefix);
    Ok(directory)
}

/// Where each goes on the EFI system partition: by a variable's path, and by the one that a firmware falls back to.
const PLACES: [(&str, &str); 5] = [
    ("shimx64.efi", "EFI/debian/shimx64.efi"),
    ("shimx64.efi", "EFI/BOOT/BOOTX64.EFI"),
    ("mmx64.efi", "EFI/debian/mmx64.efi"),
    ("grubx64.efi", "EFI/debian/grubx64.efi"),
    ("grubx64.efi", "EFI/BOOT/grubx64.efi"),
];

/// Has the machine start by them from its next start on; its EFI system partition is mounted, and its GRUB's
/// configuration is on the root with this UUID. It is left as a machine is that is switched off in order.
pub fn start_by_them(machine: &Machine, suite: &str, root_uuid: &str) -> Result<()> {
    let loaders = loaders(suite)?;
    let places = PLACES.map(|(_, place)| place);
    let mut script =
        "set -e\nrm -r /boot/efi/EFI\nmkdir -p /boot/efi/EFI/BOOT /boot/efi/EFI/debian\n"
            .to_owned();
    for (name, place) in PLACES {
        let from = format!("/tmp/{name}");
        machine.copy_to(&loaders.join(name), &from)?;
        let _ = writeln!(script, "cp {from} /boot/efi/{place}");
    }
    let _ = write!(
        script,
        "cat >/boot/efi/EFI/debian/grub.cfg <<'GRUB'\n\
         search.fs_uuid {root_uuid} root\n\
         set prefix=($root)'/boot/grub'\n\
         configfile $prefix/grub.cfg\n\
         GRUB\n\
         cd /boot/efi && ls {} && cd /\n\
         umount /boot/efi\n\
         mount -o remount,ro / && sync\n",
        places.join(" ")
    );
    let said = machine.script(&script)?;
    ensure!(said.lines().count() == PLACES.len(), "{said}");
    Ok(())
}
