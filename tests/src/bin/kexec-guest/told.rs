//! What the guest tells its host, and how it leaves for the loaded kernel.

use anyhow::{bail, Context, Result};
use rustix::system::{reboot, RebootCommand};

/// A line that the host looks for.
pub fn say(text: &str) {
    println!("GUEST {text}");
}

/// Enters what is loaded; it comes back only where that fails.
pub fn enter() -> Result<()> {
    say("enter");
    reboot(RebootCommand::Kexec).context("enter the next kernel")?;
    bail!("kexec came back")
}
