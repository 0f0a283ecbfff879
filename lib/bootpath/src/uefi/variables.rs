//! The firmware's variables that say what it starts (UEFI specification, 3.3). Only reads.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use formats::boot_path::EfiFile;

use super::load_option::{self, LoadOption, Target};
use super::FALLBACK;

/// The vendor of the variables that the specification names.
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";

/// Where they are. The second is of kernels before 3.8, and has no file of attributes before the value.
const DIRECTORIES: [&str; 2] = ["/sys/firmware/efi/efivars", "/sys/firmware/efi/vars"];

/// Whether UEFI started the machine.
pub fn started_it() -> bool {
    Path::new("/sys/firmware/efi").exists()
}

/// What they say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    /// `BootCurrent`: what started the machine.
    pub current: u16,
    /// `BootNext`: what is started next, and once.
    pub once: Option<u16>,
    /// `BootOrder`.
    pub order: Vec<u16>,
    /// Those of `Boot####` that the others name and that are there.
    pub options: BTreeMap<u16, LoadOption>,
}

impl Variables {
    /// Reads them; an error says which of them cannot be read, and why.
    pub fn read() -> Result<Variables, String> {
        if !DIRECTORIES.iter().any(|directory| has_entries(directory)) {
            return Err(format!(
                "the firmware's variables cannot be read: nothing is mounted at {}",
                DIRECTORIES[0]
            ));
        }
        let current = numbers("BootCurrent")?;
        let current = *current
            .and_then(|found| found.first().copied())
            .as_ref()
            .ok_or("the firmware does not say by what it started the machine (BootCurrent)")?;
        let once = numbers("BootNext")?.unwrap_or_default().first().copied();
        let order = numbers("BootOrder")?.unwrap_or_default();
        let mut options = BTreeMap::new();
        for number in order.iter().copied().chain(once).chain([current]) {
            let name = format!("Boot{number:04X}");
            if let Some(bytes) = read(&name)? {
                let option = load_option::parse(&bytes).unwrap_or_else(load_option::cut_short);
                options.insert(number, option);
            }
        }
        Ok(Variables {
            current,
            once,
            order,
            options,
        })
    }

    /// Whether the machine was started by this file.
    pub fn started(&self, file: &EfiFile) -> bool {
        let target = self.options.get(&self.current).map(|option| &option.target);
        match target {
            Some(Target::Partition(guid, path)) => {
                let path = path.as_deref().unwrap_or(FALLBACK);
                *guid == file.partition.guid && path.eq_ignore_ascii_case(&file.path)
            }
            Some(Target::Device(None)) => file.path.eq_ignore_ascii_case(FALLBACK),
            _ => false,
        }
    }

    /// What a variable is called, for people: `Boot0003 (debian)`.
    pub fn name(&self, number: u16) -> String {
        match self.options.get(&number) {
            Some(option) => format!("Boot{number:04X} ({})", option.description),
            None => format!("Boot{number:04X}"),
        }
    }
}

fn has_entries(directory: &str) -> bool {
    fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some())
}

fn numbers(name: &str) -> Result<Option<Vec<u16>>, String> {
    let bytes = read(name)?;
    Ok(bytes.map(|bytes| {
        let numbers = bytes.as_chunks::<2>().0.iter();
        numbers.map(|two| u16::from_le_bytes(*two)).collect()
    }))
}

/// A variable's bytes; `None` where there is none of that name.
pub fn read(name: &str) -> Result<Option<Vec<u8>>, String> {
    let [newer, older] = DIRECTORIES;
    for (path, attributes) in [
        (format!("{newer}/{name}-{GLOBAL}"), 4),
        (format!("{older}/{name}-{GLOBAL}/data"), 0),
    ] {
        match fs::read(&path) {
            Ok(bytes) => return Ok(Some(bytes.get(attributes..).unwrap_or_default().to_vec())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(format!("the firmware's variable {name}: {path}: {e}")),
        }
    }
    Ok(None)
}
