//! What is between a filesystem and its disks, as sysfs shows it: partitions, device-mapper, md, bcache.

use std::fs;
use std::path::Path;

use formats::facts::{Layer, RootPlace, Volume, VolumeKind};

use crate::block::{self, BlockDevice};
use crate::mapper;
use crate::mounts::{self, Mount};

/// No stack is deeper; sysfs has no circles, and a limit costs nothing.
const DEPTH_MAX: u32 = 16;

/// Layers that the kernel's name of a device tells, with their names for people.
const BY_NAME: [(&str, &str); 6] = [
    ("bcache", "bcache"),
    ("drbd", "DRBD"),
    ("loop", "loop device"),
    ("nbd", "network block device"),
    ("rbd", "Ceph RBD"),
    ("zram", "zram"),
];

/// Mounts and swap areas (`none`) with layers below them.
pub fn read(mounts: &[Mount], swaps: &[String]) -> Vec<Layer> {
    let mounted = mounts
        .iter()
        .filter(|m| m.device.0 != 0)
        .filter_map(|m| Some((m.target.display().to_string(), of_number(m.device)?)));
    let swapped = swaps
        .iter()
        .filter_map(|path| Some(("none".to_owned(), of_node(path)?)));
    mounted
        .chain(swapped)
        .filter_map(|(target, device)| {
            // What a loop device's file is on is the file's affair.
            let mut kinds = volume(&device).layers();
            kinds.retain(|kind| kind != "loop device");
            (!kinds.is_empty()).then(|| Layer {
                target,
                source: device.node().display().to_string(),
                kinds,
            })
        })
        .collect()
}

/// What the root filesystem is on; `None` where nothing is mounted there.
pub fn root(mounts: &[Mount]) -> Option<RootPlace> {
    let mount = mounts::at(mounts, Path::new("/"))?;
    let device = (mount.device.0 != 0).then(|| of_number(mount.device));
    Some(RootPlace {
        fstype: mount.fstype.clone(),
        shows: (mount.root != Path::new("/")).then(|| mount.root.display().to_string()),
        volume: device.flatten().map(|device| volume(&device)),
    })
}

fn of_number((major, minor): (u32, u32)) -> Option<BlockDevice> {
    block::by_number(major, minor).ok()
}

fn of_node(path: &str) -> Option<BlockDevice> {
    let node = fs::canonicalize(path).ok()?;
    block::by_name(&node.strip_prefix("/dev").ok()?.display().to_string()).ok()
}

/// A device and all that is below it.
pub fn volume(device: &BlockDevice) -> Volume {
    down(device, 0)
}

fn down(device: &BlockDevice, depth: u32) -> Volume {
    let mut below = device.made_of();
    if let Some(place) = &device.partition {
        below.push(place.disk.clone());
    }
    let below = below
        .iter()
        .filter(|_| depth < DEPTH_MAX)
        .filter_map(|name| block::by_name(name).ok())
        .map(|device| down(&device, depth + 1))
        .collect();
    Volume {
        node: device.node().display().to_string(),
        kind: kind(device),
        below,
    }
}

fn kind(device: &BlockDevice) -> VolumeKind {
    if let Some(place) = &device.partition {
        let number = place.number;
        return VolumeKind::Partition { number };
    }
    let read = |file: &str| {
        let text = fs::read_to_string(device.sysfs.join(file)).unwrap_or_default();
        text.trim().to_owned()
    };
    if device.name.starts_with("dm-") {
        return mapped(&mapper::identifier(device), &mapper::name(device), || {
            mapper::kinds(device)
        });
    }
    if device.sysfs.join("md").is_dir() {
        return VolumeKind::Raid {
            level: read("md/level"),
            metadata: read("md/metadata_version"),
            missing: read("md/degraded").parse().unwrap_or(0),
        };
    }
    let known = BY_NAME
        .iter()
        .find(|(start, _)| device.name.starts_with(start));
    known.map_or(VolumeKind::Disk, |(_, what)| VolumeKind::Other {
        what: (*what).to_owned(),
    })
}

/// What a device of the device-mapper is, by its identifier: each maker has its own beginning.
fn mapped(uuid: &str, name: &str, kinds: impl FnOnce() -> Vec<String>) -> VolumeKind {
    let maker = uuid.split_once('-').map_or(uuid, |(maker, _)| maker);
    let partition = maker.strip_prefix("part").map(str::parse);
    match (maker, partition) {
        ("LVM", _) => VolumeKind::Logical {
            name: logical_name(name),
            kinds: kinds(),
        },
        ("CRYPT", _) => VolumeKind::Luks,
        ("mpath", _) => VolumeKind::Multipath,
        // kpartx's `part1-mpath-…`.
        (_, Some(Ok(number))) => VolumeKind::Partition { number },
        ("DMRAID", _) => VolumeKind::Raid {
            level: "firmware's RAID".to_owned(),
            metadata: "of the firmware".to_owned(),
            missing: 0,
        },
        _ => VolumeKind::Other {
            what: "device-mapper".to_owned(),
        },
    }
}

/// `vg0/root--old` for the name `vg0-root----old`: a hyphen within a name is doubled.
fn logical_name(name: &str) -> String {
    let mut out = String::new();
    let mut rest = name.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '-' {
            out.push(c);
        } else if rest.next_if_eq(&'-').is_some() {
            out.push('-');
        } else {
            out.push('/');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(sysfs: &Path, name: &str) -> BlockDevice {
        BlockDevice {
            name: name.to_owned(),
            sysfs: sysfs.to_owned(),
            sectors: 1,
            partition: None,
        }
    }

    #[test]
    fn layers_are_told_by_name_and_identifier() {
        let none = tempfile::tempdir().unwrap();
        for (name, uuid, layer) in [
            ("dm-0", "LVM-Qk3bQ2fU", Some("LVM")),
            ("dm-1", "CRYPT-LUKS2-0a1b-data", Some("LUKS")),
            ("dm-2", "mpath-3600508b4", Some("multipath")),
            ("dm-3", "part1-mpath-3600508b4", None),
            ("dm-4", "", Some("device-mapper")),
            ("dm-5", "DMRAID-isw_abc", Some("md")),
            ("bcache0", "", Some("bcache")),
            ("sda", "", None),
            ("nvme0n1", "", None),
        ] {
            fs::create_dir_all(none.path().join("dm")).unwrap();
            fs::write(none.path().join("dm/uuid"), uuid).unwrap();
            let volume = volume(&device(none.path(), name));
            assert_eq!(volume.layers().first().map(String::as_str), layer, "{name}");
        }
    }

    #[test]
    fn an_array_tells_its_level_and_what_it_lacks() {
        let sysfs = tempfile::tempdir().unwrap();
        fs::create_dir(sysfs.path().join("md")).unwrap();
        for (file, text) in [
            ("level", "raid1\n"),
            ("metadata_version", "1.2\n"),
            ("degraded", "1\n"),
        ] {
            fs::write(sysfs.path().join("md").join(file), text).unwrap();
        }
        let array = volume(&device(sysfs.path(), "md127"));
        assert_eq!(
            array.words(),
            "RAID 1 (/dev/md127, metadata 1.2, 1 missing)"
        );
        assert_eq!(array.layers(), ["md"]);
    }

    #[test]
    fn a_logical_volume_has_the_name_that_lvs_prints() {
        for (name, expected) in [
            ("vg0-root", "vg0/root"),
            ("ubuntu--vg-ubuntu--lv", "ubuntu-vg/ubuntu-lv"),
            ("a--b-c----d", "a-b/c--d"),
        ] {
            let VolumeKind::Logical { name, .. } = mapped("LVM-x", name, Vec::new) else {
                panic!("{name}");
            };
            assert_eq!(name, expected);
        }
    }

    #[test]
    fn a_partition_of_this_machine_is_on_its_disk() {
        for found in block::all().unwrap() {
            let Some(place) = &found.partition else {
                continue;
            };
            let volume = volume(&found);
            let number = place.number;
            assert_eq!(volume.kind, VolumeKind::Partition { number });
            let disk = block::node(&place.disk).display().to_string();
            assert_eq!(volume.below.len(), 1);
            assert_eq!(volume.below[0].node, disk);
        }
    }
}
