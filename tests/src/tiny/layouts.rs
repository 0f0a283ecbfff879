//! The disks of tiny machines, a row each: how they are partitioned, and by whom. To try another kind of
//! disk is to add a row; `disk.rs` makes it, `layouts.rs` of the tests runs over every row.
//!
//! Sectors are of 512 bytes. A partition reaches up to the next one unless it says how long it is.

use formats::facts::RootType;

use crate::old_server::Firmware;

/// What a disk has before and between its partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// A master boot record; GRUB is in the gap behind it.
    Mbr,
    /// A GUID partition table; GRUB is in the BIOS boot partition.
    Gpt,
}

/// What a partition is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The root, with everything that is kept.
    Root,
    /// Mounted at /boot.
    Boot,
    /// GRUB's core image.
    BiosBoot,
    /// vfat, mounted at /boot/efi, with GRUB for UEFI.
    Esp,
    /// In use as swap.
    Swap,
    /// Of a master boot record: holds the logical partitions.
    Extended,
    /// A physical volume of LVM, in the one group.
    Physical,
    /// Mounted at /home, and somebody's data.
    Home,
    /// A filesystem of this type, mounted at this place, with these options.
    Mounted(&'static str, RootType, &'static str),
}

/// A logical volume of the one group, [`GROUP`].
#[derive(Debug, Clone, Copy)]
pub struct Volume {
    /// Its name.
    pub name: &'static str,
    /// Its parts, in MiB: each but the first is added when every other volume is there, so that something lies
    /// between them.
    pub mib: &'static [u64],
    /// What it is for: the root, swap, [`Kind::Home`] or [`Kind::Mounted`].
    pub kind: Kind,
}

/// The volume group. Its name has a hyphen, which the device-mapper's names double.
pub const GROUP: &str = "tiny-vg";

/// A partition.
#[derive(Debug, Clone, Copy)]
pub struct Partition {
    /// Its number; of a master boot record, logical ones begin with 5.
    pub number: u32,
    /// Its first sector.
    pub start: u64,
    /// How many.
    pub sectors: u64,
    /// What it is for.
    pub kind: Kind,
}

/// A subvolume of the root's Btrfs.
#[derive(Debug, Clone, Copy)]
pub struct Subvolume {
    /// Its path from the one that all are in, without a slash before it. Whatever it is in comes before it.
    pub path: &'static str,
    /// What it is for.
    pub is: Subvolumes,
}

/// What a subvolume is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subvolumes {
    /// The root, which fstab and the kernel's parameters name.
    Root,
    /// The root, which is mounted where nobody names one.
    Default,
    /// Mounted at this place, with these options.
    Mounted(&'static str, &'static str),
    /// Others are in it.
    Around,
    /// In the root, as systemd makes it, with another one in it.
    Nested,
    /// What the root was once, read-only.
    Snapshot,
}

/// A disk.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// A name for files and output.
    pub name: &'static str,
    /// Who makes such disks.
    pub made_by: &'static str,
    /// Its partition table.
    pub table: Table,
    /// The filesystem of its root, and of /boot and /home where they have their own.
    pub root: RootType,
    /// Its partitions, in the order of their numbers.
    pub partitions: &'static [Partition],
    /// The logical volumes on its physical ones.
    pub volumes: &'static [Volume],
    /// The subvolumes of its root, where that is on Btrfs.
    pub subvolumes: &'static [Subvolume],
}

/// The sectors of every disk of the table.
pub const DISK_SECTORS: u64 = 1 << 21;
const MIB: u64 = 2048;
/// The last sector that a partition may have, and those behind it: the second GUID partition table.
const END: u64 = DISK_SECTORS - MIB;

/// A partition from one sector up to another.
const fn part(number: u32, start: u64, end: u64, kind: Kind) -> Partition {
    Partition {
        number,
        start,
        sectors: end - start,
        kind,
    }
}

const fn subvolume(path: &'static str, is: Subvolumes) -> Subvolume {
    Subvolume { path, is }
}

/// Every disk that a tiny machine can have.
pub const LAYOUTS: &[Layout] = &[
    Layout {
        name: "mbr-primary",
        made_by: "Debian's installer",
        table: Table::Mbr,
        root: RootType::Ext4,
        partitions: &[
            part(1, MIB, 960 * MIB, Kind::Root),
            part(2, 960 * MIB, END, Kind::Swap),
        ],
        volumes: &[],
        subvolumes: &[],
    },
    Layout {
        name: "mbr-logical",
        made_by: "Debian's installer, told to put everything into logical partitions",
        table: Table::Mbr,
        root: RootType::Ext4,
        partitions: &[
            part(1, 64 * MIB, END, Kind::Extended),
            part(5, 65 * MIB, 100 * MIB, Kind::Swap),
            part(6, 101 * MIB, END, Kind::Root),
        ],
        volumes: &[],
        subvolumes: &[],
    },
    Layout {
        name: "mbr-sector-63",
        made_by: "installers up to about 2010, by cylinders",
        table: Table::Mbr,
        root: RootType::Ext4,
        partitions: &[part(1, 63, END, Kind::Root)],
        volumes: &[],
        subvolumes: &[],
        // 62 sectors behind the record, and GRUB of the old OS takes most of them: one loader, and not two.
    },
    Layout {
        name: "gpt-bios-boot",
        made_by: "Debian's and Ubuntu's installers on a disk with a GUID partition table",
        table: Table::Gpt,
        root: RootType::Ext4,
        partitions: &[
            part(1, MIB, 2 * MIB, Kind::BiosBoot),
            part(2, 2 * MIB, 960 * MIB, Kind::Root),
            part(3, 960 * MIB, END, Kind::Swap),
        ],
        volumes: &[],
        subvolumes: &[],
    },
    Layout {
        name: "gpt-cloud",
        made_by: "Debian's and Ubuntu's images for clouds: the root is number 1 and comes last",
        table: Table::Gpt,
        root: RootType::Ext4,
        partitions: &[
            part(1, 128 * MIB, END, Kind::Root),
            part(14, MIB, 4 * MIB, Kind::BiosBoot),
            part(15, 4 * MIB, 128 * MIB, Kind::Esp),
        ],
        volumes: &[],
        subvolumes: &[],
    },
    Layout {
        name: "gpt-boot-apart",
        made_by: "Ubuntu's images for clouds from 23.10 on: /boot on a partition of its own",
        table: Table::Gpt,
        root: RootType::Ext4,
        partitions: &[
            part(1, 256 * MIB, END, Kind::Root),
            part(14, MIB, 4 * MIB, Kind::BiosBoot),
            part(15, 4 * MIB, 128 * MIB, Kind::Esp),
            part(16, 128 * MIB, 256 * MIB, Kind::Boot),
        ],
        volumes: &[],
        subvolumes: &[],
    },
    Layout {
        name: "xfs-mbr",
        made_by: "images of RHEL 7 and 8 and of CentOS for clouds",
        table: Table::Mbr,
        root: RootType::Xfs,
        partitions: &[
            part(1, MIB, 960 * MIB, Kind::Root),
            part(2, 960 * MIB, END, Kind::Swap),
        ],
        volumes: &[],
        subvolumes: &[],
    },
    Layout {
        name: "xfs-cloud",
        made_by: "images of RHEL 9 and Amazon Linux 2023 for clouds, with the latter's numbers",
        table: Table::Gpt,
        root: RootType::Xfs,
        partitions: &[
            part(1, 128 * MIB, END, Kind::Root),
            part(127, MIB, 2 * MIB, Kind::BiosBoot),
            part(128, 2 * MIB, 128 * MIB, Kind::Esp),
        ],
        volumes: &[],
        subvolumes: &[],
    },
    Layout {
        name: "btrfs-cloud",
        made_by: "Fedora's installer, with /boot left where it is: root and home are subvolumes",
        table: Table::Gpt,
        root: RootType::Btrfs,
        partitions: &[
            part(1, MIB, 2 * MIB, Kind::BiosBoot),
            part(2, 2 * MIB, 64 * MIB, Kind::Esp),
            part(3, 64 * MIB, END, Kind::Root),
        ],
        volumes: &[],
        subvolumes: &[
            subvolume("root", Subvolumes::Root),
            subvolume("home", Subvolumes::Mounted("/home", "noatime")),
            subvolume("root/var/lib/machines", Subvolumes::Nested),
            subvolume("before-an-update", Subvolumes::Snapshot),
        ],
    },
    Layout {
        name: "btrfs-snapshots",
        made_by: "installers and cloud images of openSUSE and SLES: the root is a snapshot of Snapper's and the default \
                  subvolume; what is not to be rolled back with it is in others",
        table: Table::Gpt,
        root: RootType::Btrfs,
        partitions: &[
            part(1, MIB, 2 * MIB, Kind::BiosBoot),
            part(2, 2 * MIB, 64 * MIB, Kind::Esp),
            part(3, 64 * MIB, END, Kind::Root),
        ],
        volumes: &[],
        subvolumes: &[
            subvolume("@", Subvolumes::Around),
            subvolume("@/.snapshots", Subvolumes::Mounted("/.snapshots", "defaults")),
            subvolume("@/.snapshots/1/snapshot", Subvolumes::Default),
            subvolume("@/var", Subvolumes::Mounted("/var", "nodatacow")),
            subvolume("@/usr/local", Subvolumes::Mounted("/usr/local", "defaults")),
            subvolume("@/tmp", Subvolumes::Mounted("/tmp", "defaults")),
            subvolume("@/srv", Subvolumes::Mounted("/srv", "defaults")),
            subvolume("@/root", Subvolumes::Mounted("/root", "defaults")),
            subvolume("@/opt", Subvolumes::Mounted("/opt", "defaults")),
            subvolume("@/home", Subvolumes::Mounted("/home", "defaults")),
            subvolume("@/boot/grub2/x86_64-efi", Subvolumes::Mounted("/boot/grub2/x86_64-efi", "defaults")),
            subvolume("@/boot/grub2/i386-pc", Subvolumes::Mounted("/boot/grub2/i386-pc", "defaults")),
            subvolume("@/var/lib/machines", Subvolumes::Nested),
            subvolume("@/.snapshots/2/snapshot", Subvolumes::Snapshot),
        ],
    },
    Layout {
        name: "lvm-boot-apart",
        made_by:
            "Ubuntu Server's installer, started by either firmware; the root was made larger later",
        table: Table::Gpt,
        root: RootType::Ext4,
        partitions: &[
            part(1, MIB, 2 * MIB, Kind::BiosBoot),
            part(2, 2 * MIB, 96 * MIB, Kind::Esp),
            part(3, 96 * MIB, 224 * MIB, Kind::Boot),
            part(4, 224 * MIB, END, Kind::Physical),
        ],
        volumes: &[
            Volume {
                name: "root",
                mib: &[400, 260],
                kind: Kind::Root,
            },
            Volume {
                name: "swap_1",
                mib: &[64],
                kind: Kind::Swap,
            },
        ],
        subvolumes: &[],
    },
    Layout {
        name: "lvm-xfs-mbr",
        made_by:
            "installers of RHEL 7 to 9 and their kin; the group was given a second partition later",
        table: Table::Mbr,
        root: RootType::Xfs,
        partitions: &[
            part(1, MIB, 160 * MIB, Kind::Boot),
            part(2, 160 * MIB, 640 * MIB, Kind::Physical),
            part(3, 640 * MIB, END, Kind::Physical),
        ],
        volumes: &[
            Volume {
                name: "root",
                mib: &[300, 260],
                kind: Kind::Root,
            },
            Volume {
                name: "swap",
                mib: &[64],
                kind: Kind::Swap,
            },
            Volume {
                name: "home",
                mib: &[160],
                kind: Kind::Home,
            },
        ],
        subvolumes: &[],
    },
    Layout {
        name: "lvm-xfs-gpt",
        made_by: "installers of RHEL 7 to 9 and their kin where UEFI started them; it starts by a BIOS, too",
        table: Table::Gpt,
        root: RootType::Xfs,
        partitions: &[
            part(1, MIB, 2 * MIB, Kind::BiosBoot),
            part(2, 2 * MIB, 64 * MIB, Kind::Esp),
            part(3, 64 * MIB, 224 * MIB, Kind::Boot),
            part(4, 224 * MIB, END, Kind::Physical),
        ],
        volumes: &[
            Volume {
                name: "root",
                mib: &[560],
                kind: Kind::Root,
            },
            Volume {
                name: "swap",
                mib: &[64],
                kind: Kind::Swap,
            },
            Volume {
                name: "home",
                mib: &[160],
                kind: Kind::Home,
            },
        ],
        subvolumes: &[],
    },
    Layout {
        name: "gpt-var-apart",
        made_by: "careful administrators: what grows, and what anybody may write to, on partitions of their own",
        table: Table::Gpt,
        root: RootType::Ext4,
        partitions: &[
            part(1, MIB, 2 * MIB, Kind::BiosBoot),
            part(2, 2 * MIB, 480 * MIB, Kind::Root),
            // mkfs.xfs makes none of less than 300 MiB.
            part(3, 480 * MIB, 800 * MIB, Kind::Mounted("/var", RootType::Xfs, "noatime")),
            part(4, 800 * MIB, 860 * MIB, Kind::Mounted("/var/log", RootType::Ext4, "nosuid,nodev")),
            part(5, 860 * MIB, 900 * MIB, Kind::Mounted("/opt", RootType::Ext4, "defaults")),
            part(6, 900 * MIB, 940 * MIB, Kind::Mounted("/tmp", RootType::Ext4, "nosuid,nodev,noexec")),
            part(7, 940 * MIB, END, Kind::Mounted("/home", RootType::Ext4, "defaults")),
        ],
        volumes: &[],
        subvolumes: &[],
    },
    Layout {
        name: "lvm-var-apart",
        made_by: "careful administrators of Ubuntu and RHEL: one group with the root and a volume for all that grows",
        table: Table::Gpt,
        root: RootType::Ext4,
        partitions: &[
            part(1, MIB, 2 * MIB, Kind::BiosBoot),
            part(2, 2 * MIB, 96 * MIB, Kind::Esp),
            part(3, 96 * MIB, 208 * MIB, Kind::Boot),
            part(4, 208 * MIB, END, Kind::Physical),
        ],
        volumes: &[
            Volume {
                name: "root",
                mib: &[420],
                kind: Kind::Root,
            },
            // In two parts, with another one between them.
            Volume {
                name: "var",
                mib: &[100, 80],
                kind: Kind::Mounted("/var", RootType::Ext4, "noatime"),
            },
            Volume {
                name: "var-log",
                mib: &[60],
                kind: Kind::Mounted("/var/log", RootType::Ext4, "nosuid,nodev"),
            },
            Volume {
                name: "tmp",
                mib: &[40],
                kind: Kind::Mounted("/tmp", RootType::Ext4, "nosuid,nodev,noexec"),
            },
            Volume {
                name: "home",
                mib: &[60],
                kind: Kind::Mounted("/home", RootType::Ext4, "defaults"),
            },
        ],
        subvolumes: &[],
    },
    Layout {
        name: "gpt-lvm-beside",
        made_by: "administrators who gave a machine from a cloud a volume group for all but the root",
        table: Table::Gpt,
        root: RootType::Ext4,
        partitions: &[
            part(1, MIB, 2 * MIB, Kind::BiosBoot),
            part(2, 2 * MIB, 460 * MIB, Kind::Root),
            part(3, 460 * MIB, END, Kind::Physical),
        ],
        volumes: &[
            // mkfs.xfs makes none of less than 300 MiB.
            Volume {
                name: "var",
                mib: &[320],
                kind: Kind::Mounted("/var", RootType::Xfs, "noatime"),
            },
            Volume {
                name: "opt",
                mib: &[60],
                kind: Kind::Mounted("/opt", RootType::Ext4, "defaults"),
            },
            Volume {
                name: "home",
                mib: &[60],
                kind: Kind::Mounted("/home", RootType::Ext4, "defaults"),
            },
        ],
        subvolumes: &[],
    },
];

/// The row of this name.
pub fn layout(name: &str) -> Option<&'static Layout> {
    LAYOUTS.iter().find(|layout| layout.name == name)
}

impl Layout {
    /// The partitions of a kind.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &'static Partition> {
        self.partitions.iter().filter(move |p| p.kind == kind)
    }

    /// Whether a partition or a logical volume is for this.
    pub fn has(&self, kind: Kind) -> bool {
        self.of_kind(kind).next().is_some() || self.volumes.iter().any(|v| v.kind == kind)
    }

    /// What is mounted beside the root as a rule has it, where one is in another one that first: the partition,
    /// where, its type, and its options.
    pub fn mounted(
        &self,
    ) -> impl DoubleEndedIterator<Item = (&'static Partition, &'static str, RootType, &'static str)>
    {
        self.partitions.iter().filter_map(|part| match part.kind {
            Kind::Mounted(at, filesystem, options) => Some((part, at, filesystem, options)),
            _ => None,
        })
    }

    /// The same of logical volumes, with a number of each that no partition has.
    pub fn mounted_volumes(
        &self,
    ) -> impl Iterator<Item = (u32, &'static Volume, &'static str, RootType, &'static str)> {
        let volumes = (128..).zip(self.volumes);
        volumes.filter_map(|(number, volume)| match volume.kind {
            Kind::Mounted(at, filesystem, options) => {
                Some((number, volume, at, filesystem, options))
            }
            _ => None,
        })
    }

    /// What starts such a disk.
    pub fn firmwares(&self) -> Vec<Firmware> {
        let bios = self.table == Table::Mbr || self.has(Kind::BiosBoot);
        let uefi = self.has(Kind::Esp);
        let bios = bios.then_some(Firmware::Bios);
        bios.into_iter()
            .chain(uefi.then_some(Firmware::Uefi))
            .collect()
    }

    /// The same, this one first.
    pub fn started_by(&self, first: Firmware) -> Vec<Firmware> {
        let mut firmwares = self.firmwares();
        firmwares.sort_by_key(|firmware| *firmware != first);
        firmwares
    }

    /// Whether the old OS's GRUB can be told to start something once: it has `grub.cfg` on the root, and can write there.
    pub fn can_start_once(&self) -> bool {
        let on_partition = self.of_kind(Kind::Root).next().is_some();
        on_partition && self.root != RootType::Btrfs && !self.has(Kind::Boot)
    }

    /// The path of the subvolume that is the root, as GRUB has it before its files; empty where it is none.
    pub fn subvolume(&self) -> String {
        let is_root = |s: &&Subvolume| matches!(s.is, Subvolumes::Root | Subvolumes::Default);
        let root = self.subvolumes.iter().find(is_root);
        root.map_or(String::new(), |root| format!("/{}", root.path))
    }

    /// The subvolumes that are mounted beside the root: path, place and options.
    pub fn mounted_subvolumes(
        &self,
    ) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
        self.subvolumes.iter().filter_map(|s| match s.is {
            Subvolumes::Mounted(at, options) => Some((s.path, at, options)),
            _ => None,
        })
    }

    /// Where GRUB's core image is put, and how many sectors there are for it.
    pub fn room_for_loaders(&self) -> (u64, u64) {
        match self.table {
            Table::Gpt => self
                .of_kind(Kind::BiosBoot)
                .map(|p| (p.start, p.sectors))
                .next()
                .unwrap_or((0, 0)),
            Table::Mbr => {
                let first = self.partitions.iter().map(|p| p.start).min();
                (1, first.unwrap_or(1) - 1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_one_root_and_partitions_that_lie_apart() {
        for layout in LAYOUTS {
            let name = layout.name;
            let volumes = layout.volumes.iter().filter(|v| v.kind == Kind::Root);
            let roots = layout.of_kind(Kind::Root).count() + volumes.count();
            assert_eq!(roots, 1, "{name}");
            let mut parts: Vec<_> = layout
                .partitions
                .iter()
                .filter(|p| p.kind != Kind::Extended)
                .collect();
            parts.sort_by_key(|p| p.start);
            for two in parts.windows(2) {
                assert!(two[0].start + two[0].sectors <= two[1].start, "{name}");
            }
            let last = parts.last().map_or(0, |p| p.start + p.sectors);
            assert!(last <= END, "{name}");
            assert!(layout.room_for_loaders().1 > 0, "{name}");
            // What is made anew takes the place of what begins with the same name.
            let begins = |other: &&Layout| other.name.starts_with(&format!("{name}-"));
            assert!(!LAYOUTS.iter().any(|other| begins(&other)), "{name}");
        }
    }
}
