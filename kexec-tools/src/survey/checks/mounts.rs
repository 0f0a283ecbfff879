//! Other filesystems: where the old OS is spread out, and what would hang or get lost.

use formats::facts::MountedFilesystem;
use formats::filesystems::Contents;
use formats::keep::is_below;
use plan::{carried, data_mounts, filesystems, put_together};

use super::check::Force::{Allowed, Never, NotNeeded};
use super::check::Moment::{Ram, Stop};
use super::check::{joined, listed, Check};

/// In the order in which a person would ask.
pub(super) const CHECKS: &[Check] = &[
    Check {
        code: "separate-mounts",
        question: "Can every filesystem of the system be wiped together with the root, or be left alone?",
        reads: "/proc/self/mountinfo, sysfs, superblocks, /etc/fstab, the image's manifest, --wipe-mount and --keep-mount",
        force: Never,
        again: &[Stop, Ram],
        remedy: "this release takes /var, /var/log, /opt, /tmp and their like on ext4 or XFS, each mounted once, on \
                 partitions of plain disks, on linear logical volumes on partitions of one disk, and on mirrors \
                 (md RAID 1) of partitions, and, but for /usr, in whole subvolumes of the root's own Btrfs, /root \
                 there too; leave alone what may be left alone with --keep-mount PATH, unmount what is mounted a second time",
        against: |c| joined(&filesystems::against(c.facts, c.manifest)),
    },
    Check {
        code: "mounts-wiped",
        question: "Is nothing wiped but the root filesystem?",
        reads: "the same",
        force: NotNeeded,
        again: &[],
        remedy: "nothing, if these are the system's: what the keep list names on them stays; --keep-mount PATH leaves \
                 one alone as a whole",
        against: |c| {
            let systems = filesystems::systems_of(c.facts);
            let place = |system: &MountedFilesystem| match system.subvolume() {
                Some(subvolume) => format!("{} ({})", system.target, subvolume.words()),
                None => format!("{} ({})", system.target, system.device),
            };
            listed(systems.iter().map(|system| place(system)))
        },
    },
    Check {
        code: "boot-apart",
        question: "Is /boot on the root filesystem?",
        reads: "the same",
        force: NotNeeded,
        again: &[],
        remedy: "nothing: the new OS has its own on the root filesystem, which GRUB reads as well, and the old one's \
                 filesystem is left as it is",
        against: |c| {
            let boot = c.facts.mounts.iter().find(|m| m.target == BOOT && !m.bind_of_root)?;
            Some(format!("{BOOT} is on {}, and is not mounted there any more", boot.source))
        },
    },
    Check {
        code: "network-mounts",
        question: "Is nothing mounted from a server?",
        reads: "/proc/self/mountinfo",
        force: Never,
        again: &[Stop],
        remedy: "unmount it, for it would hang once the network is down; the new OS mounts it again if /etc/fstab names it",
        against: |c| {
            let from = c.facts.mounts.iter()
                .filter(|m| m.contents() == Contents::Server)
                .map(|m| format!("{} ({})", m.target, m.fstype));
            listed(from)
        },
    },
    Check {
        code: "mounts-silent",
        question: "Do all mounts answer?",
        reads: "statvfs(2) of every mount but the kernel's and those in memory, by a child, which is silent if it sleeps in the question for 10 seconds without progress, longer on a busy machine; /proc/PID/stat and schedstat, /proc/loadavg, /proc/pressure",
        force: Never,
        again: &[Stop],
        remedy: "bring its server, network or disk back, then unmount it; `umount -f` gives up what was not written to it \
                 yet, so only where that may be lost",
        against: |c| {
            joined(&c.facts.condition.silent_mounts)
        },
    },
    Check {
        code: "nfs-exports",
        question: "Is nothing exported by NFS?",
        reads: "/proc/fs/nfsd/exports, /var/lib/nfs/etab",
        force: Allowed,
        again: &[Stop],
        remedy: "take the clients off and run `exportfs -ua`; force it if they may wait: /etc/exports does not come along",
        against: |c| {
            joined(&c.facts.condition.exports)
        },
    },
    Check {
        code: "loop-mounts",
        question: "Is no mounted filesystem an image in a file that will be wiped?",
        reads: "/proc/self/mountinfo, /sys/dev/block/*/loop/backing_file",
        force: Never,
        again: &[Stop],
        remedy: "keep the file with --keep, or unmount it if it may go",
        against: |c| {
            let lost = c.facts.mounts.iter()
                // Read-only by nature: snaps and the like come with their OS.
                .filter(|m| m.contents() != Contents::Image)
                .filter_map(|m| Some((&m.target, m.backing_file.as_ref()?)))
                .filter(|(_, file)| !c.facts.kept.iter().any(|k| is_below(file, k.path.as_str())))
                .map(|(target, file)| format!("{target} is in {file}"));
            listed(lost)
        },
    },
    Check {
        code: "mount-layers",
        question: "Can the new OS put together what its mounts are on?",
        reads: "sysfs, the image's manifest, and for /usr what it says of the new OS's own initrd",
        force: Never,
        again: &[],
        remedy: "have the image install the program named (by the packages lvm2, mdadm), for /usr in an initrd that their hooks have made; \
                 any other mount may be marked `nofail` in /etc/fstab instead",
        against: |c| {
            let identity = carried::identity(c.facts, c.manifest).ok()?;
            let needed = |target: &str| {
                identity.mounts.iter().any(|m| m.target == target && m.required)
            };
            let lacking: Vec<_> = c
                .facts
                .condition
                .layers
                .iter()
                .filter(|layer| needed(&layer.target))
                .flat_map(|layer| {
                    let own = c.manifest.payload_drivers.as_ref();
                    let has_module =
                        |module: &str| own.is_none_or(|own| own.modules.iter().any(|name| name == module));
                    let lacks = c.manifest.tools.lacks(&layer.kinds, has_module).into_iter();
                    lacks.map(|lack| format!("{} ({}) is on {lack}", layer.target, layer.source))
                })
                .collect();
            joined(&[lacking, put_together::against(c.facts, c.manifest)].concat())
        },
    },
    Check {
        code: "mount-features",
        question: "Does the new OS know the features of what it has to mount and that is left alone?",
        reads: "the superblocks, the image's manifest, /etc/fstab",
        force: Allowed,
        again: &[],
        remedy: "use an image with a newer kernel and newer programs; or mark the mount `nofail` in /etc/fstab; where it is \
                 e2fsck alone that does not know it, a 0 at the end of the line has it mounted unchecked; force it if the image's \
                 versions say less than its programs know",
        against: |c| {
            let identity = carried::identity(c.facts, c.manifest).ok()?;
            joined(&data_mounts::unknown(c.facts, c.manifest, &identity.mounts))
        },
    },
    Check {
        code: "swap",
        question: "Is there memory for what is swapped out?",
        reads: "/proc/swaps, /proc/meminfo",
        force: Allowed,
        again: &[],
        remedy: "stop services that take memory, in order; force it if what is swapped out goes with its services",
        against: |c| {
            let used: u64 = c.facts.condition.swaps.iter().map(|s| s.used).sum();
            let available = c.facts.memory.available;
            (used > available).then(|| {
                format!("{} MiB are swapped out, {} MiB are available", used >> 20, available >> 20)
            })
        },
    },
    Check {
        code: "swap-file",
        question: "Is no file swapped to?",
        reads: "/proc/swaps",
        force: NotNeeded,
        again: &[],
        remedy: "nothing: it goes with the old OS, or stays below a kept path as an ordinary file; give the new OS its own",
        against: |c| {
            let files = c.facts.condition.swaps.iter().filter(|s| s.file);
            joined(&files.map(|s| s.path.clone()).collect::<Vec<_>>())
        },
    },
    Check {
        code: "image-place",
        question: "Is the image where it stays readable until it is loaded?",
        reads: "/proc/self/mountinfo, where the image is",
        force: Never,
        again: &[],
        remedy: "copy it to the root filesystem and run it there",
        against: |c| {
            let on = c.facts.image_on.as_ref()?;
            Some(format!("it is on {on}, which is unmounted first"))
        },
    },
];

/// Its filesystem is neither needed nor touched.
const BOOT: &str = "/boot";
