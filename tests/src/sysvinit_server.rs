//! The old server as one from before systemd: sysvinit as PID 1, its scripts for each run level,
//! and a kernel that has no system call newer than Linux 3.2, by [`crate::floor`].
//!
//! It is made from the saved server: Debian's packages of scripts are installed, its init is taken
//! out of a package that would replace systemd, and the boot loader's configuration is told of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{ensure, Context, Result};

use crate::command::run;
use crate::old_server::{old_server, SUITE};
use crate::snapshot::running_old_server;
use crate::vm::Machine;
use crate::{lock, mirror, paths};

/// Packages that are installed, in an order in which each finds what it needs.
const SCRIPTS: [&str; 4] = ["insserv", "startpar", "sysv-rc", "initscripts"];
/// The package that PID 1 is taken out of.
const INIT: &str = "sysvinit-core";

const SCRIPT: &str = include_str!("sysvinit_server.sh");

/// The server, booted with sysvinit on the floor; `floor` is the program of that name.
pub fn running_sysvinit_server(name: &str, memory_mib: u32, floor: &Path) -> Result<Machine> {
    let packages = packages()?;
    let machine = running_old_server(name, memory_mib)?;
    machine.copy_to(floor, "/sbin/floor")?;
    machine.expect("mkdir -p /root/packages")?;
    for package in &packages {
        let name = package.file_name().context("a package's file name")?;
        machine.copy_to(
            package,
            &format!("/root/packages/{}", name.to_string_lossy()),
        )?;
    }
    let entropy = machine.file("entropy.so");
    compile_entropy(&entropy)?;
    machine.copy_to(&entropy, "/lib/entropy.so")?;
    machine.script(SCRIPT)?;
    let mut machine = machine.cut_power()?.boot(&old_server()?, memory_mib)?;
    machine.wait_for_ssh()?;
    Ok(machine)
}

/// Makes the library that gives sshd its random numbers.
fn compile_entropy(library: &Path) -> Result<()> {
    let source = library.with_extension("c");
    fs::write(&source, include_str!("entropy.c")).context("write entropy.c")?;
    run(Command::new("gcc")
        .args(["-shared", "-fPIC", "-O2", "-o"])
        .arg(library)
        .arg(&source))?;
    Ok(())
}

/// The packages' files, fetched once.
fn packages() -> Result<Vec<PathBuf>> {
    let directory = paths::base().join("sysvinit-packages");
    let _lock = lock::exclusive(&paths::base().join("sysvinit-packages.lock"))?;
    if !directory.exists() {
        let scratch = tempfile::tempdir_in(paths::base()).context("create a scratch directory")?;
        fetch(scratch.path()).context("fetch the packages of sysvinit")?;
        let debs = scratch.path().join("debs");
        fs::rename(&debs, &directory).context("name the fetched packages")?;
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(&directory).context("read the fetched packages")? {
        files.push(entry?.path());
    }
    ensure!(files.len() == SCRIPTS.len() + 1, "fetched: {files:?}");
    Ok(files)
}

/// By apt, with lists and sources of its own: this machine's suite may be another.
fn fetch(scratch: &Path) -> Result<()> {
    let mirror = mirror::for_suite(SUITE)?;
    for directory in ["debs", "lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(scratch.join(directory))?;
    }
    // apt fetches as a user of its own.
    run(Command::new("chmod").args(["-R", "a+rwX"]).arg(scratch))?;
    let sources = scratch.join("sources.list");
    fs::write(&sources, format!("deb {mirror} {SUITE} main\n"))?;
    let empty = scratch.join("status");
    fs::write(&empty, "")?;
    let apt = || {
        let mut command = Command::new("apt-get");
        for (key, value) in [
            ("Dir::Etc::SourceList", sources.as_path()),
            ("Dir::Etc::SourceParts", Path::new("-")),
            ("Dir::State::Lists", &scratch.join("lists")),
            ("Dir::State::Status", &empty),
            ("Dir::Cache", &scratch.join("cache")),
            (
                "Dir::Etc::Trusted",
                Path::new("/usr/share/keyrings/debian-archive-keyring.gpg"),
            ),
        ] {
            command.arg("-o").arg(format!("{key}={}", value.display()));
        }
        command.args(["-q", "-o", "APT::Architecture=amd64"]);
        command.current_dir(scratch.join("debs"));
        command
    };
    run(apt().arg("update"))?;
    run(apt().arg("download").args(SCRIPTS).arg(INIT))?;
    Ok(())
}
