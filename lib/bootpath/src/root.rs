//! The root filesystem with what boots it: the boot loaders on its disk and on others.

use std::fs::File;
use std::io;
use std::path::Path;

use formats::facts::Root;
use storage::block;
use storage::mbr::MBR_SIZE;
use storage::root::{reading, Loaders, RootError};

use crate::elsewhere;
use crate::grub::embed;
use crate::room::Room;

/// Describes the filesystem that is mounted at `/`, and where GRUB is.
pub fn describe() -> Result<Root, RootError> {
    let root = storage::root::describe()?;
    let own = room(root.disk())?;
    let loaders = Loaders {
        room_sectors: own.as_ref().map_or(0, Room::length),
        has_room: own.as_ref().is_some_and(embed::has_room),
        room_alone: own.as_ref().map_or(0, embed::room_alone),
        grub_on_disk: own.is_some_and(|room| !embed::sectors_in_use(&room).is_empty()),
        elsewhere: loaders_elsewhere(root.disk())?,
    };
    Ok(root.with(loaders))
}

/// A disk's room for a boot loader; `None` where it has none.
fn room(node: &Path) -> Result<Option<Room>, RootError> {
    let file = reading(format!("open disk {}", node.display()), File::open(node))?;
    match Room::read(&file) {
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
