//! Which drivers go into the RAM environment, by class, as tables.
//!
//! The RAM environment has to reach the root disk, the people at its consoles and the machine's
//! gateways, and nothing else; each driver takes memory on the machine.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use machine::modules::{self, Alias, Dependencies};

/// A kind of hardware and the modules that drive it.
pub struct Class {
    /// Its name in `image.toml`.
    pub name: &'static str,
    /// The root may be on it: the new OS needs it in its own initrd too.
    pub disks: bool,
    /// Patterns for the path of a module below `kernel/`, without its ending.
    patterns: &'static [&'static str],
}

const USB_HOSTS: [&str; 3] = [
    "drivers/usb/host/?hci-pci",
    "drivers/usb/host/uhci-hcd",
    "drivers/usb/host/xhci-pci-renesas",
];

/// Every class that `image.toml` may name.
#[rustfmt::skip]
pub const CLASSES: [Class; 13] = [
    Class { name: "virtio", disks: true, patterns: &[
        "drivers/virtio/virtio_pci", "drivers/virtio/virtio_mmio", "drivers/block/virtio_blk",
        "drivers/scsi/virtio_scsi", "drivers/scsi/sd_mod",
    ] },
    Class { name: "nvme", disks: true, patterns: &["drivers/nvme/host/nvme"] },
    Class { name: "sata", disks: true, patterns: &[
        "drivers/ata/ahci", "drivers/ata/acard-ahci", "drivers/ata/sata_*", "drivers/ata/ata_generic",
        "drivers/ata/ata_piix", "drivers/ata/pata_*", "drivers/scsi/sd_mod",
    ] },
    Class { name: "scsi-raid", disks: true, patterns: &[
        "drivers/scsi/megaraid", "drivers/scsi/megaraid/*", "drivers/scsi/mpt3sas/*",
        "drivers/scsi/mpi3mr/*", "drivers/message/fusion/mptsas", "drivers/message/fusion/mptspi",
        "drivers/scsi/hpsa", "drivers/block/cciss", "drivers/scsi/aacraid/*", "drivers/scsi/arcmsr/*",
        "drivers/scsi/3w-*", "drivers/scsi/smartpqi/*", "drivers/scsi/isci/*", "drivers/scsi/mvsas/*",
        "drivers/scsi/pm8001/*", "drivers/scsi/ips", "drivers/scsi/aic7xxx/*",
        "drivers/scsi/sym53c8xx_2/*", "drivers/scsi/sd_mod",
    ] },
    Class { name: "xen", disks: true, patterns: &["drivers/block/xen-blkfront"] },
    Class { name: "hyperv", disks: true, patterns: &[
        "drivers/hv/hv_vmbus", "drivers/scsi/hv_storvsc", "drivers/hid/hid-hyperv",
        "drivers/input/serio/hyperv-keyboard", "drivers/pci/controller/pci-hyperv",
        "drivers/scsi/sd_mod",
    ] },
    Class { name: "vmware", disks: true, patterns: &[
        "drivers/scsi/vmw_pvscsi", "drivers/message/fusion/mptsas", "drivers/message/fusion/mptspi",
        "drivers/scsi/BusLogic", "drivers/scsi/sd_mod",
    ] },
    Class { name: "usb-storage", disks: true, patterns: &[
        "drivers/usb/storage/usb-storage", "drivers/usb/storage/uas", "drivers/scsi/sd_mod",
        USB_HOSTS[0], USB_HOSTS[1], USB_HOSTS[2],
    ] },
    Class { name: "mmc", disks: true, patterns: &["drivers/mmc/host/sdhci-pci", "drivers/mmc/host/sdhci-acpi", "drivers/mmc/core/mmc_block"] },
    Class { name: "network-virtual", disks: false, patterns: &[
        "drivers/net/virtio_net", "drivers/net/net_failover", "drivers/net/xen-netfront",
        "drivers/net/hyperv/hv_netvsc", "drivers/net/vmxnet3/vmxnet3",
        "drivers/net/ethernet/intel/e1000/e1000", "drivers/net/ethernet/intel/e1000e/e1000e",
        "drivers/net/ethernet/intel/igbvf/igbvf", "drivers/net/ethernet/intel/ixgbevf/ixgbevf",
        "drivers/net/ethernet/intel/iavf/iavf", "drivers/net/ethernet/amazon/ena/ena",
        "drivers/net/ethernet/google/gve/gve", "drivers/net/ethernet/microsoft/mana/mana",
        "drivers/net/ethernet/realtek/8139cp", "drivers/net/ethernet/realtek/8139too",
        "drivers/net/bonding/bonding", "net/8021q/8021q", "net/bridge/bridge",
    ] },
    Class { name: "network", disks: false, patterns: &[
        "drivers/net/ethernet/intel/e1000/e1000", "drivers/net/ethernet/intel/e1000e/e1000e",
        "drivers/net/ethernet/intel/igb/igb", "drivers/net/ethernet/intel/igc/igc",
        "drivers/net/ethernet/intel/ixgbe/ixgbe", "drivers/net/ethernet/intel/i40e/i40e",
        "drivers/net/ethernet/intel/ice/ice", "drivers/net/ethernet/broadcom/tg3",
        "drivers/net/ethernet/broadcom/bnx2", "drivers/net/ethernet/broadcom/bnx2x/bnx2x",
        "drivers/net/ethernet/broadcom/bnxt/bnxt_en", "drivers/net/ethernet/realtek/r8169",
        "drivers/net/ethernet/mellanox/mlx4/mlx4_en", "drivers/net/ethernet/mellanox/mlx5/core/mlx5_core",
        "drivers/net/ethernet/aquantia/atlantic/atlantic", "drivers/net/ethernet/atheros/alx/alx",
        "drivers/net/ethernet/atheros/atl1c/atl1c", "drivers/net/ethernet/marvell/sky2",
        "drivers/net/ethernet/nvidia/forcedeth", "drivers/net/ethernet/emulex/benet/be2net",
        "drivers/net/ethernet/qlogic/qede/qede", "drivers/net/ethernet/chelsio/cxgb4/cxgb4",
        "drivers/net/phy/broadcom", "drivers/net/phy/realtek", "drivers/net/phy/realtek/realtek",
        "drivers/net/bonding/bonding", "net/8021q/8021q", "net/bridge/bridge",
    ] },
    // What lpc_ich and i2c-i801 find is the chipset's watchdog; softdog is for machines without any.
    Class { name: "watchdog", disks: false, patterns: &[
        "drivers/watchdog/iTCO_wdt", "drivers/mfd/lpc_ich", "drivers/i2c/busses/i2c-i801",
        "drivers/watchdog/i6300esb", "drivers/watchdog/sp5100_tco", "drivers/watchdog/hpwdt",
        "drivers/char/ipmi/ipmi_watchdog", "drivers/char/ipmi/ipmi_si", "drivers/watchdog/wdat_wdt",
        "drivers/watchdog/softdog",
    ] },
    Class { name: "keyboard", disks: false, patterns: &[
        "drivers/input/keyboard/atkbd", "drivers/input/serio/i8042", "drivers/hid/usbhid/usbhid",
        "drivers/hid/hid-generic", USB_HOSTS[0], USB_HOSTS[1], USB_HOSTS[2],
    ] },
];

/// Filesystems that the RAM environment mounts, whatever the hardware is: by module.
pub const FILESYSTEMS: [&str; 1] = ["ext4"];
/// Those that it mounts where a machine's root is on one, and what puts its device together: they are loaded
/// then, for each takes memory.
const BY_ROOT: [&str; 4] = ["btrfs", "dm_mod", "raid1", "xfs"];

/// The class of that name.
pub fn class(name: &str) -> Option<&'static Class> {
    CLASSES.iter().find(|class| class.name == name)
}

/// The names of all classes.
pub fn names() -> Vec<&'static str> {
    CLASSES.iter().map(|class| class.name).collect()
}

/// What depmod wrote about a kernel, as text.
pub struct Lists {
    /// `modules.dep`.
    pub dep: String,
    /// `modules.alias`.
    pub alias: String,
    /// `modules.softdep`.
    pub softdep: String,
    /// `modules.builtin`.
    pub builtin: String,
}

/// The modules of a RAM environment.
#[derive(Debug)]
pub struct Selection {
    /// All modules of the kernel.
    pub dependencies: Dependencies,
    /// The chosen modules with all that they need.
    pub modules: BTreeSet<String>,
    /// Aliases of the chosen modules.
    pub aliases: Vec<Alias>,
    /// Modules for the filesystems, in the order in which they can be loaded.
    pub load: Vec<String>,
    /// The chosen modules and the drivers that are part of the kernel.
    pub drivers: BTreeSet<String>,
}

/// Chooses the modules of these classes and of the filesystems, closed over what they need and
/// over what their authors want loaded with them.
pub fn select(lists: &Lists, classes: &[String]) -> Result<Selection> {
    let dependencies = modules::parse_dep(&lists.dep)?;
    let aliases = modules::parse_alias(&lists.alias);
    let softdeps = modules::parse_softdep(&lists.softdep);
    let builtin = modules::parse_builtin(&lists.builtin);
    let close = |wanted: BTreeSet<String>| -> Result<Vec<String>> {
        let mut wanted = wanted;
        loop {
            let order = dependencies
                .closure(wanted.iter().map(String::as_str))
                .context("follow the dependencies in modules.dep")?;
            let soft: BTreeSet<&str> = order
                .iter()
                .filter_map(|module| softdeps.get(module))
                .flatten()
                .flat_map(|name| modules::modules_for(name, &dependencies, &aliases))
                .filter(|name| !order.iter().any(|module| module == name))
                .collect();
            if soft.is_empty() {
                return Ok(order);
            }
            wanted.extend(soft.into_iter().map(str::to_owned));
        }
    };
    let load = close(FILESYSTEMS.map(str::to_owned).into())?;
    let mut wanted: BTreeSet<String> = load.iter().cloned().collect();
    wanted.extend(BY_ROOT.map(str::to_owned));
    for class in classes.iter().filter_map(|name| class(name)) {
        let members = dependencies
            .iter()
            .filter(|(_, module)| class.has(&module.path));
        wanted.extend(members.map(|(name, _)| name.to_owned()));
    }
    let chosen: BTreeSet<String> = close(wanted)?.into_iter().collect();
    let aliases = aliases
        .into_iter()
        .filter(|alias| chosen.contains(&alias.module))
        .collect();
    let drivers = chosen.iter().cloned().chain(builtin).collect();
    Ok(Selection {
        dependencies,
        modules: chosen,
        aliases,
        load,
        drivers,
    })
}

/// Drivers that are in several classes, above the hardware: they say nothing of one.
const SHARED: [&str; 1] = ["sd_mod"];

impl Class {
    /// Modules of this class and of hardware: without what several classes have.
    pub fn own_members<'a>(&self, dependencies: &'a Dependencies) -> Vec<&'a str> {
        dependencies
            .iter()
            .filter(|(name, module)| self.has(&module.path) && !SHARED.contains(name))
            .map(|(name, _)| name)
            .collect()
    }

    /// Whether a module's file, relative to `/lib/modules/RELEASE`, is of this class.
    fn has(&self, path: &str) -> bool {
        // Some distributions keep modules in other folders than kernel/ (updates/, extra/).
        let inner = path.strip_prefix("kernel/").unwrap_or(path);
        let stem = inner.split(".ko").next().unwrap_or(inner);
        self.patterns
            .iter()
            .any(|pattern| modules::alias_matches(pattern, stem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEP: &str = "\
kernel/fs/ext4/ext4.ko.xz: kernel/fs/mbcache.ko.xz kernel/fs/jbd2/jbd2.ko.xz
kernel/fs/jbd2/jbd2.ko.xz:
kernel/fs/mbcache.ko.xz:
kernel/fs/xfs/xfs.ko.xz:
kernel/drivers/md/raid1.ko.xz: kernel/drivers/md/md-mod.ko.xz
kernel/drivers/md/md-mod.ko.xz:
kernel/drivers/md/dm-mod.ko.xz: kernel/drivers/dax/dax.ko.xz
kernel/drivers/dax/dax.ko.xz:
kernel/fs/btrfs/btrfs.ko.xz:
kernel/fs/jfs/jfs.ko.xz:
kernel/arch/x86/crypto/crc32c-intel.ko.xz:
kernel/crypto/crc32c_generic.ko.xz:
kernel/drivers/block/virtio_blk.ko.xz: kernel/drivers/virtio/virtio.ko.xz
kernel/drivers/virtio/virtio.ko.xz:
kernel/drivers/virtio/virtio_pci.ko.xz: kernel/drivers/virtio/virtio.ko.xz
kernel/drivers/nvme/host/nvme.ko.xz: kernel/drivers/nvme/host/nvme-core.ko.xz
kernel/drivers/nvme/host/nvme-core.ko.xz:
kernel/drivers/usb/host/xhci-pci.ko.xz:
kernel/drivers/hid/usbhid/usbhid.ko.xz:
";

    fn chosen(classes: &[&str]) -> Selection {
        let lists = Lists {
            dep: DEP.into(),
            alias: "alias crypto-crc32c crc32c_intel\nalias crypto-crc32c crc32c_generic\n\
                    alias virtio:d00000002v* virtio_blk\nalias fs-jfs jfs\n"
                .into(),
            softdep: "softdep ext4 pre: crypto-crc32c\n".into(),
            builtin: "kernel/drivers/scsi/sd_mod.ko\nkernel/drivers/ata/ahci-platform.ko\n".into(),
        };
        let classes: Vec<_> = classes.iter().map(|&c| c.to_owned()).collect();
        select(&lists, &classes).unwrap()
    }

    #[test]
    fn filesystems_are_there_without_any_class() {
        let selection = chosen(&[]);
        let names: Vec<_> = selection.modules.iter().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "btrfs",
                "crc32c_generic",
                "crc32c_intel",
                "dax",
                "dm_mod",
                "ext4",
                "jbd2",
                "mbcache",
                "md_mod",
                "raid1",
                "xfs"
            ]
        );
        // XFS, Btrfs, and what mirrors and logical volumes take, are loaded for a root on one alone.
        assert_eq!(selection.load.len(), 5);
        let at = |name: &str| selection.load.iter().position(|n| n == name).unwrap();
        assert!(at("jbd2") < at("ext4") && at("mbcache") < at("ext4"));
    }

    #[test]
    fn a_class_brings_what_its_modules_need_and_nothing_else() {
        for (class, members) in [
            ("virtio", vec!["virtio", "virtio_blk", "virtio_pci"]),
            ("nvme", vec!["nvme", "nvme_core"]),
            ("sata", vec![]),
            ("keyboard", vec!["usbhid", "xhci_pci"]),
        ] {
            let plain = chosen(&[]);
            let selection = chosen(&[class]);
            let more: Vec<_> = selection
                .modules
                .difference(&plain.modules)
                .map(String::as_str)
                .collect();
            assert_eq!(more, members, "{class}");
            assert_eq!(selection.load, plain.load, "{class}");
        }
    }

    #[test]
    fn drivers_in_the_kernel_count_and_strangers_aliases_do_not() {
        let selection = chosen(&["virtio"]);
        for name in ["sd_mod", "ahci_platform", "virtio_blk", "ext4"] {
            assert!(selection.drivers.contains(name), "{name}");
        }
        assert!(!selection.drivers.contains("jfs"));
        assert!(selection
            .aliases
            .iter()
            .any(|alias| alias.module == "virtio_blk"));
        assert!(selection.aliases.iter().all(|alias| alias.module != "jfs"));
    }
}
