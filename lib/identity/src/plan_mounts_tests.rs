//! What the plan makes of fstab and of what is mounted.

use super::*;
use crate::mounts::is_same_source;
use formats::identity::PlannedMount;

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
            "/srv/ssh /etc/ssh none bind",
            Refused("hide the new OS's own /etc/ssh"),
        ),
        (
            "/dev/vdb1 //etc/./pam.d/ ext4",
            Refused("hide the new OS's own /etc/pam.d"),
        ),
        (
            "/dev/vdb1 /usr/lib/x86_64-linux-gnu ext4 nofail",
            Comment("hide the new OS's own /usr/lib/x86_64-linux-gnu"),
        ),
        (
            "/dev/vdb1 /root/.ssh ext4",
            Refused("hide the new OS's own /root/.ssh"),
        ),
        (
            "/dev/vdb1 /var/lib/dpkg/info ext4",
            Refused("hide the new OS's own /var/lib/dpkg/info"),
        ),
        (
            "/dev/vdb1 /var/lib/mysql ext4",
            Line("UUID=b1 /var/lib/mysql ext4 defaults 0 0"),
        ),
        (
            "/dev/vdb1 /usr/local/share ext4",
            Line("UUID=b1 /usr/local/share ext4 defaults 0 0"),
        ),
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
