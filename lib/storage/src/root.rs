//! The root filesystem: what it is on, in the old OS, and how to find the same one again in the
//! RAM environment. It is never looked for by name.

use std::path::{Path, PathBuf};

use formats::facts::{
    ArrayIdentity, LogicalVolume, MemberIdentity, Root, RootCopy, RootIdentity, RootType,
    Subvolume, Volume, VolumeKind,
};

use crate::block::{self, BlockDevice};
use crate::superblock::{self, Superblock};
use crate::{array, layers, logical, md, mounts, subvolumes, table};

pub use crate::root_error::{reading, unsupported, RootError};

/// What boot loaders are on a disk that has the whole root filesystem.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaders {
    /// [`Root::room_sectors`].
    pub room_sectors: u64,
    /// [`Root::has_room`].
    pub has_room: bool,
    /// [`Root::room_alone`].
    pub room_alone: u64,
    /// [`Root::grub_on_disk`].
    pub grub_on_disk: bool,
    /// It is one of [`Root::staged_on`].
    pub staged: bool,
}

/// A root of which the boot loaders are still to be asked; without them there is no [`Root`].
#[derive(Clone, Debug)]
pub struct RootWithoutLoaders {
    root: Root,
    /// Every disk that has all of it, with its stable name.
    disks: Vec<(PathBuf, Option<String>)>,
}

impl RootWithoutLoaders {
    /// The device nodes of the disks that have all of it: one, or those of a mirror.
    pub fn disks(&self) -> impl Iterator<Item = &Path> {
        self.disks.iter().map(|(node, _)| node.as_path())
    }

    /// Whether it is on a mirror, of however many disks now.
    pub fn is_on_mirror(&self) -> bool {
        self.root.identity.array.is_some()
    }

    /// The same with this one of [`RootWithoutLoaders::disks`] as the first, where it is on a mirror: the identity's
    /// members have no other order than that.
    #[must_use]
    pub fn led_by(mut self, disk: usize) -> RootWithoutLoaders {
        let identity = &mut self.root.identity;
        let Some(array) = &mut identity.array else {
            return self;
        };
        if disk >= array.members.len().min(self.disks.len()) {
            return self;
        }
        array.members.swap(0, disk);
        self.disks.swap(0, disk);
        let (first, (node, by_id)) = (&array.members[0], &self.disks[0]);
        identity.disk_signature = first.disk_signature;
        identity.partition = first.partition;
        identity.start = first.start;
        identity.sectors = first.sectors;
        identity.guids.clone_from(&first.guids);
        self.root.disk = node.display().to_string();
        self.root.disk_by_id.clone_from(by_id);
        self.root.table = table_of(&self.root.identity);
        self
    }

    /// The root with the boot loaders of [`RootWithoutLoaders::disks`], in their order, and what a firmware
    /// could start from others.
    pub fn with(self, loaders: Vec<Loaders>, elsewhere: Vec<String>) -> Root {
        let name = |(node, _): &(PathBuf, Option<String>)| node.display().to_string();
        let staged = self.disks.iter().zip(&loaders);
        let staged_on = staged.filter(|(_, found)| found.staged);
        let staged_on = staged_on.map(|(disk, _)| name(disk)).collect();
        let mut of_disks = self.disks.iter().zip(loaders);
        let first = of_disks.next().map(|(_, found)| found).unwrap_or_default();
        let copies = of_disks.map(|(disk, found)| RootCopy {
            disk: name(disk),
            disk_by_id: disk.1.clone(),
            room_sectors: found.room_sectors,
            has_room: found.has_room,
            grub_on_disk: found.grub_on_disk,
        });
        Root {
            room_sectors: first.room_sectors,
            has_room: first.has_room,
            room_alone: first.room_alone,
            grub_on_disk: first.grub_on_disk,
            loaders_elsewhere: elsewhere,
            copies: copies.collect(),
            staged_on,
            ..self.root
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
    let of_btrfs = mount.fstype == RootType::Btrfs.name();
    if mount.root != Path::new("/") && !of_btrfs {
        return unsupported(format!(
            "/ shows only {} of its filesystem (a bind mount)",
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
    let ground = ground(&device)?;
    let Some(fs) = superblock(&device)? else {
        return unsupported(format!(
            "{} holds {}, neither ext4, XFS nor Btrfs",
            device.node().display(),
            mount.fstype
        ));
    };
    let mut identity = identity(&fs, &ground)?;
    if let Superblock::Btrfs(_) = fs {
        if ground.logical.is_some() || ground.mirror.is_some() {
            return unsupported(format!(
                "it is Btrfs on {}",
                layers::volume(&device).words()
            ));
        }
        identity.subvolume = Some(subvolume(mount)?);
    }
    let disks: Vec<_> = ground
        .partitions
        .iter()
        .map(|member| &member.disk)
        .collect();
    let Some(disk) = disks.first() else {
        return unsupported(format!("{} has no disk", device.node().display()));
    };
    let space = reading("statvfs /", rustix::fs::statvfs("/").map_err(Into::into))?;
    let mut doubles: Vec<String> = same_uuid(fs.uuid(), identity.array.as_ref())?
        .into_iter()
        .map(|(device, _)| device)
        .filter(|d| d.name != device.name)
        .map(|d| d.node().display().to_string())
        .collect();
    if let Some(volume) = &identity.logical {
        logical::ensure_comes_with_group(volume)?;
        doubles.extend(logical::doubles(volume, disk)?);
    }
    let root = Root {
        table: table_of(&identity),
        identity,
        device: device.node().display().to_string(),
        disk: disk.node().display().to_string(),
        disk_by_id: stable_name(disk),
        fstype: mount.fstype.clone(),
        bytes: fs.bytes_for_files(space.f_blocks * space.f_frsize),
        // Of Btrfs the former counts what is there for the filesystem's own trees alone.
        bytes_free: if of_btrfs {
            space.f_bavail
        } else {
            space.f_bfree
        } * space.f_frsize,
        inodes: fs.inodes(space.f_files),
        inodes_free: fs
            .inodes(space.f_files)
            .saturating_sub(space.f_files.saturating_sub(space.f_ffree)),
        errors: fs.errors(),
        doubles,
        room_sectors: 0,
        has_room: false,
        room_alone: 0,
        grub_on_disk: false,
        loaders_elsewhere: Vec::new(),
        copies: Vec::new(),
        staged_on: Vec::new(),
    };
    let disks = disks.into_iter();
    Ok(RootWithoutLoaders {
        root,
        disks: disks.map(|disk| (disk.node(), stable_name(disk))).collect(),
    })
}

fn table_of(identity: &RootIdentity) -> String {
    let has_guids = identity.guids.is_some();
    if has_guids { "gpt" } else { "dos" }.to_owned()
}

/// The subvolume that a mount of Btrfs shows.
pub(crate) fn subvolume(mount: &mounts::Mount) -> Result<Subvolume, RootError> {
    let place = mount.target.display();
    let top = reading(format!("open {place}"), std::fs::File::open(&mount.target))?;
    let found = reading(
        format!("ask which subvolume {place} is"),
        subvolumes::at(&top),
    )?;
    match found {
        Some(found) if Path::new(&found.path) == mount.root => Ok(found),
        _ => unsupported(format!(
            "{place} shows only {} of its filesystem, which is no whole subvolume that has a path",
            mount.root.display()
        )),
    }
}

/// The superblock of the filesystem on a device that a run can find again, its disk, and what identifies it there.
pub(crate) fn known(
    device: &BlockDevice,
) -> Result<(Superblock, BlockDevice, RootIdentity), RootError> {
    let ground = ground(device)?;
    let Some(fs) = superblock(device)? else {
        return unsupported(format!(
            "{} holds neither ext4, XFS nor Btrfs",
            device.node().display()
        ));
    };
    let identity = identity(&fs, &ground)?;
    let Some(first) = ground.partitions.into_iter().next() else {
        return unsupported("no disk has all of it");
    };
    Ok((fs, first.disk, identity))
}

/// The root filesystem's device and its disks, found again.
#[derive(Clone, Debug)]
pub struct FoundRoot {
    /// The partition, the logical volume, or the mirror.
    pub device: BlockDevice,
    /// The disks that have all of it, in the order of the identity's members; `None` for one that is not
    /// there.
    pub disks: Vec<Option<BlockDevice>>,
    /// The members of a mirror that are not in it, in words.
    pub lacks: Vec<String>,
}

/// Finds the one device that matches; `Ok(None)` where there is none (yet).
///
/// A second device with the same filesystem UUID is refused even if its partition differs: the
/// new OS's boot loader and kernel go by the UUID alone. A logical volume that nothing has put together yet the
/// kernel puts together here; a mirror is put together before.
pub fn find(identity: &RootIdentity) -> Result<Option<FoundRoot>, RootError> {
    if !logical::put_together(identity)? {
        return Ok(None);
    }
    let same = same_uuid(&identity.fs_uuid, identity.array.as_ref())?;
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
    let ground = ground(device)?;
    let mut found = self::identity(fs, &ground)?;
    // Which subvolume it is shows once it is mounted.
    found.subvolume.clone_from(&identity.subvolume);
    let same = match (&identity.array, &found.array) {
        (Some(wanted), Some(array)) => {
            let known = |member| wanted.members.contains(member);
            identity.is_of_filesystem(&found)
                && (&array.uuid, &array.metadata) == (&wanted.uuid, &wanted.metadata)
                && array.members.iter().all(known)
        }
        _ => found == *identity,
    };
    if !same {
        return unsupported(format!(
            "{} has the UUID of the filesystem but is another partition: expected {identity:?}, found {found:?}",
            device.node().display()
        ));
    }
    let mut disks = ground
        .partitions
        .into_iter()
        .map(|partition| partition.disk);
    let Some(array) = &identity.array else {
        let disk = disks.next();
        if let (Some(volume), Some(disk)) = (&found.logical, &disk) {
            let doubles = logical::doubles(volume, disk)?;
            if !doubles.is_empty() {
                return unsupported(format!(
                    "{} has the UUID of one of its physical volumes too; only one may",
                    doubles.join(" and ")
                ));
            }
        }
        return Ok(Some(FoundRoot {
            device: device.clone(),
            disks: vec![disk],
            lacks: vec![],
        }));
    };
    let in_it: Vec<_> = found
        .array
        .into_iter()
        .flat_map(|array| array.members)
        .collect();
    let (mut disks, mut lacks) = (Vec::new(), Vec::new());
    for (member, found) in array.members.iter().zip(find_members(array)?) {
        if !in_it.contains(member) {
            let why = if found.is_some() {
                "is older than the others"
            } else {
                "is not there"
            };
            lacks.push(format!("{} {why}", member.words()));
        }
        disks.push(found.map(|partition| partition.disk));
    }
    Ok(Some(FoundRoot {
        device: device.clone(),
        disks,
        lacks,
    }))
}

/// The partitions of a mirror's members, in their order; `None` for one that is not there. Two that look the
/// same are refused: one is a copy, and nothing says which.
pub fn find_members(array: &ArrayIdentity) -> Result<Vec<Option<Partition>>, RootError> {
    let mut found = Vec::new();
    for device in reading("list /sys/class/block", block::all())? {
        // Drives without a medium, and the like, cannot be read, and are members of nothing.
        if is_member(&device, array) {
            let partition = plain_partition(&device)?;
            found.push((member_identity(&partition, &array.metadata)?, partition));
        }
    }
    array
        .members
        .iter()
        .map(|member| {
            let mut same = found.iter().filter(|(identity, _)| identity == member);
            match (same.next(), same.next()) {
                (Some((_, one)), Some((_, two))) => unsupported(format!(
                    "{} and {} are the same member of mirror {}; only one may be there",
                    one.device.node().display(),
                    two.device.node().display(),
                    array.uuid
                )),
                (first, _) => Ok(first.map(|(_, partition)| partition.clone())),
            }
        })
        .collect()
}

/// What a root filesystem's device is on.
struct Ground {
    /// The partition itself, the one that its logical volume begins on, or a mirror's members that have all of it.
    partitions: Vec<Partition>,
    /// The logical volume.
    logical: Option<LogicalVolume>,
    /// Version of the mirror's metadata.
    mirror: Option<String>,
}

/// A partition of a disk that is nothing but that.
#[derive(Clone, Debug)]
pub struct Partition {
    /// Its device.
    pub device: BlockDevice,
    /// The disk that it is of.
    pub disk: BlockDevice,
}

fn ground(device: &BlockDevice) -> Result<Ground, RootError> {
    if logical::is_one(device) {
        let (disk, partition, volume) = logical::describe(device)?;
        for part in [device, &disk] {
            ensure_holds_only(part, &[])?;
        }
        return Ok(Ground {
            partitions: vec![Partition {
                device: partition,
                disk,
            }],
            logical: Some(volume),
            mirror: None,
        });
    }
    if matches!(layers::volume(device).kind, VolumeKind::Raid { .. }) {
        return mirror(device);
    }
    let partition = plain_partition(device)?;
    ensure_holds_only(&partition.device, &[])?;
    Ok(Ground {
        partitions: vec![partition],
        logical: None,
        mirror: None,
    })
}

fn mirror(device: &BlockDevice) -> Result<Ground, RootError> {
    let what = || format!("look at array {} in sysfs", device.node().display());
    let running = match array::running(device) {
        Err(e) if e.kind() == std::io::ErrorKind::Unsupported => {
            return unsupported(format!("it is on {}: {e}", layers::volume(device).words()));
        }
        other => reading(what(), other)?,
    };
    ensure_holds_only(device, &[])?;
    let partitions = running.members.iter().map(|member| {
        let partition = plain_partition(member)?;
        ensure_holds_only(&partition.device, std::slice::from_ref(&device.name))?;
        Ok(partition)
    });
    Ok(Ground {
        partitions: partitions.collect::<Result<_, RootError>>()?,
        logical: None,
        mirror: Some(running.metadata),
    })
}

/// What the disks' tables say of the partitions, and a mirror's superblocks of it.
fn identity(fs: &Superblock, ground: &Ground) -> Result<RootIdentity, RootError> {
    let Some(first) = ground.partitions.first() else {
        return unsupported("no disk has all of it");
    };
    let array = match &ground.mirror {
        None => None,
        Some(metadata) => {
            let of_member = |partition| member_identity(partition, metadata);
            let members: Result<Vec<_>, _> = ground.partitions.iter().map(of_member).collect();
            Some(ArrayIdentity {
                uuid: md_superblock(first, metadata)?.uuid,
                metadata: metadata.clone(),
                members: members?,
            })
        }
    };
    let table = table::read(&first.disk)?;
    let (place, guids) = table.place(&first.device)?;
    Ok(RootIdentity {
        filesystem: fs.filesystem(),
        fs_uuid: fs.uuid().to_owned(),
        disk_signature: table.signature,
        partition: place.number,
        start: place.start,
        sectors: first.device.sectors,
        guids,
        logical: ground.logical.clone(),
        array,
        subvolume: None,
    })
}

fn member_identity(partition: &Partition, metadata: &str) -> Result<MemberIdentity, RootError> {
    let table = table::read(&partition.disk)?;
    let (place, guids) = table.place(&partition.device)?;
    Ok(MemberIdentity {
        disk_signature: table.signature,
        partition: place.number,
        start: place.start,
        sectors: partition.device.sectors,
        guids,
        data_offset: md_superblock(partition, metadata)?.data_offset,
    })
}

fn md_superblock(partition: &Partition, metadata: &str) -> Result<md::Superblock, RootError> {
    let node = partition.device.node();
    let what = format!("read the array's superblock on {}", node.display());
    match reading(what, md::read(&partition.device, metadata))? {
        Some(found) => Ok(found),
        None => unsupported(format!(
            "{} has no superblock of an array of version {metadata}",
            node.display()
        )),
    }
}

fn plain_partition(device: &BlockDevice) -> Result<Partition, RootError> {
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
    ensure_holds_only(&disk, &[])?;
    for part in [device, &disk] {
        let below = part.made_of();
        if !below.is_empty() {
            return unsupported(format!(
                "{} is made of other block devices: {below:?}",
                part.node().display()
            ));
        }
    }
    Ok(Partition {
        device: device.clone(),
        disk,
    })
}

/// Nothing else may be made of it: what is written to it would change that.
fn ensure_holds_only(part: &BlockDevice, known: &[String]) -> Result<(), RootError> {
    let above = part.held_by();
    if above.iter().all(|name| known.contains(name)) {
        return Ok(());
    }
    unsupported(format!(
        "{} is part of a stack of block devices (above: {above:?})",
        part.node().display()
    ))
}

/// Every block device that holds a filesystem with this UUID. A disk and its first partition
/// never share a superblock, so each filesystem counts once. The members of the mirror that it is on may begin
/// with its superblock, too, and are no further ones.
pub(crate) fn same_uuid(
    uuid: &str,
    mirror: Option<&ArrayIdentity>,
) -> Result<Vec<(BlockDevice, Superblock)>, RootError> {
    let mut same = Vec::new();
    for device in reading("list /sys/class/block", block::all())? {
        // Drives without a medium, and the like, cannot be read, and hold no root.
        if mirror.is_some_and(|mirror| is_member(&device, mirror)) {
            continue;
        }
        if let Ok(Some(fs)) = superblock(&device) {
            if fs.uuid() == uuid {
                same.push((device, fs));
            }
        }
    }
    Ok(same)
}

fn is_member(device: &BlockDevice, array: &ArrayIdentity) -> bool {
    let found = md::read(device, &array.metadata);
    device.partition.is_some() && matches!(found, Ok(Some(found)) if found.uuid == array.uuid)
}

/// The superblock of what is on a device, if it is of a kind that a root may be of.
pub(crate) fn superblock(device: &BlockDevice) -> Result<Option<Superblock>, RootError> {
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
