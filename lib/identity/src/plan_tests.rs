use super::*;
use crate::mounts::is_same_source;
use formats::facts::RootType;
use formats::identity::{DeviceFacts, PlannedMount};
use formats::network::Content;

const ROOT: &str = "00000000-0000-0000-0000-000000000001";

fn device(node: &str, uuid: &str, label: &str, fstype: &str) -> DeviceFacts {
    let some = |text: &str| Some(text.to_owned()).filter(|t| !t.is_empty());
    DeviceFacts {
        node: node.to_owned(),
        links: vec![format!("/dev/disk/by-id/virtio-{}", &node[5..])],
        logical: None,
        uuid: some(uuid),
        label: some(label),
        part_uuid: some(&format!("abcd-{}", &node[8..])),
        fstype: some(fstype),
        member: None,
    }
}

fn volume(node: &str, name: &str) -> DeviceFacts {
    DeviceFacts {
        links: vec![
            "/dev/disk/by-id/dm-uuid-LVM-x".into(),
            "/dev/disk/by-uuid/d1".into(),
            name.into(),
        ],
        part_uuid: None,
        ..device(node, "d1", "", "xfs")
    }
}

fn of_several(node: &str, uuid: &str, member: &str) -> DeviceFacts {
    DeviceFacts {
        part_uuid: None,
        member: Some(member.into()),
        ..device(node, uuid, "", "btrfs")
    }
}

fn old() -> OldIdentity {
    OldIdentity {
        hostname: "shop.example".into(),
        devices: vec![
            device("/dev/vda1", ROOT, "root", "ext4"),
            device("/dev/vdb1", "b1", "a b", "ext4"),
            device("/dev/vdb2", "b2", "twin", "xfs"),
            device("/dev/vdb3", "b3", "twin", "swap"),
            DeviceFacts {
                part_uuid: None,
                ..device("/dev/vdb4", "", "", "ext4")
            },
            device("/dev/vdb5", "", "", "vfat"),
            // A partition and its copy.
            device("/dev/vdc6", "c6", "", "ext4"),
            device("/dev/vdd7", "C6", "", "ext4"),
            // A volume and its snapshot.
            volume("/dev/dm-11", "/dev/mapper/vg-home"),
            volume("/dev/dm-12", "/dev/mapper/vg-before"),
            // A disk without a table, and one brought back from its copy.
            DeviceFacts {
                part_uuid: None,
                ..device("/dev/vde", "e1", "", "ext4")
            },
            DeviceFacts {
                part_uuid: None,
                ..device("/dev/vdf", "e1", "", "ext4")
            },
            // One filesystem on two devices, and another on two and a copy of one.
            of_several("/dev/vdg8", "f8", "1"),
            of_several("/dev/vdh8", "f8", "2"),
            of_several("/dev/vdi9", "f9", "1"),
            of_several("/dev/vdj8", "f9", "2"),
            of_several("/dev/vdk8", "f9", "2"),
        ],
        kept: vec!["/srv".into()],
        ..OldIdentity::default()
    }
}

fn new() -> NewIdentity {
    NewIdentity {
        host_key_types: vec!["ssh-ed25519".into(), "ssh-rsa".into()],
        filesystems: ["ext4", "vfat", "xfs", "btrfs", "nfs", "cifs"]
            .map(str::to_owned)
            .into(),
        zones: true,
        locale_gen: true,
        ..NewIdentity::default()
    }
}

fn file<'a>(plan: &'a IdentityPlan, path: &str) -> Option<&'a str> {
    let file = plan.files.iter().find(|file| file.path == path)?;
    match &file.content {
        Content::Text(text) | Content::Link(text) => Some(text),
    }
}

fn noted(plan: &IdentityPlan, part: &str) -> bool {
    plan.notes.iter().any(|note| note.contains(part))
}

#[test]
fn each_line_of_fstab_has_its_fate() {
    enum Fate {
        Line(&'static str),
        Comment(&'static str),
        Gone(&'static str),
        Refused(&'static str),
        Silent,
    }
    use Fate::{Comment, Gone, Line, Refused, Silent};
    let cases = [
        ("UUID=x / ext4 defaults 0 1", Silent),
        (
            "/dev/vdb1 /data ext4 noatime 0 2",
            Line("UUID=b1 /data ext4 noatime 0 2"),
        ),
        (
            "UUID=B1 /data ext3",
            Line("UUID=b1 /data ext3 defaults 0 0"),
        ),
        (
            r"LABEL=a\040b /da\040ta auto",
            Line(r"UUID=b1 /da\040ta ext4 defaults 0 0"),
        ),
        (
            r"/dev/disk/by-label/a\134x20b /data auto",
            Line("UUID=b1 /data ext4 defaults 0 0"),
        ),
        (
            "PARTUUID=abcd-2 /data xfs",
            Line("UUID=b2 /data xfs defaults 0 0"),
        ),
        (
            "/dev/disk/by-id/virtio-vdb2 /data xfs",
            Line("UUID=b2 /data xfs defaults 0 0"),
        ),
        ("/dev/vdb2 /data xfs nobarrier", Refused("`nobarrier`")),
        (
            "/dev/vdb2 /data xfs nobarrier,nofail",
            Comment("`nobarrier`"),
        ),
        (
            "/dev/vdb1 /data ext4 nobootwait,bootwait",
            Line("UUID=b1 /data ext4 nofail 0 0"),
        ),
        (
            "/dev/vdb1 /data ext4 nobootwait,nofail",
            Line("UUID=b1 /data ext4 nofail 0 0"),
        ),
        (
            "/dev/vdb1 /data ext4 bootwait",
            Line("UUID=b1 /data ext4 defaults 0 0"),
        ),
        ("LABEL=twin /data xfs", Refused("/dev/vdb2, /dev/vdb3")),
        ("/dev/vdb4 /data ext4", Refused("has no UUID")),
        (
            "PARTUUID=ABCD-5 /data vfat",
            Line("PARTUUID=abcd-5 /data vfat defaults 0 0"),
        ),
        ("/dev/vdz /data ext4", Refused("no device is /dev/vdz")),
        (
            "/dev/vdz /data ext4 noauto",
            Comment("no device is /dev/vdz"),
        ),
        ("UUID= /data ext4", Refused("no device is UUID=")),
        (
            "/dev/vdc6 /data ext4",
            Line("PARTUUID=abcd-6 /data ext4 defaults 0 0"),
        ),
        (
            "UUID=c6 /data ext4",
            Refused("more than one device: /dev/vdc6, /dev/vdd7"),
        ),
        (
            "/dev/mapper/vg-home /home xfs",
            Line("/dev/mapper/vg-home /home xfs defaults 0 0"),
        ),
        (
            "/dev/dm-12 /old xfs ro",
            Line("/dev/mapper/vg-before /old xfs ro 0 0"),
        ),
        (
            "/dev/vde /data ext4",
            Refused("/dev/vdf has the same UUID as /dev/vde"),
        ),
        (
            "/dev/vde /data ext4 nofail",
            Comment("/dev/vdf has the same UUID as /dev/vde"),
        ),
        (
            "/dev/vdh8 /data btrfs",
            Line("UUID=f8 /data btrfs defaults 0 0"),
        ),
        (
            "UUID=f8 /data btrfs",
            Line("UUID=f8 /data btrfs defaults 0 0"),
        ),
        ("/dev/vdi9 /data btrfs", Refused("has the same UUID")),
        ("UUID=f9 /data btrfs", Refused("more than one device")),
        ("/dev/vdb1 /data f2fs", Refused("cannot mount \"f2fs\"")),
        (
            "/dev/vdb1 /boot ext4",
            Gone("has its /boot on the root filesystem"),
        ),
        ("/dev/vdb1 /usr ext4", Refused("hide the new OS's own /usr")),
        (
            "/dev/vdb1 /var ext4 noauto",
            Comment("hide the new OS's own /var"),
        ),
        ("/dev/vdb1 data ext4", Refused("no place to mount at")),
        (
            "/dev/vdb1 /srv/../etc ext4",
            Refused("no place to mount at"),
        ),
        (
            "/dev/vdb1 none swap sw",
            Refused("there is ext4 on /dev/vdb1"),
        ),
        (
            "/dev/vdb3 /data ext4",
            Refused("there is swap on /dev/vdb3"),
        ),
        (
            "/dev/vdb3 swap swap sw,pri=5",
            Line("UUID=b3 none swap sw,pri=5 0 0"),
        ),
        (
            "/swapfile none swap sw",
            Gone("/swapfile goes with the old OS"),
        ),
        ("/srv/swap none swap sw", Line("/srv/swap none swap sw 0 0")),
        ("proc /proc proc defaults", Gone("proc by itself")),
        ("none /dev/shm tmpfs size=1g", Gone("/dev/shm by itself")),
        (
            "none /tmp tmpfs size=1g,mode=1777",
            Line("none /tmp tmpfs size=1g,mode=1777 0 0"),
        ),
        (
            "/srv/a /home/a none bind",
            Line("/srv/a /home/a none bind 0 0"),
        ),
        ("/home/a /mnt none bind", Refused("/home/a is not kept")),
        (
            "/root/disk.img /mnt iso9660 loop,nofail",
            Comment("/root/disk.img is not kept"),
        ),
        (
            "192.0.2.1:/x /mnt nfs4 vers=4.1,_netdev",
            Line("192.0.2.1:/x /mnt nfs4 vers=4.1,_netdev 0 0"),
        ),
        (
            "//nas/x /mnt cifs cred=/root/c",
            Refused("it needs /root/c"),
        ),
        (
            "//nas/x /mnt cifs cred=/srv/c",
            Line("//nas/x /mnt cifs cred=/srv/c 0 0"),
        ),
        ("sshfs#a@b:/ /mnt fuse", Refused("cannot mount \"fuse\"")),
        ("/dev/vdb1 /data", Gone("2 of the three fields")),
    ];
    for (line, fate) in cases {
        let old = OldIdentity {
            fstab: format!("# x\r\n{line}\r\n"),
            ..old()
        };
        let found = plan(&old, &new(), ROOT, RootType::Ext4, &[]);
        let place = "line 2 of /etc/fstab";
        match fate {
            Refused(why) => {
                let refused = found.expect_err(line);
                assert_eq!(refused.len(), 1, "{line}");
                assert!(
                    refused[0].contains(why) && refused[0].contains(place),
                    "{line}: {refused:?}"
                );
            }
            Line(expected) => {
                let plan = found.expect(line);
                assert_eq!(plan.fstab, [expected], "{line}");
                assert_eq!(plan.mounts.len(), 1, "{line}");
                assert!(!noted(&plan, place), "{line}");
            }
            Comment(why) => {
                let plan = found.expect(line);
                assert_eq!(plan.fstab, [format!("# {line}")]);
                assert_eq!(plan.mounts, []);
                assert!(
                    noted(&plan, why) && noted(&plan, place),
                    "{line}: {:?}",
                    plan.notes
                );
            }
            Gone(why) => {
                let plan = found.expect(line);
                assert_eq!(plan.fstab, [""; 0], "{line}");
                assert!(
                    noted(&plan, why) && noted(&plan, place),
                    "{line}: {:?}",
                    plan.notes
                );
            }
            Silent => {
                let plan = found.expect(line);
                assert_eq!(plan.fstab, [""; 0], "{line}");
                assert!(!noted(&plan, place), "{line}");
            }
        }
    }
}

#[test]
fn two_lines_for_one_place_are_told_apart() {
    let fstab = |second: &str| OldIdentity {
        fstab: format!("/dev/vdb1 /data ext4 nofail\n{second}\n"),
        ..old()
    };
    let same = plan(
        &fstab("UUID=b1 /data/ ext4"),
        &new(),
        ROOT,
        RootType::Ext4,
        &[],
    )
    .unwrap();
    assert_eq!(same.fstab, ["UUID=b1 /data ext4 nofail 0 0"]);
    assert_eq!(
        same.mounts,
        [PlannedMount {
            source: "UUID=b1".into(),
            target: "/data".into(),
            fstype: "ext4".into(),
            required: false,
            checked: false,
        }]
    );
    assert!(noted(&same, "line 1 says the same"));
    let refused = plan(
        &fstab("/dev/vdb2 /data xfs"),
        &new(),
        ROOT,
        RootType::Ext4,
        &[],
    )
    .unwrap_err();
    assert!(
        refused[0].contains("line 1 mounts something else at /data"),
        "{refused:?}"
    );
    let by_hand = plan(
        &fstab("/dev/vdb2 /data xfs noauto"),
        &new(),
        ROOT,
        RootType::Ext4,
        &[],
    )
    .unwrap();
    assert_eq!(by_hand.fstab.len(), 2);
}

/// The initrd mounts it, and hands every option that is not its own to the kernel.
#[test]
fn usr_is_mounted_without_what_is_for_systemd() {
    for (target, options) in [
        ("/usr", "nodev"),
        ("/opt", "nodev,x-systemd.device-timeout=9"),
    ] {
        let old = OldIdentity {
            fstab: format!("UUID=b2 {target} xfs nodev,x-systemd.device-timeout=9 0 2\n"),
            ..old()
        };
        let carried = plan(&old, &new(), ROOT, RootType::Ext4, &[target]).unwrap();
        assert_eq!(
            carried.fstab,
            [format!("UUID=b2 {target} xfs {options} 0 2")]
        );
    }
    // Nothing is left of them.
    let old = OldIdentity {
        fstab: "UUID=b2 /usr xfs X-mount.mkdir,x-systemd.automount 0 2\n".to_owned(),
        ..old()
    };
    let carried = plan(&old, &new(), ROOT, RootType::Ext4, &["/usr"]).unwrap();
    assert_eq!(carried.fstab, ["UUID=b2 /usr xfs defaults 0 2"]);
}

/// An initrd of Debian 11 puts together what has the device-mapper's name, and nothing for a UUID.
#[test]
fn usr_on_a_logical_volume_is_mounted_by_its_name_and_all_else_by_uuid() {
    let logical = |node: &str, uuid: &str, name: &str| DeviceFacts {
        logical: Some(name.into()),
        ..device(node, uuid, "", "ext4")
    };
    let old = OldIdentity {
        devices: vec![
            logical("/dev/dm-0", "aa-1", "vg0-usr"),
            logical("/dev/dm-1", "aa-2", "vg0-var"),
            device("/dev/md127", "aa-3", "", "ext4"),
        ],
        fstab: "UUID=AA-1 /usr ext4 defaults 0 2\n/dev/dm-1 /var ext4 defaults 0 2\n".to_owned(),
        ..old()
    };
    let systems = ["/usr", "/var"];
    let carried = plan(&old, &new(), ROOT, RootType::Ext4, &systems).unwrap();
    let expected = [
        "/dev/mapper/vg0-usr /usr ext4 defaults 0 2",
        "UUID=aa-2 /var ext4 defaults 0 2",
    ];
    assert_eq!(carried.fstab, expected);
    assert_eq!(carried.mounts[0].source, "/dev/mapper/vg0-usr");
    // A mirror has none that lasts.
    let old = OldIdentity {
        fstab: "/dev/md127 /usr ext4 defaults 0 2\n".to_owned(),
        ..old
    };
    let carried = plan(&old, &new(), ROOT, RootType::Ext4, &["/usr"]).unwrap();
    assert_eq!(carried.fstab, ["UUID=aa-3 /usr ext4 defaults 0 2"]);
}

#[test]
fn a_uuid_is_the_same_in_either_case_and_a_name_is_not() {
    for (one, other, same) in [
        ("UUID=aa-1", "UUID=AA-1", true),
        ("UUID=aa-1", "UUID=aa-2", false),
        ("/dev/mapper/vg-usr", "/dev/mapper/vg-usr", true),
        ("/dev/mapper/vg-usr", "/dev/mapper/VG-usr", false),
        ("/dev/mapper/vg-usr", "UUID=aa-1", false),
    ] {
        assert_eq!(is_same_source(one, other), same, "{one} {other}");
    }
}

/// The new OS is unpacked on it: fstab has to mount it at every boot, and what lies on it goes.
#[test]
fn filesystems_of_the_system_are_mounted_by_the_new_os_or_refused() {
    let with = |fstab: &str, systems: &[&str]| {
        let old = OldIdentity {
            fstab: format!("{fstab}\n"),
            ..old()
        };
        plan(&old, &new(), ROOT, RootType::Ext4, systems)
    };
    let var = "/dev/vdb1 /var ext4 nosuid,noatime 0 2";
    let carried = with(var, &["/var"]).unwrap();
    assert_eq!(carried.fstab, ["UUID=b1 /var ext4 nosuid,noatime 0 2"]);
    assert!(carried.mounts[0].required);
    assert!(with(var, &[]).unwrap_err()[0].contains("would hide the new OS's own /var"));
    for (fstab, why) in [
        ("", "does not mount it at every boot"),
        (
            "/dev/vdb1 /var ext4 noauto",
            "does not mount it at every boot",
        ),
        (
            "/dev/vdb1 /var ext4 nofail",
            "does not mount it at every boot",
        ),
        ("/dev/vdz9 /var ext4 nofail", "mend the line"),
        ("/dev/vdb1 /var ext4 nonsense,nofail", "mend the line"),
    ] {
        let refused = with(fstab, &["/var"]).unwrap_err();
        assert_eq!(refused.len(), 1, "{fstab}: {refused:?}");
        assert!(refused[0].contains(why), "{fstab}: {refused:?}");
    }
    // What a bind mount shows is wiped with it, and is not where it is data.
    let bind = "/var/shop /mnt/shop none bind 0 0";
    let gone = with(&format!("{var}\n{bind}"), &["/var"]).unwrap_err();
    assert!(
        gone[0].contains("/var/shop is not kept, and is wiped"),
        "{gone:?}"
    );
    let data = "/dev/vdb1 /data ext4 defaults 0 2\n/data/shop /mnt/shop none bind 0 0";
    assert_eq!(with(data, &["/var/log"]).unwrap_err().len(), 1);
    assert_eq!(with(data, &[]).unwrap().fstab.len(), 2);
}

#[test]
fn host_names_are_checked() {
    let long = "x".repeat(64);
    for name in ["shop", "shop.example", "a_b-c", "1", &long] {
        let old = OldIdentity {
            hostname: name.into(),
            ..old()
        };
        let plan = plan(&old, &new(), ROOT, RootType::Ext4, &[]).expect(name);
        assert_eq!(
            file(&plan, "/etc/hostname"),
            Some(format!("{name}\n").as_str())
        );
        assert_eq!(plan.hostname, name);
    }
    let longer = "x".repeat(65);
    for name in [
        "",
        "-a",
        "a-",
        "a..b",
        "a.",
        "a b",
        "shop\nevil",
        "ñ",
        "$(x)",
        &longer,
    ] {
        let old = OldIdentity {
            hostname: name.into(),
            ..old()
        };
        let refused = plan(&old, &new(), ROOT, RootType::Ext4, &[]).expect_err(name);
        assert!(refused[0].contains(&format!("{name:?}")), "{refused:?}");
    }
}

#[test]
fn hosts_come_along_with_what_they_lack() {
    let six = "::1\tlocalhost ip6-localhost ip6-loopback\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";
    let cases = [
        ("", format!("127.0.0.1\tlocalhost\n{six}")),
        (
            "127.0.0.1 localhost\r\n127.0.1.1 shop # x\u{fffd}\r\n",
            format!("127.0.0.1 localhost\n127.0.1.1 shop # x\u{fffd}\n{six}"),
        ),
        ("127.0.0.1 a\n::1 b", "127.0.0.1 a\n::1 b\n".to_owned()),
    ];
    for (hosts, expected) in cases {
        let old = OldIdentity {
            hosts: hosts.into(),
            ..old()
        };
        let plan = plan(&old, &new(), ROOT, RootType::Ext4, &[]).unwrap();
        assert_eq!(
            file(&plan, "/etc/hosts"),
            Some(expected.as_str()),
            "{hosts:?}"
        );
    }
    for hosts in ["192.0.2.1 a\n192.0.2.2 b\u{fffd}\n", "x\n192.0.2.2 b\0\n"] {
        let old = OldIdentity {
            hosts: hosts.into(),
            ..old()
        };
        let refused = plan(&old, &new(), ROOT, RootType::Ext4, &[]).unwrap_err();
        assert!(refused[0].contains("line 2 of /etc/hosts"), "{refused:?}");
    }
}

#[test]
fn the_zone_is_a_name_or_a_file() {
    let cases = [
        (
            Some("Europe/Madrid"),
            true,
            Some("../usr/share/zoneinfo/Europe/Madrid"),
            false,
        ),
        (
            Some("US/Pacific"),
            true,
            Some("../usr/share/zoneinfo/America/Los_Angeles"),
            false,
        ),
        (
            Some("Europe/Kiev"),
            true,
            Some("../usr/share/zoneinfo/Europe/Kiev"),
            false,
        ),
        (Some("Europe/Madrid"), false, None, true),
        (Some("../../etc/passwd"), true, None, true),
        (None, true, None, true),
    ];
    for (zone, zones, link, copied) in cases {
        let old = OldIdentity {
            timezone: zone.map(str::to_owned),
            copied: vec!["/etc/localtime".into()],
            ..old()
        };
        let plan = plan(
            &old,
            &NewIdentity { zones, ..new() },
            ROOT,
            RootType::Ext4,
            &[],
        )
        .unwrap();
        assert_eq!(file(&plan, "/etc/localtime"), link, "{zone:?}");
        assert_eq!(
            plan.copied.contains(&"/etc/localtime".to_owned()),
            copied,
            "{zone:?}"
        );
        let text = link.map(|l| format!("{}\n", l.trim_start_matches("../usr/share/zoneinfo/")));
        assert_eq!(file(&plan, "/etc/timezone"), text.as_deref(), "{zone:?}");
    }
}

#[test]
fn locales_are_written_where_the_new_os_has_them() {
    // Old lines, can make, locale.conf, locale.gen.
    let cases: [(&[&str], bool, &str, Option<&str>); 7] = [
        (&[], true, "LANG=C.UTF-8\n", None),
        (&["LANG=C"], false, "LANG=C\n", None),
        (
            &["LANG=\"es_ES.utf8\""],
            true,
            "LANG=es_ES.UTF-8\n",
            Some("es_ES.UTF-8 UTF-8\n"),
        ),
        (&["LANG=es_ES.UTF-8"], false, "LANG=C.UTF-8\n", None),
        (
            &[
                "export LANG=de_DE@euro",
                "LC_TIME='en_GB'",
                "LANGUAGE=de:en",
                "PATH=/x",
            ],
            true,
            "LANG=de_DE@euro\nLC_TIME=en_GB\nLANGUAGE=de:en\n",
            Some("de_DE@euro ISO-8859-15\nen_GB ISO-8859-1\n"),
        ),
        (
            &["LANG=$(reboot)", "LC_ALL=../x"],
            true,
            "LANG=C.UTF-8\n",
            None,
        ),
        (
            &["LANG=a_A", "LANG=C.UTF-8"],
            true,
            "LANG=C.UTF-8\n",
            Some("a_A ISO-8859-1\n"),
        ),
    ];
    for (lines, locale_gen, conf, generated) in cases {
        let old = OldIdentity {
            locale: lines.iter().map(|l| (*l).to_owned()).collect(),
            ..old()
        };
        let plan = plan(
            &old,
            &NewIdentity {
                locale_gen,
                ..new()
            },
            ROOT,
            RootType::Ext4,
            &[],
        )
        .unwrap();
        assert_eq!(file(&plan, "/etc/locale.conf"), Some(conf), "{lines:?}");
        assert_eq!(file(&plan, "/etc/default/locale"), Some("../locale.conf"));
        assert_eq!(file(&plan, "/etc/locale.gen"), generated, "{lines:?}");
    }
}

#[test]
fn host_keys_come_along_as_far_as_the_server_takes_them() {
    let key = |path: &str, kind: &str| HostKey {
        path: path.into(),
        kind: kind.into(),
        fingerprint: "SHA256:x".into(),
    };
    let old = OldIdentity {
        host_keys: vec![
            key("/etc/ssh/ssh_host_rsa_key", "ssh-rsa"),
            key("/etc/ssh/ssh_host_dsa_key", "ssh-dss"),
            key("/etc/keys/mine", "ssh-ed25519"),
        ],
        copied: [
            "/etc/ssh/ssh_host_rsa_key.pub",
            "/etc/ssh/ssh_host_dsa_key.pub",
        ]
        .map(str::to_owned)
        .into(),
        ..old()
    };
    let found = plan(&old, &new(), ROOT, RootType::Ext4, &[]).unwrap();
    assert_eq!(
        found.copied,
        [
            "/etc/keys/mine",
            "/etc/ssh/ssh_host_rsa_key",
            "/etc/ssh/ssh_host_rsa_key.pub"
        ]
    );
    assert_eq!(
        found.private,
        ["/etc/ssh/ssh_host_rsa_key", "/etc/keys/mine"]
    );
    assert_eq!(found.host_keys, old.host_keys[..1]);
    assert!(noted(&found, "takes no ssh-dss") && noted(&found, "`HostKey /etc/keys/mine`"));
    let without = NewIdentity {
        host_key_types: Vec::new(),
        ..new()
    };
    let found = plan(&old, &without, ROOT, RootType::Ext4, &[]).unwrap();
    assert_eq!((found.copied.len(), found.host_keys.len()), (5, 0));
}

#[test]
fn cloud_init_takes_nothing_over() {
    let switch = "/etc/cloud/cloud-init.disabled";
    let settings = "/etc/cloud/cloud.cfg.d/99-reroot.cfg";
    let state = "/var/lib/cloud/data/instance-id";
    for (instance, payload, files, copied) in [
        (None, false, None, false),
        (None, true, Some(switch), false),
        (Some("i-1"), false, None, false),
        (Some("i-1"), true, Some(settings), true),
    ] {
        let old = OldIdentity {
            cloud_instance: instance.map(str::to_owned),
            copied: instance.map(|_| state.to_owned()).into_iter().collect(),
            ..old()
        };
        let plan = plan(
            &old,
            &NewIdentity {
                cloud_init: payload,
                ..new()
            },
            ROOT,
            RootType::Ext4,
            &[],
        )
        .unwrap();
        let first = plan.files.iter().find(|f| f.path.starts_with("/etc/cloud"));
        assert_eq!(
            first.map(|f| f.path.as_str()),
            files,
            "{instance:?} {payload}"
        );
        assert_eq!(plan.copied == [state], copied, "{instance:?} {payload}");
        let seed = file(&plan, "/var/lib/cloud/seed/nocloud/meta-data");
        assert_eq!(
            seed,
            files
                .filter(|f| *f == settings)
                .map(|_| "instance-id: \"i-1\"\n")
        );
    }
    for id in ["a b", "../x", "i\"1", ".."] {
        let old = OldIdentity {
            cloud_instance: Some(id.into()),
            ..old()
        };
        let new = NewIdentity {
            cloud_init: true,
            ..new()
        };
        assert!(
            plan(&old, &new, ROOT, RootType::Ext4, &[]).unwrap_err()[0].contains("instance id"),
            "{id}"
        );
    }
}

#[test]
fn the_machine_id_stays_if_it_is_one() {
    let id = "0123456789abcdef0123456789abcdef";
    for (found, written) in [
        (Some(id), true),
        (None, false),
        (Some("uninitialized"), false),
        (Some("00000000000000000000000000000000"), false),
        (Some("0123456789ABCDEF0123456789ABCDEF"), false),
    ] {
        let old = OldIdentity {
            machine_id: found.map(str::to_owned),
            ..old()
        };
        let plan = plan(&old, &new(), ROOT, RootType::Ext4, &[]).unwrap();
        let text = written.then(|| format!("{id}\n"));
        assert_eq!(file(&plan, "/etc/machine-id"), text.as_deref(), "{found:?}");
        assert_eq!(noted(&plan, "machine id"), !written, "{found:?}");
    }
}

#[test]
fn what_stays_behind_is_counted_when_it_is_much() {
    let items: Vec<String> = (0..23).map(|n| format!("/etc/cron.d/{n}\n")).collect();
    let old = OldIdentity {
        left: vec![
            ("cron jobs".into(), items),
            ("udev rules".into(), vec!["/x".into()]),
        ],
        ..old()
    };
    let plan = plan(&old, &new(), ROOT, RootType::Ext4, &[]).unwrap();
    assert!(plan.left[0].starts_with("cron jobs: /etc/cron.d/0\n, /etc/cron.d/1\n,"));
    assert!(
        plan.left[0].ends_with("/etc/cron.d/19\n and 3 more"),
        "{}",
        plan.left[0]
    );
    assert_eq!(plan.left[1], "udev rules: /x");
}
