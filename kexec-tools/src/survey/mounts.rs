//! Which mounts hold somebody's data: what facts tell of, checks look at, and a run unmounts.

use std::path::Path;

use storage::mounts::Mount;

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
