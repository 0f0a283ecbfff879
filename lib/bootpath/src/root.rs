//! The root filesystem with what boots it: the boot loaders on its disk and on others.

use std::fs::File;
use std::io;
use std::path::Path;

use formats::facts::Root;
use storage::block;
use storage::mbr::MBR_SIZE;
use storage::root::{reading, Loaders, RootError};

use crate::elsewhere;
use crate::gap;
use crate::grub::embed;

/// Describes the filesystem that is mounted at `/`, and where GRUB is.
pub fn describe() -> Result<Root, RootError> {
    let root = storage::root::describe()?;
    let gap = read_gap(root.disk())?;
    let loaders = Loaders {
        gap_has_room: gap.as_deref().is_some_and(embed::has_room),
        grub_on_disk: gap.as_deref().is_some_and(has_grub),
        elsewhere: loaders_elsewhere(root.disk())?,
    };
    Ok(root.with(loaders))
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

/// Other disks that a firmware could start, with what is on them.
fn loaders_elsewhere(disk: &Path) -> Result<Vec<String>, RootError> {
    let devices = reading("list /sys/class/block", block::all())?;
    Ok(devices
        .iter()
        .filter(|device| device.partition.is_none() && device.node() != disk)
        .filter_map(|device| {
            // Drives without a medium cannot be read, and start nothing.
            let read = |at: u64, sectors: usize| {
                let length = sectors * MBR_SIZE;
                device.read(at.checked_mul(MBR_SIZE as u64)?, length).ok()
            };
            let what = elsewhere::loader(&read)?;
            Some(format!("{what} on {}", device.node().display()))
        })
        .collect())
}
