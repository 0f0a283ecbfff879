//! A plain machine and a plain image, against which nothing speaks.

use formats::accounts::{Accounts, Group, Owners, User};
use formats::boot_path::EfiFacts;
use formats::facts::Ext4Features;
use formats::facts::{
    Condition, Facts, Firmware, InitSystem, Kept, Kexec, Memory, OsRelease, OutsideLinks, Ptrace,
    Root, RootIdentity, Started, Written,
};
use formats::identity::{NewIdentity, OldIdentity};
use formats::keep::KeepPath;
use formats::manifest::{Boot, Initramfs, Kernel, Loader, Manifest};
use formats::measure::Measure;
use formats::network::{Address, Dialect, Gateway, Link, LinkKind, Mac, Network, Resolver, Stack};
use formats::payload::{DirectoryLink, DirectorySize, Frame, Payload};
use formats::payload_drivers::PayloadDrivers;
use formats::tools::{BtrfsTools, Tools, XfsTools};
use formats::Digest;
use plan::needs::PartSizes;

pub(super) const MIB: u64 = 1 << 20;
/// 2026-11-23.
pub(super) const NOW: u64 = 1_795_400_000;
pub(super) const SIZES: PartSizes = PartSizes {
    kernel: 12 * MIB,
    initramfs: 8 * MIB,
    payload: 200 * MIB,
    handed: 0,
};

pub(super) fn measure(disk_bytes: u64, entries: u64) -> Measure {
    Measure {
        entries,
        inodes: entries,
        bytes: disk_bytes,
        disk_bytes,
        digest: Digest::of(b""),
        flags: None,
        owners: Owners::default(),
    }
}

pub(super) fn mac(last: u8) -> Mac {
    Mac([0x52, 0x54, 0, 0, 0, last])
}

/// A network interface with a static address.
pub(super) fn link(name: &str, last: u8) -> Link {
    let address = Address {
        evidence: "it lives for ever".into(),
        ..fixtures::network::address(&format!("192.0.2.{last}/24"))
    };
    Link {
        driver: Some("virtio_net".into()),
        bus: Some(format!("0000:00:{last:02x}.0")),
        ..fixtures::network::card(name, mac(last), vec![address])
    }
}

pub(super) fn wireguard() -> Link {
    Link {
        kind: LinkKind::Other("wireguard".into()),
        mac: None,
        permanent_mac: None,
        driver: None,
        bus: None,
        ..link("wg0", 9)
    }
}

pub(super) fn account(name: &str, number: u32) -> User {
    User {
        name: name.into(),
        uid: number,
        gid: number,
        home: "/".into(),
        shell: "/bin/sh".into(),
        password: false,
    }
}

pub(super) fn accounts(root: u32) -> Accounts {
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

pub(crate) fn machine() -> Facts {
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
            unstoppable: vec![],
        },
        boot_entry: Ok(()),
        efi: EfiFacts::default(),
        ptrace: Ptrace::default(),
        root: Some(Root {
            identity: RootIdentity {
                disk_signature: 1,
                sectors: 8_000_000,
                ..fixtures::facts::root().identity
            },
            bytes: 4000 * MIB,
            bytes_free: 2000 * MIB,
            inodes: 250_000,
            inodes_free: 200_000,
            table: "dos".into(),
            ..fixtures::facts::root()
        }),
        root_unknown: None,
        mounts: vec![],
        filesystems: vec![],
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
        arrays: vec![],
        root_drivers: vec!["virtio_blk".into(), "virtio_pci".into()],
        watchdogs: vec![],
        image_on: None,
        listening: Ok(vec![]),
        written: Written::default(),
        other_run: None,
        overlay: None,
        hooks: formats::hooks::Hooks::default(),
        unfit_hooks: vec![],
        condition: Condition {
            clock: NOW,
            root_features: Some(Ext4Features {
                compat: 0x3c,
                incompat: 0x2c6,
                ro_compat: 0x46b,
            }),
            outside_links: Some(OutsideLinks::default()),
            started: Started {
                loader: Some(0x72),
                image: Some("/boot/vmlinuz-5.10.0".into()),
                image_on_root: true,
            },
            ..Condition::default()
        },
    }
}

pub(super) fn image() -> Manifest {
    Manifest {
        name: "trixie".into(),
        built_by: "test".into(),
        architecture: "x86_64".into(),
        os: OsRelease::default(),
        kernel: Kernel {
            release: "6.12".into(),
            init_size: 56 * MIB,
            load: vec![],
            drivers: [
                "virtio_blk",
                "virtio_pci",
                "virtio_net",
                "btrfs",
                "xfs",
                "dm_mod",
            ]
            .map(Into::into)
            .to_vec(),
        },
        initramfs: Initramfs {
            unpacked_bytes: 25 * MIB,
            ssh: None,
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
            filesystems: vec!["ext4".into(), "btrfs".into()],
            ..NewIdentity::default()
        },
        keep: vec![],
        payload_drivers: Some(PayloadDrivers {
            modules: ["virtio_blk", "virtio_pci", "virtio_net", "cciss"]
                .map(Into::into)
                .to_vec(),
            initrd: ["virtio_blk", "virtio_pci", "btrfs", "xfs", "dm_mod"]
                .map(Into::into)
                .to_vec(),
            initrd_programs: vec!["lvm".into(), "mdadm".into()],
            initrd_for_all_mounts: vec!["lvm".into(), "mdadm".into()],
            firmware: vec![],
        }),
        tools: Tools {
            kernel_time: NOW - 90 * 86_400,
            e2fsprogs: Some("1.47.2-3".into()),
            grub: Some("2.12-9".into()),
            grub_refuses: None,
            grub_core_sectors: Some(60),
            xfs: Some(XfsTools {
                grub_refuses: None,
                grub_core_sectors: Some(62),
                repair: true,
            }),
            btrfs: Some(BtrfsTools {
                grub_core_sectors: Some(120),
                repair: true,
            }),
            grub_platforms: vec!["i386-pc".into(), "x86_64-efi".into()],
            lvm_core_sectors: [("ext4".into(), 90), ("xfs".into(), 92)].into(),
            programs: vec!["lvm".into()],
        },
        hooks: formats::hooks::Hooks::default(),
        payload: Payload {
            entries: 12_000,
            inodes: 12_000,
            unpacked_bytes: 320 * MIB,
            disk_bytes: 340 * MIB,
            directory_links: vec![DirectoryLink {
                path: "/bin".into(),
                target: "/usr/bin".into(),
            }],
            directories: ["/opt", "/usr", "/var", "/var/log"]
                .map(|path| DirectorySize {
                    path: path.into(),
                    bytes: MIB,
                    inodes: 10,
                    shared_bytes: 0,
                    shared_inodes: 0,
                })
                .to_vec(),
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
