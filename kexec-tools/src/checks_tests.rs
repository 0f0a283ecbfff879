//! Every check passes on a plain machine, and each fires on the machine that it is for.

use manifest::accounts::{Accounts, Group, Owners, User};
use manifest::entry::Entry;
use manifest::facts::{
    Facts, Firmware, InitSystem, Kept, Kexec, Memory, Mount, OsRelease, Ptrace, Root, RootIdentity,
};
use manifest::identity::{NewIdentity, OldIdentity};
use manifest::keep::KeepPath;
use manifest::manifest::{Boot, Initramfs, Kernel, Loader, Manifest};
use manifest::measure::Measure;
use manifest::network::{
    Address, Dialect, Gateway, Link, LinkKind, Mac, Network, Origin, Resolver, Stack,
};
use manifest::payload::{DirectoryLink, Frame, Payload};
use manifest::plan::PayloadAt;
use manifest::resolve::{Choices, PartSizes};
use manifest::Digest;

use super::{all, may_be_forced, run, Context, Verdict};

const MIB: u64 = 1 << 20;
const SIZES: PartSizes = PartSizes {
    kernel: 12 * MIB,
    initramfs: 8 * MIB,
    payload: 200 * MIB,
};

fn measure(disk_bytes: u64, entries: u64) -> Measure {
    Measure {
        entries,
        bytes: disk_bytes,
        disk_bytes,
        digest: Digest::of(b""),
        owners: Owners::default(),
    }
}

fn mac(last: u8) -> Mac {
    Mac([0x52, 0x54, 0, 0, 0, last])
}

/// A network interface with a static address.
fn link(name: &str, last: u8) -> Link {
    Link {
        name: name.into(),
        mac: Some(mac(last)),
        permanent_mac: Some(mac(last)),
        mtu: 1500,
        up: true,
        kind: LinkKind::Physical,
        master: None,
        driver: Some("virtio_net".into()),
        bus: Some(format!("0000:00:{last:02x}.0")),
        addresses: vec![Address {
            ip: [192, 0, 2, last].into(),
            prefix: 24,
            peer: None,
            broadcast: None,
            scope: 0,
            label: None,
            valid: None,
            temporary: false,
            generated: false,
            no_prefix_route: false,
            origin: Origin::Static,
            evidence: "it lives for ever".into(),
        }],
        dhcp4: None,
        dhcp6: None,
        router: None,
        dhcp_metric: None,
        configured: true,
    }
}

fn wireguard() -> Link {
    Link {
        kind: LinkKind::Other("wireguard".into()),
        mac: None,
        permanent_mac: None,
        driver: None,
        bus: None,
        ..link("wg0", 9)
    }
}

fn account(name: &str, number: u32) -> User {
    User {
        name: name.into(),
        uid: number,
        gid: number,
        home: "/".into(),
        shell: "/bin/sh".into(),
        password: false,
    }
}

fn accounts(root: u32) -> Accounts {
    Accounts {
        users: vec![account("root", root)],
        groups: vec![Group {
            name: "root".into(),
            gid: 0,
            members: vec![],
        }],
        ..Accounts::default()
    }
}

fn machine() -> Facts {
    Facts {
        hostname: "shop1".into(),
        architecture: "x86_64".into(),
        kernel: "5.10.0".into(),
        os: OsRelease::default(),
        init: InitSystem::Systemd,
        firmware: Firmware::Bios,
        container: None,
        memory: Memory {
            total: 2000 * MIB,
            available: 1500 * MIB,
        },
        cmdline: String::new(),
        consoles: vec!["tty0".into()],
        kexec: Kexec {
            load: true,
            file_load: true,
            disabled: false,
            lockdown: None,
        },
        ptrace: Ptrace::default(),
        xen_pv: false,
        root: Some(Root {
            identity: RootIdentity {
                fs_uuid: "u".into(),
                disk_signature: 1,
                partition: 1,
                start: 2048,
                sectors: 8_000_000,
            },
            device: "/dev/vda1".into(),
            disk: "/dev/vda".into(),
            disk_by_id: None,
            fstype: "ext4".into(),
            bytes: 4000 * MIB,
            bytes_free: 2000 * MIB,
            inodes: 250_000,
            inodes_free: 200_000,
            errors: None,
            doubles: vec![],
            table: "dos".into(),
            gap_sectors: 2047,
            gap_has_room: true,
            grub_on_disk: true,
            grub_elsewhere: vec![],
        }),
        root_unknown: None,
        mounts: vec![],
        swaps: vec![],
        kept: vec![Kept {
            path: KeepPath::parse("/srv").unwrap(),
            found: Ok(measure(100 * MIB, 1000)),
        }],
        network: Network {
            links: vec![link("ens3", 3)],
            ..Network::default()
        },
        network_notes: vec![],
        gateways: vec![Gateway {
            address: [192, 0, 2, 1].into(),
            link: "ens3".into(),
            answers: true,
        }],
        accounts: Ok(accounts(0)),
        identity: OldIdentity {
            hostname: "shop1".into(),
            ..OldIdentity::default()
        },
        root_drivers: vec!["virtio_blk".into(), "virtio_pci".into()],
        watchdogs: vec![],
        image_on: None,
        other_run: None,
    }
}

fn image() -> Manifest {
    Manifest {
        name: "trixie".into(),
        built_by: "test".into(),
        architecture: "x86_64".into(),
        os: OsRelease::default(),
        kernel: Kernel {
            release: "6.12".into(),
            load: vec![],
            drivers: ["virtio_blk", "virtio_pci", "virtio_net"]
                .map(Into::into)
                .to_vec(),
        },
        initramfs: Initramfs {
            unpacked_bytes: 25 * MIB,
        },
        boot: Boot {
            loader: Loader::GrubPc,
            cmdline: String::new(),
            consoles: vec![],
        },
        network: Some(Stack {
            dialect: Dialect::Networkd,
            systemd: 257,
            kernel_names: false,
            resolver: Resolver::Resolved,
            programs: vec!["ip".into()],
        }),
        accounts: accounts(0),
        identity: NewIdentity {
            shells: vec!["/bin/sh".into()],
            filesystems: vec!["ext4".into()],
            ..NewIdentity::default()
        },
        keep: vec![],
        payload: Payload {
            entries: 12_000,
            inodes: 12_000,
            unpacked_bytes: 320 * MIB,
            disk_bytes: 340 * MIB,
            directory_links: vec![DirectoryLink {
                path: "/bin".into(),
                target: "/usr/bin".into(),
            }],
            frames: vec![Frame {
                offset: 0,
                length: 200 * MIB,
                unpacked: 320 * MIB,
                entries: 12_000,
                digest: Digest::of(b""),
            }],
        },
    }
}

fn refused(
    facts: &Facts,
    image: &Manifest,
    payload_at: Option<PayloadAt>,
    forced: &[&str],
) -> Vec<&'static str> {
    let choices = Choices {
        payload_at,
        ..Choices::default()
    };
    refused_with(facts, image, &choices, forced)
}

fn refused_with(
    facts: &Facts,
    image: &Manifest,
    choices: &Choices,
    forced: &[&str],
) -> Vec<&'static str> {
    let forced: Vec<String> = forced.iter().map(ToString::to_string).collect();
    run(&Context {
        facts,
        manifest: image,
        sizes: SIZES,
        choices,
        forced: &forced,
    })
    .iter()
    .filter(|f| f.refuses())
    .map(|f| f.code)
    .collect()
}

#[test]
fn nothing_speaks_against_a_plain_machine() {
    assert_eq!(refused(&machine(), &image(), None, &[]), [""; 0]);
}

fn mounted(target: &str, fstype: &str, backing_file: Option<&str>) -> Mount {
    Mount {
        target: target.into(),
        source: "/dev/vdc1".into(),
        fstype: fstype.into(),
        bind_of_root: false,
        backing_file: backing_file.map(str::to_owned),
    }
}

type Change = fn(&mut Facts, &mut Manifest);

fn root(facts: &mut Facts) -> &mut Root {
    facts.root.as_mut().unwrap()
}

/// For every check a machine or an image that it is there to refuse.
const CASES: &[(&str, Change)] = &[
    ("architecture", |f, _| f.architecture = "aarch64".into()),
    ("container", |f, _| f.container = Some("lxc".into())),
    ("other-run", |f, _| {
        f.other_run = Some("20260101T000000Z-0000".into());
    }),
    ("firmware", |f, _| f.firmware = Firmware::Uefi),
    ("root", |f, _| {
        f.root = None;
        f.root_unknown = Some("LVM".into());
    }),
    ("root-type", |f, _| root(f).fstype = "ext3".into()),
    ("root-double", |f, _| {
        root(f).doubles = vec!["/dev/vdb1".into()];
    }),
    ("root-errors", |f, _| {
        root(f).errors = Some("3 errors".into());
    }),
    ("partition-table", |f, _| root(f).table = "gpt".into()),
    ("partition-table", |f, _| root(f).gap_has_room = false),
    ("root-driver", |f, _| f.root_drivers.push("cciss".into())),
    ("boot-disk", |f, _| root(f).grub_on_disk = false),
    ("boot-disk", |f, _| {
        root(f).grub_elsewhere = vec!["/dev/vdb".into()];
    }),
    ("watchdog", |f, _| f.watchdogs = vec!["watchdog0".into()]),
    ("separate-mounts", |f, _| {
        f.mounts.push(mounted("/boot", "ext2", None));
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
    ("image-links", |_, i| {
        i.payload.directory_links.push(DirectoryLink {
            path: "/var/log".into(),
            target: "/srv/log".into(),
        });
    }),
    ("keep", |f, _| f.kept[0].found = Err("it is a link".into())),
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
    ("network-gateway", |f, _| f.gateways[0].answers = false),
    ("accounts", |f, _| {
        f.accounts = Err("/etc/passwd, line 7: the number is none".into());
    }),
    ("accounts", |f, _| f.accounts = Ok(accounts(5))),
    ("identity", |f, _| {
        f.identity.fstab = "/dev/sdx9 /data ext4 defaults 0 2\n".into();
    }),
    ("identity-keep", |f, _| {
        f.kept[0].path = KeepPath::parse("/etc/systemd/network").unwrap();
    }),
];

/// The same for the checks of an entry that was asked for.
const ASKED: &[(&str, Entry, Change)] = &[
    ("kexec", Entry::Kexec, |f, _| f.kexec.file_load = false),
    ("kexec", Entry::Kexec, |f, _| f.kexec.disabled = true),
    ("kexec", Entry::Kexec, |f, _| {
        f.kexec.lockdown = Some("integrity".into());
    }),
    ("kexec", Entry::Kexec, |f, _| f.xen_pv = true),
    ("takeover", Entry::Takeover, |f, _| {
        f.ptrace.yama_scope = Some(3);
    }),
    ("takeover", Entry::Takeover, |f, _| {
        f.ptrace.tracer = Some("strace (77)".into());
    }),
    ("takeover", Entry::Takeover, |f, _| {
        f.ptrace.other_root = Some("other mounts".into());
    }),
    ("takeover", Entry::Takeover, |f, _| f.ptrace.narrow = true),
    ("takeover", Entry::Takeover, |f, _| {
        f.ptrace.denied = Some("Permission denied".into());
    }),
];

#[test]
fn an_entry_that_cannot_be_taken_is_refused_only_where_it_was_asked_for() {
    for (code, entry, change) in ASKED {
        let (mut facts, mut image) = (machine(), image());
        change(&mut facts, &mut image);
        let asking = |entry| {
            let choices = Choices {
                entry,
                ..Choices::default()
            };
            refused_with(&facts, &image, &choices, &[])
        };
        assert_eq!(asking(Some(*entry)), [*code]);
        assert_eq!(asking(None), [""; 0], "another entry is there");
    }
}

#[test]
fn a_machine_without_any_way_in_is_refused() {
    let mut facts = machine();
    facts.xen_pv = true;
    assert_eq!(refused(&facts, &image(), None, &[]), [""; 0], "takeover");
    facts.ptrace.tracer = Some("gdb (77)".into());
    assert_eq!(refused(&facts, &image(), None, &[]), [""; 0], "boot");
    root(&mut facts).grub_on_disk = false;
    assert_eq!(
        refused(&facts, &image(), None, &["boot-disk"]),
        ["entry"],
        "none"
    );
}

#[test]
fn a_takeover_needs_no_driver_of_the_image() {
    let mut facts = machine();
    facts.root_drivers.push("cciss".into());
    facts.network.links[0].driver = Some("tulip".into());
    let choices = Choices {
        entry: Some(Entry::Takeover),
        ..Choices::default()
    };
    assert_eq!(refused_with(&facts, &image(), &choices, &[]), [""; 0]);
}

#[test]
fn any_init_is_taken() {
    for init in [
        InitSystem::Sysvinit,
        InitSystem::Upstart,
        InitSystem::Other("runit".into()),
    ] {
        let facts = Facts { init, ..machine() };
        assert_eq!(refused(&facts, &image(), None, &[]), [""; 0]);
    }
}

#[test]
fn each_check_refuses_what_it_is_for_and_nothing_else_does() {
    for (code, change) in CASES {
        let (mut facts, mut image) = (machine(), image());
        change(&mut facts, &mut image);
        assert_eq!(refused(&facts, &image, None, &[]), [*code]);
    }
}

#[test]
fn every_check_has_a_case() {
    for check in all() {
        assert!(
            CASES.iter().any(|(code, _)| *code == check.code)
                || ASKED.iter().any(|(code, ..)| *code == check.code)
                || check.code == "entry",
            "{}",
            check.code
        );
    }
}

#[test]
fn only_forcible_checks_can_be_forced() {
    for (code, change) in CASES {
        let (mut facts, mut image) = (machine(), image());
        change(&mut facts, &mut image);
        let refuses = !refused(&facts, &image, None, &[code]).is_empty();
        assert_eq!(refuses, !may_be_forced(code), "{code}");
    }
    assert!(!may_be_forced("no-such-check"));
}

#[test]
fn a_payload_that_must_be_in_memory_needs_more_of_it() {
    let mut facts = machine();
    facts.memory = Memory {
        total: 460 * MIB,
        available: 400 * MIB,
    };
    assert_eq!(
        refused(&facts, &image(), None, &[]),
        [""; 0],
        "it waits on disk"
    );
    assert_eq!(
        refused(&facts, &image(), Some(PayloadAt::Ram), &[]),
        ["memory"]
    );
}

#[test]
fn a_refusal_says_what_was_found_and_what_to_do() {
    let mut facts = machine();
    facts.firmware = Firmware::Uefi;
    let (image, choices) = (image(), Choices::default());
    let context = Context {
        facts: &facts,
        manifest: &image,
        sizes: SIZES,
        choices: &choices,
        forced: &[],
    };
    let findings = run(&context);
    let finding = findings
        .iter()
        .find(|f| f.verdict == Verdict::Refuse)
        .unwrap();
    assert!(finding.found.is_some() && finding.remedy.is_some());
    assert!(findings
        .iter()
        .filter(|f| f.verdict == Verdict::Pass)
        .all(|f| f.remedy.is_none()));
}

#[test]
fn a_loop_mount_in_a_kept_file_and_a_snap_are_fine() {
    let mut facts = machine();
    facts
        .mounts
        .push(mounted("/data", "ext4", Some("/srv/vol.img")));
    facts.mounts.push(mounted(
        "/snap/core",
        "squashfs",
        Some("/var/lib/snapd/core.snap"),
    ));
    facts.mounts.push(mounted("/srvother", "ext4", None));
    assert_eq!(refused(&facts, &image(), None, &[]), [""; 0]);
}
