//! The mounts and device nodes that everything else needs, from a table.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::io::Errno;
use rustix::mount::{mount, MountFlags};

use crate::root::target::TARGET;

/// Where the parts that the launcher handed over are.
pub const PARTS: &str = "/reroot";
/// Where this run's state is: it lasts as long as the RAM environment.
pub const STATE: &str = "/run/reroot";

struct MountSpec(&'static str, &'static str, MountFlags, &'static str);

const QUIET: MountFlags = MountFlags::NOSUID
    .union(MountFlags::NOEXEC)
    .union(MountFlags::NODEV);

/// Filesystem type, target, flags, options; in this order.
#[rustfmt::skip]
const MOUNTS: &[MountSpec] = &[
    MountSpec("proc",     "/proc", QUIET,               ""),
    MountSpec("sysfs",    "/sys",  QUIET,               ""),
    MountSpec("devtmpfs", "/dev",  MountFlags::NOSUID,  "mode=0755"),
    MountSpec("tmpfs",    "/run",  QUIET,               "mode=0755,size=16m"),
];

/// Links that programs expect in /dev.
const LINKS: [(&str, &str); 4] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
];

/// Mounts the kernel's filesystems and makes the directories of the RAM environment. Every
/// failure is told, none stops the rest: with half of it a rescue shell is still of use.
pub fn prepare() -> Vec<String> {
    let mut failures = Vec::new();
    let mut note = |what: String, result: std::io::Result<()>| {
        if let Err(e) = result {
            failures.push(format!("{what}: {e}"));
        }
    };
    for MountSpec(fstype, target, flags, options) in MOUNTS {
        note(format!("make {target}"), fs::create_dir_all(target));
        let options = std::ffi::CString::new(*options).unwrap_or_default();
        let result = match mount(*fstype, *target, *fstype, *flags, Some(options.as_c_str())) {
            // The kernel mounts devtmpfs by itself if it was built to.
            Err(Errno::BUSY) => Ok(()),
            other => other.map_err(Into::into),
        };
        note(format!("mount {fstype} at {target}"), result);
    }
    for (link, target) in LINKS {
        if fs::symlink_metadata(link).is_err() {
            note(format!("link {link}"), symlink(target, link));
        }
    }
    for dir in [TARGET, STATE] {
        note(format!("make {dir}"), fs::create_dir_all(dir));
    }
    failures
}

/// Mounts the kernel's filesystems below a root, for programs that run in it.
pub fn mount_into(root: &Path) -> std::io::Result<()> {
    for MountSpec(fstype, target, flags, options) in MOUNTS {
        let options = std::ffi::CString::new(*options).unwrap_or_default();
        let place = root.join(target.trim_start_matches('/'));
        mount(*fstype, &place, *fstype, *flags, Some(options.as_c_str()))
            .map_err(|e| with_place(&e.into(), "mount", &place))?;
    }
    Ok(())
}

/// Takes away what [`mount_into`] mounted, last first.
pub fn unmount_from(root: &Path) -> std::io::Result<()> {
    for MountSpec(_, target, ..) in MOUNTS.iter().rev() {
        let place = root.join(target.trim_start_matches('/'));
        match rustix::mount::unmount(&place, rustix::mount::UnmountFlags::empty()) {
            // Not mounted: an earlier attempt stopped half-way.
            Ok(()) | Err(Errno::INVAL | Errno::NOENT) => {}
            Err(e) => return Err(with_place(&e.into(), "unmount", &place)),
        }
    }
    Ok(())
}

fn with_place(e: &std::io::Error, verb: &str, place: &Path) -> std::io::Error {
    std::io::Error::new(e.kind(), format!("{verb} {}: {e}", place.display()))
}
