//! The root filesystem: what it is on, in the old OS, and how to find the same one again in the
//! RAM environment. It is never looked for by name.

use std::io;
use std::path::{Path, PathBuf};

use formats::facts::{Guids, Root, RootIdentity, Volume, VolumeKind};

use crate::block::{self, BlockDevice};
use crate::superblock::{self, Superblock};
use crate::{gpt, layers, mbr, mounts};

/// Why the root is not one that this program can find again without a doubt.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// Reading it failed.
    #[error("{what}")]
    Read {
        /// What was attempted.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// It is built in a way that is not supported.
    #[error("{0}")]
    Unsupported(String),
}

/// Names what was attempted.
///
/// # Errors
/// The one that came in, as [`RootError::Read`].
pub fn reading<T>(what: impl Into<String>, result: io::Result<T>) -> Result<T, RootError> {
    result.map_err(|source| RootError::Read {
        what: what.into(),
        source,
    })
}

fn unsupported<T>(why: impl Into<String>) -> Result<T, RootError> {
    Err(RootError::Unsupported(why.into()))
}

/// What boot loaders are on the root's disk and on others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaders {
    /// [`Root::room_sectors`].
    pub room_sectors: u64,
    /// [`Root::has_room`].
    pub has_room: bool,
    /// [`Root::room_alone`].
    pub room_alone: u64,
    /// [`Root::grub_on_disk`].
    pub grub_on_disk: bool,
    /// [`Root::loaders_elsewhere`].
    pub elsewhere: Vec<String>,
}

/// A root of which the boot loaders are still to be asked; without them there is no [`Root`].
#[derive(Clone, Debug)]
pub struct RootWithoutLoaders(Root);

impl RootWithoutLoaders {
    /// The device node of the disk that it is on.
    pub fn disk(&self) -> &Path {
        Path::new(&self.0.disk)
    }

    /// The root with its boot loaders.
    pub fn with(self, loaders: Loaders) -> Root {
        Root {
            room_sectors: loaders.room_sectors,
            has_room: loaders.has_room,
            room_alone: loaders.room_alone,
            grub_on_disk: loaders.grub_on_disk,
            loaders_elsewhere: loaders.elsewhere,
            ..self.0
        }
    }
}

/// Describes the filesystem that is mounted at `/`. What boot loaders are on disks it does not ask:
/// they lie on what this crate knows, and `bootpath` knows them.
pub fn describe() -> Result<RootWithoutLoaders, RootError> {
    let mounts = reading("read /proc/self/mountinfo", mounts::read())?;
    let Some(mount) = mounts::at(&mounts, Path::new("/")) else {
        return unsupported("nothing is mounted at /");
    };
    if mount.root != Path::new("/") {
        return unsupported(format!(
            "/ shows only {} of its filesystem (a subvolume or a bind mount)",
            mount.root.display()
        ));
    }
    let (major, minor) = mount.device;
    if major == 0 {
        return unsupported(format!(
            "/ is {} without a block device of its own",
            mount.fstype
        ));
    }
    let device = reading(
        format!("look up block device {major}:{minor} in sysfs"),
        block::by_number(major, minor),
    )?;
    let (disk, place) = plain_partition(&device)?;
    let Some(fs) = superblock(&device)? else {
        return unsupported(format!(
            "{} holds {}, neither ext4 nor XFS",
            device.node().display(),
            mount.fstype
        ));
    };
    let identity = identity(&fs, &device, &disk, &place)?;
    let space = reading("statvfs /", rustix::fs::statvfs("/").map_err(Into::into))?;
    let doubles = same_uuid(fs.uuid())?
        .into_iter()
        .map(|(device, _)| device)
        .filter(|d| d.name != device.name)
        .map(|d| d.node().display().to_string())
        .collect();
    Ok(RootWithoutLoaders(Root {
        table: if identity.guids.is_some() {
            "gpt"
        } else {
            "dos"
        }
        .to_owned(),
        identity,
        device: device.node().display().to_string(),
        disk: disk.node().display().to_string(),
        disk_by_id: stable_name(&disk),
        fstype: mount.fstype.clone(),
        bytes: fs.bytes_for_files(space.f_blocks * space.f_frsize),
        bytes_free: space.f_bfree * space.f_frsize,
        inodes: fs.inodes(space.f_files),
        inodes_free: fs
            .inodes(space.f_files)
            .saturating_sub(space.f_files - space.f_ffree),
        errors: fs.errors(),
        doubles,
        room_sectors: 0,
        has_room: false,
        room_alone: 0,
        grub_on_disk: false,
        loaders_elsewhere: Vec::new(),
    }))
}

/// The superblock of the filesystem on a device that a run can find again, its disk, and what identifies it there.
pub(crate) fn known(
    device: &BlockDevice,
) -> Result<(Superblock, BlockDevice, RootIdentity), RootError> {
    let (disk, place) = plain_partition(device)?;
    let Some(fs) = superblock(device)? else {
        return unsupported(format!(
            "{} holds neither ext4 nor XFS",
            device.node().display()
        ));
    };
    let identity = identity(&fs, device, &disk, &place)?;
    Ok((fs, disk, identity))
}

/// The root filesystem's device and its disk, found again.
#[derive(Clone, Debug)]
pub struct FoundRoot {
    /// The partition.
    pub device: BlockDevice,
    /// The disk it is on.
    pub disk: BlockDevice,
}

/// Finds the one device that matches; `Ok(None)` where there is none (yet).
///
/// A second device with the same filesystem UUID is refused even if its partition differs: the
/// new OS's boot loader and kernel go by the UUID alone.
pub fn find(identity: &RootIdentity) -> Result<Option<FoundRoot>, RootError> {
    let same = same_uuid(&identity.fs_uuid)?;
    let [(device, fs)] = &same[..] else {
        if same.is_empty() {
            return Ok(None);
        }
        let names: Vec<_> = same
            .iter()
            .map(|(d, _)| d.node().display().to_string())
            .collect();
        return unsupported(format!(
            "{} all hold a filesystem with UUID {}; only one may",
            names.join(" and "),
            identity.fs_uuid
        ));
    };
    let (disk, place) = plain_partition(device)?;
    let found = self::identity(fs, device, &disk, &place)?;
    if found != *identity {
        return unsupported(format!(
            "{} has the UUID of the root filesystem but is another partition: expected {identity:?}, found {found:?}",
            device.node().display()
        ));
    }
    Ok(Some(FoundRoot {
        device: device.clone(),
        disk,
    }))
}

/// What the disk's table says of the partition.
fn identity(
    fs: &Superblock,
    device: &BlockDevice,
    disk: &BlockDevice,
    place: &block::PartitionPlace,
) -> Result<RootIdentity, RootError> {
    let head = reading(
        format!("read the first sectors of {}", disk.node().display()),
        disk.read(0, gpt::HEAD),
    )?;
    let Some(table) = mbr::parse(&head) else {
        return unsupported(format!(
            "{} has no master boot record",
            disk.node().display()
        ));
    };
    let guids = if table.is_protective() {
        match guids(&head, place, device.sectors) {
            Some(guids) => Some(guids),
            None => {
                return unsupported(format!(
                "the GUID partition table of {} does not have partition {} where the kernel has it",
                disk.node().display(),
                place.number
            ))
            }
        }
    } else {
        None
    };
    Ok(RootIdentity {
        filesystem: fs.filesystem(),
        fs_uuid: fs.uuid().to_owned(),
        disk_signature: table.signature,
        partition: place.number,
        start: place.start,
        sectors: device.sectors,
        guids,
    })
}

/// The kernel goes by the backup table where the first is damaged: then nothing is known here.
fn guids(head: &[u8], place: &block::PartitionPlace, sectors: u64) -> Option<Guids> {
    let partition = gpt::partitions(head)
        .into_iter()
        .find(|p| (p.number, p.start, p.sectors) == (place.number, place.start, sectors))?;
    Some(Guids {
        disk: gpt::disk_guid(head)?.to_string(),
        partition: partition.guid.to_string(),
    })
}

fn plain_partition(
    device: &BlockDevice,
) -> Result<(BlockDevice, block::PartitionPlace), RootError> {
    let volume = layers::volume(device);
    let is_disk = |below: &Volume| below.kind == VolumeKind::Disk;
    let Some(place) = device
        .partition
        .clone()
        .filter(|_| volume.below.iter().all(is_disk))
    else {
        return unsupported(format!("it is on {}", volume.words()));
    };
    let disk = reading(
        format!("look up disk {} in sysfs", place.disk),
        block::by_name(&place.disk),
    )?;
    for part in [device, &disk] {
        let (below, above) = (part.made_of(), part.held_by());
        if !below.is_empty() || !above.is_empty() {
            return unsupported(format!(
                "{} is part of a stack of block devices (below: {below:?}, above: {above:?})",
                part.node().display()
            ));
        }
    }
    Ok((disk, place))
}

/// Every block device that holds a filesystem with this UUID. A disk and its first partition
/// never share a superblock, so each filesystem counts once.
pub(crate) fn same_uuid(uuid: &str) -> Result<Vec<(BlockDevice, Superblock)>, RootError> {
    let mut same = Vec::new();
    for device in reading("list /sys/class/block", block::all())? {
        // Drives without a medium, and the like, cannot be read, and hold no root.
        if let Ok(Some(fs)) = superblock(&device) {
            if fs.uuid() == uuid {
                same.push((device, fs));
            }
        }
    }
    Ok(same)
}

fn superblock(device: &BlockDevice) -> Result<Option<Superblock>, RootError> {
    reading(
        format!("read the superblock of {}", device.node().display()),
        superblock::read(&device.node()),
    )
}

/// A name of the disk that stays the same in every OS, if udev made one.
fn stable_name(disk: &BlockDevice) -> Option<String> {
    let node = disk.node();
    let mut names: Vec<PathBuf> = std::fs::read_dir("/dev/disk/by-id")
        .ok()?
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| std::fs::canonicalize(p).is_ok_and(|target| target == node))
        .collect();
    // World-wide names change with firmware and driver; names with the serial number do not.
    names.sort_by_key(|p| (p.to_string_lossy().contains("/wwn-"), p.clone()));
    Some(names.first()?.display().to_string())
}
