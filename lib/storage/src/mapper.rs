//! What the device-mapper has of a device: its name and identifier in sysfs, and its parts.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;

use syscalls::device_mapper::{self, Target};

use crate::block::BlockDevice;

/// Where it is asked.
pub const CONTROL: &str = "/dev/mapper/control";

/// The name in `/dev/mapper`; empty for what is none of its devices.
pub fn name(device: &BlockDevice) -> String {
    text(device, "dm/name")
}

/// The identifier, whose beginning says who made it; empty for what is none of its devices.
pub fn identifier(device: &BlockDevice) -> String {
    text(device, "dm/uuid")
}

fn text(device: &BlockDevice, file: &str) -> String {
    let text = fs::read_to_string(device.sysfs.join(file)).unwrap_or_default();
    text.trim().to_owned()
}

/// What it is made of.
pub fn table(device: &BlockDevice) -> io::Result<Vec<Target>> {
    let control = File::open(CONTROL)?;
    device_mapper::table(control.as_fd(), &identifier(device))
}

/// How its parts are mapped, each kind once; nothing where that cannot be asked.
pub fn kinds(device: &BlockDevice) -> Vec<String> {
    let mut kinds: Vec<String> = Vec::new();
    for part in table(device).unwrap_or_default() {
        if !kinds.contains(&part.kind) {
            kinds.push(part.kind);
        }
    }
    kinds
}
