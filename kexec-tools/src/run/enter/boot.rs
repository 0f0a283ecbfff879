//! The boot loader as the way in: a block in GRUB's configuration that starts the staged kernel
//! once. Until the machine reboots the block is not armed, so that a power cut while services still
//! run, or are being stopped, boots the old OS.

use std::path::Path;

use anyhow::{Context, Result};
use bootpath::grub::{once, one_shot};
use formats::plan::Plan;
use rustix::mount::{mount_remount, MountFlags};
use rustix::system::RebootCommand;

use crate::run::prove;

const ROOT: &str = "/";

/// Puts the block into GRUB's configuration.
pub fn load(plan: &Plan, directory: &Path) -> Result<()> {
    // What an earlier run left would otherwise count as the old OS's own.
    one_shot::remove(Path::new(ROOT)).context("clear what an earlier run left")?;
    let root = &plan.root;
    let block = once::block(
        &plan.run,
        root.filesystem,
        &root.fs_uuid,
        &plan.run_directory(),
        &plan.cmdline,
    )?;
    one_shot::install(Path::new(ROOT), directory, &block)
        .context("put the RAM environment into GRUB's configuration")?;
    log::info!("load: GRUB can start the RAM environment");
    Ok(())
}

/// Takes the block out again, and what an earlier run left. The root may be read-only by now.
pub fn unload() {
    let root = Path::new(ROOT);
    if !one_shot::is_installed(root) {
        return;
    }
    prove::make_writable_at(ROOT);
    if let Err(e) = one_shot::remove(root) {
        log::error!(
            "{:#}; GRUB passes over it unless /boot/grub/grubenv names the run: `grub-editenv - unset {}`",
            anyhow::Error::new(e),
            once::VARIABLE
        );
    }
}

/// Arms the block and reboots. Returns the reason if that failed.
pub fn enter(plan: &Plan) -> anyhow::Error {
    if let Err(e) = arm(plan) {
        return e;
    }
    match rustix::system::reboot(RebootCommand::Restart) {
        Ok(()) => anyhow::anyhow!("the reboot returned although it succeeded"),
        Err(e) => anyhow::Error::new(e).context("reboot"),
    }
}

/// The root is read-only, and must be so again: that puts everything into its place for GRUB, and
/// proves once more that nobody writes.
fn arm(plan: &Plan) -> Result<()> {
    let root = Path::new(ROOT);
    mount_remount(ROOT, MountFlags::empty(), "").context("make the root writable")?;
    one_shot::arm(root, &plan.run).context("have GRUB start the RAM environment once")?;
    prove::read_only(ROOT).context("make the root read-only again")
}
