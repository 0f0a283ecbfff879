//! What a root filesystem is found again by, and where its bytes are on the disks below it.

use serde::{Deserialize, Serialize};

use super::array::{place_words, ArrayIdentity, Guids};
use super::logical::LogicalVolume;
use super::root_type::RootType;
use super::subvolume::Subvolume;
use crate::counted::counted;

/// What identifies the root filesystem: its own UUID and the place of its partition. All of it
/// has to match, on exactly one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootIdentity {
    /// Which filesystem it is.
    #[serde(default)]
    pub filesystem: RootType,
    /// UUID of the filesystem, as `blkid` prints it.
    pub fs_uuid: String,
    /// Signature of the disk's master boot record; as a rule 0 where that only guards a GUID partition
    /// table.
    pub disk_signature: u32,
    /// Number of the partition, from 1.
    pub partition: u32,
    /// First sector (512 bytes) of the partition.
    pub start: u64,
    /// Sectors (512 bytes) of the partition.
    pub sectors: u64,
    /// What a GUID partition table has on disk and partition; `None` where there is no such table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guids: Option<Guids>,
    /// The mirror that it is on; `None` where it is on the partition itself. What is said above of a
    /// partition and its disk is then of the first member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub array: Option<ArrayIdentity>,
    /// The logical volume that it is on; `None` where it is on the partition itself. The partition is then the
    /// one that the volume begins on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logical: Option<LogicalVolume>,
    /// The subvolume of Btrfs that it is; `None` on every other filesystem.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subvolume: Option<Subvolume>,
}

/// Bytes of the sectors that places are counted in.
const SECTOR: u64 = 512;

impl RootIdentity {
    /// Which partition of which disk it is, or which logical volume there, for people.
    pub fn place(&self) -> String {
        let partition = place_words(self.partition, self.disk_signature, self.guids.as_ref());
        if let Some(subvolume) = &self.subvolume {
            return format!("{} of {partition}", subvolume.words());
        }
        if let Some(volume) = &self.logical {
            return format!(
                "logical volume {} ({}), from {partition} on",
                volume.name, volume.uuid
            );
        }
        let Some(array) = &self.array else {
            return partition;
        };
        let (uuid, others) = (&array.uuid, array.members.len().saturating_sub(1));
        let others = match others {
            0 => String::new(),
            others => format!(
                " and of {}",
                counted(others as u64, "further disk", "further disks")
            ),
        };
        format!("mirror {uuid} of {partition}{others}")
    }

    /// On each disk that has the whole filesystem, where bytes of the filesystem's device are: the first sector of
    /// that disk, `None` where they do not lie together there. `offset` is a multiple of 512. Everybody who goes
    /// from the one to the other goes by this.
    pub fn on_disks(&self, offset: u64, length: u64) -> Vec<Option<u64>> {
        let (first, sectors) = (offset / SECTOR, length.div_ceil(SECTOR));
        match (&self.logical, &self.array) {
            (Some(volume), _) => vec![volume.on_disk(first, sectors)],
            (None, None) => vec![Some(self.start + first)],
            (None, Some(array)) => array
                .members
                .iter()
                .map(|member| Some(member.start + member.data_offset + first))
                .collect(),
        }
    }

    /// The same on one of them, from 0.
    pub fn on_disk(&self, disk: usize, offset: u64, length: u64) -> Option<u64> {
        self.on_disks(offset, length).get(disk).copied().flatten()
    }

    /// The sector behind the last one that the filesystem may use, on the disk where that is furthest.
    pub fn end(&self) -> u64 {
        match (&self.logical, &self.array) {
            (Some(volume), _) => volume.end(),
            (None, None) => self.start + self.sectors,
            (None, Some(array)) => {
                let ends = array.members.iter().map(|m| m.start + m.sectors);
                ends.max().unwrap_or(0)
            }
        }
    }

    /// The signatures of the disks' master boot records, in the same order.
    pub fn disk_signatures(&self) -> Vec<u32> {
        match &self.array {
            None => vec![self.disk_signature],
            Some(array) => array.members.iter().map(|m| m.disk_signature).collect(),
        }
    }

    /// Whether it is another subvolume of the filesystem that the other one is a subvolume of.
    pub fn is_subvolume_beside(&self, other: &RootIdentity) -> bool {
        let (Some(own), Some(others)) = (&self.subvolume, &other.subvolume) else {
            return false;
        };
        let same = RootIdentity {
            subvolume: other.subvolume.clone(),
            ..self.clone()
        };
        own.id != others.id && same == *other
    }

    /// Whether the other one tells of the same filesystem, whatever that is on.
    pub fn is_of_filesystem(&self, other: &RootIdentity) -> bool {
        (self.filesystem, &self.fs_uuid) == (other.filesystem, &other.fs_uuid)
    }
}
