//! What filesystem a root may be, and what of that is refused.

use formats::facts::{
    BtrfsFacts, BtrfsRoom, Facts, MountedFilesystem, NestedSubvolume, QuotaLimit, RootIdentity,
    RootType, Subvolume, SubvolumeTree, XfsFeatures,
};

use super::cases::{root, system, Change};

/// A root on XFS as RHEL 9 makes it.
fn xfs(facts: &mut Facts) -> &mut XfsFeatures {
    let root = root(facts);
    root.fstype = "xfs".into();
    root.identity.filesystem = RootType::Xfs;
    facts.condition.root_features = None;
    facts.condition.root_xfs.insert(XfsFeatures {
        version: 0xb4a5,
        ro_compat: 0xd,
        incompat: 0xb,
        ..XfsFeatures::default()
    })
}

/// A root on Btrfs as Fedora makes it.
pub(super) fn btrfs(facts: &mut Facts) -> &mut BtrfsFacts {
    let root = root(facts);
    root.fstype = "btrfs".into();
    root.identity.filesystem = RootType::Btrfs;
    root.identity.subvolume = Some(Subvolume {
        id: 256,
        path: "/root".into(),
    });
    facts.condition.root_features = None;
    facts.condition.root_btrfs.insert(BtrfsFacts {
        compat_ro: 3,
        incompat: 0x341,
        devices: 1,
        default: 5,
        room: BtrfsRoom {
            device: 4 << 30,
            unallocated: 2 << 30,
            data_free: 500 << 20,
            trees: 256 << 20,
            trees_used: 100 << 20,
            reserve: 16 << 20,
            copies: 2,
            mixed: false,
            subvolumes: vec![SubvolumeTree {
                id: 256,
                bytes: 60 << 20,
                shared: true,
            }],
            limits: vec![],
        },
        ..BtrfsFacts::default()
    })
}

/// The same with a subvolume in the root.
fn nested(facts: &mut Facts) -> &mut NestedSubvolume {
    let nested = &mut btrfs(facts).nested;
    nested.push(NestedSubvolume {
        id: 258,
        path: "/var/lib/machines".into(),
        read_only: false,
        snapshot: false,
        mounted: vec![],
    });
    nested.last_mut().unwrap()
}

/// The same with a subvolume mounted beside the root that is the system's.
pub(super) fn beside<'f>(facts: &'f mut Facts, target: &str) -> &'f mut MountedFilesystem {
    btrfs(facts);
    let uuid = root(facts).identity.fs_uuid.clone();
    let identity = RootIdentity {
        subvolume: Some(Subvolume {
            id: 257,
            path: format!("/@{target}"),
        }),
        ..root(facts).identity.clone()
    };
    system(facts, target);
    facts.identity.fstab = format!("UUID={uuid} {target} btrfs subvol=@{target} 0 0\n");
    facts.identity.devices[0].uuid = Some(uuid);
    facts.identity.devices[0].fstype = Some("btrfs".into());
    facts.mounts.last_mut().unwrap().fstype = "btrfs".into();
    let beside = facts.filesystems.last_mut().unwrap();
    beside.fstype = "btrfs".into();
    beside.ext4 = None;
    beside.identity = Ok(identity);
    beside
}

/// As [`super::cases::CASES`].
pub(super) const CASES: &[(&str, Change)] = &[
    ("root-features", |f, _| {
        f.condition.root_features.as_mut().unwrap().incompat |= 0x8000;
    }),
    ("root-features", |_, i| {
        i.tools.e2fsprogs = Some("1.42.13".into());
    }),
    ("root-features", |_, i| i.kernel.release = "3.2.0".into()),
    ("root-journal", |f, _| {
        f.condition.root_journal_elsewhere = true;
    }),
    ("root-journal", |f, _| {
        xfs(f);
        f.condition.root_journal_elsewhere = true;
    }),
    ("root-features", |f, _| {
        xfs(f).incompat |= 0x40;
    }),
    ("root-features", |f, _| xfs(f).realtime = true),
    ("root-features", |f, _| xfs(f).version = 0xb4a4),
    ("root-type", |f, i| {
        xfs(f);
        i.payload_drivers
            .as_mut()
            .unwrap()
            .initrd
            .retain(|d| d != "xfs");
    }),
    ("root-type", |f, i| {
        xfs(f);
        i.kernel.drivers.retain(|d| d != "xfs");
    }),
    ("root-type", |f, i| {
        xfs(f);
        i.tools.xfs = None;
    }),
    ("root-repair", |f, i| {
        xfs(f);
        i.tools.xfs.as_mut().unwrap().repair = false;
    }),
    ("root-journal", |f, _| {
        f.condition.root_features.as_mut().unwrap().compat &= !4;
    }),
    ("root-features", |f, _| btrfs(f).incompat |= 0x1000),
    ("root-type", |f, i| {
        btrfs(f);
        i.kernel.drivers.retain(|d| d != "btrfs");
    }),
    ("root-type", |f, i| {
        btrfs(f);
        i.tools.btrfs = None;
    }),
    ("root-repair", |f, i| {
        btrfs(f);
        i.tools.btrfs.as_mut().unwrap().repair = false;
    }),
    ("root-btrfs", |f, _| btrfs(f).devices = 2),
    ("root-btrfs", |f, _| {
        btrfs(f).strange = vec!["it has data as RAID 1".into()];
    }),
    ("root-btrfs", |f, _| {
        btrfs(f);
        f.condition.root_btrfs = None;
    }),
    ("space", |f, _| {
        let room = &mut btrfs(f).room;
        room.unallocated = 0;
        room.data_free = 3 << 30;
        room.trees = 160 << 20;
    }),
    ("space", |f, _| {
        btrfs(f).room.limits = vec![QuotaLimit {
            group: "0/256".into(),
            most: 200 << 20,
            used: 100 << 20,
            subvolumes: vec![(256, 100 << 20)],
        }];
    }),
    ("root-subvolumes", |f, _| nested(f).snapshot = true),
    ("root-subvolumes", |f, _| nested(f).read_only = true),
    ("root-subvolumes", |f, _| {
        nested(f).id = 5;
    }),
    ("subvolumes-wiped", |f, _| {
        nested(f);
    }),
    ("subvolumes-left", |f, _| {
        btrfs(f).others = vec!["/home".into()];
    }),
    ("mounts-wiped", |f, _| {
        beside(f, "/root");
        f.condition.root_btrfs.as_mut().unwrap().others = vec!["/@/root".into()];
    }),
];
