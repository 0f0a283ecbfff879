//! What a root may be on, and what of that is refused.

use formats::boot_path::EfiFacts;
use formats::facts::{
    ArrayIdentity, Facts, LogicalVolume, MemberIdentity, PhysicalVolume, RootCopy, RootPlace,
    Segment, Volume, VolumeKind,
};

use super::cases::{by_uefi, root, Change};

/// The root is on a mirror of two disks; the image can start from one, but for the program in its initrd.
fn mirrored(facts: &mut Facts, grub: bool) -> &mut RootCopy {
    let root = root(facts);
    let first = MemberIdentity {
        disk_signature: 1,
        partition: 1,
        start: 2048,
        sectors: 4096,
        guids: None,
        data_offset: 2048,
    };
    let second = MemberIdentity {
        disk_signature: 2,
        ..first.clone()
    };
    root.identity.array = Some(ArrayIdentity {
        uuid: "a:b:c:d".into(),
        metadata: "1.2".into(),
        members: vec![first, second],
    });
    root.copies.push(RootCopy {
        disk: "/dev/vdb".into(),
        disk_by_id: None,
        room_sectors: 2047,
        has_room: true,
        grub_on_disk: grub,
    });
    &mut root.copies[0]
}

/// The root is one that cannot be reinstalled, on a volume of this kind.
fn root_on(facts: &mut Facts, fstype: &str, kind: VolumeKind) {
    facts.root = None;
    let volume = Volume {
        node: "/dev/x".into(),
        kind,
        below: vec![],
    };
    facts.condition.root_place = Some(RootPlace {
        fstype: fstype.into(),
        shows: None,
        volume: Some(volume),
    });
}

/// The root is on a logical volume that nothing speaks against.
fn logical(facts: &mut Facts) {
    root(facts).identity.logical = Some(LogicalVolume {
        name: "vg-root".into(),
        uuid: "LVM-x".into(),
        segments: vec![Segment {
            sectors: 8192,
            volume: 0,
            start: 2048,
        }],
        volumes: vec![PhysicalVolume {
            uuid: "p".into(),
            partition: 1,
            start: 2048,
            sectors: 16384,
            guid: None,
        }],
        sequence: Some(4),
    });
    facts.root_drivers.push("dm_mod".into());
}

/// As [`super::cases::CASES`].
pub(super) const CASES: &[(&str, Change)] = &[
    ("root", |f, _| {
        f.root = None;
        f.root_unknown = Some("LVM".into());
    }),
    ("root-luks", |f, _| root_on(f, "ext4", VolumeKind::Luks)),
    ("root-multipath", |f, _| {
        root_on(f, "ext4", VolumeKind::Multipath);
    }),
    ("root-zfs", |f, _| {
        root_on(f, "zfs", VolumeKind::Disk);
        f.condition.root_place.as_mut().unwrap().volume = None;
    }),
    ("root-raid", |f, _| {
        let raid = VolumeKind::Raid {
            level: "raid10".into(),
            metadata: "1.2".into(),
            missing: 0,
        };
        root_on(f, "ext4", raid);
    }),
    ("root-degraded", |f, _| {
        let raid = VolumeKind::Raid {
            level: "raid1".into(),
            metadata: "1.2".into(),
            missing: 1,
        };
        let known = f.root.clone();
        root_on(f, "ext4", raid);
        f.root = known;
    }),
    ("boot-copies", |f, _| {
        mirrored(f, false);
    }),
    ("boot-staged", |f, _| {
        root(f).staged_on = vec!["/dev/vdb".into()];
    }),
    ("boot-staged", |f, _| {
        mirrored(f, true);
        let copy = EfiFacts {
            staged: vec!["the fallback file".into()],
            ..EfiFacts::default()
        };
        f.efi.copies.push(copy);
    }),
    ("dual-boot", |f, _| {
        mirrored(f, true);
        let copy = EfiFacts {
            others: vec!["Windows".into()],
            ..EfiFacts::default()
        };
        f.efi.copies.push(copy);
    }),
    ("partition-table", |f, _| {
        mirrored(f, true).has_room = false;
    }),
    ("partition-table", |f, _| {
        by_uefi(f);
        mirrored(f, false);
        let copy = EfiFacts {
            files: f.efi.files.clone(),
            no_room: Some("there is none".into()),
            ..EfiFacts::default()
        };
        f.efi.copies.push(copy);
    }),
    ("boot-copies", |f, _| {
        by_uefi(f);
        mirrored(f, false);
        f.efi.copies.push(EfiFacts::default());
    }),
    ("root-driver", |f, i| {
        mirrored(f, true);
        i.payload_drivers.as_mut().unwrap().initrd_programs.clear();
    }),
    ("root-logical", |f, _| {
        let kinds = vec!["thin".into()];
        let name = "vg/root".into();
        root_on(f, "ext4", VolumeKind::Logical { name, kinds });
    }),
    ("logical-image", |f, i| {
        logical(f);
        i.tools.lvm_core_sectors.clear();
    }),
    ("logical-image", |f, i| {
        logical(f);
        i.payload_drivers.as_mut().unwrap().initrd_programs.clear();
    }),
    ("logical-image", |f, i| {
        logical(f);
        i.tools.programs.clear();
    }),
    // A driver as those of its disk.
    ("root-driver", |f, i| {
        logical(f);
        i.kernel.drivers.retain(|name| name != "dm_mod");
    }),
    ("partition-table", |f, _| {
        logical(f);
        let root = root(f);
        (root.has_room, root.room_alone) = (false, 89);
    }),
    ("root-network", |f, _| {
        let what = "network block device".into();
        root_on(f, "ext4", VolumeKind::Other { what });
    }),
    ("root-whole-disk", |f, _| {
        root_on(f, "ext4", VolumeKind::Disk);
    }),
];
