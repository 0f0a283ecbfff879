//! The commit point: the first write that the old OS would not survive comes after this step, and
//! everything before it left the disk alone.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use manifest::journal::Phase;
use rustix::mount::{mount_remount, MountFlags};

use crate::early::STATE;
use crate::journal_file;
use crate::run::Run;
use crate::target::TARGET;
use crate::verify::VerifiedImage;

/// Proof that the commit point is passed and recorded.
pub struct CommittedRun(pub(crate) Run);

impl VerifiedImage {
    /// Makes the root writable and records the commit.
    pub fn commit(self) -> Result<CommittedRun> {
        let VerifiedImage(mut run) = self;
        let id = run.plan.run.clone();
        run.recorder.once("commit", || {
            mount_remount(TARGET, MountFlags::NOATIME, "")
                .context("make the root filesystem writable")?;
            mark()?;
            journal_file::record(&id, Phase::Commit)
        })?;
        log::info!("COMMIT POINT PASSED: from here on only forwards");
        Ok(CommittedRun(run))
    }
}

/// Whether the commit point was passed since this RAM environment started.
pub fn is_passed() -> bool {
    Path::new(STATE).join("committed").exists()
}

/// The supervisor goes by the marker, so it is set before the journal is written: of two wrong
/// beliefs, holding an unharmed machine is the one that loses nothing.
///
/// A kernel that dies from here on must not reboot by itself: there is nothing to boot.
fn mark() -> Result<()> {
    fs::write(Path::new(STATE).join("committed"), "").context("mark the commit")?;
    fs::write("/proc/sys/kernel/panic", "0")
        .context("keep the kernel from rebooting when it panics")?;
    Ok(())
}
