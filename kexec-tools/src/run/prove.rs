//! Proving that the old OS has let go: swap is off, every filesystem that is left alone is unmounted, and the
//! root is read-only, with those that are wiped together with it. The kernel refuses the last as long as anything is open for writing, so its
//! consent is the proof; /proc only says who it is that keeps it from consenting.

use std::ffi::CString;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use formats::plan::Plan;
use machine::held;
use machine::patience::Patience;
use rustix::fs::StatVfsMountFlags;
use rustix::io::Errno;
use rustix::mount::{mount_remount, unmount, MountFlags, UnmountFlags};
use storage::mounts;

use crate::survey::mounts::to_unmount;

/// How long the root is tried. Each time systemd may have started a helper that is gone a moment
/// later.
const LETS_GO: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(250);

/// Leaves nothing mounted but the root and the filesystems that are wiped with it, and those read-only. What PID 1
/// itself runs from and writes to may be on them, so none of them can be unmounted.
pub fn prove(plan: &Plan) -> Result<()> {
    let systems: Vec<&str> = plan.systems().map(|(target, _)| target).collect();
    swap_off()?;
    unmount_others(&systems)?;
    rustix::fs::sync();
    for target in systems.iter().rev() {
        read_only(target)?;
        log::info!("prove: nothing on {target} is open for writing");
    }
    // From here on the log's file cannot take lines any more; the console still does.
    log::info!("prove: making the root read-only");
    read_only("/")?;
    log::info!("prove: nothing on the root is open for writing");
    Ok(())
}

/// Makes a filesystem read-only, as soon as nobody writes to it any more: its consent is the proof.
pub fn read_only(target: &str) -> Result<()> {
    // A remount says anew what a mount had of its own.
    let flags = MountFlags::RDONLY | own_flags(target)?;
    while_busy(Patience::new(LETS_GO), || mount_remount(target, flags, "")).with_context(|| {
        format!(
            "make {target} read-only; open for writing: {}",
            holders(target)
        )
    })
}

fn while_busy(
    mut patience: Patience,
    mut act: impl FnMut() -> Result<(), Errno>,
) -> Result<(), Errno> {
    loop {
        match act() {
            Err(Errno::BUSY) if !patience.is_over() => std::thread::sleep(PAUSE),
            other => return other,
        }
    }
}

/// Makes the root writable again, and what is wiped with it, if a run is undone. systemd mounts the rest.
pub fn make_writable(plan: &Plan) {
    let systems = plan.systems().map(|(target, _)| target);
    std::iter::once("/")
        .chain(systems)
        .for_each(make_writable_at);
}

/// Makes one filesystem writable again.
pub fn make_writable_at(target: &str) {
    let flags = own_flags(target).unwrap_or(MountFlags::empty());
    if let Err(e) = mount_remount(target, flags, "") {
        log::error!("make {target} writable again: {e}; run `mount -o remount,rw {target}`");
    }
}

/// What a mount forbids beside writing.
fn own_flags(target: &str) -> Result<MountFlags> {
    let found = rustix::fs::statvfs(target).with_context(|| format!("statvfs {target}"))?;
    let flags = [
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
        (StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
        (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
    ];
    let set = flags
        .into_iter()
        .filter(|(told, _)| found.f_flag.contains(*told));
    Ok(set.map(|(_, flag)| flag).collect())
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

fn unmount_others(systems: &[&str]) -> Result<()> {
    let mounts = mounts::read().context("read /proc/self/mountinfo")?;
    let root = mounts::at(&mounts, Path::new("/"))
        .context("nothing is mounted at /")?
        .device;
    for mount in to_unmount(&mounts, Some(root), systems) {
        unmount(&mount.target, UnmountFlags::empty())
            .with_context(|| format!("unmount {} ({})", mount.target.display(), mount.fstype))?;
    }
    Ok(())
}

fn holders(target: &str) -> String {
    let found = mounts::read().and_then(|mounts| {
        let root = mounts::at(&mounts, Path::new(target)).map(|root| root.device);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_that_is_busy_is_asked_again_and_any_other_answer_stands() {
        for (limit, answers, last) in [
            (
                60,
                &[Err(Errno::BUSY), Err(Errno::BUSY), Ok(())][..],
                Ok(()),
            ),
            (60, &[Err(Errno::IO)], Err(Errno::IO)),
            (60, &[Err(Errno::BUSY), Err(Errno::ROFS)], Err(Errno::ROFS)),
            (0, &[Err(Errno::BUSY)], Err(Errno::BUSY)),
        ] {
            let mut left = answers.iter();
            let patience = Patience::new(Duration::from_secs(limit));
            let ended = while_busy(patience, || *left.next().expect("asked too often"));
            assert_eq!(ended, last, "{answers:?}");
            assert!(left.next().is_none(), "not asked again: {answers:?}");
        }
    }
}
