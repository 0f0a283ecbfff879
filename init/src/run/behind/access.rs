//! What was written about who gets in, read by the new OS's own programs: a server that does not take
//! its configuration does not start, and then nobody gets in.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use formats::plan::Plan;
use identity::access::written::{SETTINGS, SUDOERS};
use tree::Gate;

use crate::root::target;
use crate::run::behind::chroot;

/// The server's directory for its children; where it is not there it reads nothing.
const RUN: &str = "/run/sshd";
const SERVER: &str = "/usr/sbin/sshd";
const VISUDO: &str = "/usr/sbin/visudo";

/// Takes back what is not understood: the payload's own configuration is then in force, and the first
/// boot's comparison says what that lacks. The kernel's filesystems are mounted in the new OS.
pub fn prove(plan: &Plan, gate: &Gate) -> Result<()> {
    for (file, program, arguments) in [
        (SETTINGS, SERVER, &["-t"][..]),
        (SUDOERS, VISUDO, &["-c", "-q", "-f", SUDOERS][..]),
    ] {
        let written = plan
            .identity
            .files
            .iter()
            .any(|written| written.path == file);
        if !written || !target::at(program).exists() {
            continue;
        }
        if program == SERVER {
            fs::create_dir_all(target::at(RUN)).with_context(|| format!("make {RUN}"))?;
        }
        let root = Path::new(target::TARGET);
        match chroot::run(root, &plan.keep, program, arguments, b"") {
            Ok(_) => log::info!("{file} is understood"),
            Err(e) => {
                log::warn!("{e:#}; {file} is taken back, and the image's own settings hold");
                gate.remove(file)
                    .with_context(|| format!("take {file} back"))?;
            }
        }
    }
    Ok(())
}
