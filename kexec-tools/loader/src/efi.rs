//! Handing EFI's runtime services on to the next kernel.
//!
//! They have been told once at which addresses they are used, and cannot be told again, so the next
//! kernel must be told the same: the regions with those addresses (`/sys/firmware/efi/runtime-map`,
//! Linux 3.14 and later) in place of the firmware's memory map, and a `setup_data` of type
//! `SETUP_EFI`, by which it knows (arch/x86/kernel/kexec-bzimage64.c).

use super::address::PhysAddr;

/// `efi_info` in `boot_params`.
pub(crate) const INFO: std::ops::Range<usize> = 0x1c0..0x1e0;

/// `efi_loader_signature` of a 64-bit firmware.
const SIGNATURE_64: &[u8; 4] = b"EL64";
/// Size of an EFI memory descriptor, version 1.
const DESCRIPTOR: u32 = 40;

/// A region of the runtime services, as in the files of `/sys/firmware/efi/runtime-map/N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuntimeRegion {
    /// `type`.
    pub kind: u32,
    /// `phys_addr`.
    pub physical: u64,
    /// `virt_addr`.
    pub virtual_address: u64,
    /// `num_pages`.
    pub pages: u64,
    /// `attribute`.
    pub attribute: u64,
}

/// EFI, as the running kernel uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Efi {
    /// The running kernel's `efi_info`.
    info: [u8; 32],
    /// `fw_vendor`, `runtime` and `config_table` in `/sys/firmware/efi`.
    tables: [PhysAddr; 3],
    regions: Vec<RuntimeRegion>,
}

impl Efi {
    /// From the running kernel's `boot_params`, `[fw_vendor, runtime, config_table]` and the runtime
    /// map. Nothing where the firmware is not a 64-bit EFI or its runtime services are not used.
    pub fn new(
        boot_params: &[u8],
        tables: [PhysAddr; 3],
        regions: Vec<RuntimeRegion>,
    ) -> Option<Efi> {
        let info: [u8; 32] = boot_params.get(INFO)?.try_into().ok()?;
        (info.starts_with(SIGNATURE_64) && !regions.is_empty()).then_some(Efi {
            info,
            tables,
            regions,
        })
    }

    /// `efi_info` with the memory map at `memory`.
    pub(super) fn info(&self, memory: PhysAddr) -> [u8; 32] {
        let mut info = self.info;
        let size = DESCRIPTOR * self.regions.len() as u32;
        for (at, value) in [
            (8, DESCRIPTOR),
            (12, 1),
            (16, memory.0 as u32),
            (20, size),
            (28, (memory.0 >> 32) as u32),
        ] {
            info[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        info
    }

    /// The memory map: the runtime services' regions, each with its address.
    pub(super) fn memory(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for region in &self.regions {
            for value in [
                u64::from(region.kind),
                region.physical,
                region.virtual_address,
                region.pages,
                region.attribute,
            ] {
                bytes.extend_from_slice(&value.to_le_bytes());
            }
        }
        bytes
    }

    /// `struct efi_setup_data`: vendor, runtime services, tables, SMBIOS (0: among the tables),
    /// and eight words for later.
    pub(super) fn setup_data(&self) -> Vec<u8> {
        let words = self.tables.iter().map(|a| a.0).chain([0; 9]);
        words.flat_map(u64::to_le_bytes).collect()
    }
}
