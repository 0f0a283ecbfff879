//! Filesystems beside the root, mounted from block devices: what a run would have to know of one to wipe it
//! together with the root. In the RAM environment each is found as the root is, by [`crate::root::find`]; a further
//! subvolume of the root's own Btrfs is where the root is.

use std::path::Path;

use formats::facts::{BtrfsFeatures, MountedFilesystem, RootIdentity, RootType, VolumeKind};

use crate::block::{self, BlockDevice};
use crate::mounts::Mount;
use crate::root::{self, RootError};
use crate::superblock::Superblock;
use crate::{layers, logical};

/// Describes those of ext4 and XFS, and subvolumes of Btrfs beside the root, in the order in which they were
/// mounted; what covers another one at its
/// place counts, and what is covered does not. `asked` says of a mount whether it may be asked for its space:
/// one whose disk does not answer may not.
pub fn describe(mounts: &[Mount], asked: impl Fn(&Mount) -> bool) -> Vec<MountedFilesystem> {
    let root = crate::mounts::at(mounts, Path::new("/"));
    let ours = mounts.iter().filter(|mount| {
        RootType::of(&mount.fstype).is_some()
            && !root.is_some_and(|root| mount.shows_part_of(root))
            && crate::mounts::at(mounts, &mount.target).is_some_and(|seen| seen.id == mount.id)
    });
    ours.map(|mount| one(mount, mounts, asked(mount))).collect()
}

fn one(mount: &Mount, mounts: &[Mount], asked: bool) -> MountedFilesystem {
    let target = mount.target.display().to_string();
    let mut found = MountedFilesystem {
        device: mount.source.to_string_lossy().into_owned(),
        disk: String::new(),
        fstype: mount.fstype.clone(),
        identity: Err("it does not answer".to_owned()),
        bytes: 0,
        bytes_free: 0,
        inodes: 0,
        inodes_free: 0,
        errors: None,
        drivers: Vec::new(),
        missing: 0,
        doubles: Vec::new(),
        ext4: None,
        xfs: None,
        btrfs: None,
        journal_elsewhere: false,
        read_only: !mount.writable,
        shown_again: shown_again(mount, mounts),
        nested: Vec::new(),
        target,
    };
    if asked {
        note_features(mount, &mut found);
        if let Err(why) = look(mount, mounts, &mut found) {
            found.identity = Err(chain(&why));
        }
    }
    found
}

fn look(mount: &Mount, mounts: &[Mount], found: &mut MountedFilesystem) -> Result<(), RootError> {
    let of_btrfs = mount.fstype == RootType::Btrfs.name();
    if of_btrfs && crate::mounts::at(mounts, Path::new("/")).map(|m| m.device) != Some(mount.device)
    {
        return Err(RootError::Unsupported(
            "it is another Btrfs than the root's, which this release does not wipe beside the root"
                .to_owned(),
        ));
    }
    if !of_btrfs && mount.root != Path::new("/") {
        return Err(RootError::Unsupported(format!(
            "it shows only {} of its filesystem",
            mount.root.display()
        )));
    }
    let (major, minor) = mount.device;
    let device = root::reading(
        format!("look up block device {major}:{minor} in sysfs"),
        block::by_number(major, minor),
    )?;
    found.device = device.node().display().to_string();
    found.drivers = block::driver_modules(&device);
    if let VolumeKind::Raid { missing, .. } = layers::volume(&device).kind {
        found.missing = missing;
    }
    let (superblock, disk, mut identity) = root::known(&device)?;
    if let Some(volume) = &identity.logical {
        logical::ensure_comes_with_group(volume)?;
    }
    if of_btrfs {
        identity.subvolume = Some(root::subvolume(mount)?);
        let (nested, read_only) = root::reading(
            format!("look for subvolumes in {}", mount.target.display()),
            crate::subvolumes::nested(&mount.target, &found.target, mounts),
        )?;
        found.nested = nested;
        found.read_only |= read_only;
    }
    found.disk = disk.node().display().to_string();
    let space = root::reading(
        format!("statvfs {}", mount.target.display()),
        rustix::fs::statvfs(&mount.target).map_err(Into::into),
    )?;
    found.bytes = superblock.bytes_for_files(space.f_blocks * space.f_frsize);
    // Of Btrfs the former counts what is there for the filesystem's own trees alone.
    let free = if of_btrfs {
        space.f_bavail
    } else {
        space.f_bfree
    };
    found.bytes_free = free * space.f_frsize;
    found.inodes = superblock.inodes(space.f_files);
    let used = space.f_files.saturating_sub(space.f_ffree);
    found.inodes_free = found.inodes.saturating_sub(used);
    found.errors = superblock.errors();
    found.journal_elsewhere = superblock.journal_elsewhere();
    found.doubles = doubles(&superblock, &device, &disk, &identity)?;
    found.identity = Ok(identity);
    Ok(())
}

/// Its features, whatever it is on: the new OS may have to mount one that a run could not find again.
fn note_features(mount: &Mount, found: &mut MountedFilesystem) {
    let (major, minor) = mount.device;
    let superblock = block::by_number(major, minor)
        .ok()
        .and_then(|device| root::superblock(&device).ok()?);
    match superblock {
        Some(Superblock::Ext(there)) => found.ext4 = Some(there.features),
        Some(Superblock::Xfs(there)) => found.xfs = Some(there.features),
        Some(Superblock::Btrfs(there)) => {
            found.btrfs = Some(BtrfsFeatures {
                compat_ro: there.compat_ro,
                incompat: there.incompat,
            });
        }
        None => {}
    }
}

fn doubles(
    superblock: &Superblock,
    device: &BlockDevice,
    disk: &BlockDevice,
    identity: &RootIdentity,
) -> Result<Vec<String>, RootError> {
    let same = root::same_uuid(superblock.uuid(), identity.array.as_ref())?.into_iter();
    let others = same.filter(|(other, _)| other.name != device.name);
    let mut doubles: Vec<String> = others
        .map(|(other, _)| other.node().display().to_string())
        .collect();
    if let Some(volume) = &identity.logical {
        doubles.extend(logical::doubles(volume, disk)?);
    }
    Ok(doubles)
}

/// Other places where the same filesystem is seen, whole or in part; of Btrfs, the same subvolume.
fn shown_again(mount: &Mount, mounts: &[Mount]) -> Vec<String> {
    let same = mounts
        .iter()
        .filter(|other| other.shows_part_of(mount) && other.id != mount.id);
    same.map(|other| other.target.display().to_string())
        .collect()
}

fn chain(error: &RootError) -> String {
    use std::error::Error as _;
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mounts::parse;

    #[test]
    fn filesystems_on_block_devices_are_described_and_nothing_else() {
        let mounts = parse(
            b"22 1 253:1 / / rw - ext4 /dev/vda1 rw\n\
              23 22 0:5 / /proc rw - proc proc rw\n\
              24 22 253:3 / /var rw - xfs /dev/vda3 rw\n\
              25 24 253:4 / /var/log ro - ext4 /dev/vda4 rw\n\
              26 22 253:3 /shop /mnt/shop rw - xfs /dev/vda3 rw\n\
              27 22 253:1 /data /data rw - ext4 /dev/vda1 rw\n\
              28 22 0:50 / /tank rw - zfs tank rw\n\
              29 22 253:5 / /opt rw - ext4 /dev/vda5 rw\n\
              30 29 253:6 / /opt rw - ext4 /dev/vda6 rw\n",
        );
        let found = describe(&mounts, |_| false);
        let targets: Vec<_> = found.iter().map(|f| (&*f.target, &*f.device)).collect();
        assert_eq!(
            targets,
            [
                ("/var", "/dev/vda3"),
                ("/var/log", "/dev/vda4"),
                ("/mnt/shop", "/dev/vda3"),
                ("/opt", "/dev/vda6"),
            ]
        );
        assert_eq!(found[0].shown_again, ["/mnt/shop"]);
        assert_eq!(found[2].shown_again, ["/var"]);
        assert!(found[1].read_only && !found[0].read_only);
        assert!(found.iter().all(|f| f.identity.is_err()));
    }

    #[test]
    fn what_covers_the_same_device_is_told() {
        let mounts = parse(
            b"22 1 253:1 / / rw - ext4 /dev/vda1 rw\n\
              24 22 253:3 /old /var rw - xfs /dev/vda3 rw\n",
        );
        let found = describe(&mounts, |_| true);
        let why = found[0].identity.as_ref().unwrap_err();
        assert!(why.contains("only /old"), "{why}");
    }

    #[test]
    fn further_subvolumes_of_the_roots_btrfs_are_described_and_parts_of_the_root_are_not() {
        let mounts = parse(
            b"22 1 253:3 /@/.snapshots/1/snapshot / rw - btrfs /dev/vda3 rw\n\
              23 22 253:3 /@/.snapshots /.snapshots rw - btrfs /dev/vda3 rw\n\
              24 22 253:3 /@/var /var rw - btrfs /dev/vda3 rw\n\
              25 22 253:3 /@/.snapshots/1/snapshot/srv /mnt/srv rw - btrfs /dev/vda3 rw\n\
              26 22 253:3 /@/var/lib /mnt/lib rw - btrfs /dev/vda3 rw\n\
              27 22 253:3 /@/variant /mnt/variant rw - btrfs /dev/vda3 rw\n\
              28 22 253:9 / /data rw - btrfs /dev/vda9 rw\n",
        );
        let found = describe(&mounts, |mount| mount.root == Path::new("/"));
        let targets: Vec<_> = found.iter().map(|f| &*f.target).collect();
        assert_eq!(
            targets,
            ["/.snapshots", "/var", "/mnt/lib", "/mnt/variant", "/data"]
        );
        assert_eq!(found[0].shown_again, ["/", "/mnt/srv"]);
        assert_eq!(found[1].shown_again, ["/mnt/lib"]);
        assert_eq!(found[3].shown_again, [""; 0]);
        let why = found[4].identity.as_ref().unwrap_err();
        assert!(why.contains("another Btrfs"), "{why}");
    }
}
