//! A logical volume that a filesystem of the system is on: what it is made of in the running kernel, and putting it
//! together again from the same parts where nothing has done so.
//!
//! What it is made of the device-mapper says: that is in force, whatever LVM's metadata has. It is put together
//! by the kernel's own calls from what a plan has, and never by LVM's programs: nothing is activated beside it, and
//! nothing on the disk is written.

use std::fs::File;
use std::os::fd::AsFd;

use formats::facts::{LogicalVolume, PhysicalVolume, RootIdentity, Segment, LINEAR};
use syscalls::device_mapper::{self, Target};

use crate::block::{self, BlockDevice};
use crate::layers;
use crate::lvm::{self, KeptBack};
use crate::mapper::{self, CONTROL};
use crate::root::{reading, unsupported, RootError};
use crate::table::{self, Table};

/// How LVM's identifiers begin.
pub(crate) const MADE_BY_LVM: &str = "LVM-";

/// Whether a device is a logical volume.
pub fn is_one(device: &BlockDevice) -> bool {
    mapper::identifier(device).starts_with(MADE_BY_LVM)
}

/// What a logical volume is made of, and its disk; the partition that it begins on.
pub fn describe(
    device: &BlockDevice,
) -> Result<(BlockDevice, BlockDevice, LogicalVolume), RootError> {
    let node = device.node();
    let parts = reading(
        format!("ask the device-mapper what {} is made of", node.display()),
        mapper::table(device),
    )?;
    let mut volumes: Vec<BlockDevice> = Vec::new();
    let mut segments = Vec::new();
    for part in parts {
        let (number, start) = linear(&part).map_err(|why| {
            RootError::Unsupported(format!("of the logical volume {}, {why}", node.display()))
        })?;
        let below = reading(
            format!("look up block device {}:{} in sysfs", number.0, number.1),
            block::by_number(number.0, number.1),
        )?;
        let known = volumes.iter().position(|known| *known == below);
        let volume = known.unwrap_or(volumes.len());
        if known.is_none() {
            volumes.push(below);
        }
        segments.push(Segment {
            sectors: part.sectors,
            volume,
            start,
        });
    }
    let Some(first) = volumes.first().cloned() else {
        return unsupported(format!("{} is made of nothing", node.display()));
    };
    let disk = disk_of(&volumes)?;
    let table = table::read(&disk)?;
    let mut found = Vec::new();
    let mut sequence = None;
    for volume in &volumes {
        let (physical, number) = physical(volume, &table)?;
        sequence = sequence.max(number);
        found.push(physical);
    }
    let volume = LogicalVolume {
        name: mapper::name(device),
        uuid: mapper::identifier(device),
        segments,
        volumes: found,
        sequence,
    };
    if volume.sectors() != device.sectors {
        return unsupported(format!(
            "{} has {} sectors, and its parts have {}",
            node.display(),
            device.sectors,
            volume.sectors()
        ));
    }
    Ok((disk, first, volume))
}

/// Other devices that have the UUID of one of the physical volumes of a volume on this disk: it could not be told
/// which is meant.
pub fn doubles(volume: &LogicalVolume, disk: &BlockDevice) -> Result<Vec<String>, RootError> {
    let labelled = labelled()?;
    let mut doubles = Vec::new();
    for physical in &volume.volumes {
        let same = labelled.iter().filter(|(_, uuid)| *uuid == physical.uuid);
        let others = same.filter(|(device, _)| {
            let place = device.partition.as_ref();
            place.is_none_or(|place| place.disk != disk.name || place.number != physical.partition)
        });
        doubles.extend(others.map(|(device, _)| device.node().display().to_string()));
    }
    Ok(doubles)
}

/// Refuses a volume that is not activated with its group, and one whose group lacks a physical volume or has one on what the
/// new OS will not open: what runs now has put the volume together by its own name, and from Debian 12 on whole groups are
/// put together alone. Asked of the old OS, where it can still be mended.
pub fn ensure_comes_with_group(volume: &LogicalVolume) -> Result<(), RootError> {
    let labelled = labelled()?;
    let mut newest: Option<lvm::Group> = None;
    for (device, uuid) in &labelled {
        if !volume.volumes.iter().any(|own| own.uuid == *uuid) {
            continue;
        }
        let node = device.node();
        let read = || {
            format!(
                "read the metadata of the physical volume {}",
                node.display()
            )
        };
        let Some(label) = reading(read(), lvm::label(&node))? else {
            continue;
        };
        let group = reading(read(), lvm::group(&node, &label))?;
        newest = newest
            .into_iter()
            .chain(group)
            .max_by_key(|group| group.sequence);
    }
    let there: Vec<_> = labelled
        .iter()
        .map(|(device, uuid)| (uuid.as_str(), layers::volume(device).layers()))
        .collect();
    let Some(group) = newest else {
        return Ok(());
    };
    if let Some(why) = kept_back(volume, &group) {
        return unsupported(why);
    }
    let lacking = lacking(&group.volumes, &there);
    if lacking.is_empty() {
        return Ok(());
    }
    unsupported(format!(
        "the volume group of {} is not whole, and the new OS puts together none that is not: {}; bring them back, or \
         take them out of the group (vgreduce)",
        volume.name,
        lacking.join(", ")
    ))
}

/// What keeps a volume from being activated with its group, and how it is taken off.
fn kept_back(volume: &LogicalVolume, group: &lvm::Group) -> Option<String> {
    // The device-mapper has the group's UUID before it.
    let found = group
        .logical
        .iter()
        .find(|logical| !logical.uuid.is_empty() && volume.uuid.ends_with(&logical.uuid))?;
    let name = &found.name;
    let (of_group, _) = name.split_once('/')?;
    let named = "is activated only if somebody names it, and the new OS activates whole groups";
    let (why, command) = match found.kept_back? {
        KeptBack::Itself => (named, format!("lvchange --setautoactivation y {name}")),
        KeptBack::WithGroup => (named, format!("vgchange --setautoactivation y {of_group}")),
        KeptBack::Skipped => (named, format!("lvchange --setactivationskip n {name}")),
        KeptBack::OfOneSystem => (
            "is in a group with a system ID, and the new OS, which has none, leaves such a group alone",
            format!("vgchange --systemid '' {of_group}"),
        ),
        KeptBack::Shared => (
            "is in a group that several machines share by locks, and the new OS has nothing that asks for them",
            format!("vgchange --lock-type none {of_group}"),
        ),
    };
    Some(format!(
        "the logical volume {name} {why}: `{command}` takes that off"
    ))
}

/// Which physical volumes of a group are not there for the new OS, with why. `there` is what there is now, each with
/// the layers below it.
fn lacking(volumes: &[String], there: &[(&str, Vec<String>)]) -> Vec<String> {
    let lacks = volumes.iter().filter_map(|volume| {
        let same = there.iter().filter(|(uuid, _)| uuid == volume);
        let below: Vec<&[String]> = same.map(|(_, kinds)| kinds.as_slice()).collect();
        let Some(first) = below.first() else {
            return Some(format!("there is no physical volume {volume}"));
        };
        // Arrays are put together by what is in the image.
        let opened = below
            .iter()
            .any(|kinds| kinds.iter().all(|kind| kind == "md"));
        let on = first.join(" on ");
        (!opened).then(|| format!("the physical volume {volume} is on {on}"))
    });
    lacks.collect()
}

/// Has the kernel put the volume of an identity together, unless it is there; whether it is there now. It is not
/// as long as a partition is missing.
pub fn put_together(identity: &RootIdentity) -> Result<bool, RootError> {
    let Some(volume) = &identity.logical else {
        return Ok(true);
    };
    let devices = reading("list /sys/class/block", block::all())?;
    if devices
        .iter()
        .any(|device| mapper::identifier(device) == volume.uuid)
    {
        return Ok(true);
    }
    let labelled = labelled()?;
    let mut parts = Vec::new();
    for physical in &volume.volumes {
        let same: Vec<_> = labelled
            .iter()
            .filter(|(_, uuid)| *uuid == physical.uuid)
            .collect();
        let [(device, _)] = &same[..] else {
            if same.is_empty() {
                return Ok(false);
            }
            let names: Vec<_> = same
                .iter()
                .map(|(device, _)| device.node().display().to_string())
                .collect();
            return unsupported(format!(
                "{} all are the physical volume {}; only one may",
                names.join(" and "),
                physical.uuid
            ));
        };
        let disk = disk_of(std::slice::from_ref(device))?;
        let table = table::read(&disk)?;
        let (found, sequence) = self::physical(device, &table)?;
        if found != *physical || !table.is_of(identity) {
            return unsupported(format!(
                "{} has the UUID of a physical volume of the plan, but is another partition: expected \
                 {physical:?}, found {found:?}",
                device.node().display()
            ));
        }
        if sequence.is_some() && sequence != volume.sequence {
            return unsupported(format!(
                "the volume group of {} was changed since the plan was made: its metadata is number {sequence:?}, \
                 and was {:?}",
                device.node().display(),
                volume.sequence
            ));
        }
        parts.push(reading(
            format!("read the number of {}", device.node().display()),
            device.number(),
        )?);
    }
    let control = reading(format!("open {CONTROL}"), File::open(CONTROL))?;
    let made = device_mapper::make(
        control.as_fd(),
        &volume.name,
        &volume.uuid,
        &targets(volume, &parts),
    );
    reading(
        format!("have the device-mapper put {} together", volume.name),
        made,
    )?;
    Ok(true)
}

/// The device-mapper's words for a volume on these devices.
fn targets(volume: &LogicalVolume, parts: &[(u32, u32)]) -> Vec<Target> {
    let mut start = 0;
    let mut targets = Vec::new();
    for segment in &volume.segments {
        let (major, minor) = parts.get(segment.volume).copied().unwrap_or_default();
        targets.push(Target {
            start,
            sectors: segment.sectors,
            kind: LINEAR.to_owned(),
            parameters: format!("{major}:{minor} {}", segment.start),
        });
        start += segment.sectors;
    }
    targets
}

/// The device and the sector of it that a part begins on.
fn linear(part: &Target) -> Result<((u32, u32), u64), String> {
    let Target {
        start,
        kind,
        parameters,
        ..
    } = part;
    if kind != LINEAR {
        return Err(format!("the part from sector {start} on is {kind}"));
    }
    let parse = || {
        let (device, sector) = parameters.split_once(' ')?;
        let (major, minor) = device.split_once(':')?;
        let number = (major.parse().ok()?, minor.parse().ok()?);
        Some((number, sector.parse().ok()?))
    };
    parse().ok_or_else(|| format!("the part from sector {start} on is at {parameters:?}"))
}

/// The one disk that all of these are partitions of.
fn disk_of(volumes: &[BlockDevice]) -> Result<BlockDevice, RootError> {
    let mut disk: Option<&str> = None;
    for volume in volumes {
        let Some(place) = &volume.partition else {
            return unsupported(format!(
                "{} is a physical volume, and no partition",
                volume.node().display()
            ));
        };
        if disk.is_some_and(|disk| disk != place.disk) {
            return unsupported(format!(
                "the logical volume is on several disks, {} and {} among them",
                disk.unwrap_or_default(),
                place.disk
            ));
        }
        disk = Some(&place.disk);
    }
    let disk = disk.unwrap_or_default();
    reading(
        format!("look up disk {disk} in sysfs"),
        block::by_name(disk),
    )
}

/// A partition as a physical volume, and the number of its group's metadata, where it has some.
fn physical(
    device: &BlockDevice,
    table: &Table,
) -> Result<(PhysicalVolume, Option<u64>), RootError> {
    let node = device.node();
    let read = |what: &str| format!("read {what} of the physical volume {}", node.display());
    let Some(label) = reading(read("the label"), lvm::label(&node))? else {
        return unsupported(format!("{} is no physical volume of LVM", node.display()));
    };
    let group = reading(read("the metadata"), lvm::group(&node, &label))?;
    let (place, guids) = table.place(device)?;
    Ok((
        PhysicalVolume {
            uuid: label.uuid,
            partition: place.number,
            start: place.start,
            sectors: device.sectors,
            guid: guids.map(|guids| guids.partition),
        },
        group.map(|group| group.sequence),
    ))
}

/// Every physical volume, with its UUID.
fn labelled() -> Result<Vec<(BlockDevice, String)>, RootError> {
    let devices = reading("list /sys/class/block", block::all())?;
    // Drives without a medium, and the like, cannot be read, and are none.
    let label = |device: &BlockDevice| lvm::label(&device.node()).ok().flatten();
    Ok(devices
        .into_iter()
        .filter_map(|device| {
            let uuid = label(&device)?.uuid;
            Some((device, uuid))
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn part(kind: &str, parameters: &str) -> Target {
        Target {
            start: 8192,
            sectors: 64,
            kind: kind.to_owned(),
            parameters: parameters.to_owned(),
        }
    }

    #[test]
    fn a_group_is_whole_if_the_new_os_will_have_all_of_it() {
        let there = [
            ("a", vec![]),
            ("b", vec!["md".to_owned()]),
            ("c", vec!["LUKS".to_owned()]),
            // Seen on a path to it as well.
            ("d", vec!["multipath".to_owned()]),
            ("d", vec![]),
        ];
        let lacks = |volumes: &[&str]| {
            let volumes: Vec<_> = volumes.iter().map(ToString::to_string).collect();
            lacking(&volumes, &there)
        };
        assert_eq!(lacks(&["a", "b", "d"]), [""; 0]);
        assert_eq!(
            lacks(&["a", "c", "x"]),
            [
                "the physical volume c is on LUKS",
                "there is no physical volume x"
            ]
        );
        assert_eq!(lacks(&[]), [""; 0]);
    }

    #[test]
    fn a_volume_that_does_not_come_with_its_group_is_refused() {
        let uuid = "VtpmYdYSvtnUVkDIyw9dUavqWqk7C8EM";
        let volume = LogicalVolume {
            name: "vg0-root".to_owned(),
            uuid: format!("LVM-5NGFCrTYcy0J5eEbXESHepFb74U0nNHE{uuid}"),
            segments: Vec::new(),
            volumes: Vec::new(),
            sequence: Some(7),
        };
        let refused = |uuid: &str, by| {
            let group = lvm::Group {
                sequence: 7,
                volumes: Vec::new(),
                logical: vec![lvm::Logical {
                    name: "vg0/root".to_owned(),
                    uuid: uuid.to_owned(),
                    kept_back: Some(by),
                }],
            };
            kept_back(&volume, &group)
        };
        for (by, command) in [
            (KeptBack::Itself, "lvchange --setautoactivation y vg0/root"),
            (KeptBack::WithGroup, "vgchange --setautoactivation y vg0"),
            (KeptBack::Skipped, "lvchange --setactivationskip n vg0/root"),
            (KeptBack::OfOneSystem, "vgchange --systemid '' vg0"),
            (KeptBack::Shared, "vgchange --lock-type none vg0"),
        ] {
            let why = refused(uuid, by).unwrap();
            assert!(why.contains(&format!("`{command}`")), "{why}");
        }
        for other in ["ASJQHpi1xiW4nqThW7EQRhz10JfboLUi", ""] {
            assert_eq!(refused(other, KeptBack::Itself), None, "{other}");
        }
    }

    #[test]
    fn only_a_linear_part_has_a_place() {
        assert_eq!(
            linear(&part("linear", "254:3 2048")).unwrap(),
            ((254, 3), 2048)
        );
        for (kind, parameters) in [
            ("thin", "253:1 7"),
            ("snapshot-origin", "253:2"),
            ("striped", "2 128 254:3 2048 254:5 2048"),
            ("linear", "2048"),
            ("linear", "254:3 x"),
        ] {
            assert!(linear(&part(kind, parameters)).is_err(), "{kind}");
        }
        let why = linear(&part("cache", "")).unwrap_err();
        assert_eq!(why, "the part from sector 8192 on is cache");
    }

    #[test]
    fn a_volume_is_told_to_the_kernel_as_it_was_told_by_it() {
        let segment = |sectors, volume, start| Segment {
            sectors,
            volume,
            start,
        };
        let volume = LogicalVolume {
            name: "vg-root".into(),
            uuid: "LVM-x".into(),
            segments: vec![segment(8192, 1, 2048), segment(64, 0, 4096)],
            volumes: vec![],
            sequence: None,
        };
        let told = targets(&volume, &[(254, 3), (254, 5)]);
        let expected = [
            Target {
                start: 0,
                sectors: 8192,
                ..part("linear", "254:5 2048")
            },
            part("linear", "254:3 4096"),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn volumes_of_several_disks_and_whole_disks_are_refused() {
        let device = |name: &str, disk: Option<&str>| BlockDevice {
            name: name.to_owned(),
            sysfs: Path::new("/sys/devices").to_owned(),
            sectors: 1,
            partition: disk.map(|disk| block::PartitionPlace {
                number: 1,
                start: 2048,
                disk: disk.to_owned(),
            }),
        };
        let two = [device("sda1", Some("sda")), device("sdb1", Some("sdb"))];
        let why = disk_of(&two).unwrap_err().to_string();
        assert!(why.contains("several disks, sda and sdb"), "{why}");
        let why = disk_of(&[device("sda", None)]).unwrap_err().to_string();
        assert!(why.contains("/dev/sda is a physical volume"), "{why}");
    }
}
