//! The partition table of a root's disk, and what it says of partitions that the kernel has.

use formats::facts::{Guids, RootIdentity};

use crate::block::{BlockDevice, PartitionPlace};
use crate::root::{reading, unsupported, RootError};
use crate::{gpt, mbr};

/// A disk's table.
pub struct Table {
    /// Of the disk.
    node: String,
    head: Vec<u8>,
    /// Signature of the master boot record.
    pub signature: u32,
    has_guids: bool,
}

/// Reads it.
pub fn read(disk: &BlockDevice) -> Result<Table, RootError> {
    let node = disk.node().display().to_string();
    let head = reading(
        format!("read the first sectors of {node}"),
        disk.read(0, gpt::HEAD),
    )?;
    let Some(table) = mbr::parse(&head) else {
        return unsupported(format!("{node} has no master boot record"));
    };
    Ok(Table {
        node,
        signature: table.signature,
        has_guids: table.is_protective(),
        head,
    })
}

impl Table {
    /// Where the kernel has a partition, and what a GUID partition table calls it.
    pub fn place(
        &self,
        device: &BlockDevice,
    ) -> Result<(PartitionPlace, Option<Guids>), RootError> {
        let Some(place) = device.partition.clone() else {
            return unsupported(format!("{} is no partition", device.node().display()));
        };
        if !self.has_guids {
            return Ok((place, None));
        }
        match guids(&self.head, &place, device.sectors) {
            Some(guids) => Ok((place, Some(guids))),
            None => unsupported(format!(
                "the GUID partition table of {} does not have partition {} where the kernel has it",
                self.node, place.number
            )),
        }
    }

    /// Whether it is that of an identity's disk.
    pub fn is_of(&self, identity: &RootIdentity) -> bool {
        let disk = || gpt::disk_guid(&self.head).map(|guid| guid.to_string());
        let found = if self.has_guids { disk() } else { None };
        let expected = identity.guids.as_ref().map(|guids| guids.disk.clone());
        self.signature == identity.disk_signature && found == expected
    }
}

/// The kernel goes by the backup table where the first is damaged: then nothing is known here.
fn guids(head: &[u8], place: &PartitionPlace, sectors: u64) -> Option<Guids> {
    let partition = gpt::partitions(head)
        .into_iter()
        .find(|p| (p.number, p.start, p.sectors) == (place.number, place.start, sectors))?;
    Some(Guids {
        disk: gpt::disk_guid(head)?.to_string(),
        partition: partition.guid.to_string(),
    })
}
