//! Which files of the root's disk the firmware starts, by its variables and without them. Only reads.

use std::fs;
use std::path::{Path, PathBuf};

use formats::boot_path::{EfiFacts, EfiFile, EfiPartition};
use storage::block::{self, BlockDevice};
use storage::direct::Direct;
use storage::fat::{FatError, Volume};
use storage::gpt::{self, BootPartition};

use super::beside;
use super::mark::{self, Program};
use super::order::{self, Disks};
use super::variables::Variables;

/// Reads sectors of a disk.
type Sectors<'a> = &'a dyn Fn(u64, usize) -> std::io::Result<Vec<u8>>;

/// Reads it, for the disk that the root is on. `mounted` is where filesystems of its EFI system partitions
/// are: they are synced, and the disk is read past the kernel's cache of it, which knows nothing of them.
pub fn read(disk: &BlockDevice, mounted: &[PathBuf]) -> std::io::Result<EfiFacts> {
    for target in mounted {
        // One that cannot be is looked at as the disk has it.
        if let Ok(directory) = fs::File::open(target) {
            let _ = rustix::fs::syncfs(&directory);
        }
    }
    let device = Direct::open(&disk.node())?;
    let sectors = |at: u64, count: usize| device.read(at * 512, count * 512);
    let started = Path::new("/sys/firmware/efi").exists().then(|| {
        // Kernels before 4.0 do not say it. The file in use does.
        let bits = fs::read_to_string("/sys/firmware/efi/fw_platform_size");
        let bits = bits.ok().and_then(|text| text.trim().parse().ok());
        (bits, Variables::read())
    });
    let elsewhere = |guid: &str| is_on_another(disk, guid);
    Ok(facts(started, &sectors, &elsewhere))
}

/// Whether a disk of the machine that is not this one has a partition of this GUID. One that cannot be read
/// has none.
fn is_on_another(disk: &BlockDevice, guid: &str) -> bool {
    let disks = block::all().unwrap_or_default();
    disks
        .iter()
        .filter(|other| other.partition.is_none() && other.name != disk.name)
        .filter_map(|other| other.read(0, gpt::HEAD).ok())
        .flat_map(|head| gpt::partitions(&head))
        .any(|partition| partition.guid.to_string() == guid)
}

/// What was found out: `started` is the bits and the variables of a firmware that is UEFI.
fn facts(
    started: Option<(Option<u32>, Result<Variables, String>)>,
    read: Sectors,
    elsewhere: &dyn Fn(&str) -> bool,
) -> EfiFacts {
    let partitions = partitions(read);
    let mut facts = EfiFacts::default();
    let found = started.map(|(bits, variables)| {
        facts.bits = Some(bits.unwrap_or(64));
        let disks = Disks {
            partitions: &partitions,
            holding: &|partition, path| Ok(program(read, partition, path)?.is_some()),
            elsewhere,
        };
        order::files(&variables?, &disks)
    });
    let by_uefi = found.is_some();
    let named = found.unwrap_or(Ok(Vec::new())).unwrap_or_else(|why| {
        facts.unknown = Some(why);
        Vec::new()
    });
    // A firmware that has lost its variables goes by them.
    let fallbacks = partitions.iter().map(order::fallback);
    let mut files: Vec<EfiFile> = Vec::new();
    for file in named.into_iter().chain(fallbacks) {
        if files.iter().any(|other| order::is_same(other, &file)) {
            continue;
        }
        let in_use = by_uefi && facts.unknown.is_none() && files.is_empty();
        match program(read, &file.partition, &file.path) {
            Ok(None) => continue,
            Err(why) => {
                facts.unknown.get_or_insert(why);
                continue;
            }
            Ok(Some(None)) if in_use => {
                facts.unknown = Some(format!("{file} is no program for UEFI"));
            }
            Ok(Some(None)) => continue,
            Ok(Some(Some(Program { bits, other }))) => {
                if in_use {
                    // What a firmware has started is of its own width.
                    facts.bits = bits.or(facts.bits);
                    facts.other_loader = other.map(str::to_owned);
                } else if let Some(name) = other {
                    facts.others.push(format!("{file}: {name}"));
                    continue;
                }
            }
        }
        files.push(file);
    }
    facts.no_room = no_room(read, &partitions, &files);
    facts.files = files;
    facts
}

fn partitions(read: Sectors) -> Vec<EfiPartition> {
    let partitions = read(0, gpt::HEAD / 512).map_or(Vec::new(), |head| gpt::partitions(&head));
    partitions
        .iter()
        .filter(|partition| partition.boot == Some(BootPartition::Efi))
        .map(|partition| EfiPartition {
            number: partition.number,
            guid: partition.guid.to_string(),
            start: partition.start,
            sectors: partition.sectors,
        })
        .collect()
}

/// What is at a path: `None` where there is no file of that name, or no filesystem, `Some(None)` where it is no
/// program.
fn program(
    read: Sectors,
    partition: &EfiPartition,
    path: &str,
) -> Result<Option<Option<Program>>, String> {
    let found = on(read, partition, |volume| {
        let found = volume.find(path)?.filter(|found| !found.is_directory());
        found.map(|found| volume.contents(&found)).transpose()
    });
    match found {
        Ok(bytes) => Ok(bytes.map(|bytes| mark::program(&bytes))),
        Err(FatError::NotFat) => Ok(None),
        Err(e) => Err(format!(
            "look for {} on partition {}: {}",
            path.replace('/', "\\"),
            partition.number,
            chain(&e)
        )),
    }
}

/// Why a run's loaders do not all have room beside the files.
fn no_room(read: Sectors, partitions: &[EfiPartition], files: &[EfiFile]) -> Option<String> {
    partitions.iter().find_map(|partition| {
        let here = files.iter().filter(|file| file.partition == *partition);
        let paths: Vec<&str> = here.map(|file| file.path.as_str()).collect();
        if paths.is_empty() {
            return None;
        }
        let room = on(read, partition, |volume| beside::room(volume, &paths));
        room.err()
            .map(|e| format!("EFI system partition {}: {}", partition.number, chain(&e)))
    })
}

fn chain(error: &FatError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// Looks into a partition of a disk.
fn on<T>(
    read: Sectors,
    partition: &EfiPartition,
    look: impl FnOnce(&Volume) -> Result<T, FatError>,
) -> Result<T, FatError> {
    let end = partition.sectors * 512;
    let reader = |at: u64, length: usize| {
        if at + length as u64 > end {
            return Err(std::io::Error::other("it is behind the partition's end"));
        }
        let (first, last) = (at / 512, (at + length as u64).div_ceil(512));
        let bytes = read(partition.start + first, (last - first) as usize)?;
        let skip = (at % 512) as usize;
        Ok(bytes[skip..skip + length].to_vec())
    };
    look(&Volume::open(&reader)?)
}
#[cfg(test)]
#[path = "survey_tests.rs"]
mod tests;
