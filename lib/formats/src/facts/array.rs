//! What identifies a mirror of the kernel's own RAID, and the disks that have it.

use serde::{Deserialize, Serialize};

/// An array of the kernel's own RAID, whatever is on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Array {
    /// Its device node in the old OS.
    pub node: String,
    /// Version of its metadata, as sysfs has it: `1.2`, `1.0`, `0.90`.
    pub metadata: String,
    /// Its UUID, as `mdadm` prints it.
    pub uuid: String,
}

/// A mirror that a root is on. All of it has to match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrayIdentity {
    /// Its UUID, as `mdadm` prints it.
    pub uuid: String,
    /// Version of its metadata, as sysfs has it: `1.2`, `1.0`, `0.90`.
    pub metadata: String,
    /// Every partition that has all of it, in the array's order. The first is the one that the root's
    /// identity itself tells of.
    pub members: Vec<MemberIdentity>,
}

/// A partition that is a member of an array.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberIdentity {
    /// Signature of the disk's master boot record.
    pub disk_signature: u32,
    /// Number of the partition, from 1.
    pub partition: u32,
    /// First sector (512 bytes) of the partition.
    pub start: u64,
    /// Sectors (512 bytes) of the partition.
    pub sectors: u64,
    /// What a GUID partition table has on disk and partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guids: Option<Guids>,
    /// Sectors from the partition's start to the array's first one.
    pub data_offset: u64,
}

impl MemberIdentity {
    /// Which partition of which disk it is, for people.
    pub fn words(&self) -> String {
        let (number, guids) = (self.partition, self.guids.as_ref());
        place_words(number, self.disk_signature, guids)
    }
}

/// Which partition of which disk something is, for people.
pub(super) fn place_words(partition: u32, disk_signature: u32, guids: Option<&Guids>) -> String {
    match guids {
        Some(guids) => format!(
            "partition {partition} ({}) of the disk with GUID {}",
            guids.partition, guids.disk
        ),
        None => format!("partition {partition} of the disk with signature {disk_signature:08x}"),
    }
}

/// What a GUID partition table calls a disk and one of its partitions, as `blkid` prints them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guids {
    /// The disk.
    pub disk: String,
    /// The partition: its own, not its type's.
    pub partition: String,
}
