//! Debian trees as tarballs under `target/base/`, made once by mmdebstrap.

use std::fmt::Write as _;
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

/// A package of a suite, of the version that a machine has: its file, in a directory that is there. Asked of the same
/// archives as an image is built from.
pub fn package(suite: &str, name: &str, version: &str, to: &Path) -> Result<PathBuf> {
    download(suite, &[&format!("{name}={version}")], to)?;
    let found = packages_in(to)?.into_iter().find(|path| {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        file.starts_with(&format!("{name}_"))
    });
    found.with_context(|| format!("apt has put no {name} into {}", to.display()))
}

/// The newest packages of these names in a suite, as files in a directory that is there and empty.
pub(crate) fn newest_packages(suite: &str, names: &[&str], to: &Path) -> Result<Vec<PathBuf>> {
    download(suite, names, to)?;
    packages_in(to)
}

fn packages_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let files = fs::read_dir(folder).context("look for packages")?.flatten();
    let files = files.map(|file| file.path());
    Ok(files
        .filter(|path| path.extension().is_some_and(|e| e == "deb"))
        .collect())
}

/// Has an apt of its own, which knows nothing of this machine's packages, put them there.
fn download(suite: &str, wanted: &[&str], to: &Path) -> Result<()> {
    let own = tempfile::tempdir().context("make a directory for apt")?;
    let at = |name: &str| own.path().join(name).display().to_string();
    let mut sources = String::new();
    for suite in ["", "-updates", "-security"].map(|pocket| format!("{suite}{pocket}")) {
        let archive = mirror::for_suite(&suite)?;
        let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
        let _ = writeln!(sources, "deb [signed-by={keyring}] {archive} {suite} main");
    }
    fs::write(at("sources.list"), sources).context("name the archives")?;
    fs::write(at("status"), "").context("have nothing installed")?;
    for directory in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(at(directory)).context("make apt's directories")?;
    }
    let apt = |arguments: &[&str]| {
        let options = [
            ("Dir::Etc::SourceList", at("sources.list")),
            ("Dir::Etc::SourceParts", "-".to_owned()),
            ("Dir::State::Lists", at("lists")),
            ("Dir::State::Status", at("status")),
            ("Dir::Cache", at("cache")),
            ("APT::Architecture", "amd64".to_owned()),
            ("APT::Sandbox::User", "root".to_owned()),
        ];
        let mut command = Command::new("apt-get");
        command.arg("-q").current_dir(to);
        for (option, value) in options {
            command.args(["-o", &format!("{option}={value}")]);
        }
        run(command.args(arguments)).map(drop)
    };
    apt(&["update"])?;
    apt(&[&["download"], wanted].concat())
}
