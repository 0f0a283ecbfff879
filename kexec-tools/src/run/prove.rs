//! Proving that the old OS has let go: swap is off, every other filesystem is unmounted, and the
//! root is read-only. The kernel refuses the last as long as anything is open for writing, so its
//! consent is the proof; /proc only says who it is that keeps it from consenting.

use std::ffi::CString;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use machine::mounts::Mount;
use machine::{mounts, processes};
use rustix::io::Errno;
use rustix::mount::{mount_remount, unmount, MountFlags, UnmountFlags};

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
    // The last mounted first: mounts may be on top of each other.
    for mount in mounts
        .iter()
        .rev()
        .filter(|m| must_be_unmounted(m, Some(root)))
    {
        unmount(&mount.target, UnmountFlags::empty())
            .with_context(|| format!("unmount {} ({})", mount.target.display(), mount.fstype))?;
    }
    Ok(())
}

/// Whether a mount other than the root holds somebody's data: a filesystem with a block device, a
/// part of the root shown again, or one on a server.
pub fn must_be_unmounted(mount: &Mount, root: Option<(u32, u32)>) -> bool {
    let has_device = mount.device.0 != 0 || mount.source.to_string_lossy().starts_with("/dev/");
    mount.target != Path::new("/")
        && (has_device || Some(mount.device) == root || is_network(&mount.fstype))
}

/// Whether a filesystem of this type is on a server.
pub fn is_network(fstype: &str) -> bool {
    NETWORK.contains(&fstype)
}

/// Filesystems without a device of their own that hold somebody's data all the same.
const NETWORK: [&str; 8] = [
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "ceph",
    "9p",
    "fuse.sshfs",
    "fuse.glusterfs",
];

fn holders() -> String {
    let found = std::fs::metadata("/")
        .map(|m| std::os::unix::fs::MetadataExt::dev(&m))
        .and_then(|device| processes::holding_for_writing(device, &[]));
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
