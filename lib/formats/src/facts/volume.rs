//! What a filesystem is on: a tree of volumes from its own device down to the disks, as the kernel has
//! them, and in words.

use serde::{Deserialize, Serialize};

/// The filesystem at `/` and what it is on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootPlace {
    /// Its type, as mounted.
    pub fstype: String,
    /// The directory of it that `/` shows, where that is not all: a subvolume, a bind mount.
    pub shows: Option<String>,
    /// Its device; `None` where it has none of its own (Btrfs, ZFS, network filesystems).
    pub volume: Option<Volume>,
}

/// A block device, and those that it is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// The device node, for people.
    pub node: String,
    /// What it is.
    pub kind: VolumeKind,
    /// What it is made of; none where it is a disk.
    pub below: Vec<Volume>,
}

/// What a block device is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VolumeKind {
    /// A disk, or what is taken for one: nothing is known below it.
    Disk,
    /// A partition of what is below.
    Partition {
        /// From 1.
        number: u32,
    },
    /// A logical volume of LVM.
    Logical {
        /// Volume group and volume, as `lvs` prints them with a slash.
        name: String,
        /// How the device-mapper maps its parts, each kind once: `linear`, `thin`, `snapshot-origin`… Empty
        /// where it was not asked.
        #[serde(default)]
        kinds: Vec<String>,
    },
    /// An encrypted volume of LUKS.
    Luks,
    /// One disk that several paths lead to.
    Multipath,
    /// An array of the kernel's own RAID.
    Raid {
        /// `raid1`, as sysfs has it.
        level: String,
        /// Version of the metadata, as sysfs has it.
        metadata: String,
        /// Members that it should have and does not.
        missing: u32,
    },
    /// Another layer, by its name for people.
    Other {
        /// `bcache`, `DRBD`…
        what: String,
    },
}

impl Volume {
    /// Whether it or anything below it is as asked.
    pub fn any(&self, is_it: &impl Fn(&Volume) -> bool) -> bool {
        is_it(self) || self.below.iter().any(|below| below.any(is_it))
    }

    /// The layers between a filesystem and its disks, top first, each once, by the names that payloads
    /// have programs for: `LVM`, `LUKS`, `multipath`, `md`, `bcache`, `device-mapper`. A logical volume whose parts
    /// take more than the device-mapper itself has `LVM thin` and the like besides, also of volumes in it.
    pub fn layers(&self) -> Vec<String> {
        let mut layers = Vec::new();
        self.collect_layers(&mut layers);
        layers
    }

    fn collect_layers(&self, into: &mut Vec<String>) {
        let layer = match &self.kind {
            VolumeKind::Disk | VolumeKind::Partition { .. } => None,
            VolumeKind::Logical { .. } => Some("LVM"),
            VolumeKind::Luks => Some("LUKS"),
            VolumeKind::Multipath => Some("multipath"),
            VolumeKind::Raid { .. } => Some("md"),
            VolumeKind::Other { what } => Some(what.as_str()),
        };
        let mut layers = Vec::from_iter(layer.map(str::to_owned));
        if let VolumeKind::Logical { kinds, .. } = &self.kind {
            let more = kinds.iter().filter(|kind| !PLAIN.contains(&kind.as_str()));
            layers.extend(more.map(|kind| format!("LVM {kind}")));
        }
        for layer in layers {
            if !into.contains(&layer) {
                into.push(layer);
            }
        }
        for below in &self.below {
            below.collect_layers(into);
        }
    }

    /// The tree in one line: `logical volume vg0/root on RAID 1 (/dev/md0, metadata 1.2) of partition 3 of
    /// disk /dev/sda and partition 3 of disk /dev/sdb`.
    pub fn words(&self) -> String {
        let (own, joint) = match &self.kind {
            VolumeKind::Disk => return format!("disk {}", self.node),
            VolumeKind::Partition { number } => (format!("partition {number}"), "of"),
            VolumeKind::Logical { name, kinds } => (logical(name, kinds), "on"),
            VolumeKind::Luks => (format!("LUKS ({})", self.node), "on"),
            VolumeKind::Multipath => (format!("multipath {}", self.node), "of"),
            VolumeKind::Raid {
                level,
                metadata,
                missing,
            } => {
                let lacks = match missing {
                    0 => String::new(),
                    missing => format!(", {missing} missing"),
                };
                let level = level.replacen("raid", "RAID ", 1);
                (
                    format!("{level} ({}, metadata {metadata}{lacks})", self.node),
                    "of",
                )
            }
            VolumeKind::Other { what } => (format!("{what} ({})", self.node), "on"),
        };
        let below: Vec<String> = self.below.iter().map(Volume::words).collect();
        if below.is_empty() {
            return own;
        }
        format!("{own} {joint} {}", below.join(" and "))
    }
}

/// A logical volume in words; what is not mapped as it is has its kind behind it.
fn logical(name: &str, kinds: &[String]) -> String {
    let strange: Vec<&str> = kinds
        .iter()
        .map(String::as_str)
        .filter(|kind| *kind != LINEAR)
        .collect();
    if strange.is_empty() {
        return format!("logical volume {name}");
    }
    format!("logical volume {name} ({})", strange.join(", "))
}

/// What the device-mapper calls a part that lies on another device as it is.
pub const LINEAR: &str = "linear";
/// What the device-mapper maps without another module.
const PLAIN: [&str; 3] = [LINEAR, "striped", "error"];

impl RootPlace {
    /// In one line, from the filesystem down: `ext4 on partition 1 of disk /dev/vda`.
    pub fn words(&self) -> String {
        let shows = match &self.shows {
            Some(directory) => format!(" ({directory} of it)"),
            None => String::new(),
        };
        match &self.volume {
            Some(volume) => format!("{}{shows} on {}", self.fstype, volume.words()),
            None => format!("{}{shows}", self.fstype),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(node: &str, kind: VolumeKind, below: Vec<Volume>) -> Volume {
        Volume {
            node: node.to_owned(),
            kind,
            below,
        }
    }

    fn partition(disk: &str, number: u32) -> Volume {
        let below = vec![volume(disk, VolumeKind::Disk, vec![])];
        let node = format!("{disk}{number}");
        volume(&node, VolumeKind::Partition { number }, below)
    }

    fn logical_on_raid() -> Volume {
        let raid = VolumeKind::Raid {
            level: "raid1".to_owned(),
            metadata: "1.2".to_owned(),
            missing: 0,
        };
        let members = vec![partition("/dev/sda", 3), partition("/dev/sdb", 3)];
        let name = "vg0/root".to_owned();
        let array = volume("/dev/md0", raid, members);
        let kinds = vec![LINEAR.to_owned()];
        volume(
            "/dev/dm-0",
            VolumeKind::Logical { name, kinds },
            vec![array],
        )
    }

    #[test]
    fn a_stack_is_one_line_from_the_filesystem_down() {
        let place = |volume| RootPlace {
            fstype: "ext4".to_owned(),
            shows: None,
            volume,
        };
        assert_eq!(
            place(Some(partition("/dev/vda", 1))).words(),
            "ext4 on partition 1 of disk /dev/vda"
        );
        assert_eq!(
            place(Some(logical_on_raid())).words(),
            "ext4 on logical volume vg0/root on RAID 1 (/dev/md0, metadata 1.2) of partition 3 of disk \
             /dev/sda and partition 3 of disk /dev/sdb"
        );
        let subvolume = RootPlace {
            fstype: "btrfs".to_owned(),
            shows: Some("/@".to_owned()),
            volume: None,
        };
        assert_eq!(subvolume.words(), "btrfs (/@ of it)");
    }

    #[test]
    fn a_logical_volume_tells_what_its_parts_take_all_the_way_down() {
        let logical = |name: &str, kinds: &[&str], below| {
            let kind = VolumeKind::Logical {
                name: name.to_owned(),
                kinds: kinds.iter().map(ToString::to_string).collect(),
            };
            volume(name, kind, below)
        };
        let disk = || vec![partition("/dev/sda", 3)];
        let leg = |name| logical(name, &["linear", "error"], disk());
        let legs = vec![leg("vg/pool_tdata_rimage_0"), leg("vg/pool_tdata_rimage_1")];
        let data = logical("vg/pool_tdata", &["raid"], legs);
        let pool = logical("vg/pool", &["thin-pool"], vec![leg("vg/pool_tmeta"), data]);
        let thin = logical("vg/data", &["thin"], vec![pool]);
        let told = ["LVM", "LVM thin", "LVM thin-pool", "LVM raid"];
        assert_eq!(thin.layers(), told);
        let plain = logical("vg/data", &["linear", "striped"], disk());
        assert_eq!(plain.layers(), ["LVM"]);
    }

    #[test]
    fn layers_are_told_top_first_and_once() {
        assert_eq!(logical_on_raid().layers(), ["LVM", "md"]);
        assert_eq!(partition("/dev/vda", 1).layers(), [""; 0]);
        let missing =
            |v: &Volume| matches!(&v.kind, VolumeKind::Raid { missing, .. } if *missing > 0);
        assert!(!logical_on_raid().any(&missing));
    }
}
