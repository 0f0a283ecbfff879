//! Filesystems that are wiped together with the root are asked as the root is.

use formats::facts::{
    ArrayIdentity, BtrfsFeatures, DiskHealth, Facts, Health, LogicalVolume, MountedFilesystem,
    NestedSubvolume, XfsFeatures,
};
use formats::manifest::Manifest;

use super::cases::{by_uefi, data, system};
use super::fired;
use super::root_filesystem::{beside, btrfs};
use crate::survey::plain_machine::{image, machine};

/// What is told of every such machine.
const TOLD: &str = "mounts-wiped";

type Change = fn(&mut Facts, &mut Manifest);

/// `/usr` is on a logical volume, and is mounted by its name.
fn usr_on_volume(facts: &mut Facts) -> &mut MountedFilesystem {
    let name = "vg-usr".to_owned();
    system(facts, "/usr");
    facts.identity.devices[0].logical = Some(name.clone());
    let usr = facts.filesystems.last_mut().expect("it was added");
    usr.drivers = vec!["dm_mod".into(), "virtio_blk".into()];
    usr.identity.as_mut().expect("known").logical = Some(LogicalVolume {
        name,
        uuid: "LVM-x".into(),
        segments: vec![],
        volumes: vec![],
        sequence: Some(3),
    });
    usr
}

/// `/usr` is on a mirror.
fn usr_on_mirror(facts: &mut Facts) {
    let usr = system(facts, "/usr");
    usr.identity.as_mut().expect("known").array = Some(ArrayIdentity {
        uuid: "a:b:c:d".into(),
        metadata: "1.2".into(),
        members: vec![],
    });
}

const CASES: &[(&str, Change)] = &[
    ("separate-mounts", |f, image| {
        system(f, "/var");
        image.payload.directories.clear();
    }),
    ("root-read-only", |f, _| system(f, "/var").read_only = true),
    ("root-double", |f, _| {
        system(f, "/var").doubles = vec!["/dev/vdd1".into()];
    }),
    ("root-errors", |f, _| {
        system(f, "/var").errors = Some("2 errors".into());
    }),
    ("root-features", |f, _| {
        let var = system(f, "/var");
        var.ext4.as_mut().expect("ext4").incompat |= 1 << 30;
    }),
    ("root-journal", |f, _| {
        system(f, "/var").journal_elsewhere = true;
    }),
    ("root-degraded", |f, _| system(f, "/var").missing = 1),
    // The new OS's initrd has no business with it.
    ("root-driver", |f, image| {
        system(f, "/var").drivers = vec!["mpt3sas".into()];
        let own = image.payload_drivers.as_mut().expect("drivers");
        assert!(!own.has_in_initrd("mpt3sas"));
    }),
    // With `/usr` it has.
    ("root-driver", |f, image| {
        system(f, "/usr").drivers = vec!["megaraid_sas".into()];
        image.kernel.drivers.push("megaraid_sas".into());
    }),
    // It is there, for the root alone; or not at all.
    ("mount-layers", |f, image| {
        usr_on_volume(f);
        let own = image.payload_drivers.as_mut().expect("drivers");
        own.initrd_for_all_mounts = vec!["mdadm".into()];
    }),
    ("mount-layers", |f, image| {
        usr_on_mirror(f);
        let own = image.payload_drivers.as_mut().expect("drivers");
        own.initrd_programs = vec!["lvm".into()];
    }),
    ("mount-layers", |f, image| {
        usr_on_mirror(f);
        image.payload_drivers = None;
    }),
    // Another volume than the line of fstab leads to.
    ("identity", |f, _| {
        usr_on_volume(f);
        f.identity.devices[0].logical = Some("vg-old".into());
    }),
    ("space", |f, _| system(f, "/var").bytes = 1 << 20),
    ("disk", |f, _| {
        system(f, "/var");
        f.condition.disks.push(DiskHealth {
            node: "/dev/vdc".into(),
            root: false,
            health: Health::Failing("it expects to fail".into()),
        });
    }),
    // The same of what is a subvolume of the root's own Btrfs.
    ("separate-mounts", |f, image| {
        beside(f, "/var");
        image.payload.directories.clear();
    }),
    ("separate-mounts", |f, _| {
        beside(f, "/var").shown_again = vec!["/mnt".into()];
    }),
    ("root-subvolumes", |f, _| {
        beside(f, "/var").nested.push(NestedSubvolume {
            id: 300,
            path: "/var/lib/machines".into(),
            read_only: false,
            snapshot: false,
            mounted: vec!["/".into()],
        });
    }),
    // A line that names another subvolume, and one that names none.
    ("identity", |f, _| {
        beside(f, "/var");
        f.identity.fstab = f.identity.fstab.replace("@/var", "@/old");
    }),
    ("identity", |f, _| {
        beside(f, "/var");
        f.identity.fstab = f.identity.fstab.replace("subvol=@/var", "defaults");
    }),
    // A line that mounts something else there, and none at all.
    ("identity", |f, _| {
        system(f, "/var");
        f.identity.devices[0].uuid = Some("another".into());
    }),
    ("identity", |f, _| {
        system(f, "/var");
        f.identity.fstab.clear();
    }),
];

#[test]
fn what_is_in_subvolumes_of_the_roots_btrfs_is_taken_whichever_firmware_starts_it() {
    let (mut facts, image) = (machine(), image());
    by_uefi(&mut facts);
    beside(&mut facts, "/var");
    assert_eq!(fired(&facts, &image), [TOLD]);
    let mut facts = machine();
    btrfs(&mut facts);
    by_uefi(&mut facts);
    assert_eq!(fired(&facts, &image), [""; 0]);
}

/// An older OS that finds a filesystem which it has to check or mount, and does not know, gets no further.
#[test]
fn the_new_os_knows_the_features_of_data_that_it_has_to_mount() {
    let fired = |change: &dyn Fn(&mut Facts, &mut Manifest)| {
        let (mut facts, mut image) = (machine(), image());
        change(&mut facts, &mut image);
        fired(&facts, &image)
    };
    let refused = ["mount-features"];
    let orphan_file = |f: &mut Facts, i: &mut Manifest, pass: &str| {
        i.tools.e2fsprogs = Some("1.46.5-2ubuntu1".into());
        data(f, pass).ext4.as_mut().unwrap().compat |= 0x1000;
    };
    assert_eq!(
        fired(&|f, _| {
            data(f, "2");
        }),
        [""; 0]
    );
    assert_eq!(fired(&|f, i| orphan_file(f, i, "2")), refused);
    // Nobody checks it, and to the kernel it is nothing; or nobody waits for it.
    assert_eq!(fired(&|f, i| orphan_file(f, i, "0")), [""; 0]);
    assert_eq!(
        fired(&|f, i| {
            orphan_file(f, i, "2");
            f.identity.fstab = f.identity.fstab.replace("defaults", "nofail");
        }),
        [""; 0]
    );
    // GRUB reads none of it.
    assert_eq!(
        fired(&|f, i| {
            i.tools.grub = Some("2.02".into());
            i.tools.grub_refuses = None;
            f.condition.root_features.as_mut().unwrap().incompat &= !0x2000;
            data(f, "2").ext4.as_mut().unwrap().incompat |= 0x2000;
        }),
        [""; 0]
    );
    let of_xfs = |f: &mut Facts, i: &mut Manifest, kernel: &str, incompat| {
        i.kernel.release = kernel.into();
        let data = data(f, "0");
        data.ext4 = None;
        data.xfs = Some(XfsFeatures {
            version: 0xb4a5,
            incompat,
            ..XfsFeatures::default()
        });
    };
    // bigtime.
    assert_eq!(
        fired(&|f, i| of_xfs(f, i, "5.4.0-150-generic", 0xb)),
        refused
    );
    assert_eq!(
        fired(&|f, i| of_xfs(f, i, "5.15.0-25-generic", 0xb)),
        [""; 0]
    );
    let of_btrfs = |f: &mut Facts, i: &mut Manifest, kernel: &str| {
        i.kernel.release = kernel.into();
        let data = data(f, "0");
        data.ext4 = None;
        // block_group_tree; RAID 5, which no root may be on.
        data.btrfs = Some(BtrfsFeatures {
            compat_ro: 0xb,
            incompat: 0x3c1,
        });
    };
    assert_eq!(fired(&|f, i| of_btrfs(f, i, "5.15.0-25-generic")), refused);
    assert_eq!(
        fired(&|f, i| of_btrfs(f, i, "6.12.57+deb13-amd64")),
        [""; 0]
    );
}

#[test]
fn usr_is_taken_on_whatever_the_initrd_puts_together() {
    let (mut facts, image) = (machine(), image());
    usr_on_volume(&mut facts);
    assert_eq!(fired(&facts, &image), [TOLD]);
    let planned = plan::carried::identity(&facts, &image).expect("it is carried");
    assert_eq!(planned.fstab, ["/dev/mapper/vg-usr /usr ext4 defaults 0 2"]);
    let mut facts = machine();
    usr_on_mirror(&mut facts);
    assert_eq!(fired(&facts, &image), [TOLD]);
}

#[test]
fn each_check_of_the_root_is_made_of_what_is_wiped_with_it() {
    for (code, change) in CASES {
        let (mut facts, mut image) = (machine(), image());
        change(&mut facts, &mut image);
        let mut found = fired(&facts, &image);
        found.retain(|found| found != TOLD);
        assert_eq!(found, [*code]);
    }
}
