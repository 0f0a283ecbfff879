use super::*;
use formats::facts::{
    ArrayIdentity, BtrfsFacts, Kept, LogicalVolume, NestedSubvolume, Root, RootIdentity, RootType,
    Subvolume,
};
use formats::keep::KeepPath;
use formats::measure::Measure;

use crate::subvolumes;

#[test]
fn what_the_standard_gives_to_the_system_is_wiped_and_everything_else_is_left_alone() {
    for (target, expected) in [
        ("/usr", Becomes::System),
        ("/usr/share", Becomes::System),
        ("/usr/local", Becomes::System),
        ("/usr/local/shop", Becomes::Data),
        ("/usr/src", Becomes::System),
        ("/usr/src/ours", Becomes::Data),
        ("/var", Becomes::System),
        ("/var/lib", Becomes::System),
        ("/var/lib/mysql", Becomes::Data),
        ("/var/log", Becomes::System),
        ("/var/log/audit", Becomes::System),
        ("/var/log/shop", Becomes::Data),
        ("/var/spool", Becomes::Data),
        ("/var/www", Becomes::Data),
        ("/var/tmp", Becomes::System),
        ("/opt", Becomes::System),
        ("/root", Becomes::System),
        ("/root/shop", Becomes::Data),
        ("/opt/shop", Becomes::Data),
        ("/tmp", Becomes::System),
        ("/home", Becomes::Data),
        ("/srv", Becomes::Data),
        ("/mnt/backup", Becomes::Data),
        ("/data", Becomes::Data),
        ("/variant", Becomes::Data),
    ] {
        let found = decide(target, &[], &MountWishes::default());
        assert_eq!(found.becomes, expected, "{target}: {}", found.rule);
    }
}

#[test]
fn what_is_kept_decides_first_and_then_the_operator() {
    let wishes = MountWishes {
        wipe: vec!["/home".into()],
        keep: vec!["/opt".into()],
    };
    for (target, kept, becomes, rule) in [
        ("/home", &[][..], Becomes::System, "--wipe-mount /home"),
        ("/opt", &[], Becomes::Data, "--keep-mount /opt"),
        ("/home", &["/home"], Becomes::Data, "/home is kept"),
        (
            "/var/log/audit",
            &["/var/log"],
            Becomes::Data,
            "/var/log is kept",
        ),
        (
            "/var",
            &["/var/lib/mysql"],
            Becomes::System,
            "/var is the system's",
        ),
        ("/srv", &[], Becomes::Data, "no rule"),
    ] {
        let found = decide(target, kept, &wishes);
        assert_eq!(found.becomes, becomes, "{target} {kept:?}");
        assert!(found.rule.contains(rule), "{target}: {}", found.rule);
    }
    let targets = [
        "/var/log",
        "/boot",
        "/boot/efi",
        "/",
        "/home",
        "/var",
        "/srv",
    ];
    assert_eq!(
        systems(targets, &[], &wishes),
        ["/home", "/var", "/var/log"]
    );
}

fn mount(target: &str, source: &str) -> Mount {
    Mount {
        target: target.into(),
        source: source.into(),
        fstype: "ext4".into(),
        bind_of_root: false,
        upper: None,
        backing_file: None,
    }
}

fn known_at(target: &str, device: &str) -> MountedFilesystem {
    MountedFilesystem {
        target: target.into(),
        device: device.into(),
        disk: "/dev/vda".into(),
        fstype: "ext4".into(),
        identity: Ok(RootIdentity {
            filesystem: formats::facts::RootType::Ext4,
            fs_uuid: format!("uuid-of-{device}"),
            disk_signature: 1,
            partition: 3,
            start: 4096,
            sectors: 8192,
            guids: None,
            array: None,
            logical: None,
            subvolume: None,
        }),
        bytes: 1 << 30,
        bytes_free: 1 << 29,
        inodes: 65536,
        inodes_free: 60000,
        errors: None,
        doubles: vec![],
        ext4: Some(formats::facts::Ext4Features {
            compat: 0x3c,
            incompat: 0x2c6,
            ro_compat: 0x46b,
        }),
        xfs: None,
        btrfs: None,
        journal_elsewhere: false,
        drivers: vec![],
        missing: 0,
        read_only: false,
        shown_again: vec![],
        nested: vec![],
    }
}

/// /var and /opt are the system's, /home is data.
fn facts() -> Facts {
    let mut facts = fixtures::facts::facts();
    facts.mounts = vec![
        mount("/home", "/dev/vda7"),
        mount("/var", "/dev/vda3"),
        mount("/opt", "/dev/vda5"),
    ];
    facts.filesystems = vec![
        known_at("/home", "/dev/vda7"),
        known_at("/var", "/dev/vda3"),
        known_at("/opt", "/dev/vda5"),
    ];
    facts
}

fn manifest() -> Manifest {
    let mut manifest = fixtures::manifest::manifest();
    let directories = ["/opt", "/var"].map(|path| formats::payload::DirectorySize {
        path: path.into(),
        bytes: 4096,
        inodes: 1,
        shared_bytes: 0,
        shared_inodes: 0,
    });
    manifest.payload.directories = directories.to_vec();
    manifest
}

#[test]
fn a_machine_of_a_careful_administrator_is_taken() {
    let facts = facts();
    assert_eq!(against(&facts, &manifest()), [""; 0]);
    let systems: Vec<_> = systems_of(&facts)
        .iter()
        .map(|s| s.target.clone())
        .collect();
    assert_eq!(systems, ["/opt", "/var"]);
    let plans = plan(&facts);
    let told: Vec<_> = plans
        .iter()
        .map(|p| (p.target.as_str(), p.becomes, p.identity.is_some()))
        .collect();
    assert_eq!(
        told,
        [
            ("/home", Becomes::Data, false),
            ("/opt", Becomes::System, true),
            ("/var", Becomes::System, true),
        ]
    );
}

fn volume() -> LogicalVolume {
    LogicalVolume {
        name: "vg-var".into(),
        uuid: "LVM-x".into(),
        segments: vec![],
        volumes: vec![],
        sequence: Some(3),
    }
}

#[test]
fn a_system_on_logical_volumes_and_mirrors_is_taken_as_on_partitions() {
    let mut facts = facts();
    facts.filesystems[1].identity.as_mut().unwrap().logical = Some(volume());
    facts.filesystems[1].drivers = vec!["dm_mod".into(), "ahci".into()];
    facts.filesystems[2].identity.as_mut().unwrap().array = Some(ArrayIdentity {
        uuid: "a:b:c:d".into(),
        metadata: "1.2".into(),
        members: vec![],
    });
    facts.filesystems[2].drivers = vec!["raid1".into(), "ahci".into()];
    // What the new OS's initrd has to do for it is asked of the image.
    facts.mounts.push(mount("/usr", "/dev/mapper/vg-usr"));
    facts.filesystems.push(known_at("/usr", "/dev/dm-1"));
    facts.filesystems[3].identity.as_mut().unwrap().logical = Some(volume());
    // Of data nothing is asked.
    facts.filesystems[0].drivers = vec!["megaraid_sas".into()];
    facts.filesystems[0].missing = 1;
    assert_eq!(against(&facts, &manifest()), [""; 0]);
    assert_eq!(drivers(&facts), ["ahci", "dm_mod", "raid1"]);
    assert_eq!(degraded(&facts), [""; 0]);
    facts.filesystems[2].missing = 1;
    assert_eq!(
        degraded(&facts),
        ["/opt: its mirror /dev/vda5 lacks 1 disk"]
    );
    let plans = plan(&facts);
    let identity = plans.iter().find(|plan| plan.target == "/var").unwrap();
    assert!(identity.identity.as_ref().unwrap().logical.is_some());
}

/// The same machine with a root in a subvolume, and `/var` and `/root` in others.
fn in_subvolumes() -> Facts {
    let mut facts = facts();
    let subvolume = |id: u64, path: &str| {
        Some(Subvolume {
            id,
            path: path.to_owned(),
        })
    };
    let mut root = known_at("/", "/dev/vda1").identity.unwrap();
    root.filesystem = RootType::Btrfs;
    root.subvolume = subvolume(256, "/@/.snapshots/1/snapshot");
    facts.root = Some(Root {
        identity: root.clone(),
        fstype: "btrfs".into(),
        bytes: 1 << 30,
        bytes_free: 1 << 29,
        ..fixtures::facts::root()
    });
    let beside = |target: &str, id| {
        let mut known = known_at(target, "/dev/vda1");
        known.fstype = "btrfs".into();
        known.ext4 = None;
        let mut identity = root.clone();
        identity.subvolume = subvolume(id, &format!("/@{target}"));
        known.identity = Ok(identity);
        known
    };
    facts.mounts = ["/home", "/root", "/var"]
        .map(|target| Mount {
            fstype: "btrfs".into(),
            ..mount(target, "/dev/vda1")
        })
        .to_vec();
    facts.filesystems = vec![
        beside("/home", 257),
        beside("/root", 258),
        beside("/var", 259),
    ];
    facts.condition.root_btrfs = Some(BtrfsFacts {
        devices: 1,
        default: 256,
        others: [
            "/@",
            "/@/home",
            "/@/root",
            "/@/var",
            "/@/var/lib/machines",
            "/@/variant",
        ]
        .map(str::to_owned)
        .to_vec(),
        ..BtrfsFacts::default()
    });
    facts
}

#[test]
fn subvolumes_of_the_roots_btrfs_are_the_systems_where_a_filesystem_would_be_and_so_is_roots_home()
{
    let mut facts = in_subvolumes();
    let image = manifest();
    assert_eq!(against(&facts, &image), [""; 0]);
    let systems: Vec<_> = systems_of(&facts)
        .iter()
        .map(|s| s.target.clone())
        .collect();
    assert_eq!(systems, ["/root", "/var"]);
    assert_eq!(
        spacious(&facts).len(),
        0,
        "what is free there is the root's"
    );
    assert_eq!(
        subvolumes::left(&facts),
        ["/@", "/@/home", "/@/variant"].map(str::to_owned)
    );
    // What somebody made of a subvolume in one of them is looked at as in the root.
    facts.filesystems[2].nested.push(NestedSubvolume {
        id: 300,
        path: "/var/lib/machines".into(),
        read_only: false,
        snapshot: true,
        mounted: vec![],
    });
    let nested = subvolumes::nested(&facts);
    assert_eq!(
        subvolumes::against(&nested, 256, &[]),
        ["/var/lib/machines: it is a snapshot"]
    );
    assert_eq!(subvolumes::against(&nested, 256, &["/var/lib"]), [""; 0]);

    let refused = |change: &dyn Fn(&mut Facts)| {
        let mut facts = in_subvolumes();
        change(&mut facts);
        against(&facts, &image).join("; ")
    };
    let found = refused(&|f| f.filesystems[2].identity.as_mut().unwrap().start += 8);
    assert!(found.contains("is not of the root's Btrfs"), "{found}");
    let found = refused(&|f| {
        let var = f.filesystems[2].identity.as_mut().unwrap();
        var.subvolume.as_mut().unwrap().id = 256;
    });
    assert!(found.contains("is not of the root's Btrfs"), "{found}");
    let found = refused(&|f| f.filesystems[1].identity = Err("another Btrfs".into()));
    assert!(found.contains("/root is on /dev/vda1"), "{found}");
    let found = refused(&|f| {
        f.mounts[1].target = "/usr".into();
        f.filesystems[1].target = "/usr".into();
    });
    assert!(
        found.contains("was not seen to do so with a subvolume"),
        "{found}"
    );
    let found = refused(&|f| f.condition.mount_wishes.keep = vec!["/root".into()]);
    assert!(found.contains("without it there is no new OS"), "{found}");
}

/// What is changed of the machine, and what is said then.
type Case = (fn(&mut Facts), &'static str);

#[test]
fn what_cannot_be_wiped_or_left_alone_is_refused_with_the_way_out() {
    let cases: [Case; 15] = [
        (
            |f| {
                f.mounts.push(mount("/tmp", "/dev/vda9"));
                f.condition.mount_wishes.keep = vec!["/tmp".into()];
            },
            "/tmp is on /dev/vda9: the new OS empties it",
        ),
        (
            |f| f.mounts.push(mount("/etc", "/dev/vda9")),
            "/etc is on /dev/vda9",
        ),
        (
            |f| {
                f.filesystems.remove(1);
            },
            "what it is on was not found out",
        ),
        (
            |f| f.filesystems[2].identity = Err("it is on LUKS".into()),
            "it is on LUKS (--keep-mount /opt leaves it alone)",
        ),
        (
            |f| f.filesystems[1].shown_again = vec!["/mnt/var".into()],
            "mounted at /mnt/var too",
        ),
        (
            |f| f.condition.mount_wishes.keep = vec!["/var".into()],
            "without it there is no new OS, and --keep-mount /var",
        ),
        (
            |f| f.condition.mount_wishes.wipe = vec!["/nowhere".into()],
            "--wipe-mount /nowhere: no other filesystem",
        ),
        (
            |f| f.condition.mount_wishes.keep = vec!["/boot".into()],
            "--keep-mount /boot: it is left as it is",
        ),
        (
            |f| {
                f.condition.mount_wishes.wipe = vec!["/home".into()];
                f.condition.mount_wishes.keep = vec!["/home".into()];
            },
            "/home is named by both",
        ),
        (
            |f| {
                f.condition.mount_wishes.wipe = vec!["/home".into()];
                f.kept = vec![Kept {
                    path: KeepPath::parse("/home").unwrap(),
                    found: Ok(Measure::not_taken()),
                }];
            },
            "--wipe-mount /home: /home is kept",
        ),
        (
            |f| {
                f.mounts.push(mount("/home/build", "/dev/vda9"));
                f.filesystems.push(known_at("/home/build", "/dev/vda9"));
                f.condition.mount_wishes.wipe = vec!["/home/build".into()];
            },
            "it is mounted in /home, which is data",
        ),
        (
            |f| {
                let mut bind = mount("/var/lib", "/dev/vda1");
                bind.bind_of_root = true;
                f.mounts.push(bind);
            },
            "/var/lib is on /dev/vda1",
        ),
        (
            |f| {
                f.mounts.push(mount("/usr/lib/link", "/dev/vda9"));
                f.filesystems.push(known_at("/usr/lib/link", "/dev/vda9"));
            },
            "the new OS has a link at /usr/lib/link",
        ),
        (
            |f| {
                let mut boot = mount("/boot", "/dev/vda1");
                boot.bind_of_root = true;
                f.mounts.push(boot);
            },
            "/boot is on /dev/vda1",
        ),
        (
            |f| f.filesystems[1].identity = Err("it does not answer".into()),
            "/var is on /dev/vda3: it does not answer",
        ),
    ];
    let mut manifest = manifest();
    let link = formats::payload::DirectoryLink {
        path: "/usr/lib/link".into(),
        target: "/usr/share".into(),
    };
    manifest.payload.directory_links = vec![link];
    for (change, expected) in cases {
        let mut facts = facts();
        change(&mut facts);
        let found = against(&facts, &manifest);
        assert!(
            found.len() == 1 && found[0].contains(expected),
            "{expected}: {found:?}"
        );
    }
    manifest.payload.directories.clear();
    let found = against(&facts(), &manifest);
    assert!(
        found.iter().all(|why| why.contains("build it anew")),
        "{found:?}"
    );
    assert_eq!(found.len(), 2);
}

#[test]
fn each_filesystem_that_is_wiped_is_asked_as_the_root_is() {
    let mut facts = facts();
    facts.filesystems[0].errors = Some("that of data".into());
    facts.filesystems[1].errors = Some("2 errors".into());
    facts.filesystems[1].read_only = true;
    facts.filesystems[2].doubles = vec!["/dev/vdb1".into()];
    facts.filesystems[2].ext4.as_mut().unwrap().compat = 0;
    facts.filesystems[1].ext4.as_mut().unwrap().incompat |= 1 << 30;
    assert_eq!(errors(&facts), ["/var: 2 errors"]);
    assert_eq!(read_only(&facts), ["/var: it is mounted read-only"]);
    assert_eq!(doubles(&facts), ["/opt: /dev/vdb1 has its UUID too"]);
    assert_eq!(journals(&facts), ["/opt: it has no journal"]);
    let unknown = unknown(&facts, &manifest());
    assert!(
        unknown.len() == 1 && unknown[0].starts_with("/var: incompatible"),
        "{unknown:?}"
    );
}

/// GRUB reads nothing there, and what its release does not know is of no matter.
#[test]
fn a_boot_loader_has_no_say_about_what_it_does_not_read() {
    let readers = Readers {
        kernel: "6.12",
        e2fsprogs: Some("1.47.2"),
        grub: Some("2.02"),
        grub_refuses: Some(0x2000),
        grub_refuses_xfs: None,
    };
    // metadata_csum_seed, which that GRUB refuses.
    let features = formats::facts::Ext4Features {
        compat: 0x3c,
        incompat: 0x22c6,
        ro_compat: 0x46b,
    };
    assert!(!ext4_features::unknown(features, &readers).is_empty());
    assert_eq!(
        ext4_features::unknown(features, &without_loader(readers)),
        [""; 0]
    );
}
