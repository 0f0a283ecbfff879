//! Host keys of types that the old OS had none of, made by the new OS's own program. Those that
//! were carried are there by then, and `ssh-keygen -A` touches no key that is there.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::{chroot, target};

/// Where the program is.
const PROGRAM: &str = "/usr/bin/ssh-keygen";

/// Makes the missing host keys, after the old ones were carried. Does nothing where the new OS has
/// no ssh server. The kernel's filesystems are mounted in the new OS, as for the boot loader's
/// programs.
pub fn generate_missing() -> Result<()> {
    let there = |path: &str| fs::symlink_metadata(target::at(path)).is_ok();
    if !there(PROGRAM) || !there("/usr/sbin/sshd") {
        log::info!("the new OS has no ssh server and gets no host keys");
        return Ok(());
    }
    chroot::run(Path::new(target::TARGET), PROGRAM, &["-A"], &[])
        .context("make the missing host keys")?;
    Ok(())
}
