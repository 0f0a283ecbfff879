//! The kernel's filesystems that programs expect, from a table: mounted in the RAM environment, and
//! for a while below the new OS's root.

use std::ffi::CString;
use std::path::Path;

use rustix::io::Errno;
use rustix::mount::{mount, unmount, MountFlags, UnmountFlags};

/// One of them.
pub struct KernelFilesystem {
    /// Its type.
    pub fstype: &'static str,
    /// Where it is mounted.
    pub target: &'static str,
    flags: MountFlags,
    options: &'static str,
}

const fn filesystem(
    fstype: &'static str,
    target: &'static str,
    flags: MountFlags,
    options: &'static str,
) -> KernelFilesystem {
    KernelFilesystem {
        fstype,
        target,
        flags,
        options,
    }
}

const QUIET: MountFlags = MountFlags::NOSUID
    .union(MountFlags::NOEXEC)
    .union(MountFlags::NODEV);

/// Type, target, flags, options; in this order.
#[rustfmt::skip]
pub const ALL: [KernelFilesystem; 4] = [
    filesystem("proc",     "/proc", QUIET,               ""),
    filesystem("sysfs",    "/sys",  QUIET,               ""),
    filesystem("devtmpfs", "/dev",  MountFlags::NOSUID,  "mode=0755"),
    filesystem("tmpfs",    "/run",  QUIET,               "mode=0755,size=16m"),
];

impl KernelFilesystem {
    /// Mounts it at a place.
    pub fn mount_at(&self, place: &Path) -> Result<(), Errno> {
        let options = CString::new(self.options).unwrap_or_default();
        let options = Some(options.as_c_str());
        mount(self.fstype, place, self.fstype, self.flags, options)
    }
}

/// Mounts them below a root, for programs that run in it.
pub fn mount_into(root: &Path) -> std::io::Result<()> {
    for filesystem in &ALL {
        let place = root.join(filesystem.target.trim_start_matches('/'));
        filesystem
            .mount_at(&place)
            .map_err(|e| with_place(&e.into(), "mount", &place))?;
    }
    Ok(())
}

/// Takes away what [`mount_into`] mounted, last first.
pub fn unmount_from(root: &Path) -> std::io::Result<()> {
    for filesystem in ALL.iter().rev() {
        let place = root.join(filesystem.target.trim_start_matches('/'));
        match unmount(&place, UnmountFlags::empty()) {
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
