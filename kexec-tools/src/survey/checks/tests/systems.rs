//! Filesystems that are wiped together with the root are asked as the root is.

use formats::facts::{BtrfsFeatures, DiskHealth, Facts, Health, NestedSubvolume, XfsFeatures};
use formats::manifest::Manifest;

use super::cases::{by_uefi, data, system};
use super::fired;
use super::root_filesystem::{beside, btrfs};
use crate::survey::plain_machine::{image, machine};

/// What is told of every such machine.
const TOLD: &str = "mounts-wiped";

type Change = fn(&mut Facts, &mut Manifest);

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
fn a_root_in_a_subvolume_is_taken_whichever_firmware_starts_it_and_others_where_a_bios_does() {
    let (mut facts, image) = (machine(), image());
    beside(&mut facts, "/var");
    assert_eq!(fired(&facts, &image), [TOLD]);
    let mut facts = machine();
    by_uefi(&mut facts);
    beside(&mut facts, "/var");
    assert_eq!(fired(&facts, &image), ["separate-mounts", TOLD]);
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
fn each_check_of_the_root_is_made_of_what_is_wiped_with_it() {
    for (code, change) in CASES {
        let (mut facts, mut image) = (machine(), image());
        change(&mut facts, &mut image);
        let mut found = fired(&facts, &image);
        found.retain(|found| found != TOLD);
        assert_eq!(found, [*code]);
    }
}
