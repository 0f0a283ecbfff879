//! Proving that the old OS has let go: swap is off, every other filesystem is unmounted, and the
//! root is read-only. The kernel refuses the last as long as anything is open for writing, so its
//! consent is the proof; /proc only says who it is that keeps it from consenting.

use std::ffi::CString;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use machine::held;
use rustix::io::Errno;
use rustix::mount::{mount_remount, unmount, MountFlags, UnmountFlags};
use storage::mounts;

use crate::survey::mounts::to_unmount;

/// How often the root is tried. Each time systemd may have started a helper that is gone a moment
/// later.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(250);

/// Leaves nothing mounted but the root, and that read-only.
pub fn prove() -> Result<()> {
    swap_off()?;
    unmount_others()?;
    rustix::fs::sync();
    // From here on the log's file cannot take lines any more; the console still does.
    log::info!("prove: making the root read-only");
    for attempt in 1.. {
        match mount_remount("/", MountFlags::RDONLY, "") {
            Ok(()) => break,
            Err(Errno::BUSY) if attempt < ATTEMPTS => std::thread::sleep(PAUSE),
            Err(e) => {
                let who = holders();
                return Err(e)
                    .with_context(|| format!("make the root read-only; open for writing: {who}"));
            }
        }
    }
    log::info!("prove: nothing on the root is open for writing");
    Ok(())
}

/// Makes the root writable again, if a run is undone. systemd mounts the rest.
pub fn make_writable() {
    if let Err(e) = mount_remount("/", MountFlags::empty(), "") {
        log::error!("make the root writable again: {e}; run `mount -o remount,rw /`");
    }
}

fn swap_off() -> Result<()> {
    let text = std::fs::read_to_string("/proc/swaps").context("read /proc/swaps")?;
    for path in text
        .lines()
        .skip(1)
        .filter_map(|l| l.split_whitespace().next())
    {
        let path = CString::new(path).context("a swap area's path holds a NUL")?;
        syscalls::swap::off(&path).with_context(|| {
            format!(
                "stop swapping to {}; is there enough memory?",
                path.to_string_lossy()
            )
        })?;
    }
    Ok(())
}

fn unmount_others() -> Result<()> {
    let mounts = mounts::read().context("read /proc/self/mountinfo")?;
    let root = mounts::at(&mounts, Path::new("/"))
        .context("nothing is mounted at /")?
        .device;
    for mount in to_unmount(&mounts, Some(root)) {
        unmount(&mount.target, UnmountFlags::empty())
            .with_context(|| format!("unmount {} ({})", mount.target.display(), mount.fstype))?;
    }
    Ok(())
}

fn holders() -> String {
    let found = mounts::read().and_then(|mounts| {
        let root = mounts::at(&mounts, Path::new("/")).map(|root| root.device);
        held::by_all(root.ok_or(std::io::ErrorKind::NotFound)?)
    });
    match found {
        Ok(held) if held.is_empty() => {
            "nothing that /proc shows (a deleted file, a mapping, or a loop device)".to_owned()
        }
        Ok(held) => {
            let names: Vec<_> = held
                .iter()
                .map(|h| format!("{} by {} ({})", h.path, h.process.name, h.process.pid))
                .collect();
            names.join(", ")
        }
        Err(e) => format!("unknown, /proc cannot be read: {e}"),
    }
}
