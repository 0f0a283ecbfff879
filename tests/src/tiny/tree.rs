//! The trees of tiny OSes, picked out of Debian's packages by `tree.sh` and kept as tarballs.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::base::{digest, forget_others, say};
use crate::command::run;
use crate::{debian, lock, paths};

/// The suite of tiny old servers.
pub const OLD: &str = "bullseye";
/// The suite of the tiny new OS.
pub const NEW: &str = "trixie";

const PACKAGES: &[&str] = &[
    "attr",
    "busybox-static",
    "e2fsprogs",
    "grub-efi-amd64-bin",
    "grub-pc-bin",
    "grub2-common",
    "kmod",
    "linux-image-cloud-amd64",
    "lvm2",
    "mdadm",
    "openssh-server",
];
/// Those that the new OS has besides: `xfs_repair` and `btrfs` are for the RAM environment.
const NEW_PACKAGES: &[&str] = &["btrfs-progs", "xfsprogs"];

const SCRIPT: &str = concat!(include_str!("pick.sh"), include_str!("tree.sh"));
/// Programs of a tiny OS that are no package's: where each goes, and its text.
const OWN: [(&str, &str); 3] = [
    ("usr/sbin/tiny-start", include_str!("start")),
    ("usr/sbin/units", include_str!("units")),
    ("etc/udhcpc/default.script", include_str!("udhcpc")),
];

fn packages(suite: &str) -> Vec<&'static str> {
    let more = if suite == NEW { NEW_PACKAGES } else { &[] };
    [PACKAGES, more].concat()
}

/// The tree of a tiny OS of this suite, as a tarball.
pub fn tree(suite: &str) -> Result<PathBuf> {
    let mut parts = vec![suite, SCRIPT];
    let of_suite = packages(suite);
    let packages = debian::key(suite, &of_suite);
    parts.push(&packages);
    parts.extend(OWN.iter().map(|(_, text)| *text));
    let prefix = format!("tiny-{suite}-");
    let name = format!("{prefix}{}.tar", digest(&parts));
    let tarball = paths::base().join(&name);
    let _lock = lock::exclusive(&paths::base().join(format!("tiny-{suite}.lock")))?;
    if tarball.exists() {
        return Ok(tarball);
    }
    let whole = debian::tarball(suite, &of_suite, &format!("tiny-packages-{suite}-"))?;
    say(&format!("picking a tiny OS out of {suite}"));
    let scratch = tempfile::tempdir_in(paths::base()).context("create a scratch directory")?;
    let root = scratch.path().join("root");
    fs::create_dir(&root).context("create the tree's directory")?;
    debian::unpack(&whole, &root)?;
    for (path, text) in OWN {
        let own = root.join("tiny").join(path);
        fs::create_dir_all(own.parent().context("a directory")?)?;
        fs::write(&own, text).with_context(|| format!("write {path}"))?;
        run(Command::new("chmod").arg("755").arg(&own))?;
    }
    run(&mut debian::script_in(&root, SCRIPT))?;
    debian::pack(&root.join("tiny"), &tarball)?;
    forget_others(&name, &prefix);
    Ok(tarball)
}
