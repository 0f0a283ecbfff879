//! Which files of the root's disk the firmware starts, by its variables and without them. Only reads.

use std::cell::LazyCell;
use std::fs;
use std::path::{Path, PathBuf};

use formats::boot_path::{EfiFacts, EfiFile, EfiPartition};
use storage::block::{self, BlockDevice};
use storage::direct::Direct;
use storage::fat::{Entry, FatError, Volume};
use storage::gpt::{self, BootPartition};
use storage::md;

use super::beside;
use super::load_option::Target;
use super::mark::{self, Program};
use super::order::{self, Disks};
use super::variables::{self, Variables};
use super::FALLBACK;
use crate::grub::staged;

/// Reads sectors of a disk.
type Sectors<'a> = &'a dyn Fn(u64, usize) -> std::io::Result<Vec<u8>>;

/// Reads it, for the disks that have the root; of a mirror the first is the one that decides, see [`first`].
/// `mounted` is where filesystems of their EFI system partitions are: they are synced, and the disks are read past
/// the kernel's cache of them, which knows nothing of them. `uuids` are those of the filesystems that this OS's
/// GRUB reads.
pub fn read(
    disks: &[BlockDevice],
    mounted: &[PathBuf],
    uuids: &[String],
) -> std::io::Result<EfiFacts> {
    for target in mounted {
        rustix::fs::syncfs(fs::File::open(target)?)?;
    }
    let started = variables::started_it().then(|| {
        // Kernels before 4.0 do not say it. The file in use does.
        let bits = fs::read_to_string("/sys/firmware/efi/fw_platform_size");
        let bits = bits.ok().and_then(|text| text.trim().parse().ok());
        (bits, Variables::read())
    });
    let by_uefi = started.is_some();
    let variables = started.as_ref().and_then(|(_, found)| found.clone().ok());
    let Some((disk, copies)) = disks.split_first() else {
        return Ok(EfiFacts::default());
    };
    let mut found = look(disk, |read, elsewhere| {
        facts(started, read, elsewhere, uuids)
    })?;
    for copy in copies {
        let in_use = found.files.first();
        let of_copy = look(copy, |read, elsewhere| {
            of_copy(variables.as_ref(), read, elsewhere, uuids, in_use)
        })?;
        found.copies.push(of_copy);
    }
    if by_uefi {
        let mirrored = disks.iter().find_map(efi_on_mirror);
        found.unknown = found.unknown.or(mirrored);
    }
    Ok(found)
}

/// Looks at a disk: what reads it, and whether another one has a partition of a GUID.
fn look<T>(
    disk: &BlockDevice,
    look: impl FnOnce(Sectors, &dyn Fn(&str) -> bool) -> T,
) -> std::io::Result<T> {
    let device = Direct::open(&disk.node())?;
    let read = sectors(&device);
    let others = LazyCell::new(|| on_others(disk));
    let elsewhere = |guid: &str| others.iter().any(|other| other == guid);
    let found = look(&read, &elsewhere);
    Ok(found)
}

fn sectors(device: &Direct) -> impl Fn(u64, usize) -> std::io::Result<Vec<u8>> + '_ {
    |at, count| device.read(at * 512, count * 512)
}

/// Which of the disks of a mirror stands for what the firmware starts: the one whose EFI system partition the
/// variable names that started the machine. Where it names a device alone, nothing says which that was; then it is
/// the first that has a file for it.
pub fn first(disks: &[&Path]) -> std::io::Result<usize> {
    let current = Variables::read().ok().and_then(|variables| {
        let option = variables.options.get(&variables.current)?;
        Some(option.target.clone())
    });
    let mut with_file = None;
    for (at, disk) in disks.iter().enumerate() {
        let device = Direct::open(disk)?;
        let read = sectors(&device);
        for partition in partitions(&read).unwrap_or_default() {
            if matches!(&current, Some(Target::Partition(guid, _)) if *guid == partition.guid) {
                return Ok(at);
            }
            if has_file(&read, &partition, FALLBACK).unwrap_or(false) {
                with_file = with_file.or(Some(at));
            }
        }
    }
    Ok(with_file.unwrap_or(0))
}

/// Whether the file on an EFI system partition of a disk has exactly these bytes.
pub fn holds(disk: &Path, file: &EfiFile, bytes: &[u8]) -> std::io::Result<bool> {
    let device = Direct::open(disk)?;
    let found = on(&sectors(&device), &file.partition, |volume| {
        beside::starts(volume, &file.path, bytes)
    });
    found.map_err(|e| std::io::Error::other(chain(&e)))
}

/// Why an EFI system partition of a disk that is half of a mirror cannot be switched.
fn efi_on_mirror(disk: &BlockDevice) -> Option<String> {
    let head = disk.read(0, gpt::HEAD).ok()?;
    let numbers: Vec<u32> = gpt::partitions(&head)
        .into_iter()
        .filter(|partition| partition.boot == Some(BootPartition::Efi))
        .map(|partition| partition.number)
        .collect();
    let devices = block::all().unwrap_or_default();
    let own = devices.iter().filter(|device| {
        let place = device.partition.as_ref();
        place.is_some_and(|place| place.disk == disk.name && numbers.contains(&place.number))
    });
    let mut on_mirror = own.filter(|device| {
        let is_member = |version| matches!(md::read(device, version), Ok(Some(_)));
        device.is_held() || ["1.0", "0.90"].into_iter().any(is_member)
    });
    on_mirror.next().map(|device| {
        format!(
            "the EFI system partition {} is a member of an array: a run switches each disk by itself, and the array \
             would have two halves that differ, of which it takes the one or the other",
            device.node().display()
        )
    })
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
        let found = at(read, &file.partition, &file.path);
        if !in_use {
            let used = files.first().cloned();
            files.extend(not_in_use(&mut facts, found, file, |file| {
                is_ours(read, file, used.as_ref(), uuids)
            }));
            continue;
        }
        match found {
            Err(why) => facts.unknown = Some(why),
            Ok(At::Program(program, _)) => {
                is_in_use(&mut facts, &file, &program, said);
                files.push(file);
            }
            Ok(_) => facts.unknown = Some(format!("{file} is no program for UEFI")),
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

/// What was found out of a further disk of a mirror. `in_use` is the file in use, on the first.
fn of_copy(
    variables: Option<&Variables>,
    read: Sectors,
    elsewhere: &dyn Fn(&str) -> bool,
    uuids: &[String],
    in_use: Option<&EfiFile>,
) -> EfiFacts {
    let mut facts = EfiFacts::default();
    let partitions = partitions(read).unwrap_or_else(|e| {
        facts
            .left
            .push(format!("its partition table cannot be read: {e}"));
        Vec::new()
    });
    let disks = Disks {
        partitions: &partitions,
        holding: &|partition, path| has_file(read, partition, path),
        elsewhere,
    };
    let named = variables.map(|variables| order::named(variables, &disks));
    let fallbacks = partitions.iter().map(order::fallback);
    let mut files: Vec<EfiFile> = Vec::new();
    for file in named.unwrap_or_default().into_iter().chain(fallbacks) {
        if files.iter().any(|other| order::is_same(other, &file)) {
            continue;
        }
        let found = at(read, &file.partition, &file.path);
        files.extend(not_in_use(&mut facts, found, file, |file| {
            is_ours(read, file, in_use, uuids)
        }));
    }
    facts.no_room = no_room(read, &partitions, &files);
    facts.files = files;
    facts
}

/// Notes what a file is that the firmware may start and that is not in use; gives it where it is this OS's.
fn not_in_use(
    facts: &mut EfiFacts,
    found: Result<At, String>,
    file: EfiFile,
    is_ours: impl Fn(&EfiFile) -> bool,
) -> Option<EfiFile> {
    match found {
        Err(why) => facts.left.push(why),
        Ok(At::Program(program, staged)) => match program.other {
            Some(name) => facts.others.push(format!("{file}: {name}")),
            None if staged || is_ours(&file) => {
                facts.staged.extend(staged.then(|| file.to_string()));
                return Some(file);
            }
            None => facts
                .others
                .push(format!("{file}: the GRUB of another system")),
        },
        Ok(_) => {}
    }
    None
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
    /// Whose it is, and whether it starts the staged image of a run.
    Program(Program, bool),
}

fn at(read: Sectors, partition: &EfiPartition, path: &str) -> Result<At, String> {
    let found = file(read, partition, path, &|volume, found| {
        volume.contents(found)
    });
    Ok(match found? {
        None => At::Nothing,
        Some(bytes) => mark::program(&bytes).map_or(At::Other, |program| {
            At::Program(program, staged::is_loaded_by_program(&bytes))
        }),
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
