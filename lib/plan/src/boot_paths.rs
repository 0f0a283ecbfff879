//! Which boot paths a run switches: every way in which a firmware starts the root's disk, the one in use
//! first. A disk that has two of them has to start the same OS by each.

use formats::boot_path::BootPath;
use formats::facts::{Facts, Firmware, Root, RootCopy};
use formats::plan::PlanCopy;
use formats::tools::Tools;

/// The paths, in the order in which they are switched at the commit point.
pub fn boot_paths(facts: &Facts, root: &Root, tools: &Tools) -> Vec<BootPath> {
    match facts.firmware {
        Firmware::Bios => {
            let switched = leaves_uefi(facts, root, tools).is_none();
            in_order(facts, Some(bios(root)), switched)
        }
        Firmware::Uefi => {
            let switched = root.grub_on_disk && root.has_room;
            in_order(facts, switched.then(|| bios(root)), true)
        }
    }
}

/// The paths that the root's disk has now, the one in use first, whatever a run does with them: none where it is not
/// known what the firmware has started there.
pub fn found(facts: &Facts, root: &Root) -> Vec<BootPath> {
    let known = match facts.firmware {
        Firmware::Bios => root.grub_on_disk,
        Firmware::Uefi => facts.efi.unknown.is_none() && !facts.efi.files.is_empty(),
    };
    if !known {
        return Vec::new();
    }
    in_order(facts, root.grub_on_disk.then(|| bios(root)), true)
}

/// A BIOS's path and, if these count, the files that UEFI starts: first those of the firmware that is in use.
fn in_order(facts: &Facts, bios: Option<BootPath>, with_files: bool) -> Vec<BootPath> {
    let files = facts.efi.files.iter().filter(|_| with_files);
    let files = files.cloned().map(BootPath::Uefi);
    match facts.firmware {
        Firmware::Bios => bios.into_iter().chain(files).collect(),
        Firmware::Uefi => files.chain(bios).collect(),
    }
}

fn bios(root: &Root) -> BootPath {
    if root.identity.guids.is_some() {
        BootPath::BiosPartition
    } else {
        BootPath::BiosGap
    }
}

/// The further disks of a mirror, each with its paths: a BIOS starts one of them where the first is not there.
pub fn copies(facts: &Facts, root: &Root) -> Vec<PlanCopy> {
    let members = root.identity.array.iter().flat_map(|array| &array.members);
    let bios = |copy: &RootCopy, has_guids: bool| {
        let path = if has_guids {
            BootPath::BiosPartition
        } else {
            BootPath::BiosGap
        };
        (copy.grub_on_disk && copy.has_room).then_some(path)
    };
    let by_uefi = |at: usize| {
        let found = facts.efi.copies.get(at);
        let found = found.filter(|_| facts.firmware == Firmware::Uefi);
        let files = found.into_iter().flat_map(|found| found.files.clone());
        files.map(BootPath::Uefi)
    };
    let copies = root.copies.iter().zip(members.skip(1)).enumerate();
    copies
        .map(|(at, (copy, member))| PlanCopy {
            disk: copy.disk.clone(),
            disk_by_id: copy.disk_by_id.clone(),
            boot_paths: by_uefi(at)
                .chain(bios(copy, member.guids.is_some()))
                .collect(),
        })
        .collect()
}

/// The further disks of a mirror that the firmware starts nothing of that a run knows.
pub fn copies_without_loader(facts: &Facts, root: &Root) -> Vec<String> {
    let has_file = |at: usize| {
        facts
            .efi
            .copies
            .get(at)
            .is_some_and(|c| !c.files.is_empty())
    };
    let copies = root.copies.iter().enumerate();
    let without = copies.filter(|(at, copy)| match facts.firmware {
        Firmware::Bios => !copy.grub_on_disk,
        Firmware::Uefi => !has_file(*at),
    });
    without.map(|(_, copy)| copy.disk.clone()).collect()
}

/// The disks of a mirror that no loader was found on: they start nothing now, and nothing afterwards.
pub(crate) fn leaves_copies(facts: &Facts, root: &Root) -> Option<String> {
    let without = copies_without_loader(facts, root);
    (!without.is_empty()).then(|| {
        format!(
            "{} does not start a GRUB, and will not start the new OS either: without {} the machine does not \
             start. In the new OS `grub-install` puts one there, with UEFI on an EFI system partition of that disk",
            without.join(" and "),
            root.disk
        )
    })
}

/// Whether the staged image's loader for a BIOS waits in a file of the root filesystem: where the sectors for
/// boot loaders hold one loader and no two.
pub fn loader_apart(facts: &Facts, root: &Root, tools: &Tools) -> bool {
    let holds_one = tools
        .core_sectors_of(&root.identity)
        .is_some_and(|needed| needed <= root.room_alone);
    // A file on a mirror lies on every disk of it, and what is put there differs from disk to disk.
    // Btrfs has a file's bytes nowhere for good.
    let plain = root.identity.array.is_none() && root.identity.subvolume.is_none();
    plain && facts.firmware == Firmware::Bios && !root.has_room && holds_one
}

/// Why the way by UEFI of a machine that a BIOS started stays as it is, in words; `None` where it is
/// switched, or there is none.
pub(crate) fn leaves_uefi(facts: &Facts, root: &Root, tools: &Tools) -> Option<String> {
    if facts.firmware == Firmware::Uefi {
        return None;
    }
    let unknown = facts.efi.unknown.iter().chain(&facts.efi.left).next();
    if let Some(why) = unknown.filter(|_| facts.efi.files.is_empty()) {
        return Some(format!(
            "the disk may be started by UEFI, too, and it cannot be told by what: {why}"
        ));
    }
    let file = facts.efi.files.first()?;
    let mirrored = root.identity.array.is_some();
    let why = match &facts.efi.no_room {
        _ if mirrored => "of a mirror this release switches what a BIOS starts alone",
        Some(why) => why.as_str(),
        None if !tools.boots_by_uefi() => "the image has no GRUB for UEFI",
        None => return None,
    };
    Some(format!(
        "the disk can be started by UEFI, too: {file}. That is left as it is and will start nothing, \
         since {why}"
    ))
}

/// The same of the way by a BIOS, on a machine that UEFI started.
pub(crate) fn leaves_bios(facts: &Facts, root: &Root) -> Option<String> {
    let left = facts.firmware == Firmware::Uefi && root.grub_on_disk && !root.has_room;
    left.then(|| {
        "the disk can be started by a BIOS, too. That is left as it is and will start nothing, since its \
         sectors for boot loaders have no room for a further one"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use fixtures::facts::root;
    use formats::boot_path::{EfiFacts, EfiFile, EfiPartition};
    use formats::facts::{ArrayIdentity, Guids, MemberIdentity};
    use formats::tools::GRUB_EFI;

    use super::*;

    fn file(path: &str) -> EfiFile {
        EfiFile {
            partition: EfiPartition {
                number: 15,
                guid: "g".into(),
                start: 8192,
                sectors: 65536,
            },
            path: path.into(),
            variable: None,
        }
    }

    #[test]
    fn every_disk_of_a_mirror_that_starts_something_has_a_path() {
        let (facts, mut root) = (fixtures::facts::facts(), root());
        assert!(copies(&facts, &root).is_empty());
        let member = MemberIdentity {
            disk_signature: 0,
            partition: 1,
            start: 2048,
            sectors: 4096,
            guids: None,
            data_offset: 2048,
        };
        let with_guids = MemberIdentity {
            guids: Some(Guids {
                disk: "d".into(),
                partition: "p".into(),
            }),
            start: 4096,
            ..member.clone()
        };
        root.identity.array = Some(ArrayIdentity {
            uuid: "a:b:c:d".into(),
            metadata: "1.2".into(),
            members: vec![member, with_guids.clone(), with_guids],
        });
        assert_eq!(
            root.identity.on_disks(0, 1),
            [Some(4096), Some(6144), Some(6144)]
        );
        let copy = |grub_on_disk| RootCopy {
            disk: "/dev/vdb".into(),
            disk_by_id: None,
            room_sectors: 2047,
            has_room: true,
            grub_on_disk,
        };
        root.copies = vec![copy(true), copy(false)];
        let paths: Vec<_> = copies(&facts, &root)
            .into_iter()
            .map(|copy| copy.boot_paths)
            .collect();
        assert_eq!(paths, [vec![BootPath::BiosPartition], vec![]]);
        let told = leaves_copies(&facts, &root).unwrap();
        assert!(told.contains("grub-install"), "{told}");
        assert_eq!(copies_without_loader(&facts, &root), ["/dev/vdb"]);
        // UEFI starts each disk by a file of its own, which a BIOS's loader is no help for.
        let mut by_uefi = facts.clone();
        by_uefi.firmware = Firmware::Uefi;
        by_uefi.efi.copies = vec![EfiFacts::default(), EfiFacts::default()];
        by_uefi.efi.copies[1].files = vec![file("/EFI/BOOT/BOOTX64.EFI")];
        let paths: Vec<_> = copies(&by_uefi, &root)
            .into_iter()
            .map(|copy| copy.boot_paths)
            .collect();
        let second = vec![BootPath::Uefi(file("/EFI/BOOT/BOOTX64.EFI"))];
        assert_eq!(paths, [vec![BootPath::BiosPartition], second]);
        assert_eq!(copies_without_loader(&by_uefi, &root), ["/dev/vdb"]);
        // A file on the mirror would lie on both disks.
        root.has_room = false;
        let tools = Tools {
            grub_core_sectors: Some(60),
            ..Tools::default()
        };
        assert!(!loader_apart(&facts, &root, &tools));
        root.identity.array = None;
        assert!(loader_apart(&facts, &root, &tools));
    }

    #[test]
    fn every_way_is_switched_and_the_one_in_use_comes_first() {
        let (mut facts, mut root) = (fixtures::facts::facts(), root());
        let bios = Tools::default();
        let both = Tools {
            grub_platforms: vec![GRUB_EFI.into()],
            ..Tools::default()
        };
        assert_eq!(boot_paths(&facts, &root, &both), [BootPath::BiosGap]);
        root.identity.guids = Some(Guids {
            disk: "d".into(),
            partition: "p".into(),
        });
        let used = file("/EFI/debian/grubx64.efi");
        let fallback = file("/EFI/BOOT/BOOTX64.EFI");
        facts.efi.files = vec![fallback.clone()];
        assert_eq!(boot_paths(&facts, &root, &bios), [BootPath::BiosPartition]);
        let told = leaves_uefi(&facts, &root, &bios).unwrap();
        assert!(told.contains("no GRUB for UEFI"), "{told}");
        assert_eq!(leaves_uefi(&facts, &root, &both), None);
        assert_eq!(
            boot_paths(&facts, &root, &both),
            [BootPath::BiosPartition, BootPath::Uefi(fallback.clone())]
        );
        facts.efi.left = vec!["unread".into()];
        assert_eq!(leaves_uefi(&facts, &root, &both), None);
        facts.efi.files.clear();
        assert!(leaves_uefi(&facts, &root, &both)
            .unwrap()
            .contains("unread"));
        facts.firmware = Firmware::Uefi;
        facts.efi.files = vec![used.clone(), fallback.clone()];
        let files = [BootPath::Uefi(used), BootPath::Uefi(fallback)];
        let three = [&files[..], &[BootPath::BiosPartition]].concat();
        assert_eq!(boot_paths(&facts, &root, &both), three);
        assert_eq!(leaves_bios(&facts, &root), None);
        root.has_room = false;
        assert_eq!(boot_paths(&facts, &root, &both), files);
        assert!(leaves_bios(&facts, &root).unwrap().contains("by a BIOS"));
        root.grub_on_disk = false;
        assert_eq!(boot_paths(&facts, &root, &both), files);
        assert_eq!(leaves_bios(&facts, &root), None);
    }
}
