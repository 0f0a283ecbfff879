//! Block devices, as sysfs shows them.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes of the sectors that sysfs and the kernel count in, whatever the disk's own are.
pub const SECTOR: u64 = 512;

/// A block device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockDevice {
    /// The kernel's name, for example `vda1`.
    pub name: String,
    /// Its directory in sysfs, with links resolved.
    pub sysfs: PathBuf,
    /// Sectors (512 bytes).
    pub sectors: u64,
    /// Set where it is a partition.
    pub partition: Option<PartitionPlace>,
}

/// Where a partition lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionPlace {
    /// From 1.
    pub number: u32,
    /// First sector (512 bytes).
    pub start: u64,
    /// The kernel's name of the disk.
    pub disk: String,
}

impl BlockDevice {
    /// The device node.
    pub fn node(&self) -> PathBuf {
        node(&self.name)
    }

    /// Its number, major and minor.
    pub fn number(&self) -> io::Result<(u32, u32)> {
        let text = fs::read_to_string(self.sysfs.join("dev"))?;
        let number = text.trim().split_once(':');
        number
            .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)))
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, text))
    }

    /// Block devices that this one is made of (device-mapper, md, bcache…), by name.
    pub(crate) fn made_of(&self) -> Vec<String> {
        names_in(&self.sysfs.join("slaves"))
    }

    /// Block devices that are made of this one, by name.
    pub(crate) fn held_by(&self) -> Vec<String> {
        names_in(&self.sysfs.join("holders"))
    }

    /// Whether other block devices are made of it.
    pub fn is_held(&self) -> bool {
        !self.held_by().is_empty()
    }

    /// Whether it is a partition of the disk with this node, or made of such a one.
    pub fn is_on(&self, disk: &Path) -> bool {
        let on = |device: &BlockDevice| {
            let own = device.partition.as_ref();
            own.is_some_and(|own| node(&own.disk) == disk)
        };
        let below = self.made_of();
        on(self)
            || below
                .iter()
                .any(|name| by_name(name).is_ok_and(|below| on(&below)))
    }

    /// Reads `length` bytes at `offset`.
    pub fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        File::open(self.node())?.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }
}

/// The device node of the block device with this kernel name (`cciss!c0d0` is `cciss/c0d0`).
pub fn node(name: &str) -> PathBuf {
    Path::new("/dev").join(name.replace('!', "/"))
}

/// The block device with this number.
pub fn by_number(major: u32, minor: u32) -> io::Result<BlockDevice> {
    from_sysfs(&fs::canonicalize(format!(
        "/sys/dev/block/{major}:{minor}"
    ))?)
}

/// The block device with this kernel name.
pub fn by_name(name: &str) -> io::Result<BlockDevice> {
    from_sysfs(&fs::canonicalize(Path::new("/sys/class/block").join(name))?)
}

/// Every block device that has any sectors, sorted by name. Devices that vanish while they are
/// being looked at are left out.
pub fn all() -> io::Result<Vec<BlockDevice>> {
    let mut names = fs::read_dir("/sys/class/block")?
        .map(|e| e.map(|e| e.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names
        .iter()
        .filter_map(|n| by_name(n).ok())
        .filter(|d| d.sectors > 0)
        .collect())
}

/// Kernel modules whose drivers stand between this device and the processor, nearest first, with
/// `_` for `-`. Drivers that are built into the kernel have no module and are not in it. What a device is made
/// of has drivers of its own.
pub fn driver_modules(device: &BlockDevice) -> Vec<String> {
    let mut modules = Vec::new();
    // Modules without a driver in sysfs.
    if device.name.starts_with("dm-") {
        modules.push("dm_mod".to_owned());
    }
    if device.sysfs.join("md").is_dir() {
        let level = fs::read_to_string(device.sysfs.join("md/level"));
        modules.push(level.unwrap_or_default().trim().to_owned());
    }
    for below in device
        .made_of()
        .iter()
        .filter_map(|name| by_name(name).ok())
    {
        for name in driver_modules(&below) {
            if !modules.contains(&name) {
                modules.push(name);
            }
        }
    }
    let devices = Path::new("/sys/devices");
    for dir in device
        .sysfs
        .ancestors()
        .take_while(|d| d.starts_with(devices))
    {
        for link in ["driver/module", "device/driver/module"] {
            let name = fs::canonicalize(dir.join(link))
                .ok()
                .and_then(|p| Some(p.file_name()?.to_string_lossy().replace('-', "_")));
            if let Some(name) = name.filter(|n| !modules.contains(n)) {
                modules.push(name);
            }
        }
    }
    modules
}

fn from_sysfs(sysfs: &Path) -> io::Result<BlockDevice> {
    let name = file_name(sysfs);
    let number = |file: &str| -> io::Result<u64> {
        let text = fs::read_to_string(sysfs.join(file))?;
        text.trim().parse().map_err(|_| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{}/{file} holds no number: {text:?}", sysfs.display()),
            )
        })
    };
    let partition = if sysfs.join("partition").exists() {
        Some(PartitionPlace {
            number: number("partition")? as u32,
            start: number("start")?,
            disk: file_name(sysfs.parent().unwrap_or(sysfs)),
        })
    } else {
        None
    };
    Ok(BlockDevice {
        sectors: number("size")?,
        partition,
        sysfs: sysfs.to_owned(),
        name,
    })
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn names_in(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else {
        // Kernels leave the directory out for devices that cannot have any.
        return Vec::new();
    };
    let mut names: Vec<_> = entries
        .filter_map(|e| Some(e.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}
