//! `boot_params`, the page that a kernel is started with ("zero page"), and what it points to:
//! command line, further memory map, EFI's runtime services.
//!
//! Offsets are those of Documentation/arch/x86/zero-page.rst and of
//! arch/x86/include/uapi/asm/bootparam.h. What is not known stays zero, which means just that.

use super::address::{ByteSize, PhysAddr, Span};
use super::bzimage::{Kernel, SETUP_HEADER};
use super::efi::{self, Efi};
use super::memory_map::{MemoryMap, Region};

/// Size of `boot_params`.
pub const SIZE: usize = 4096;

/// Fields of `boot_params` by their offset.
mod at {
    pub(crate) const EXT_MEM_K: usize = 0x002;
    pub(crate) const VIDEO_MODE: usize = 0x006;
    pub(crate) const VIDEO_COLS: usize = 0x007;
    pub(crate) const VIDEO_LINES: usize = 0x00e;
    pub(crate) const IS_VGA: usize = 0x00f;
    pub(crate) const VIDEO_POINTS: usize = 0x010;
    pub(crate) const ACPI_RSDP: usize = 0x070;
    pub(crate) const EXT_RAMDISK_IMAGE: usize = 0x0c0;
    pub(crate) const EXT_RAMDISK_SIZE: usize = 0x0c4;
    pub(crate) const EXT_CMDLINE: usize = 0x0c8;
    pub(crate) const E820_ENTRIES: usize = 0x1e8;
    pub(crate) const VID_MODE: usize = 0x1fa;
    pub(crate) const TYPE_OF_LOADER: usize = 0x210;
    pub(crate) const LOADFLAGS: usize = 0x211;
    pub(crate) const CODE32_START: usize = 0x214;
    pub(crate) const RAMDISK_IMAGE: usize = 0x218;
    pub(crate) const RAMDISK_SIZE: usize = 0x21c;
    pub const CMDLINE: usize = 0x228;
    pub(crate) const HARDWARE_SUBARCH: usize = 0x23c;
    pub(crate) const SETUP_DATA: usize = 0x250;
    pub(crate) const E820_TABLE: usize = 0x2d0;
}

/// What describes the hardware, and is the next kernel's as it was this one's.
const COPIED: [std::ops::Range<usize>; 7] = [
    0x000..0x040, // screen_info
    0x070..0x078, // acpi_rsdp_addr
    0x140..0x1c0, // edid_info
    0x1e9..0x1eb, // eddbuf_entries, edd_mbr_sig_buf_entries
    0x23c..0x240, // hardware_subarch
    0x290..0x2d0, // edd_mbr_sig_buffer
    0xd00..0xeec, // eddbuf
];

/// Entries of the memory map that `boot_params` has room for; the others go to setup data.
pub(crate) const E820_MOST: usize = 128;
const E820_ENTRY: usize = 20;

/// `type_of_loader` of a loader without a number of its own.
const LOADER_UNDEFINED: u8 = 0xff;
const LOADED_HIGH: u8 = 1;
/// `vid_mode`: leave the screen as it is.
const VIDEO_NORMAL: u16 = 0xffff;
/// `setup_data` of these types.
const SETUP_E820_EXT: u32 = 1;
const SETUP_EFI: u32 = 4;
/// `next`, `type` and `len` of a `setup_data`.
const SETUP_DATA_HEAD: usize = 16;

/// The hardware, as the running kernel was told of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hardware {
    /// The running kernel's `boot_params`, where it shows them.
    pub boot_params: Option<Vec<u8>>,
    /// Where ACPI's tables begin, where firmware says so.
    pub rsdp: Option<PhysAddr>,
    /// EFI's runtime services, where the running kernel can hand them on.
    pub efi: Option<Efi>,
}

/// What a kernel is started with.
#[derive(Clone, Debug)]
pub struct Start<'a> {
    /// The kernel.
    pub kernel: &'a Kernel,
    /// Where its code lies.
    pub code: PhysAddr,
    /// Where the initrd lies, to its last byte.
    pub initrd: Option<Span>,
    /// The command line, without a NUL.
    pub cmdline: &'a [u8],
    /// The memory map.
    pub map: &'a MemoryMap,
    /// The hardware.
    pub hardware: &'a Hardware,
}

/// The page, and behind it what it points to, made to lie at `at`. How long it is does not depend
/// on where it lies.
pub fn boot_params(start: &Start, at: PhysAddr) -> Vec<u8> {
    let mut page = Page(vec![0; SIZE]);
    hardware(&mut page, start.hardware);
    setup_header(&mut page, start);
    let regions = start.map.regions();
    let (inside, beyond) = regions.split_at(regions.len().min(E820_MOST));
    page.put(at::E820_ENTRIES, &[inside.len() as u8]);
    page.put(at::E820_TABLE, &e820(inside));

    let mut behind = Behind {
        at,
        bytes: Vec::new(),
    };
    let cmdline = behind.add(&[start.cmdline, &[0]].concat());
    page.split(at::CMDLINE, at::EXT_CMDLINE, cmdline.0);
    let mut list = 0;
    if !beyond.is_empty() {
        list = behind.setup_data(SETUP_E820_EXT, &e820(beyond), list).0;
    }
    let efi = start.hardware.efi.as_ref();
    if let Some(efi) = efi.filter(|_| start.kernel.takes_efi) {
        let memory = behind.add(&efi.memory());
        page.put(efi::INFO.start, &efi.info(memory));
        list = behind.setup_data(SETUP_EFI, &efi.setup_data(), list).0;
    }
    page.put(at::SETUP_DATA, &list.to_le_bytes());
    page.0.extend_from_slice(&behind.bytes);
    page.0
}

fn hardware(page: &mut Page, hardware: &Hardware) {
    match hardware.boot_params.as_deref() {
        Some(old) if old.len() >= SIZE => {
            for range in COPIED {
                page.put(range.start, &old[range]);
            }
            // These belong to the memory map of before e820.
            page.put(at::EXT_MEM_K, &[0; 2]);
        }
        _ => vga_text(page),
    }
    if let Some(rsdp) = hardware.rsdp {
        page.put(at::ACPI_RSDP, &rsdp.0.to_le_bytes());
    }
}

/// The text mode that a PC starts in: 80 by 25, 16 points high.
fn vga_text(page: &mut Page) {
    page.put(at::VIDEO_MODE, &[3]);
    page.put(at::VIDEO_COLS, &[80]);
    page.put(at::VIDEO_LINES, &[25]);
    page.put(at::IS_VGA, &[1]);
    page.put(at::VIDEO_POINTS, &16_u16.to_le_bytes());
}

/// The kernel's own setup header, and the fields of it that a loader fills in.
fn setup_header(page: &mut Page, start: &Start) {
    let subarch: [u8; 4] = page.get(at::HARDWARE_SUBARCH);
    page.put(SETUP_HEADER, &start.kernel.setup_header);
    page.put(at::HARDWARE_SUBARCH, &subarch);
    page.put(at::VID_MODE, &VIDEO_NORMAL.to_le_bytes());
    page.put(at::TYPE_OF_LOADER, &[LOADER_UNDEFINED]);
    page.put(at::LOADFLAGS, &[LOADED_HIGH]);
    page.put(at::CODE32_START, &(start.code.0 as u32).to_le_bytes());
    let (image, size) = start
        .initrd
        .map_or((0, 0), |span| (span.start().0, span.size().0));
    page.split(at::RAMDISK_IMAGE, at::EXT_RAMDISK_IMAGE, image);
    page.split(at::RAMDISK_SIZE, at::EXT_RAMDISK_SIZE, size);
}

/// Entries of an e820 map: address, size, kind.
fn e820(regions: &[Region]) -> Vec<u8> {
    let mut table = Vec::with_capacity(regions.len() * E820_ENTRY);
    for region in regions {
        let ByteSize(size) = region.span.size();
        table.extend_from_slice(&region.span.start().0.to_le_bytes());
        table.extend_from_slice(&size.to_le_bytes());
        table.extend_from_slice(&(region.kind as u32).to_le_bytes());
    }
    table
}

struct Page(Vec<u8>);

impl Page {
    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn get<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.0[at..at + N]);
        bytes
    }

    /// A value whose upper half has a field of its own.
    fn split(&mut self, low: usize, high: usize, value: u64) {
        self.put(low, &(value as u32).to_le_bytes());
        self.put(high, &((value >> 32) as u32).to_le_bytes());
    }
}

/// What lies behind the page.
struct Behind {
    at: PhysAddr,
    bytes: Vec<u8>,
}

impl Behind {
    fn add(&mut self, bytes: &[u8]) -> PhysAddr {
        self.bytes.resize(self.bytes.len().next_multiple_of(16), 0);
        let offset = (SIZE + self.bytes.len()) as u64;
        self.bytes.extend_from_slice(bytes);
        // The loader has made sure that it lies below 4 GiB.
        PhysAddr(self.at.0 + offset)
    }

    fn setup_data(&mut self, kind: u32, data: &[u8], next: u64) -> PhysAddr {
        let mut bytes = Vec::with_capacity(SETUP_DATA_HEAD + data.len());
        bytes.extend_from_slice(&next.to_le_bytes());
        bytes.extend_from_slice(&kind.to_le_bytes());
        bytes.extend_from_slice(&(data.len() as u32).to_le_bytes());
        bytes.extend_from_slice(data);
        self.add(&bytes)
    }
}

#[cfg(test)]
#[path = "boot_params_tests.rs"]
mod tests;
