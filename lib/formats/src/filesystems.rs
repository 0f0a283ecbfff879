//! What a filesystem's type says of what is in it: the one table that checks, plan, unmounting and
//! fstab go by.
//!
//! The table names what does *not* hold somebody's data. Whatever it does not name does: there will
//! always be a filesystem that nobody thought of, and to take it for nothing is to lose it.

/// What is in a filesystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// The kernel's own things, or a helper's view of them. Every OS mounts it by itself, and
    /// nothing in it is anybody's.
    Kernel,
    /// What is in memory, and gone with every reboot.
    Memory,
    /// A software image, read-only by nature; it comes with its OS.
    Image,
    /// Directories of other filesystems, laid over each other.
    View,
    /// Somebody's data, on a server: without the network it hangs.
    Server,
    /// Somebody's data.
    Data,
}

/// Every type whose name says that it is something else than data on this machine.
const KNOWN: [(Contents, &[&str]); 5] = [
    (Contents::Kernel, KERNEL),
    (Contents::Memory, &["tmpfs", "ramfs", "hugetlbfs"]),
    (
        Contents::Image,
        &[
            "squashfs",
            "erofs",
            "cramfs",
            "fuse.snapfuse",
            "fuse.squashfuse",
        ],
    ),
    (
        Contents::View,
        &[
            "overlay",
            "overlayfs",
            "aufs",
            "unionfs",
            "fuse.fuse-overlayfs",
        ],
    ),
    (Contents::Server, SERVER),
];

/// Of fs/, kernel/, security/ and drivers/ of Linux 3.2 to 6.12. `rootfs` is the initramfs that a
/// root was mounted over, `autofs` a place that something is mounted at once somebody looks.
const KERNEL: &[&str] = &[
    "anon_inodefs",
    "autofs",
    "bdev",
    "binder",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "cpuset",
    "debugfs",
    "devfs",
    "devpts",
    "devtmpfs",
    "dlmfs",
    "drm",
    "efivarfs",
    "functionfs",
    "fusectl",
    "gadgetfs",
    "ibmasmfs",
    "mqueue",
    "nfsd",
    "nsfs",
    "ocfs2_dlmfs",
    "openpromfs",
    "oprofilefs",
    "pipefs",
    "proc",
    "pstore",
    "resctrl",
    "rootfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "smackfs",
    "sockfs",
    "sysfs",
    "tracefs",
    "usbdevfs",
    "usbfs",
    "xenfs",
    // Views of /proc for containers, and of a desktop's own.
    "fuse.gvfsd-fuse",
    "fuse.lxcfs",
    "fuse.portal",
    "fuse.vmware-vmblock",
];

const SERVER: &[&str] = &[
    "9p",
    "acfs",
    "afs",
    "auristorfs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "davfs",
    "fhgfs",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "orangefs",
    "panfs",
    "pvfs2",
    "smb3",
    "smbfs",
    "fuse.ceph",
    "fuse.ceph-fuse",
    "fuse.curlftpfs",
    "fuse.davfs",
    "fuse.davfs2",
    "fuse.gcsfuse",
    "fuse.glusterfs",
    "fuse.goofys",
    "fuse.juicefs",
    "fuse.lizardfs",
    "fuse.mfs",
    "fuse.moosefs",
    "fuse.rclone",
    "fuse.s3fs",
    "fuse.seaweedfs",
    "fuse.sshfs",
];

/// What is in a filesystem, by its type and by what was mounted. The latter tells where a process of
/// its own fetches it from: davfs2, for one, mounts `https://…` as plain `fuse`.
pub fn contents(fstype: &str, source: &str) -> Contents {
    let known = KNOWN
        .iter()
        .find(|(_, types)| types.contains(&fstype))
        .map(|(contents, _)| *contents);
    match known {
        Some(contents) => contents,
        None if is_fuse(fstype) && source.contains("://") => Contents::Server,
        None => Contents::Data,
    }
}

impl Contents {
    /// Whether somebody would miss it: it must be seen, and unmounted in order, before a root goes.
    pub fn is_missed(self) -> bool {
        !matches!(self, Contents::Kernel | Contents::Memory)
    }
}

fn is_fuse(fstype: &str) -> bool {
    fstype == "fuse" || fstype.starts_with("fuse.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use Contents::{Data, Image, Kernel, Memory, Server, View};

    #[test]
    fn what_is_not_known_to_be_something_else_is_data() {
        for (fstype, source, expected) in [
            ("ext4", "/dev/vda1", Data),
            ("zfs", "tank/var", Data),
            ("btrfs", "/dev/vdb", Data),
            ("bcachefs", "/dev/vdb:/dev/vdc", Data),
            ("fuse.mergerfs", "a:b", Data),
            ("fuse", "gocryptfs", Data),
            ("fuseblk", "/dev/sdb1", Data),
            ("virtiofs", "shared", Data),
            ("a type of the year 2040", "x", Data),
            ("", "", Data),
            ("proc", "proc", Kernel),
            ("autofs", "systemd-1", Kernel),
            ("nsfs", "nsfs", Kernel),
            ("fuse.lxcfs", "lxcfs", Kernel),
            ("tmpfs", "tmpfs", Memory),
            ("squashfs", "/dev/loop0", Image),
            ("overlay", "overlay", View),
            ("lustre", "10.0.0.1@tcp:/scratch", Server),
            ("fuse", "https://dav.example/", Server),
            ("fuse.sshfs", "host:", Server),
        ] {
            assert_eq!(contents(fstype, source), expected, "{fstype}");
        }
    }

    #[test]
    fn no_type_stands_in_the_table_twice() {
        let mut types: Vec<_> = KNOWN.iter().flat_map(|(_, types)| *types).collect();
        let all = types.len();
        types.sort_unstable();
        types.dedup();
        assert_eq!(types.len(), all);
    }
}
