//! For every check a machine or an image that it is there to refuse.

use formats::access::{Doors, Keys, PublicKey, Session, Setting};
use formats::boot_path::{EfiFile, EfiPartition};
use formats::facts::{
    Bind, DiskHealth, Facts, Firmware, Guids, Health, Layer, Memory, Mount, MountedFilesystem,
    OpenDirectory, OutsideLinks, Place, Root, Started, Swap, Unkept, UnkeptWay, Weight,
    WipedTargets,
};
use formats::identity::DeviceFacts;
use formats::keep::KeepPath;
use formats::manifest::Manifest;
use formats::overlay::Overlay;
use formats::payload::DirectoryLink;
use formats::payload_drivers::DriverFirmware;
use formats::Digest;

use crate::survey::plain_machine::{accounts, link, measure, wireguard, MIB};

pub(super) fn mounted(target: &str, fstype: &str, backing_file: Option<&str>) -> Mount {
    Mount {
        target: target.into(),
        source: "/dev/vdc1".into(),
        fstype: fstype.into(),
        bind_of_root: false,
        upper: None,
        backing_file: backing_file.map(str::to_owned),
    }
}

/// A filesystem of the system's at this place, in order in every way.
pub(super) fn system<'f>(facts: &'f mut Facts, target: &str) -> &'f mut MountedFilesystem {
    let uuid = "5f1f2a6e-0000-4000-8000-00000000c001";
    facts.mounts.push(mounted(target, "ext4", None));
    let mut identity = facts.root.as_ref().expect("a root").identity.clone();
    uuid.clone_into(&mut identity.fs_uuid);
    facts.identity.fstab = format!("UUID={uuid} {target} ext4 defaults 0 2\n");
    facts.identity.devices = vec![DeviceFacts {
        node: "/dev/vdc1".into(),
        links: vec![],
        logical: None,
        fstype: Some("ext4".into()),
        uuid: Some(uuid.into()),
        label: None,
        part_uuid: None,
        member: None,
    }];
    facts.filesystems.push(MountedFilesystem {
        target: target.into(),
        device: "/dev/vdc1".into(),
        disk: "/dev/vdc".into(),
        fstype: "ext4".into(),
        identity: Ok(identity),
        bytes: 1 << 30,
        bytes_free: 1 << 29,
        inodes: 65536,
        inodes_free: 60000,
        errors: None,
        doubles: vec![],
        ext4: facts.condition.root_features,
        xfs: None,
        btrfs: None,
        journal_elsewhere: false,
        drivers: vec![],
        missing: 0,
        read_only: false,
        shown_again: vec![],
        nested: vec![],
    });
    facts.filesystems.last_mut().expect("it was added")
}

fn setting(keyword: &str, value: &str) -> Setting {
    Setting {
        path: "/etc/ssh/sshd_config".into(),
        condition: None,
        keyword: keyword.into(),
        values: vec![value.into()],
    }
}

fn root_key() -> Keys {
    Keys {
        user: "root".into(),
        keys: vec![public_key("ssh-ed25519", None)],
        lines: Vec::new(),
        forced: 0,
        stay: true,
    }
}

/// Root has a key, and a password that is locked.
fn locked_root(facts: &mut Facts) {
    if let Ok(accounts) = &mut facts.accounts {
        accounts.locked = vec!["root".into()];
    }
    facts.identity.login_keys = vec![root_key()];
}

pub(super) fn public_key(kind: &str, bits: Option<u32>) -> PublicKey {
    PublicKey {
        kind: kind.into(),
        blob: "AAAA".into(),
        fingerprint: "SHA256:abc".into(),
        bits,
        narrowed: false,
    }
}

pub(super) fn overlay(files: &[&str]) -> Overlay {
    Overlay {
        source: "/root/overlay".into(),
        digest: Digest::of(b""),
        bytes: 4096,
        files: files.iter().map(|&file| file.into()).collect(),
        directories: vec!["/etc".into()],
        users: vec![],
        groups: vec![],
    }
}

pub(super) type Change = fn(&mut Facts, &mut Manifest);

pub(super) fn root(facts: &mut Facts) -> &mut Root {
    facts.root.as_mut().unwrap()
}

/// The root's disk has a GUID partition table.
pub(super) fn with_guids(facts: &mut Facts) -> &mut Root {
    let root = root(facts);
    root.table = "gpt".into();
    root.identity.disk_signature = 0;
    root.identity.guids = Some(Guids {
        disk: "01234567-89ab-cdef-0123-456789abcdef".into(),
        partition: "fedcba98-7654-3210-fedc-ba9876543210".into(),
    });
    root
}

pub(super) fn xen(facts: &mut Facts, kind: &str) {
    facts.condition.xen = Some(kind.into());
}

pub(super) fn disk(facts: &mut Facts, root: bool, health: Health) {
    facts.condition.disks.push(DiskHealth {
        node: "/dev/sda".into(),
        root,
        health,
    });
}

pub(super) fn swap(facts: &mut Facts, file: bool, used: u64) {
    facts.condition.swaps.push(Swap {
        path: "/srv/swap".into(),
        file,
        used,
    });
}

pub(super) fn unkept(facts: &mut Facts, way: UnkeptWay) {
    facts.kept[0].found = Err(Unkept {
        way,
        why: "something is wrong with it".into(),
    });
}

/// Data that is left alone, mounted at /data; whether it is checked its line says by the last word.
pub(super) fn data<'f>(facts: &'f mut Facts, pass: &str) -> &'f mut MountedFilesystem {
    let mut found = system(facts, "/opt").clone();
    facts.filesystems.clear();
    facts.mounts.pop();
    facts.mounts.push(mounted("/data", "ext4", None));
    facts.identity.fstab = format!("UUID=0a /data ext4 defaults 0 {pass}\n");
    facts.identity.devices = vec![device("/dev/vdc1", "0a")];
    found.target = "/data".into();
    // It need not be one that a run could find again.
    found.identity = Err("no disk has all of it".into());
    facts.filesystems.push(found);
    facts.filesystems.last_mut().expect("it was added")
}

pub(super) fn device(node: &str, uuid: &str) -> DeviceFacts {
    DeviceFacts {
        node: node.into(),
        links: vec![],
        logical: None,
        uuid: Some(uuid.into()),
        label: None,
        part_uuid: None,
        fstype: Some("ext4".into()),
        member: None,
    }
}

pub(super) fn bind(facts: &mut Facts, shows: &str, target: &str) {
    facts.condition.binds.push(Bind {
        shows: shows.into(),
        target: target.into(),
    });
}

/// UEFI starts it by the fallback file; nothing of a BIOS's is there.
pub(super) fn by_uefi(facts: &mut Facts) {
    let root = with_guids(facts);
    (root.grub_on_disk, root.has_room, root.room_sectors) = (false, false, 0);
    facts.firmware = Firmware::Uefi;
    facts.efi.bits = Some(64);
    facts.efi.files = vec![EfiFile {
        partition: EfiPartition {
            number: 15,
            guid: "g".into(),
            start: 8192,
            sectors: 65_536,
        },
        path: "/EFI/BOOT/BOOTX64.EFI".into(),
        variable: None,
    }];
}

fn firmware(image: &mut Manifest, driver: &str, there: &[&str], missing: &[&str]) {
    let own = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    let drivers = image.payload_drivers.as_mut().unwrap();
    drivers.firmware.push(DriverFirmware {
        driver: driver.into(),
        there: own(there),
        missing: own(missing),
    });
}

pub(super) fn open(facts: &mut Facts, path: &str, service: bool) {
    place(facts, path, MIB);
    facts.written.open.push(OpenDirectory {
        path: path.into(),
        files: 1,
        writers: vec!["shop.service".into()],
        service,
    });
}

pub(super) fn place(facts: &mut Facts, path: &str, bytes: u64) {
    facts.written.places.push(Place {
        path: path.into(),
        found: Weight {
            files: 1,
            bytes,
            newest: None,
            whole: true,
        },
    });
}

/// For every check a machine or an image that it is there to refuse.
pub(super) const CASES: &[(&str, Change)] = &[
    ("architecture", |f, _| f.architecture = "aarch64".into()),
    ("container", |f, _| f.container = Some("lxc".into())),
    ("other-run", |f, _| {
        f.other_run = Some("20260101T000000Z-0000".into());
    }),
    ("entry", |f, _| {
        f.kexec.disabled = true;
        f.ptrace.yama_scope = Some(3);
        f.boot_entry = Err("no grub.cfg".into());
    }),
    ("entry", |f, _| {
        f.kexec.load = false;
        f.kexec.file_load = false;
        f.ptrace.tracer = Some("gdb (77)".into());
        f.boot_entry = Err("no grub.cfg".into());
    }),
    ("firmware", |f, _| {
        by_uefi(f);
        f.efi.unknown = Some("BootCurrent cannot be read".into());
    }),
    ("firmware", |f, _| {
        by_uefi(f);
        f.efi.bits = Some(32);
    }),
    ("firmware", |f, i| {
        by_uefi(f);
        i.tools.grub_platforms = vec!["i386-pc".into()];
    }),
    ("partition-table", |f, _| {
        by_uefi(f);
        f.efi.no_room = Some("there is none".into());
    }),
    ("boot-disk", |f, _| {
        by_uefi(f);
        root(f).loaders_elsewhere = vec!["LILO on /dev/vdb".into()];
    }),
    ("ssh-restrictions", |f, i| {
        i.identity.host_key_types = vec!["ssh-ed25519".into()];
        f.identity.ssh_restrictions = vec!["/etc/ssh/sshd_config: PermitRootLogin no".into()];
    }),
    // The new server asks PAM, which lets in whom a lock kept out, and reads nothing that could be written for it.
    ("ssh-restrictions", |f, i| {
        f.identity.doors.server = true;
        f.identity.doors.settings = vec![setting("UsePAM", "no")];
        locked_root(f);
        i.identity.host_key_types = vec!["ssh-ed25519".into()];
        i.identity.doors = Some(Doors {
            server: true,
            settings: vec![setting("UsePAM", "yes")],
            ..Doors::default()
        });
    }),
    ("ssh-restrictions", |f, i| {
        i.identity.host_key_types = vec!["ssh-ed25519".into()];
        f.identity.doors.unread =
            vec!["/usr/sbin/dropbear, by which people get in on port 22".into()];
    }),
    ("ssh-restrictions", |f, i| {
        i.identity.host_key_types = vec!["ssh-ed25519".into()];
        (f.identity.doors.server, f.identity.doors.off) = (true, true);
    }),
    // The other way about: root gets in by key, though locked, and the new server asks nobody.
    ("login", |f, i| {
        f.identity.doors.server = true;
        f.identity.doors.settings = vec![setting("UsePAM", "yes")];
        locked_root(f);
        i.identity.doors = Some(Doors {
            server: true,
            ..Doors::default()
        });
    }),
    ("login", |f, i| {
        f.identity.doors.server = true;
        f.identity.login_keys = vec![root_key()];
        i.identity.doors = Some(Doors::default());
    }),
    // There is a server, which nothing starts.
    ("login", |f, i| {
        f.identity.doors.server = true;
        f.identity.login_keys = vec![root_key()];
        i.identity.doors = Some(Doors {
            server: true,
            off: true,
            ..Doors::default()
        });
    }),
    ("login", |f, i| {
        f.identity.shut = vec!["/etc/pam.d/sshd comes along and asks pam_x.so".into()];
        i.identity.doors = Some(Doors {
            server: true,
            settings: vec![setting("UsePAM", "yes")],
            ..Doors::default()
        });
    }),
    // The operator came through a program on this machine.
    ("login", |f, i| {
        f.identity.session = Some(Session {
            user: "root".into(),
            address: "127.0.0.1".into(),
            port: 22,
            ..Session::default()
        });
        i.identity.doors = Some(Doors::default());
    }),
    // Everybody is in a directory.
    ("login", |f, i| {
        f.identity.doors.elsewhere = vec!["accounts of sss".into()];
        i.identity.doors = Some(Doors::default());
    }),
    ("login-elsewhere", |f, i| {
        f.identity.doors.server = true;
        f.identity.doors.elsewhere = vec!["accounts of sss".into()];
        f.identity.login_keys = vec![root_key()];
        i.identity.doors = Some(Doors {
            server: true,
            ..Doors::default()
        });
    }),
    // The only key is one that the new server takes no more.
    ("login", |f, i| {
        f.identity.doors.server = true;
        f.identity.doors.release = Some((6, 0));
        f.identity.login_keys = vec![Keys {
            user: "root".into(),
            keys: vec![
                public_key("ssh-dss", None),
                public_key("ssh-rsa", Some(768)),
            ],
            lines: Vec::new(),
            forced: 0,
            stay: true,
        }];
        i.identity.doors = Some(Doors {
            server: true,
            release: Some((9, 2)),
            ..Doors::default()
        });
    }),
    ("dual-boot", |f, _| {
        f.condition.other_systems = vec!["Windows 10 (on /dev/vda2)".into()];
    }),
    ("root-type", |f, _| root(f).fstype = "ext3".into()),
    ("root-double", |f, _| {
        root(f).doubles = vec!["/dev/vdb1".into()];
    }),
    ("root-errors", |f, _| {
        root(f).errors = Some("3 errors".into());
    }),
    ("partition-table", |f, _| {
        let root = with_guids(f);
        (root.room_sectors, root.has_room) = (0, false);
    }),
    ("partition-table", |f, _| {
        let root = with_guids(f);
        (root.has_room, root.room_alone) = (false, 59);
    }),
    ("partition-table", |f, _| {
        let root = root(f);
        (root.has_room, root.room_alone) = (false, 59);
    }),
    // An image that does not say how large its loader is.
    ("partition-table", |f, i| {
        let root = root(f);
        (root.has_room, root.room_alone) = (false, 62);
        i.tools.grub_core_sectors = None;
    }),
    ("root-driver", |f, _| f.root_drivers.push("cciss".into())),
    ("root-driver", |f, i| {
        f.root_drivers.push("ahci".into());
        i.kernel.drivers.push("ahci".into());
    }),
    ("boot-disk", |f, _| root(f).grub_on_disk = false),
    ("boot-disk", |f, _| with_guids(f).grub_on_disk = false),
    ("boot-disk", |f, _| {
        root(f).loaders_elsewhere = vec!["LILO on /dev/vdb".into()];
    }),
    ("firmware-reach", |f, _| {
        f.condition.firmware_reach = Some(1_000_000);
    }),
    ("firmware-silent", |f, _| {
        root(f).identity.sectors = 1 << 31;
    }),
    ("firmware-silent", |f, _| {
        with_guids(f).identity.sectors = 1 << 31;
    }),
    ("booted", |f, _| f.condition.started.image_on_root = false),
    ("booted", |f, _| f.condition.started.loader = Some(0xb0)),
    ("booted", |f, _| {
        f.condition.started = Started {
            loader: Some(0xd0),
            ..Started::default()
        };
    }),
    ("watchdog", |f, _| f.watchdogs = vec!["watchdog0".into()]),
    ("boot-apart", |f, _| {
        f.mounts.push(mounted("/boot", "ext2", None));
    }),
    ("separate-mounts", |f, _| {
        f.mounts.push(mounted("/boot", "ext4", None));
        f.mounts.last_mut().unwrap().bind_of_root = true;
    }),
    ("separate-mounts", |f, _| {
        f.mounts.push(mounted("/var", "btrfs", None));
    }),
    ("separate-mounts", |f, _| {
        f.condition.mount_wishes.wipe = vec!["/nowhere".into()];
    }),
    ("mounts-wiped", |f, _| {
        system(f, "/var");
    }),
    ("network-mounts", |f, _| {
        f.mounts.push(mounted("/mnt", "nfs4", None));
    }),
    ("loop-mounts", |f, _| {
        f.mounts
            .push(mounted("/data", "ext4", Some("/var/lib/vol.img")));
    }),
    ("image-place", |f, _| f.image_on = Some("/data".into())),
    ("keep-mounts", |f, _| {
        f.mounts.push(mounted("/srv/shop", "ext4", None));
    }),
    ("data-in-use", |f, _| open(f, "/data/shop", true)),
    ("data-in-use", |f, _| open(f, "/var/lib/mysql/shop", true)),
    ("gone", |f, _| place(f, "/data", 5 * MIB)),
    ("gone", |f, _| open(f, "/data/anna", false)),
    ("image-links", |_, i| {
        i.payload.directory_links.push(DirectoryLink {
            path: "/var/log".into(),
            target: "/srv/log".into(),
        });
    }),
    ("keep", |f, _| unkept(f, UnkeptWay::Missing)),
    ("keep-place", |f, _| unkept(f, UnkeptWay::Elsewhere)),
    ("keep-unread", |f, _| unkept(f, UnkeptWay::Unread)),
    ("keep-symlinks", |f, _| {
        f.condition.wiped_targets = WipedTargets {
            links: 1,
            examples: vec!["/srv/www → /var/www".into()],
            of_the_os: 0,
        };
    }),
    ("keep-mounted", |f, _| {
        f.mounts.push(mounted("/srv/archive", "ext4", None));
        f.identity.devices = vec![device("/dev/vdc1", "0a")];
        f.identity.fstab = "UUID=0A /srv/archive ext4 defaults 0 2\n".into();
    }),
    ("keep-link", |f, i| {
        f.kept[0].path = KeepPath::parse("/opt/shop/data").unwrap();
        i.payload.directory_links = vec![DirectoryLink {
            path: "/opt/shop".into(),
            target: "/srv".into(),
        }];
    }),
    ("space", |f, _| {
        f.kept[0].found = Ok(measure(3900 * MIB, 10));
    }),
    ("space", |f, _| f.kept[0].found = Ok(measure(MIB, 249_000))),
    ("space-now", |f, _| root(f).bytes_free = 100 * MIB),
    ("memory", |f, _| {
        f.memory = Memory {
            total: 120 * MIB,
            available: 100 * MIB,
        }
    }),
    ("memory", |f, _| f.memory.available = 50 * MIB),
    ("network-stack", |_, i| i.network = None),
    ("network-dialect", |f, _| {
        f.network.links[0].name = "a name that is too long".into();
    }),
    ("network-unsaid", |f, _| {
        f.network.unsaid = vec!["a multipath route".into()];
    }),
    ("network-macs", |f, _| {
        let mut twin = link("ens3", 3);
        twin.name = "ens4".into();
        twin.addresses[0].ip = [192, 0, 2, 4].into();
        f.network.links.push(twin);
    }),
    ("network-dns", |f, _| {
        f.network.dns.read_from = vec!["/etc/resolv.conf".into()];
    }),
    ("network-kind", |f, _| f.network.links.push(wireguard())),
    ("network-driver", |f, _| {
        f.network.links[0].driver = Some("tulip".into());
    }),
    ("network-driver", |f, i| {
        f.network.links[0].driver = Some("tulip".into());
        i.kernel.drivers.push("tulip".into());
    }),
    ("firmware-files", |_, i| {
        firmware(i, "virtio_net", &[], &["virtio/card.bin"]);
    }),
    ("firmware-files", |_, i| {
        firmware(i, "virtio_blk", &[], &["virtio/disk.bin"]);
    }),
    ("firmware-some", |_, i| {
        firmware(i, "virtio_net", &["virtio/new.bin"], &["virtio/old.bin"]);
    }),
    ("network-gateway", |f, _| f.gateways[0].answers = false),
    ("accounts", |f, _| {
        f.accounts = Err("/etc/passwd, line 7: the number is none".into());
    }),
    ("accounts", |f, _| f.accounts = Ok(accounts(5))),
    ("identity", |f, _| {
        f.identity.fstab = "/dev/sdx9 /data ext4 defaults 0 2\n".into();
    }),
    ("kernel", |f, _| f.kernel = "2.6.32-754.el6".into()),
    ("xen-host", |f, _| xen(f, "control domain")),
    ("xen", |f, _| xen(f, "PV")),
    ("secure-boot", |f, _| f.condition.secure_boot = Some(true)),
    ("secure-boot", |f, _| {
        f.condition.secure_boot_unread = Some("it cannot be read".into());
    }),
    ("dual-boot", |f, _| {
        f.efi.others = vec!["bootmgfw.efi: Windows".into()];
    }),
    ("boot-loader", |f, _| {
        by_uefi(f);
        f.efi.other_loader = Some("systemd-boot".into());
    }),
    ("crash-kernel", |f, _| f.condition.crash_kernel = true),
    ("clock", |f, _| f.condition.clock = 1_262_304_000),
    ("clock", |f, _| f.condition.clock = 4_294_967_000),
    ("root-read-only", |f, _| f.condition.root_read_only = true),
    ("disk", |f, _| disk(f, true, Health::Failing("worn".into()))),
    ("disk-other", |f, _| {
        disk(f, false, Health::Failing("worn".into()));
    }),
    ("disk-unread", |f, _| {
        disk(f, true, Health::Unread("no answer".into()));
    }),
    ("partition-table", |f, _| {
        let root = with_guids(f);
        (root.has_room, root.room_alone) = (false, 59);
    }),
    ("boot-loader", |f, _| {
        root(f).grub_on_disk = false;
        f.condition.other_loader = Some("LILO".into());
    }),
    ("mounts-silent", |f, _| {
        f.condition.silent_mounts = vec!["/mnt".into()];
    }),
    ("nfs-exports", |f, _| {
        f.condition.exports = vec!["/srv to *".into()];
    }),
    ("mount-layers", |f, _| {
        f.identity.devices = vec![device("/dev/md0", "0a")];
        f.identity.fstab = "UUID=0a /data ext4 defaults 0 2\n".into();
        f.condition.layers = vec![Layer {
            target: "/data".into(),
            source: "/dev/md0".into(),
            kinds: vec!["LVM".into(), "md".into()],
        }];
    }),
    ("mount-layers", |f, i| {
        i.tools.programs = vec!["lvm".into()];
        f.identity.devices = vec![device("/dev/dm-3", "0a")];
        f.identity.fstab = "UUID=0a /data ext4 defaults 0 2\n".into();
        f.condition.layers = vec![Layer {
            target: "/data".into(),
            source: "/dev/dm-3".into(),
            kinds: vec!["LVM".into(), "LVM vdo".into()],
        }];
    }),
    ("mount-features", |f, _| {
        data(f, "2").ext4.as_mut().unwrap().incompat |= 0x400_0000;
    }),
    // As mkfs.ext4 of e2fsprogs 1.47 makes it, checked by an older one.
    ("mount-features", |f, i| {
        i.tools.e2fsprogs = Some("1.46.5-2ubuntu1".into());
        data(f, "2").ext4.as_mut().unwrap().compat |= 0x1000;
    }),
    ("swap", |f, _| swap(f, false, 1600 * MIB)),
    ("swap-file", |f, _| swap(f, true, 0)),
    ("keep-binds", |f, _| bind(f, "/srv/shop", "/mnt/shop")),
    ("keep-hard-links", |f, _| f.condition.outside_links = None),
    ("keep-hard-links", |f, _| {
        f.condition.outside_links = Some(OutsideLinks {
            files: 2,
            example: "inode 9 below /srv".into(),
        });
    }),
    ("packages", |f, _| {
        f.condition.packages = vec!["dpkg (9) runs".into()];
    }),
    ("processes", |f, _| {
        f.condition.stuck = vec!["touch (9)".into()];
    }),
    ("sessions", |f, _| {
        f.condition.sessions = vec!["vi (9) writes /etc/motd".into()];
    }),
    ("carry", |f, _| {
        f.identity.wished = vec!["/etc/fstab".into()];
    }),
    ("carry", |f, _| {
        f.identity.wished = vec!["/etc".into()];
    }),
    ("carry", |f, _| {
        f.identity.wished = vec!["/bin/own".into()];
    }),
    ("carry", |f, _| f.identity.copied_bytes = 300 * MIB),
    ("carry", |f, i| {
        i.identity.carry = vec!["/bin/own".into()];
        f.identity.copied = vec!["/bin/own".into()];
    }),
    ("carry", |f, _| {
        f.identity.uncarriable = vec!["/data has a mount in it, at /data/x".into()];
    }),
    ("overlay", |f, _| {
        f.overlay = Some(overlay(&["/etc/shadow"]));
    }),
    ("overlay", |f, _| {
        f.overlay = Some(overlay(&["/srv/shop/index.html"]));
    }),
    ("overlay", |f, _| f.overlay = Some(overlay(&["/bin"]))),
    ("overlay", |f, _| {
        f.overlay = Some(Overlay {
            users: vec!["nobody-knows".into()],
            ..overlay(&["/etc/shop"])
        });
    }),
    ("hooks", |f, _| {
        f.unfit_hooks = vec!["/etc/reroot/before-stop.d/x is writable by others than root".into()];
    }),
    ("identity-keep", |f, _| {
        f.kept[0].path = KeepPath::parse("/etc/systemd/network").unwrap();
    }),
    ("identity-keep", |f, _| {
        f.identity.kept_network = vec!["/etc/netplan/50.yaml".into()];
    }),
    ("identity-keep", |f, i| {
        f.kept[0].path = KeepPath::parse("/etc/ssh").unwrap();
        i.identity.host_key_types = vec!["ssh-ed25519".into()];
    }),
];
