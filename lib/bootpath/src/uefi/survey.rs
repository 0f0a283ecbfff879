//! Which file the firmware has started, and which it would start without its variables. Only reads.

use std::fs;
use std::path::Path;

use formats::boot_path::{EfiFacts, EfiFile, EfiPartition};
use storage::block::BlockDevice;
use storage::fat::{FatError, Volume};
use storage::gpt::{self, BootPartition};

use super::load_option::{self, LoadOption};
use super::{beside, FALLBACK};

/// The vendor of the variables that the specification names.
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";

/// Reads it, for the disk that the root is on.
pub fn read(disk: &BlockDevice) -> EfiFacts {
    let bits = fs::read_to_string("/sys/firmware/efi/fw_platform_size");
    // Kernels before 4.0 do not say it, and run on firmware of their own width.
    let bits = Path::new("/sys/firmware/efi").exists().then(|| {
        bits.ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(64)
    });
    let started = bits.map(|_| current());
    facts(bits, started, &|sector, count| {
        disk.read(sector * 512, count * 512)
    })
}

/// What was found out, of a disk that is read by sectors.
fn facts(
    bits: Option<u32>,
    started: Option<Result<(u16, LoadOption), String>>,
    read: &dyn Fn(u64, usize) -> std::io::Result<Vec<u8>>,
) -> EfiFacts {
    let mut facts = EfiFacts {
        bits,
        ..EfiFacts::default()
    };
    let partitions = read(0, gpt::HEAD / 512).map_or(Vec::new(), |head| gpt::partitions(&head));
    let partitions = partitions
        .iter()
        .filter(|partition| partition.boot == Some(BootPartition::Efi))
        .map(|partition| EfiPartition {
            number: partition.number,
            guid: partition.guid.to_string(),
            start: partition.start,
            sectors: partition.sectors,
        });
    let partitions: Vec<EfiPartition> = partitions.collect();
    let holding = |path: &str, partition: &EfiPartition| {
        on(read, partition, |volume| Ok(volume.find(path)?.is_some())).unwrap_or(false)
    };
    let fallback = partitions
        .iter()
        .find(|partition| holding(FALLBACK, partition))
        .map(|partition| EfiFile {
            partition: partition.clone(),
            path: FALLBACK.to_owned(),
            variable: None,
        });
    match started.map(|started| in_use(started, &partitions, fallback.as_ref(), &holding)) {
        Some(Ok(file)) => facts.files.push(file),
        Some(Err(why)) => facts.unknown = Some(why),
        None => {}
    }
    // A firmware that has lost its variables goes by it.
    let others = fallback.filter(|fallback| {
        let same = |file: &EfiFile| {
            file.partition == fallback.partition && file.path.eq_ignore_ascii_case(&fallback.path)
        };
        !facts.files.iter().any(same)
    });
    facts.files.extend(others);
    facts.no_room = facts.files.iter().find_map(|file| {
        let room = on(read, &file.partition, |volume| {
            beside::room(volume, &file.path)
        });
        room.err()
            .map(|e| format!("beside {}: {e}", file.path.replace('/', "\\")))
    });
    facts
}

/// The file that started the machine.
fn in_use(
    started: Result<(u16, LoadOption), String>,
    partitions: &[EfiPartition],
    fallback: Option<&EfiFile>,
    holding: &dyn Fn(&str, &EfiPartition) -> bool,
) -> Result<EfiFile, String> {
    let (number, option) = started?;
    let variable = format!("Boot{number:04X} ({})", option.description);
    if option.in_firmware {
        return Err(format!("{variable} is a program of the firmware's own"));
    }
    let fallback = || {
        fallback.cloned().ok_or_else(|| {
            format!("{variable} names no file, and the root's disk has no \\EFI\\BOOT\\BOOTX64.EFI")
        })
    };
    let Some(guid) = option.partition else {
        // The name of a device, as firmware makes them up itself.
        return match option.file {
            Some(file) => Err(format!("{variable} names {file}, and no partition")),
            None => fallback(),
        };
    };
    let Some(partition) = partitions.iter().find(|partition| partition.guid == guid) else {
        return Err(format!(
            "{variable} names partition {guid}, which is no EFI system partition of the root's disk"
        ));
    };
    match option.file {
        None => fallback(),
        Some(path) if holding(&path, partition) => Ok(EfiFile {
            partition: partition.clone(),
            path,
            variable: Some(variable),
        }),
        Some(path) => Err(format!(
            "{variable} names {path}, which is not there any more"
        )),
    }
}

/// Looks into a partition of a disk.
fn on<T>(
    read: &dyn Fn(u64, usize) -> std::io::Result<Vec<u8>>,
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

/// The variable that the machine was started by.
fn current() -> Result<(u16, LoadOption), String> {
    let bytes = variable("BootCurrent")?;
    let number = bytes.get(..2).and_then(|bytes| bytes.try_into().ok());
    let number = u16::from_le_bytes(number.ok_or("the firmware's BootCurrent is cut short")?);
    let name = format!("Boot{number:04X}");
    let option = load_option::parse(&variable(&name)?);
    Ok((
        number,
        option.ok_or(format!("the firmware's {name} is cut short"))?,
    ))
}

/// A variable's bytes: a file of efivarfs begins with four of attributes; the older interface has them
/// apart.
fn variable(name: &str) -> Result<Vec<u8>, String> {
    let path = format!("/sys/firmware/efi/efivars/{name}-{GLOBAL}");
    let older = format!("/sys/firmware/efi/vars/{name}-{GLOBAL}/data");
    match fs::read(&path) {
        Ok(bytes) => Ok(bytes.get(4..).unwrap_or_default().to_vec()),
        Err(e) => fs::read(older)
            .map_err(|_| format!("the firmware's variable {name} cannot be read: {path}: {e}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(guid: &str) -> EfiPartition {
        EfiPartition {
            number: 15,
            guid: guid.into(),
            start: 8192,
            sectors: 65536,
        }
    }

    fn option(partition: Option<&str>, file: Option<&str>) -> (u16, LoadOption) {
        let option = LoadOption {
            description: "debian".into(),
            partition: partition.map(str::to_owned),
            file: file.map(str::to_owned),
            in_firmware: false,
        };
        (3, option)
    }

    #[test]
    fn what_started_the_machine_is_the_file_that_the_variable_names_or_the_fallback() {
        let partitions = [partition("a")];
        let fallback = EfiFile {
            partition: partition("a"),
            path: FALLBACK.into(),
            variable: None,
        };
        let grub = "/EFI/debian/grubx64.efi";
        let holding = |path: &str, _: &EfiPartition| path == grub;
        let asked = |started, fallback| in_use(started, &partitions, fallback, &holding);
        let named = asked(Ok(option(Some("a"), Some(grub))), None).unwrap();
        assert_eq!(
            (&*named.path, named.variable.as_deref()),
            (grub, Some("Boot0003 (debian)"))
        );
        for started in [Ok(option(None, None)), Ok(option(Some("a"), None))] {
            assert_eq!(asked(started.clone(), Some(&fallback)).unwrap(), fallback);
            assert!(asked(started, None).is_err());
        }
        for (started, why) in [
            (
                Ok(option(Some("b"), Some(grub))),
                "no EFI system partition of the root's disk",
            ),
            (
                Ok(option(Some("a"), Some("/EFI/x.efi"))),
                "not there any more",
            ),
            (Ok(option(None, Some(grub))), "no partition"),
            (Err("unread".to_owned()), "unread"),
        ] {
            let found = asked(started, Some(&fallback)).unwrap_err();
            assert!(found.contains(why), "{found}");
        }
        let (number, shell) = option(None, None);
        let shell = LoadOption {
            in_firmware: true,
            ..shell
        };
        assert!(asked(Ok((number, shell)), Some(&fallback)).is_err());
    }
}
