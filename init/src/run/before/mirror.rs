//! Putting a mirror together, the root's or that of another filesystem of the system: from the disks that the
//! plan names, each found by its identity, by the kernel's own calls. Nothing is written to its members before its
//! filesystem is.

use std::time::Duration;

use anyhow::{bail, Context, Result};
use formats::facts::ArrayIdentity;
use machine::patience::Patience;
use storage::block::BlockDevice;
use storage::root::Partition;
use storage::{array, root};

use crate::ram::commit_point;
use crate::run::before::drivers::Drivers;

/// How long its disks may take to appear, the first and the last.
const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(250);

/// Starts it, unless it runs: in a takeover the old kernel's goes on. Before the commit point all of its disks
/// have to be there; behind it those that are will do, for nothing else holds the data.
pub fn assemble(identity: &ArrayIdentity, drivers: &Drivers) -> Result<()> {
    let mut patience = Patience::new(PATIENCE);
    loop {
        drivers.load_for_hardware()?;
        let found = root::find_members(identity).context("find the disks of a mirror")?;
        let there: Vec<BlockDevice> = found.iter().flatten().map(device).collect();
        if there.iter().any(BlockDevice::is_held) {
            return Ok(());
        }
        let lacks = lacks(identity, &found);
        if lacks.is_empty() || patience.is_over() {
            if !lacks.is_empty() && (there.is_empty() || !commit_point::is_passed()) {
                bail!(
                    "the mirror {}: {} within {} s",
                    identity.uuid,
                    lacks.join(", "),
                    PATIENCE.as_secs()
                );
            }
            let node = array::start(&identity.metadata, &there)
                .with_context(|| format!("start the mirror {}", identity.uuid))?;
            log::info!(
                "the mirror {} is {}, of {} disks",
                identity.uuid,
                node.display(),
                there.len()
            );
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
}

fn device(partition: &Partition) -> BlockDevice {
    partition.device.clone()
}

fn lacks(identity: &ArrayIdentity, found: &[Option<Partition>]) -> Vec<String> {
    let members = identity.members.iter().zip(found);
    members
        .filter(|(_, found)| found.is_none())
        .map(|(member, _)| format!("{} did not appear", member.words()))
        .collect()
}
