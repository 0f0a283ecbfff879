//! The root filesystem and its disk: that it is the right one, whole, and can be booted from.

use formats::boot_path::EfiFacts;
use formats::counted::counted;
use formats::facts::{
    DiskHealth, Facts, Firmware, Health, Root, RootCopy, RootPlace, RootType, Volume, VolumeKind,
};
use formats::tools::MDADM;
use plan::boot_paths::{copies_without_loader, loader_apart};
use plan::started;
use plan::{
    btrfs_features, ext4_features, filesystems, firmware, put_together, root_logical, root_place,
    root_type, subvolumes, xfs_features,
};

use super::check::Force::{Allowed, Never, NotNeeded};
use super::check::Moment::{Ram, Stop};
use super::check::{joined, listed, Check, Context};

/// In the order in which a person would ask.
pub(super) const CHECKS: &[Check] = &[
    Check {
        code: "root",
        question: "Is the root one that can be found again?",
        reads: "/proc/self/mountinfo, sysfs, the first sector of the root's disk",
        force: Never,
        again: &[Ram],
        remedy: "this release takes a root, ext4 or XFS, on a partition of a plain disk, on a linear logical volume there, \
                 or on a mirror (md RAID 1) of partitions, and a whole subvolume of Btrfs on a partition of a plain disk",
        against: |c| {
            // Checks of their own say more about some places.
            let told = c.facts.condition.root_place.as_ref().is_some_and(root_place::is_told);
            let why = || c.facts.root_unknown.clone().unwrap_or_default();
            (c.facts.root.is_none() && !told).then(why)
        },
    },
    Check {
        code: "root-luks",
        question: "Is the root filesystem on no encrypted volume?",
        reads: "/proc/self/mountinfo, sysfs",
        force: Never,
        again: &[],
        remedy: "reinstall this machine with its console at hand; encrypted volumes of other filesystems are no obstacle",
        against: |c| against_place(c, "root-luks"),
    },
    Check {
        code: "root-multipath",
        question: "Does one path lead to the root's disk?",
        reads: "the same",
        force: Never,
        again: &[],
        remedy: "leave the machine as it is: a release that knows multipath is needed; other filesystems on multipath \
                 are no obstacle",
        against: |c| against_place(c, "root-multipath"),
    },
    Check {
        code: "root-zfs",
        question: "Is the root filesystem on no ZFS?",
        reads: "the same",
        force: Never,
        again: &[],
        remedy: "leave the machine as it is, or send the pool's datasets to another machine and make this one anew; \
                 pools for other filesystems are no obstacle",
        against: |c| against_place(c, "root-zfs"),
    },
    Check {
        code: "root-raid",
        question: "Is the root filesystem on no array but a mirror?",
        reads: "the same",
        force: Never,
        again: &[],
        remedy: "leave the machine as it is: a release that knows such roots is needed; arrays of any level under other \
                 filesystems are no obstacle",
        against: |c| against_place(c, "root-raid"),
    },
    Check {
        code: "root-degraded",
        question: "Has the root's mirror all of its disks, and each that is wiped with it?",
        reads: "the same, /sys/block/md*/md",
        force: Allowed,
        again: &[Ram],
        remedy: "replace the disk that is missing and wait until the mirror is filled again (`cat /proc/mdstat`); force it \
                 to reinstall on those that are whole: the others stay out of it until they are added again in the new OS",
        against: |c| {
            let place = c.facts.condition.root_place.as_ref();
            let lacks = |volume: &Volume| matches!(volume.kind, VolumeKind::Raid { missing, .. } if missing > 0);
            let is_degraded = |place: &&RootPlace| place.volume.as_ref().is_some_and(|volume| volume.any(&lacks));
            let root = place.filter(is_degraded).map(|place| format!("it is {}", place.words()));
            with_systems(Vec::from_iter(root), filesystems::degraded(c.facts))
        },
    },
    Check {
        code: "root-logical",
        question: "Is the root's logical volume, if it is on one, linear and on one disk?",
        reads: "the same, the device-mapper's table",
        force: Never,
        again: &[],
        remedy: "delete its snapshots with lvremove once nobody needs them, or move it together with pvmove, and look \
                 again; thin, cached, mirrored and striped volumes, and those on arrays, wait for a release that knows \
                 such roots; volumes of any kind under other filesystems are no obstacle",
        against: |c| against_place(c, "root-logical"),
    },
    Check {
        code: "root-network",
        question: "Is the root filesystem on a disk of this machine?",
        reads: "the same",
        force: Never,
        again: &[],
        remedy: "replace it where it comes from: the server that has the disk can give the machine another one",
        against: |c| against_place(c, "root-network"),
    },
    Check {
        code: "root-whole-disk",
        question: "Does the root's disk have a partition table?",
        reads: "the same",
        force: Never,
        again: &[],
        remedy: "have the provider give the machine another disk, with a partition table and a boot loader of its own, \
                 that the machine starts by itself; copy everything there, start it by that, and look again: this disk \
                 stays as it is until you take it away",
        against: |c| against_place(c, "root-whole-disk"),
    },
    Check {
        code: "dual-boot",
        question: "Is this the machine's only operating system?",
        reads: "what os-prober put into grub.cfg, and whose the files are that UEFI could start from the root's disk",
        force: Allowed,
        again: &[],
        remedy: "where nobody needs the other one any more, force it: it stays on its own partitions, and the new OS's \
                 boot menu does not offer it until os-prober has found it again",
        against: |c| {
            let others = [&c.facts.condition.other_systems[..], &c.facts.efi.others].concat();
            joined(&[others, of_copies(c.facts, |copy| &copy.others)].concat())
        },
    },
    Check {
        code: "root-type",
        question: "Is the root filesystem ext4, or XFS or Btrfs and the image can start from one?",
        reads: "/proc/self/mountinfo, the image's manifest",
        force: Never,
        again: &[Ram],
        remedy: "for XFS and Btrfs, use an image that this release has built, of a folder whose kernel and GRUB know it; any other \
                 root waits for a release that knows its filesystem",
        against: |c| root_type::against(&c.facts.root.as_ref()?.fstype, c.manifest),
    },
    Check {
        code: "root-btrfs",
        question: "If the root is on Btrfs, is all of that on one device, and the root found there?",
        reads: "the root's superblock, its trees of chunks and subvolumes",
        force: Never,
        again: &[Ram],
        remedy: "a boot loader reads the staged image by the sectors of the root's disk: have one device alone in the \
                 filesystem, by `btrfs balance start -dconvert=single -mconvert=dup -sconvert=dup /` where others have parts of it, \
                 and then `btrfs device remove DEVICE /`; give the subvolume a path of letters, digits and _-.@+ and \
                 name that in grub.cfg and /etc/fstab; have the filesystem's top be its default where that is the root, by \
                 `btrfs subvolume set-default 5 /`; checksums other than CRC-32C wait for a later release",
        against: |c| {
            let root = c.facts.root.as_ref()?.identity.subvolume.as_ref()?;
            let Some(facts) = &c.facts.condition.root_btrfs else {
                return Some("its trees could not be read".to_owned());
            };
            joined(&subvolumes::against_root(root, facts))
        },
    },
    Check {
        code: "root-subvolumes",
        question: "May all subvolumes in the root, and in those that are wiped with it, be wiped too?",
        reads: "the filesystem's tree of subvolumes, the keep list",
        force: Never,
        again: &[Stop, Ram],
        remedy: "keep each as a whole with --keep PATH, snapshots too: what is kept stays as it is; one that is mounted \
                 elsewhere is unmounted first",
        against: |c| {
            let default = c.facts.condition.root_btrfs.as_ref()?.default;
            joined(&subvolumes::against(&subvolumes::nested(c.facts), default, &kept(c)))
        },
    },
    Check {
        code: "subvolumes-wiped",
        question: "Is no subvolume wiped but those that are mounted?",
        reads: "the same",
        force: NotNeeded,
        again: &[],
        remedy: "nothing, if these are the system's: they are in what is wiped, and go with it; --keep PATH leaves one as it is",
        against: |c| {
            let default = c.facts.condition.root_btrfs.as_ref()?.default;
            let nested = subvolumes::nested(c.facts);
            let wiped = subvolumes::wiped(&nested, default, &kept(c)).into_iter();
            listed(wiped.map(|nested| nested.path.clone()))
        },
    },
    Check {
        code: "subvolumes-left",
        question: "Is every subvolume wiped?",
        reads: "the same",
        force: NotNeeded,
        again: &[],
        remedy: "nothing: they stay as they are, and what they share with the old root goes on taking space; a snapshot \
                 of it is removed with `btrfs subvolume delete` once nobody needs it",
        against: |c| listed(subvolumes::left(c.facts).into_iter()),
    },
    Check {
        code: "logical-image",
        question: "Can the image start from a logical volume, if the root is on one?",
        reads: "the image's manifest",
        force: Never,
        again: &[],
        remedy: "add the package lvm2 to the image's folder, and build the image with this release",
        against: |c| root_logical::against(&c.facts.root.as_ref()?.identity, c.manifest),
    },
    Check {
        code: "root-read-only",
        question: "Can the root be written to, and what is wiped with it?",
        reads: "/proc/self/mountinfo",
        force: Never,
        again: &[Stop],
        remedy: "see why in the kernel's log (an error on the disk?), mend it, and mount it writable",
        against: |c| {
            let root = c.facts.condition.root_read_only;
            let root = root.then(|| "it is mounted read-only".to_owned());
            with_systems(Vec::from_iter(root), filesystems::read_only(c.facts))
        },
    },
    Check {
        code: "root-double",
        question: "Is the root filesystem the only one with its UUID, and each that is wiped with it?",
        reads: "the superblock of every block device",
        force: Never,
        again: &[Ram],
        remedy: "find out what it is: a copy is detached, or gets a new UUID by `tune2fs -U random`, for XFS `xfs_admin -U generate`, for Btrfs `btrfstune -u`, on the copy, \
                 never on the root; a second path to the same disk or a member of an array is left as it is",
        against: |c| {
            let root = c.facts.root.as_ref()?;
            let doubles = (!root.doubles.is_empty())
                .then(|| format!("{} has it too: {}", root.doubles.join(" and "), root.identity.fs_uuid));
            with_systems(Vec::from_iter(doubles), filesystems::doubles(c.facts))
        },
    },
    Check {
        code: "root-errors",
        question: "Is the root filesystem free of recorded errors, and each that is wiped with it?",
        reads: "the root's superblock",
        force: Never,
        again: &[Stop, Ram],
        remedy: "make a backup, then run e2fsck, for XFS xfs_repair, on it from a rescue system",
        against: |c| {
            let root = c.facts.root.as_ref()?.errors.clone();
            with_systems(Vec::from_iter(root), filesystems::errors(c.facts))
        },
    },
    Check {
        code: "root-features",
        question: "Do the new OS's kernel, e2fsck and GRUB know the root filesystem's features, and all but GRUB those of what is wiped with it?",
        reads: "the root's superblock, the image's manifest",
        force: Never,
        again: &[Ram],
        remedy: "use an image with newer programs, or take the feature off with `tune2fs -O ^FEATURE` from a rescue system; \
                 XFS and Btrfs keep what they were made with",
        against: |c| {
            let readers = c.manifest.tools.readers(&c.manifest.kernel.release);
            let condition = &c.facts.condition;
            let mut root = Vec::new();
            if let Some(features) = condition.root_features {
                root.extend(ext4_features::unknown(features, &readers));
            }
            if let Some(features) = condition.root_xfs {
                root.extend(xfs_features::unknown(features, &readers));
            }
            if let Some(facts) = &condition.root_btrfs {
                root.extend(btrfs_features::unknown(facts, &readers));
            }
            with_systems(root, filesystems::unknown(c.facts, c.manifest))
        },
    },
    Check {
        code: "root-journal",
        question: "Does the root filesystem have a journal, in itself, and each that is wiped with it?",
        reads: "the root's superblock",
        force: Never,
        again: &[Ram],
        remedy: "give it one from a rescue system: `tune2fs -O has_journal DEVICE`; without one a power cut \
                 behind the commit point may damage what is kept; one on another device is taken back first, with \
                 `tune2fs -O ^has_journal DEVICE`; XFS keeps its log where it was made",
        against: |c| {
            let elsewhere = c.facts.condition.root_journal_elsewhere.then_some(
                "it is on another device, which nothing in the RAM environment looks for",
            );
            let features = c.facts.condition.root_features;
            let none = features.is_some_and(|f| !ext4_features::has_journal(f)).then_some("it has none");
            let root = elsewhere.or(none).map(str::to_owned);
            with_systems(Vec::from_iter(root), filesystems::journals(c.facts))
        },
    },
    Check {
        code: "root-repair",
        question: "Does the image have what mends the root filesystem?",
        reads: "the image's manifest",
        force: NotNeeded,
        again: &[],
        remedy: "add the package xfsprogs, or btrfs-progs, to the image's folder; the kernel replays the logs of XFS and \
                 Btrfs by itself, and xfs_repair and btrfs are for a person, where a disk has damaged it",
        against: |c| {
            let tools = &c.manifest.tools;
            let (has, program) = match c.facts.root.as_ref()?.identity.filesystem {
                RootType::Ext4 => return None,
                RootType::Xfs => (tools.xfs.as_ref()?.repair, "xfs_repair"),
                RootType::Btrfs => (tools.btrfs.as_ref()?.repair, "btrfs"),
            };
            (!has).then(|| format!("it has no {program}"))
        },
    },
    Check {
        code: "disk",
        question: "Does the root's disk expect to live?",
        reads: "SMART RETURN STATUS, SCSI log page 2Fh, or the NVMe health log",
        force: Allowed,
        again: &[Stop],
        remedy: "copy it to a new disk first; a disk that fails in the middle leaves neither OS",
        against: |c| {
            let failing = c.facts.condition.disks.iter().filter(|d| is_wiped(c.facts, d));
            joined(&failing.filter_map(failing_disk).collect::<Vec<_>>())
        },
    },
    Check {
        code: "disk-other",
        question: "Do the other disks expect to live?",
        reads: "the same of every other disk",
        force: NotNeeded,
        again: &[],
        remedy: "nothing that reroot does needs them; copy them to new ones all the same",
        against: |c| {
            let failing = c.facts.condition.disks.iter().filter(|d| !is_wiped(c.facts, d));
            joined(&failing.filter_map(failing_disk).collect::<Vec<_>>())
        },
    },
    Check {
        code: "disk-unread",
        question: "Does the root's disk say how it is?",
        reads: "the same",
        force: NotNeeded,
        again: &[],
        remedy: "ask its controller with the maker's own program",
        against: |c| {
            let unread = c.facts.condition.disks.iter().filter(|d| is_wiped(c.facts, d));
            let unread = unread.filter_map(|d| match &d.health {
                Health::Unread(why) => Some(format!("{}: {why}", d.node)),
                _ => None,
            });
            joined(&unread.collect::<Vec<_>>())
        },
    },
    Check {
        code: "partition-table",
        question: "Does the disk have room for the run's boot loaders?",
        reads: "the disk's first sectors, its BIOS boot partition, its EFI system partition",
        force: Never,
        again: &[Ram],
        remedy: "this release takes disks with a master boot record and some 60 sectors before the first partition \
                 that only GRUB uses, or with a GUID partition table and a BIOS boot partition of 1 MiB; images that \
                 were built by an earlier release need 600 sectors; on an EFI system \
                 partition some 4 MiB for each file that the firmware may start, and an unused entry in the same 512 \
                 bytes of its directory",
        against: |c| {
            let root = c.facts.root.as_ref()?;
            if by_uefi(c.facts) {
                let first = c.facts.efi.no_room.as_slice();
                return joined(&[first, &of_copies(c.facts, |copy| copy.no_room.as_slice())].concat());
            }
            let has_guids = root.identity.guids.is_some();
            if has_guids && root.room_sectors == 0 {
                return Some(format!(
                    "{} has a GUID partition table and no BIOS boot partition in it",
                    root.disk
                ));
            }
            let full = root.copies.iter().find(|copy| copy.grub_on_disk && !copy.has_room);
            if let Some(full) = full {
                let sectors = counted(full.room_sectors, "sector", "sectors");
                return Some(format!("the {sectors} for boot loaders on {} have no room for a run's beside the one in use", full.disk));
            }
            let has_room = root.has_room || loader_apart(c.facts, root, &c.manifest.tools);
            (!has_room).then(|| {
                let place = room(root);
                let sectors = counted(root.room_sectors, "sector", "sectors");
                let needed = c.manifest.tools.core_sectors_of(&root.identity);
                let needed = needed.map_or("a number that the image does not say".to_owned(), |n| n.to_string());
                format!("of the {sectors} {place} the new OS's loader takes {needed}, and not all of them are free for it")
            })
        },
    },
    Check {
        code: "boot-loader",
        question: "Is the boot loader in use one that is known, GRUB 2?",
        reads: "the first sectors of the root's disk, or the file that UEFI has started",
        force: Allowed,
        again: &[],
        remedy: "force it if the root's disk is the one that the firmware starts: GRUB 2 takes the other loader's place, \
                 and a power cut before that leaves a machine that only a rescue system starts",
        against: |c| {
            if by_uefi(c.facts) {
                let (file, other) = (c.facts.efi.files.first()?, c.facts.efi.other_loader.as_ref()?);
                return Some(format!("{file} is {other}"));
            }
            let other = c.facts.condition.other_loader.as_ref()?;
            Some(format!("{} has {other}", c.facts.root.as_ref()?.disk))
        },
    },
    Check {
        code: "boot-disk",
        question: "Does the firmware start the root's own disk?",
        reads: "the first sectors of every disk, the root disk's BIOS boot partition",
        force: Allowed,
        again: &[],
        remedy: "force it if you know that the firmware starts this disk, for the loader goes there",
        against: |c| {
            let root = c.facts.root.as_ref()?;
            // A check of its own says more about another loader.
            if !by_uefi(c.facts) && !root.grub_on_disk && c.facts.condition.other_loader.is_none() {
                let place = room(root);
                return Some(format!("{} does not start a GRUB {place}", root.disk));
            }
            // A variable that names a file on this disk says which it is.
            let named = c.facts.efi.files.first().is_some_and(|file| file.variable.is_some());
            if by_uefi(c.facts) && named {
                return None;
            }
            (!root.loaders_elsewhere.is_empty())
                .then(|| format!("there is {} too", root.loaders_elsewhere.join(" and ")))
        },
    },
    Check {
        code: "boot-copies",
        question: "Does the firmware start each disk of a mirrored root?",
        reads: "the first sectors of these disks, their BIOS boot partitions, their EFI system partitions",
        force: NotNeeded,
        again: &[],
        remedy: "put a loader on it before (`grub-install DISK`; with UEFI, its EFI system partition mounted at \
                 DIRECTORY, `grub-install --removable --efi-directory=DIRECTORY`), and the run puts the new OS's there, \
                 too; or afterwards, in the new OS",
        against: |c| {
            let without = copies_without_loader(c.facts, c.facts.root.as_ref()?);
            (!without.is_empty()).then(|| format!("{} has no GRUB that it could start", without.join(" and ")))
        },
    },
    Check {
        code: "boot-staged",
        question: "Does no disk of the root start an earlier run's staged image?",
        reads: "the same",
        force: Never,
        again: &[],
        remedy: "put this OS's own loader there again, by `grub-install DISK`, with UEFI by `grub-install --removable \
                 --efi-directory=DIRECTORY`, its EFI system partition mounted at DIRECTORY; or, of a mirror, start the \
                 machine once by that disk, whose staged image does it by itself; and look again: what that image needs \
                 goes when a run begins",
        against: |c| {
            let first = [&c.facts.root.as_ref()?.staged_on[..], &c.facts.efi.staged].concat();
            let staged = [first, of_copies(c.facts, |copy| &copy.staged)].concat();
            (!staged.is_empty()).then(|| {
                format!("{} starts that of a run whose power was cut right before its commit point", staged.join(" and "))
            })
        },
    },
    Check {
        code: "booted",
        question: "Did GRUB 2 start the running kernel, from this root?",
        reads: "kernel.bootloader_type, BOOT_IMAGE= in /proc/cmdline, the file that it names",
        force: Allowed,
        again: &[],
        remedy: "reboot it by its own loader and look again (after `kexec -e`, or where the running kernel's \
                 package is gone, a plain reboot does it); force it only if you know that the firmware starts \
                 GRUB on this disk: where a host or the network names the kernel, the new OS is never started",
        against: |c| {
            // Checks of their own say more about another loader, and about guests that Xen starts.
            let told = c.facts.condition.other_loader.is_some()
                || c.facts.condition.xen.as_deref() == Some("PV");
            (!told).then(|| started::against(&c.facts.condition.started))?
        },
    },
    Check {
        code: "firmware-reach",
        question: "Does the firmware read the whole root filesystem?",
        reads: "/sys/firmware/edd",
        force: Allowed,
        again: &[],
        remedy: "shrink the root to what the firmware reads, or give the machine a newer firmware; forced, the \
                 run's own files are put where it reads them or it stops before it changes anything, but the \
                 new OS's kernel may come to lie beyond, and then the machine does not start",
        against: |c| {
            if by_uefi(c.facts) {
                return None;
            }
            let (root, reach) = (c.facts.root.as_ref()?, c.facts.condition.firmware_reach?);
            let end = root.identity.end();
            (end > reach).then(|| {
                format!(
                    "it reads the first {} GiB of {}, and the root goes to {} GiB",
                    reach >> 21,
                    root.disk,
                    end >> 21
                )
            })
        },
    },
    Check {
        code: "firmware-silent",
        question: "Does the firmware say how far it reads a large disk?",
        reads: "the same",
        force: NotNeeded,
        again: &[],
        remedy: "load the module `edd` and look again; where it says nothing still, only a start by it proves \
                 that it reads the run's files: `rehearse --entry boot`",
        against: |c| {
            let root = c.facts.root.as_ref()?;
            let end = root.identity.end();
            let silent = !by_uefi(c.facts) && c.facts.condition.firmware_reach.is_none() && end > firmware::FIRMWARE_LIMIT;
            // It names disks by their signatures.
            let said = if root.identity.disk_signature == 0 {
                "it cannot be compared, since the disk has no signature"
            } else {
                "it does not"
            };
            silent.then(|| {
                format!(
                    "{said}, and the root goes to {} GiB of {}; old ones read the first 128 GiB",
                    end >> 21,
                    root.disk
                )
            })
        },
    },
    Check {
        code: "root-driver",
        question: "Does the image have the drivers of the root disk, and of what is wiped with it?",
        reads: "drivers in sysfs, the image's manifest",
        force: Allowed,
        again: &[Ram],
        remedy: "add the driver's class to `drivers` in image.toml and build again; for the new OS's own \
                 initrd, have the folder make it for every machine (MODULES=most)",
        against: |c| {
            let root = &c.facts.root_drivers;
            let mut of_all = filesystems::drivers(c.facts);
            of_all.retain(|name| !root.contains(name));
            of_all.splice(0..0, root.iter().cloned());
            let lacks = |drivers: &[String], has: &dyn Fn(&str) -> bool| -> Vec<String> {
                drivers.iter().filter(|name| !has(name)).cloned().collect()
            };
            let mut found = Vec::new();
            // For a takeover too: after a power cut the image's kernel has to find the root.
            let in_ram = lacks(&of_all, &|name| c.manifest.kernel.drivers.iter().any(|d| d == name));
            if !in_ram.is_empty() {
                found.push(format!("not in the image: {}", in_ram.join(", ")));
            }
            if let Some(own) = &c.manifest.payload_drivers {
                // What the RAM environment lacks is told already.
                let mut early = root.clone();
                // The initrd mounts that as well.
                let usr = put_together::usr(c.facts).into_iter();
                early.extend(usr.flat_map(|usr| usr.drivers.clone()).filter(|name| !root.contains(name)));
                let in_initrd = lacks(&early, &|name| own.has_in_initrd(name) || in_ram.iter().any(|d| d == name));
                if !in_initrd.is_empty() {
                    found.push(format!("not in the new OS's own initrd: {}", in_initrd.join(", ")));
                }
                let mirrored = c.facts.root.as_ref().is_some_and(|root| root.identity.array.is_some());
                if mirrored && !own.has_program_in_initrd(MDADM) {
                    found.push(format!("not in the new OS's own initrd: the program {MDADM}, which puts the root's mirror together"));
                }
            }
            joined(&found)
        },
    },
];

/// What UEFI's files on the further disks of a mirror have of something, each with its disk.
fn of_copies<'f>(facts: &'f Facts, ask: impl Fn(&'f EfiFacts) -> &'f [String]) -> Vec<String> {
    let disks = facts.root.iter().flat_map(|root| &root.copies);
    let copies = facts.efi.copies.iter().zip(disks);
    let of_copy = |(found, copy): (&'f EfiFacts, &RootCopy)| {
        let said = ask(found).iter();
        said.map(|text| format!("{text} of {}", copy.disk))
            .collect::<Vec<_>>()
    };
    copies.flat_map(of_copy).collect()
}

/// The paths that are kept.
fn kept<'c>(c: &'c Context) -> Vec<&'c str> {
    c.facts.kept.iter().map(|kept| kept.path.as_str()).collect()
}

/// Whether a BIOS has nothing to do with how the machine starts.
fn by_uefi(facts: &Facts) -> bool {
    facts.firmware == Firmware::Uefi
}

/// What is found of the root filesystem, and of those that are wiped with it.
fn with_systems(root: Vec<String>, systems: Vec<String>) -> Option<String> {
    joined(&[root, systems].concat())
}

/// Whether something is on a disk that is wiped.
fn is_wiped(facts: &Facts, disk: &DiskHealth) -> bool {
    let systems = filesystems::systems_of(facts);
    disk.root || systems.iter().any(|system| system.disk == disk.node)
}

/// What a check has against the place of the root filesystem.
fn against_place(c: &Context, code: &str) -> Option<String> {
    root_place::against(c.facts.condition.root_place.as_ref()?, code)
}

/// Where a disk's boot loaders lie.
fn room(root: &Root) -> &'static str {
    if root.identity.guids.is_some() {
        "in its BIOS boot partition"
    } else {
        "before its first partition"
    }
}

fn failing_disk(disk: &DiskHealth) -> Option<String> {
    match &disk.health {
        Health::Failing(what) => Some(format!("{}: {what}", disk.node)),
        Health::Good | Health::Unread(_) => None,
    }
}
