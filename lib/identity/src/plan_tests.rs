use super::*;
use formats::facts::RootType;
use formats::identity::DeviceFacts;
use formats::network::Content;

#[path = "plan_mounts_tests.rs"]
mod mounts;

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
