//! What is between a mount and its disks: device-mapper, md, bcache. The root must have none; a
//! mount that comes along may, if the new OS can put it together.

use std::fs;
use std::path::Path;

use formats::facts::Layer;

use crate::block::{self, BlockDevice};
use crate::mounts::Mount;

/// What device-mapper's own identifier of a device begins with, by who made it.
const DM_KINDS: [(&str, &str); 5] = [
    ("LVM-", "LVM"),
    ("CRYPT-", "LUKS"),
    ("mpath-", "multipath"),
    // A partition of a multipath device: `part1-mpath-…`.
    ("part", "multipath"),
    ("DMRAID-", "md"),
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
            let kinds = below(&device);
            (!kinds.is_empty()).then(|| Layer {
                target,
                source: device.node().display().to_string(),
                kinds,
            })
        })
        .collect()
}

fn of_number((major, minor): (u32, u32)) -> Option<BlockDevice> {
    block::by_number(major, minor).ok()
}

fn of_node(path: &str) -> Option<BlockDevice> {
    let node = fs::canonicalize(path).ok()?;
    block::by_name(&node.strip_prefix("/dev").ok()?.display().to_string()).ok()
}

/// Kinds of the layers, top first, each once.
fn below(device: &BlockDevice) -> Vec<String> {
    let mut kinds = Vec::new();
    let mut rest = vec![device.clone()];
    while let Some(device) = rest.pop() {
        let uuid = fs::read_to_string(device.sysfs.join("dm/uuid")).unwrap_or_default();
        let kind = kind(&device.name, &uuid, &device.sysfs);
        if let Some(kind) = kind.filter(|k| !kinds.iter().any(|known| known == k)) {
            kinds.push(kind.to_owned());
        }
        rest.extend(
            device
                .made_of()
                .iter()
                .filter_map(|n| block::by_name(n).ok()),
        );
        // A partition of such a device is made of the whole of it.
        if let Some(place) = &device.partition {
            rest.extend(block::by_name(&place.disk));
        }
    }
    kinds
}

fn kind(name: &str, dm_uuid: &str, sysfs: &Path) -> Option<&'static str> {
    if name.starts_with("dm-") {
        let known = DM_KINDS
            .iter()
            .find(|(start, _)| dm_uuid.starts_with(start));
        return Some(known.map_or("device-mapper", |(_, kind)| kind));
    }
    if name.starts_with("md") && (sysfs.join("md").is_dir() || name.contains('p')) {
        return Some("md");
    }
    name.starts_with("bcache").then_some("bcache")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_told_by_name_and_identifier() {
        let sysfs = tempfile::tempdir().unwrap();
        fs::create_dir(sysfs.path().join("md")).unwrap();
        for (name, uuid, expected) in [
            ("dm-0", "LVM-Qk3bQ2fU", Some("LVM")),
            ("dm-1", "CRYPT-LUKS2-0a1b-data", Some("LUKS")),
            ("dm-2", "mpath-3600508b4", Some("multipath")),
            ("dm-3", "part1-mpath-3600508b4", Some("multipath")),
            ("dm-4", "", Some("device-mapper")),
            ("md127", "", Some("md")),
            ("bcache0", "", Some("bcache")),
            ("sda1", "", None),
            ("nvme0n1p1", "", None),
        ] {
            assert_eq!(kind(name, uuid, sysfs.path()), expected, "{name}");
        }
    }
}
