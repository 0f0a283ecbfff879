//! The root filesystem with what boots it: the boot loaders on its disk and on others.

use std::fs::File;
use std::io;
use std::path::Path;

use formats::facts::Root;
use storage::block;
use storage::root::{reading, RootError};

use crate::gap;
use crate::grub::embed;

/// Describes the filesystem that is mounted at `/`, and where GRUB is.
pub fn describe() -> Result<Root, RootError> {
    let mut root = storage::root::describe()?;
    let gap = read_gap(Path::new(&root.disk))?;
    root.gap_has_room = gap.as_deref().is_some_and(embed::has_room);
    root.grub_on_disk = gap.as_deref().is_some_and(has_grub);
    root.grub_elsewhere = grub_elsewhere(Path::new(&root.disk))?;
    Ok(root)
}

fn has_grub(gap: &[u8]) -> bool {
    !embed::sectors_in_use(gap).is_empty()
}

/// A disk's gap; `None` where it has none.
fn read_gap(node: &Path) -> Result<Option<Vec<u8>>, RootError> {
    let file = reading(format!("open disk {}", node.display()), File::open(node))?;
    match gap::read(&file) {
        Err(e) if e.kind() == io::ErrorKind::InvalidData => Ok(None),
        other => reading(
            format!("read the first sectors of {}", node.display()),
            other.map(Some),
        ),
    }
}

/// Other disks that have GRUB in their master boot record. The firmware may start one of them.
fn grub_elsewhere(disk: &Path) -> Result<Vec<String>, RootError> {
    let devices = reading("list /sys/class/block", block::all())?;
    Ok(devices
        .iter()
        .filter(|d| d.partition.is_none())
        .map(block::BlockDevice::node)
        .filter(|node| node != disk)
        // Drives without a medium cannot be read, and start nothing.
        .filter_map(|node| Some((read_gap(&node).ok()??, node)))
        .filter(|(gap, _)| has_grub(gap))
        .map(|(_, node)| node.display().to_string())
        .collect())
}
