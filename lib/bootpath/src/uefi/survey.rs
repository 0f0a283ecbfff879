//! Which files of the root's disk the firmware starts, by its variables and without them. Only reads.

use std::cell::LazyCell;
use std::fs;
use std::path::PathBuf;

use formats::boot_path::{EfiFacts, EfiFile, EfiPartition};
use storage::block::{self, BlockDevice};
use storage::direct::Direct;
use storage::fat::{Entry, FatError, Volume};
use storage::gpt::{self, BootPartition};

use super::beside;
use super::mark::{self, Program};
use super::order::{self, Disks};
use super::variables::{self, Variables};
use super::FALLBACK;

/// Reads sectors of a disk.
type Sectors<'a> = &'a dyn Fn(u64, usize) -> std::io::Result<Vec<u8>>;

/// Reads it, for the disk that the root is on. `mounted` is where filesystems of its EFI system partitions
/// are: they are synced, and the disk is read past the kernel's cache of it, which knows nothing of them.
/// `uuids` are those of the filesystems that this OS's GRUB reads.
pub fn read(
    disk: &BlockDevice,
    mounted: &[PathBuf],
    uuids: &[String],
) -> std::io::Result<EfiFacts> {
    for target in mounted {
        rustix::fs::syncfs(fs::File::open(target)?)?;
    }
    let device = Direct::open(&disk.node())?;
    let sectors = |at: u64, count: usize| device.read(at * 512, count * 512);
    let started = variables::started_it().then(|| {
        // Kernels before 4.0 do not say it. The file in use does.
        let bits = fs::read_to_string("/sys/firmware/efi/fw_platform_size");
        let bits = bits.ok().and_then(|text| text.trim().parse().ok());
        (bits, Variables::read())
    });
    let others = LazyCell::new(|| on_others(disk));
    let elsewhere = |guid: &str| others.iter().any(|other| other == guid);
    Ok(facts(started, &sectors, &elsewhere, uuids))
}

/// The GUIDs of the partitions of every other disk of the machine. One that cannot be read has none.
fn on_others(disk: &BlockDevice) -> Vec<String> {
    let disks = block::all().unwrap_or_default();
    disks
        .iter()
        .filter(|other| other.partition.is_none() && other.name != disk.name)
        .filter_map(|other| other.read(0, gpt::HEAD).ok())
        .flat_map(|head| gpt::partitions(&head))
        .map(|partition| partition.guid.to_string())
        .collect()
}

/// What was found out: `started` is the bits and the variables of a firmware that is UEFI.
fn facts(
    started: Option<(Option<u32>, Result<Variables, String>)>,
    read: Sectors,
    elsewhere: &dyn Fn(&str) -> bool,
    uuids: &[String],
) -> EfiFacts {
    let mut facts = EfiFacts::default();
    let partitions = partitions(read).unwrap_or_else(|e| {
        facts.unknown = Some(format!("the disk's partition table cannot be read: {e}"));
        Vec::new()
    });
    let said = started.as_ref().and_then(|(bits, _)| *bits);
    let found = started.map(|(bits, variables)| {
        facts.bits = Some(bits.unwrap_or(64));
        let disks = Disks {
            partitions: &partitions,
            holding: &|partition, path| has_file(read, partition, path),
            elsewhere,
        };
        order::files(&variables?, &disks)
    });
    let by_uefi = found.is_some();
    let named = found.unwrap_or(Ok(Vec::new())).unwrap_or_else(|why| {
        facts.unknown.get_or_insert(why);
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
        match at(read, &file.partition, &file.path) {
            Err(why) if in_use => facts.unknown = Some(why),
            Err(why) => facts.left.push(why),
            Ok(At::Program(program)) if in_use => {
                is_in_use(&mut facts, &file, &program, said);
                files.push(file);
            }
            Ok(At::Program(program)) => match program.other {
                Some(name) => facts.others.push(format!("{file}: {name}")),
                None if is_ours(read, &file, files.first(), uuids) => files.push(file),
                None => facts
                    .others
                    .push(format!("{file}: the GRUB of another system")),
            },
            Ok(_) if in_use => facts.unknown = Some(format!("{file} is no program for UEFI")),
            Ok(_) => {}
        }
    }
    if !by_uefi && files.is_empty() {
        // Only variables that this boot does not show know of more.
        facts.left.extend(partitions.iter().filter_map(|partition| {
            let has_files = on(read, partition, |volume| Ok(volume.find("/EFI")?.is_some()));
            has_files.unwrap_or(false).then(|| {
                format!(
                    "partition {} is an EFI system partition without \\EFI\\BOOT\\BOOTX64.EFI",
                    partition.number
                )
            })
        }));
    }
    facts.no_room = no_room(read, &partitions, &files);
    facts.files = files;
    facts
}

/// Notes what the file in use says of the firmware. `said` is how wide the kernel says that it is.
fn is_in_use(facts: &mut EfiFacts, file: &EfiFile, program: &Program, said: Option<u32>) {
    facts.other_loader = program.other.map(str::to_owned);
    match (said, program.bits) {
        (Some(said), Some(bits)) if said != bits => {
            facts.unknown = Some(format!(
                "the firmware is of {said} bits, and {file} is for one of {bits}"
            ));
        }
        (said, bits) => facts.bits = said.or(bits).or(facts.bits),
    }
}

/// Whether a file starts this OS: it is beside the one in use, or where a firmware looks by itself, or it or
/// the configuration beside it names a filesystem of this OS.
fn is_ours(read: Sectors, file: &EfiFile, in_use: Option<&EfiFile>, uuids: &[String]) -> bool {
    let directory = |path: &str| {
        path.rsplit_once('/')
            .map_or("", |(directory, _)| directory)
            .to_ascii_lowercase()
    };
    let own = directory(&file.path);
    if own == directory(FALLBACK) || in_use.is_some_and(|used| directory(&used.path) == own) {
        return true;
    }
    let names = |path: &str| {
        let bytes = self::file(read, &file.partition, path, &|volume, found| {
            volume.contents(found)
        });
        let bytes = bytes.ok().flatten().unwrap_or_default();
        uuids.iter().any(|uuid| {
            bytes
                .windows(uuid.len())
                .any(|part| part == uuid.as_bytes())
        })
    };
    names(&file.path) || names(&format!("{own}/grub.cfg"))
}

fn partitions(read: Sectors) -> std::io::Result<Vec<EfiPartition>> {
    let partitions = gpt::partitions(&read(0, gpt::HEAD / 512)?);
    Ok(partitions
        .iter()
        .filter(|partition| partition.boot == Some(BootPartition::Efi))
        .map(|partition| EfiPartition {
            number: partition.number,
            guid: partition.guid.to_string(),
            start: partition.start,
            sectors: partition.sectors,
        })
        .collect())
}

/// What is at a path.
enum At {
    /// No file of that name, or no filesystem.
    Nothing,
    /// A file that no firmware starts.
    Other,
    Program(Program),
}

fn at(read: Sectors, partition: &EfiPartition, path: &str) -> Result<At, String> {
    let found = file(read, partition, path, &|volume, found| {
        volume.contents(found)
    });
    Ok(match found? {
        None => At::Nothing,
        Some(bytes) => mark::program(&bytes).map_or(At::Other, At::Program),
    })
}

fn has_file(read: Sectors, partition: &EfiPartition, path: &str) -> Result<bool, String> {
    let found = file(read, partition, path, &|_, _| Ok(()));
    Ok(found?.is_some())
}

/// What is looked up of a file; `None` where there is none of that name, or no filesystem.
fn file<T>(
    read: Sectors,
    partition: &EfiPartition,
    path: &str,
    look: &dyn Fn(&Volume, &Entry) -> Result<T, FatError>,
) -> Result<Option<T>, String> {
    let found = on(read, partition, |volume| {
        let found = volume.find(path)?.filter(|found| !found.is_directory());
        found.map(|found| look(volume, &found)).transpose()
    });
    match found {
        Err(FatError::NotFat) => Ok(None),
        Ok(found) => Ok(found),
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
