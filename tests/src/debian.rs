//! Debian trees as tarballs under `target/base/`, made once by mmdebstrap.

use std::fs;
use std::path::PathBuf;
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
