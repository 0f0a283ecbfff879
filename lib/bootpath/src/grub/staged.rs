//! What GRUB is told between the commit point and the new boot loader: commands in its own core image,
//! which load kernel and initramfs by their sectors on the disk, so that neither the filesystem nor the
//! partition table has to be readable.

use formats::facts::RootIdentity;
use formats::staged::{Staged, StagedFile};

use crate::grub::core_image::{self, COMMANDS};

/// The directory that the core image calls its own. Without a disk or a partition in it, `$root` is the
/// whole disk that the firmware started.
pub const PREFIX: &str = "/reroot";

/// The kernel parameter that tells the init that the run it belongs to is past the commit point.
/// Its value is the run's id.
pub const COMMITTED: &str = "reroot.committed";

const SECTOR: u64 = 512;

/// The configuration cannot be written.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// It is too long.
    #[error(
        "GRUB's commands for the staged image take {0} bytes, its core image has room for {COMMANDS}; the kernel parameters are too many"
    )]
    TooLong(usize),
    /// What is staged is not in one run on the disk.
    #[error("what is staged at {0} of the root's device does not lie together on its disk")]
    Apart(u64),
    /// GRUB would read a parameter in its own way.
    #[error("the kernel parameter {0:?} has characters that GRUB reads in its own way")]
    Parameter(String),
}

/// The commands that load what is staged on the root filesystem, from one of the disks that have it (from 0). If
/// that fails it is tried again and again: there is nothing else to boot.
pub fn commands(
    staged: &Staged,
    root: &RootIdentity,
    disk: usize,
    cmdline: &str,
) -> Result<String, ConfigError> {
    let cmdline = plain(cmdline)?;
    let run = plain(&staged.run)?;
    let text = format!(
        "linux ($root){} {cmdline} {COMMITTED}={run}\n\
         initrd ($root){}\n\
         boot\n\
         echo reroot: the staged image does not load. Trying again.\n\
         sleep 20\n\
         reboot\n",
        sectors(&staged.kernel, root, disk)?,
        sectors(&staged.initramfs, root, disk)?,
    );
    if text.len() > COMMANDS {
        return Err(ConfigError::TooLong(text.len()));
    }
    Ok(text)
}

/// Whether the core image in these sectors of a disk loads what is staged for a run.
pub fn is_loaded_by(core: &[u8]) -> bool {
    core_image::inside(core).is_some_and(|inside| is_loaded_by_program(&inside))
}

/// The same of GRUB's program for UEFI, which is not compressed.
pub fn is_loaded_by_program(bytes: &[u8]) -> bool {
    let mark = format!("{COMMITTED}=");
    bytes
        .windows(mark.len())
        .any(|part| part == mark.as_bytes())
}

/// Parameters as they are, if GRUB takes them as they are.
pub(super) fn plain(text: &str) -> Result<&str, ConfigError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.,:=@/+".contains(c);
    match text
        .split_whitespace()
        .find(|word| !word.chars().all(is_plain))
    {
        Some(word) => Err(ConfigError::Parameter(word.to_owned())),
        None => Ok(text),
    }
}

/// GRUB's block list of a file: first sector and number of sectors, counted from the start of the
/// disk. What the last sector holds behind the file's end is zeros, as filesystems leave it.
fn sectors(file: &StagedFile, root: &RootIdentity, disk: usize) -> Result<String, ConfigError> {
    let first = root.on_disk(disk, file.offset, file.length);
    let first = first.ok_or(ConfigError::Apart(file.offset))?;
    Ok(format!("{first}+{}", file.length.div_ceil(SECTOR)))
}

#[cfg(test)]
mod tests {
    use formats::facts::{
        ArrayIdentity, LogicalVolume, MemberIdentity, PhysicalVolume, RootType, Segment,
    };
    use formats::Digest;

    use super::*;

    fn staged() -> Staged {
        let file = |offset, length| StagedFile {
            offset,
            length,
            digest: Digest::of(b""),
        };
        Staged {
            loader: None,
            run: "20260102T030405Z-0a1b".into(),
            kernel: file(4096, 1025),
            initramfs: file(1 << 40, 1024),
            order: std::collections::BTreeMap::new(),
        }
    }

    fn root() -> RootIdentity {
        RootIdentity {
            filesystem: RootType::Ext4,
            fs_uuid: "u".into(),
            disk_signature: 1,
            partition: 1,
            start: 2048,
            sectors: 1 << 40,
            guids: None,
            array: None,
            logical: None,
            subvolume: None,
        }
    }

    /// The same on a logical volume of two parts, the second of which lies before the first.
    fn logical() -> RootIdentity {
        let segment = |sectors, start| Segment {
            sectors,
            volume: 0,
            start,
        };
        let volume = LogicalVolume {
            name: "vg-root".into(),
            uuid: "LVM-x".into(),
            segments: vec![segment(1 << 30, 1 << 31), segment(1 << 31, 2048)],
            volumes: vec![PhysicalVolume {
                uuid: "p".into(),
                partition: 1,
                start: 4096,
                sectors: 1 << 40,
                guid: None,
            }],
            sequence: None,
        };
        RootIdentity {
            logical: Some(volume),
            ..root()
        }
    }

    #[test]
    fn on_a_logical_volume_they_are_those_of_its_parts() {
        let text = commands(&staged(), &logical(), 0, "").unwrap();
        // The kernel at sector 8 of the first part, the initramfs at 2^31 of the volume, 2^30 of the second.
        let kernel = 4096 + (1_u64 << 31) + 8;
        let initramfs = 4096 + 2048 + (1_u64 << 30);
        assert!(
            text.contains(&format!("linux ($root){kernel}+3 ")),
            "{text}"
        );
        assert!(
            text.contains(&format!("initrd ($root){initramfs}+2\n")),
            "{text}"
        );
        let mut over = staged();
        over.kernel.offset = (1 << 39) - 512;
        assert_eq!(
            commands(&over, &logical(), 0, ""),
            Err(ConfigError::Apart((1 << 39) - 512))
        );
    }

    #[test]
    fn on_a_mirror_each_disk_has_its_own() {
        let member = |start| MemberIdentity {
            disk_signature: 1,
            partition: 1,
            start,
            sectors: 1 << 40,
            guids: None,
            data_offset: 100,
        };
        let mirror = RootIdentity {
            array: Some(ArrayIdentity {
                uuid: "a:b:c:d".into(),
                metadata: "1.2".into(),
                members: vec![member(2048), member(4096)],
            }),
            ..root()
        };
        for (disk, kernel) in [(0, 2048 + 100 + 8), (1, 4096 + 100 + 8)] {
            let text = commands(&staged(), &mirror, disk, "").unwrap();
            assert!(
                text.contains(&format!("linux ($root){kernel}+3 ")),
                "{text}"
            );
        }
        assert!(commands(&staged(), &mirror, 2, "").is_err());
    }

    #[test]
    fn the_commands_name_sectors_of_the_disk() {
        let text = commands(&staged(), &root(), 0, "panic=30 console=ttyS0,115200").unwrap();
        assert_eq!(
            text,
            "linux ($root)2056+3 panic=30 console=ttyS0,115200 reroot.committed=20260102T030405Z-0a1b\n\
             initrd ($root)2147485696+2\nboot\n\
             echo reroot: the staged image does not load. Trying again.\nsleep 20\nreboot\n"
        );
    }

    #[test]
    fn what_grub_would_read_otherwise_or_has_no_room_is_refused() {
        for word in ["a;b", "$root", "a'b", "a\"", "{", "a#b", "a\\b"] {
            assert_eq!(
                commands(&staged(), &root(), 0, word),
                Err(ConfigError::Parameter(word.to_owned()))
            );
        }
        let long = "x".repeat(COMMANDS);
        assert!(matches!(
            commands(&staged(), &root(), 0, &long),
            Err(ConfigError::TooLong(_))
        ));
    }
}
