//! What the running kernel shows of memory and hardware. A thin reader: what is optional and not
//! there is left out, and the memory map is not optional.

use std::fs;
use std::io;
use std::path::Path;

use super::address::{PhysAddr, Span};
use super::boot_params::Hardware;
use super::efi::{Efi, RuntimeRegion};
use super::layout::Machine;
use super::memory_map::{self, MemoryMap, MemoryMapError};

const MEMMAP: &str = "/sys/firmware/memmap";
const IOMEM: &str = "/proc/iomem";
const BOOT_PARAMS: &str = "/sys/kernel/boot_params/data";
const CPUINFO: &str = "/proc/cpuinfo";
const EFI: &str = "/sys/firmware/efi";
const SYSTAB: &str = "/sys/firmware/efi/systab";

/// Why the machine's memory is not known.
#[derive(Debug, thiserror::Error)]
pub enum RunningError {
    /// A file cannot be read.
    #[error("read {path}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// What is in it cannot be used.
    #[error("understand the memory map in {path}")]
    Map {
        /// The file.
        path: &'static str,
        /// Why.
        source: MemoryMapError,
    },
}

/// Reads memory map and hardware: the map from the firmware's, else from `/proc/iomem`.
pub fn read() -> Result<Machine, RunningError> {
    let iomem = memory_map::iomem(&text(IOMEM)?);
    let firmware = firmware_map()?;
    let understood = |source| RunningError::Map {
        path: IOMEM,
        source,
    };
    let (map, used, avoid) = match (firmware, iomem) {
        (Some(map), Ok(iomem)) => {
            let used: Vec<Span> = iomem.map.ram().collect();
            (map, Some(used), iomem.crash_kernel)
        }
        (Some(map), Err(why)) => {
            log::warn!("{IOMEM}: {why}; where a crash kernel lies is not known");
            (map, None, Vec::new())
        }
        (None, iomem) => {
            let iomem = iomem.map_err(understood)?;
            (iomem.map, None, iomem.crash_kernel)
        }
    };
    Ok(Machine {
        map,
        used,
        avoid,
        five_levels: five_levels(&fs::read_to_string(CPUINFO).unwrap_or_default()),
        hardware: hardware(),
    })
}

fn text(path: &str) -> Result<String, RunningError> {
    fs::read_to_string(path).map_err(|source| RunningError::Read {
        path: path.to_owned(),
        source,
    })
}

/// The firmware's map; nothing where the kernel does not show it (`CONFIG_FIRMWARE_MEMMAP`).
fn firmware_map() -> Result<Option<MemoryMap>, RunningError> {
    let Ok(entries) = fs::read_dir(MEMMAP) else {
        return Ok(None);
    };
    let map_error = |source| RunningError::Map {
        path: MEMMAP,
        source,
    };
    let mut regions = Vec::new();
    for entry in entries.flatten() {
        let read = |name: &str| text(&format!("{}/{name}", entry.path().display()));
        let region = memory_map::firmware_entry(&read("start")?, &read("end")?, &read("type")?);
        regions.extend(region.map_err(map_error)?);
    }
    if regions.is_empty() {
        return Ok(None);
    }
    MemoryMap::new(&regions).map(Some).map_err(map_error)
}

fn hardware() -> Hardware {
    let boot_params = fs::read(BOOT_PARAMS).ok();
    let efi = boot_params.as_deref().and_then(efi);
    Hardware {
        rsdp: rsdp(&fs::read_to_string(SYSTAB).unwrap_or_default()),
        boot_params,
        efi,
    }
}

/// EFI's runtime services, if the running kernel uses them and shows all that the next one needs.
fn efi(boot_params: &[u8]) -> Option<Efi> {
    let number = |path: &Path| -> Option<u64> {
        let text = fs::read_to_string(path).ok()?;
        let text = text.trim();
        match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        }
    };
    let base = Path::new(EFI);
    let table = |name: &str| number(&base.join(name)).map(PhysAddr);
    let mut regions = Vec::new();
    for entry in fs::read_dir(base.join("runtime-map")).ok()?.flatten() {
        let value = |name: &str| number(&entry.path().join(name));
        regions.push(RuntimeRegion {
            kind: value("type")? as u32,
            physical: value("phys_addr")?,
            virtual_address: value("virt_addr")?,
            pages: value("num_pages")?,
            attribute: value("attribute")?,
        });
    }
    regions.sort_unstable_by_key(|region| region.physical);
    // The runtime table's address is not shown by all kernels, and not used by any but the oldest.
    let runtime = table("runtime").unwrap_or(PhysAddr(0));
    let tables = [table("fw_vendor")?, runtime, table("config_table")?];
    Efi::new(boot_params, tables, regions)
}

/// The flag is shown where the kernel uses what the processor can.
fn five_levels(cpuinfo: &str) -> bool {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"));
    flags.is_some_and(|line| line.split_whitespace().any(|flag| flag == "la57"))
}

/// `ACPI20=0x…`, else `ACPI=0x…`, in the list of EFI's tables.
fn rsdp(systab: &str) -> Option<PhysAddr> {
    let value = |name: &str| {
        let line = systab.lines().find_map(|l| l.strip_prefix(name))?;
        u64::from_str_radix(line.trim().strip_prefix("0x")?, 16).ok()
    };
    value("ACPI20=").or_else(|| value("ACPI=")).map(PhysAddr)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newer_table_of_acpi_is_taken() {
        let systab = "ACPI20=0x7fb7e014\nACPI=0x7fb7e000\nSMBIOS=0x7f9db000\n";
        assert_eq!(rsdp(systab), Some(PhysAddr(0x7fb7_e014)));
        assert_eq!(rsdp("ACPI=0x10\n"), Some(PhysAddr(0x10)));
        assert_eq!(rsdp("ACPI20=none\n"), None);
        assert_eq!(rsdp(""), None);
    }

    #[test]
    fn five_levels_are_a_flag_of_the_processor() {
        assert!(five_levels("processor\t: 0\nflags\t\t: fpu la57 vme\n"));
        assert!(!five_levels("processor\t: 0\nflags\t\t: fpu la57x\n"));
    }

    /// This machine's own memory, whatever it is.
    #[test]
    fn this_machine_can_be_read_by_root() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let Ok(machine) = read() else {
            return;
        };
        assert!(machine.map.ram().count() > 0);
    }
}
