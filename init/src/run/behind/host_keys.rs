//! Host keys of types that the old OS had none of, made by the new OS's own program. Those that
//! were carried are there by then, and `ssh-keygen -A` touches no key that is there.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use formats::plan::Plan;
use tree::Gate;

use crate::root::target;
use crate::run::behind::chroot;

/// Where the program makes them.
const FOLDER: &str = "/etc/ssh";
/// Where the program is.
const PROGRAM: &str = "/usr/bin/ssh-keygen";

/// Makes the missing host keys, after the old ones were carried. Does nothing where the new OS has
/// no ssh server. The kernel's filesystems are mounted in the new OS, as for the boot loader's
/// programs.
pub fn generate_missing(plan: &Plan, gate: &Gate) -> Result<()> {
    let there = |path: &str| fs::symlink_metadata(target::at(path)).is_ok();
    if !there(PROGRAM) || !there("/usr/sbin/sshd") {
        log::info!("the new OS has no ssh server and gets no host keys");
        return Ok(());
    }
    if gate.is_kept(&format!("{FOLDER}/ssh_host_new_key")) {
        log::info!("{FOLDER} is kept: its host keys stay as they are, and none is made there");
        return Ok(());
    }
    let made = chroot::run(Path::new(target::TARGET), &plan.keep, PROGRAM, &["-A"], &[])
        .context("make the missing host keys");
    match made {
        // On an old kernel, after a takeover, the new OS's program may get no random numbers. With
        // the old OS's keys the machine is reached all the same.
        Err(e) if has_one(plan) => {
            log::warn!("{e:#}; those of the old OS are there, `ssh-keygen -A` makes the others");
            Ok(())
        }
        other => other.map(|_| ()),
    }
}

/// Whether there is a private host key: one that was carried, or one with a usual name.
fn has_one(plan: &Plan) -> bool {
    let mut carried = plan.identity.host_keys.iter();
    if carried.any(|key| target::at(&key.path).is_file()) {
        return true;
    }
    let entries = fs::read_dir(target::at(FOLDER))
        .into_iter()
        .flatten()
        .flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .any(|name| name.starts_with("ssh_host_") && name.ends_with("_key"))
}
