//! What the root filesystem may not be on: each refused by a code of its own, for each has its own way
//! out.

use formats::facts::{RootPlace, Volume, VolumeKind, LINEAR};

/// Why a root is refused for what it is on.
struct Refusal {
    /// The check's code.
    code: &'static str,
    /// Whether it is the case.
    is_it: fn(&RootPlace) -> bool,
    /// Why that is refused, to be read behind what was found.
    why: &'static str,
}

/// What is told first is what an operator has to think of first.
const REFUSALS: [Refusal; 7] = [
    Refusal {
        code: "root-luks",
        is_it: |place| has(place, |kind| *kind == VolumeKind::Luks),
        why: "nobody is there to type its passphrase in the RAM environment and at the new OS's first boot",
    },
    Refusal {
        code: "root-multipath",
        is_it: |place| has(place, |kind| *kind == VolumeKind::Multipath),
        why: "the RAM environment has no multipathd, and without it would write to one path beside the others",
    },
    Refusal {
        code: "root-zfs",
        is_it: |place| place.fstype == "zfs",
        why: "the RAM environment cannot read ZFS",
    },
    Refusal {
        code: "root-raid",
        is_it: |place| {
            has(
                place,
                |kind| matches!(kind, VolumeKind::Raid { level, .. } if level != "raid1"),
            )
        },
        why: "only a mirror has the whole filesystem on each disk, and a boot loader reads one",
    },
    Refusal {
        code: "root-logical",
        is_it: |place| {
            let volume = place.volume.as_ref();
            volume.is_some_and(|volume| volume.any(&is_other_logical))
        },
        why: "a boot loader reads the staged image by the sectors of one disk, which only a linear logical volume on \
              partitions of one disk has",
    },
    Refusal {
        code: "root-network",
        is_it: |place| {
            place.fstype.starts_with("nfs")
                || has(
                    place,
                    |kind| matches!(kind, VolumeKind::Other { what } if ON_NETWORK.contains(&&what[..])),
                )
        },
        why: "the network ends when services are stopped, and the firmware starts another machine's kernel",
    },
    Refusal {
        code: "root-whole-disk",
        is_it: |place| {
            let volume = place.volume.as_ref();
            volume.is_some_and(|volume| volume.kind == VolumeKind::Disk)
        },
        why: "there is no partition table, so no sector is outside the filesystem, and a boot loader of the disk's own \
              could only lie in a file of it, which GRUB refuses to rely on; as a rule the host starts such machines, \
              and the disk's own loader is never asked",
    },
];

/// Block devices whose disk is another machine's.
const ON_NETWORK: [&str; 2] = ["network block device", "Ceph RBD"];

/// A logical volume whose sectors are not those of partitions of one disk, one after the other: thin, cached,
/// mirrored, striped, with snapshots, on several disks, or on something else than partitions.
fn is_other_logical(volume: &Volume) -> bool {
    let VolumeKind::Logical { kinds, .. } = &volume.kind else {
        return false;
    };
    let is_partition = |part: &&Volume| {
        matches!(part.kind, VolumeKind::Partition { .. })
            && part.below.iter().all(|disk| disk.kind == VolumeKind::Disk)
    };
    let mut disks: Vec<&str> = volume
        .below
        .iter()
        .flat_map(|part| &part.below)
        .map(|disk| disk.node.as_str())
        .collect();
    disks.sort_unstable();
    disks.dedup();
    let plain = volume.below.iter().filter(is_partition).count() == volume.below.len();
    !plain || disks.len() > 1 || kinds.iter().any(|kind| kind != LINEAR)
}

fn has(place: &RootPlace, is_it: fn(&VolumeKind) -> bool) -> bool {
    let volume = place.volume.as_ref();
    volume.is_some_and(|volume| volume.any(&|volume| is_it(&volume.kind)))
}

/// Whether a check of its own says why this root is refused.
pub fn is_told(place: &RootPlace) -> bool {
    REFUSALS.iter().any(|refusal| (refusal.is_it)(place))
}

/// What the check with this code has against the root's place.
pub fn against(place: &RootPlace, code: &str) -> Option<String> {
    let refusal = REFUSALS.iter().find(|refusal| refusal.code == code)?;
    (refusal.is_it)(place).then(|| format!("it is {}: {}", place.words(), refusal.why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use formats::facts::Volume;

    fn place(fstype: &str, kinds: &[VolumeKind]) -> RootPlace {
        let volume = kinds.iter().rev().fold(None, |below, kind| {
            Some(Volume {
                node: "/dev/x".to_owned(),
                kind: kind.clone(),
                below: Vec::from_iter(below),
            })
        });
        RootPlace {
            fstype: fstype.to_owned(),
            shows: None,
            volume,
        }
    }

    fn raid(level: &str) -> VolumeKind {
        VolumeKind::Raid {
            level: level.to_owned(),
            metadata: "1.2".to_owned(),
            missing: 0,
        }
    }

    #[test]
    fn each_place_that_is_refused_has_its_own_code() {
        let partition = VolumeKind::Partition { number: 2 };
        let mapped = |kind: &str| VolumeKind::Logical {
            name: "vg/root".to_owned(),
            kinds: vec![kind.to_owned()],
        };
        let logical = mapped("linear");
        let other = |what: &str| VolumeKind::Other {
            what: what.to_owned(),
        };
        for (place, codes) in [
            (
                place("ext4", &[partition.clone(), VolumeKind::Disk]),
                &[][..],
            ),
            (
                place(
                    "ext4",
                    &[raid("raid1"), partition.clone(), VolumeKind::Disk],
                ),
                &[],
            ),
            (
                place(
                    "ext4",
                    &[logical.clone(), VolumeKind::Luks, partition.clone()],
                ),
                &["root-luks", "root-logical"],
            ),
            (
                place(
                    "xfs",
                    &[logical.clone(), VolumeKind::Multipath, VolumeKind::Disk],
                ),
                &["root-multipath", "root-logical"],
            ),
            (
                place(
                    "xfs",
                    &[logical.clone(), partition.clone(), VolumeKind::Disk],
                ),
                &[],
            ),
            // On a whole disk, on another volume, on a mirror.
            (
                place("xfs", &[logical.clone(), VolumeKind::Disk]),
                &["root-logical"],
            ),
            (
                place(
                    "xfs",
                    &[
                        logical.clone(),
                        logical.clone(),
                        partition.clone(),
                        VolumeKind::Disk,
                    ],
                ),
                &["root-logical"],
            ),
            (
                place(
                    "xfs",
                    &[logical, raid("raid1"), partition.clone(), VolumeKind::Disk],
                ),
                &["root-logical"],
            ),
            (
                place(
                    "xfs",
                    &[mapped("striped"), partition.clone(), VolumeKind::Disk],
                ),
                &["root-logical"],
            ),
            (place("zfs", &[]), &["root-zfs"]),
            (
                place("ext4", &[raid("raid5"), partition.clone()]),
                &["root-raid"],
            ),
            (
                place("ext4", &[raid("raid10"), VolumeKind::Luks]),
                &["root-luks", "root-raid"],
            ),
            (place("nfs4", &[]), &["root-network"]),
            (
                place("ext4", &[partition, other("Ceph RBD")]),
                &["root-network"],
            ),
            (place("ext4", &[VolumeKind::Disk]), &["root-whole-disk"]),
            (place("btrfs", &[]), &[]),
        ] {
            let told: Vec<&str> = REFUSALS
                .iter()
                .map(|refusal| refusal.code)
                .filter(|code| against(&place, code).is_some())
                .collect();
            assert_eq!(told, codes, "{}", place.words());
            assert_eq!(is_told(&place), !codes.is_empty());
        }
    }

    #[test]
    fn a_logical_volume_on_two_disks_is_refused_and_on_two_partitions_is_not() {
        let partition = |number, disk: &str| Volume {
            node: format!("{disk}{number}"),
            kind: VolumeKind::Partition { number },
            below: vec![Volume {
                node: disk.to_owned(),
                kind: VolumeKind::Disk,
                below: vec![],
            }],
        };
        for (disks, refused) in [
            (["/dev/sda", "/dev/sda"], false),
            (["/dev/sda", "/dev/sdb"], true),
        ] {
            let mut place = place(
                "ext4",
                &[VolumeKind::Logical {
                    name: "vg/root".to_owned(),
                    kinds: vec![LINEAR.to_owned()],
                }],
            );
            let below = vec![partition(2, disks[0]), partition(3, disks[1])];
            place.volume.as_mut().unwrap().below = below;
            assert_eq!(against(&place, "root-logical").is_some(), refused);
        }
    }
}
