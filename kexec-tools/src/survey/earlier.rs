//! What earlier runs left on this machine.

use anyhow::{bail, Result};
use machine::runs::directory::Places;
use machine::runs::evidence;
use plan::status::Evidence;

pub use machine::runs::evidence::kexec_loaded;

/// What every run left, the oldest first.
pub fn evidence() -> Result<Vec<Evidence>> {
    ensure_root()?;
    Ok(evidence::evidence(&Places::here())?)
}

/// What runs leave is readable by root alone.
pub fn ensure_root() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("this needs root: what runs leave is readable by root alone; run it with sudo");
    }
    Ok(())
}
