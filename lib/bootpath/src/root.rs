//! The root filesystem with what boots it: the boot loaders on its disk and on others.

use std::fs::File;
use std::io;
use std::path::Path;

use formats::facts::Root;
use storage::block;
use storage::mbr::MBR_SIZE;
use storage::root::{reading, Loaders, RootError};

use crate::elsewhere;
use crate::grub::{embed, staged};
use crate::room::Room;
use crate::uefi::{survey, variables};

/// Describes the filesystem that is mounted at `/`, and where GRUB is.
pub fn describe() -> Result<Root, RootError> {
    let mut root = storage::root::describe()?;
    if root.is_on_mirror() && variables::started_it() {
        let disks: Vec<&Path> = root.disks().collect();
        let first = reading("look for what UEFI has started", survey::first(&disks))?;
        root = root.led_by(first);
    }
    let disks: Vec<&Path> = root.disks().collect();
    let loaders = disks.iter().map(|disk| loaders(disk));
    let loaders = loaders.collect::<Result<_, _>>()?;
    let elsewhere = loaders_elsewhere(&disks)?;
    Ok(root.with(loaders, elsewhere))
}

fn loaders(disk: &Path) -> Result<Loaders, RootError> {
    let Some(room) = room(disk)? else {
        return Ok(Loaders::default());
    };
    let used = embed::sectors_in_use(&room);
    Ok(Loaders {
        room_sectors: room.length(),
        has_room: embed::has_room(&room),
        room_alone: embed::room_alone(&room),
        grub_on_disk: !used.is_empty(),
        staged: room.get(used).is_some_and(staged::is_loaded_by),
    })
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
fn loaders_elsewhere(own: &[&Path]) -> Result<Vec<String>, RootError> {
    let devices = reading("list /sys/class/block", block::all())?;
    Ok(devices
        .iter()
        .filter(|device| {
            let node = device.node();
            device.partition.is_none() && !own.contains(&node.as_path())
        })
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
