//! Debian trees as tarballs under `target/base/`, made once by mmdebstrap.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::base::{digest, forget_others, say};
use crate::command::run;
use crate::{mirror, paths};

const MMDEBSTRAP: [&str; 3] = [
    "--variant=minbase",
    "--components=main",
    "--keyring=/usr/share/keyrings/debian-archive-keyring.gpg",
];

/// What a tree of these packages depends on.
pub(crate) fn key(suite: &str, packages: &[&str]) -> String {
    digest(&[suite, &packages.join(" "), &MMDEBSTRAP.join(" ")])
}

/// The tree of these packages, made if it is not there yet. What earlier harnesses made under this prefix
/// goes. The caller holds a lock.
pub(crate) fn tarball(suite: &str, packages: &[&str], prefix: &str) -> Result<PathBuf> {
    let name = format!("{prefix}{}.tar", key(suite, packages));
    let tarball = paths::base().join(&name);
    if tarball.exists() {
        return Ok(tarball);
    }
    let mirror = mirror::for_suite(suite)?;
    say(&format!(
        "making a Debian {suite} tree with mmdebstrap from {mirror}"
    ));
    let partial = tarball.with_extension("partial.tar");
    run(Command::new("mmdebstrap")
        .args(MMDEBSTRAP)
        .arg(format!("--include={}", packages.join(",")))
        .args([suite.as_ref(), partial.as_os_str(), mirror.as_ref()])
        .env("DEBIAN_FRONTEND", "noninteractive"))?;
    fs::rename(&partial, &tarball).context("name the finished tree")?;
    forget_others(&name, prefix);
    Ok(tarball)
}

/// Unpacks a tree's tarball into a directory that is there.
pub(crate) fn unpack(tarball: &Path, to: &Path) -> Result<()> {
    run(Command::new("tar")
        .args(["--numeric-owner", "-xpf"])
        .arg(tarball)
        .arg("-C")
        .arg(to))
    .map(drop)
}

/// Packs a tree into a tarball, which has its name once it is whole.
pub(crate) fn pack(tree: &Path, tarball: &Path) -> Result<()> {
    let partial = tarball.with_extension("partial.tar");
    run(Command::new("tar")
        .args(["--numeric-owner", "--sort=name", "-cf"])
        .arg(&partial)
        .arg("-C")
        .arg(tree)
        .arg("."))?;
    fs::rename(&partial, tarball).context("name the finished tree")
}

/// A shell's script in a tree, by its own programs.
pub(crate) fn script_in(tree: &Path, script: &str) -> Command {
    let mut command = Command::new("chroot");
    command
        .arg(tree)
        .args(["/bin/sh", "-c", script])
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
}
