//! Mirrors of the kernel's own RAID: their members in a running one, by sysfs, and one put together from
//! members by the kernel's own calls, which needs no program.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use formats::facts::Array;
use rustix::fs::{FileType, Mode, CWD};
use rustix::io::Errno;

use crate::block::{self, BlockDevice};
use crate::md;

/// The kernel's number for arrays.
const MAJOR: u32 = 9;
/// Those that are tried for a new one: `mdadm` begins there, too.
const MINORS: std::ops::RangeInclusive<u32> = 100..=127;
/// Whether arrays are begun without a write to any member: the first write to the array is then the first to
/// their superblocks.
const START_READ_ONLY: &str = "/sys/module/md_mod/parameters/start_ro";

/// A running mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Version of its metadata: `1.2`.
    pub metadata: String,
    /// The members that have all of it, in the array's order.
    pub members: Vec<BlockDevice>,
    /// How many members it lacks, or has and is still filling.
    pub missing: u32,
}

/// What the kernel says of a mirror. An error of kind `Unsupported` says in which way it is another array.
pub fn running(device: &BlockDevice) -> io::Result<Running> {
    let directory = device.sysfs.join("md");
    let read = |name: &str| -> io::Result<String> {
        let text = fs::read_to_string(directory.join(name));
        Ok(text?.trim().to_owned())
    };
    let unsupported = |what: String| io::Error::new(io::ErrorKind::Unsupported, what);
    let (level, metadata) = (read("level")?, read("metadata_version")?);
    if level != "raid1" {
        return Err(unsupported(format!("it is {level}, no mirror")));
    }
    if md::numbers(&metadata).is_none() {
        return Err(unsupported(format!("its metadata is {metadata}")));
    }
    // Kernels that have no bitmaps in files any more have no such name either.
    if read("bitmap/location").is_ok_and(|place| place == "file") {
        return Err(unsupported("its bitmap is in a file".to_owned()));
    }
    let mut members = Vec::new();
    for name in device.made_of() {
        let of_member = |what: &str| read(&format!("dev-{name}/{what}"));
        // `in_sync`, and with commas what else is so. One that is being filled is `spare`.
        if of_member("state")?.split(',').any(|word| word == "in_sync") {
            let slot: u32 = of_member("slot")?.parse().unwrap_or(u32::MAX);
            members.push((slot, block::by_name(&name)?));
        }
    }
    members.sort_by_key(|(slot, _)| *slot);
    Ok(Running {
        metadata,
        members: members.into_iter().map(|(_, member)| member).collect(),
        missing: read("degraded")?.parse().unwrap_or(0),
    })
}

/// Every array that is running and has a superblock of its own.
pub fn all() -> io::Result<Vec<Array>> {
    let array = |device: &BlockDevice| -> Option<Array> {
        let metadata = fs::read_to_string(device.sysfs.join("md/metadata_version")).ok()?;
        let metadata = metadata.trim().to_owned();
        let members = device.made_of();
        let superblock = members.iter().find_map(|name| {
            let member = block::by_name(name).ok()?;
            md::read(&member, &metadata).ok()?
        });
        Some(Array {
            node: device.node().display().to_string(),
            uuid: superblock?.uuid,
            metadata,
        })
    };
    Ok(block::all()?.iter().filter_map(array).collect())
}

/// Puts a mirror together and starts it; gives its node. Nothing is written to its members until it is
/// written to.
pub fn start(version: &str, members: &[BlockDevice]) -> io::Result<PathBuf> {
    let (major, minor) = md::numbers(version).ok_or(io::ErrorKind::Unsupported)?;
    // A kernel without the name begins it as ever; that writes when it was last used.
    let _ = fs::write(START_READ_ONLY, "1");
    let (node, array) = unused()?;
    let array = array.as_fd();
    let started = syscalls::md::set_version(array, major, minor)
        .and_then(|()| {
            members.iter().try_for_each(|member| {
                let (major, minor) = member.number()?;
                syscalls::md::add_member(array, major, minor)
            })
        })
        .and_then(|()| syscalls::md::run(array));
    if started.is_err() {
        // Half of one would hold its members.
        let _ = syscalls::md::stop(array);
    }
    started.map(|()| node)
}

/// An array that is not there yet: to open its node makes it.
fn unused() -> io::Result<(PathBuf, File)> {
    for minor in MINORS.rev() {
        let name = format!("md{minor}");
        if Path::new("/sys/class/block").join(&name).exists() {
            continue;
        }
        let node = block::node(&name);
        let device = rustix::fs::makedev(MAJOR, minor);
        let mode = Mode::from_raw_mode(0o600);
        match rustix::fs::mknodat(CWD, &node, FileType::BlockDevice, mode, device) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(e.into()),
        }
        return Ok((
            node.clone(),
            OpenOptions::new().read(true).write(true).open(node)?,
        ));
    }
    Err(io::Error::other("every number for an array is taken"))
}
