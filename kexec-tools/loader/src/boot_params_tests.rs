//! The page, field by field, as a kernel reads it.

use super::super::bzimage::Kernel;
use super::super::efi::RuntimeRegion;
use super::super::memory_map::Kind;
use super::super::recorded::{head, KERNELS};
use super::*;

const AT: PhysAddr = PhysAddr(0x20_0000);

fn map(regions: u64) -> MemoryMap {
    let region = |i: u64, kind| Region {
        span: Span::at(PhysAddr(i << 20), ByteSize(1 << 20)).unwrap(),
        kind,
    };
    let kinds = [Kind::Ram, Kind::Reserved];
    let all: Vec<Region> = (0..regions)
        .map(|i| region(i, kinds[(i % 2) as usize]))
        .collect();
    MemoryMap::new(&all).unwrap()
}

fn made(regions: u64, hardware: &Hardware) -> Vec<u8> {
    let kernel = Kernel::parse(&head(&KERNELS[0]), KERNELS[0].length).unwrap();
    let start = Start {
        kernel: &kernel,
        code: PhysAddr(16 << 20),
        initrd: Span::at(PhysAddr(0x7_1234_5000), ByteSize(0x1_0000_2000)),
        cmdline: b"panic=30 loglevel=4",
        map: &map(regions),
        hardware,
    };
    boot_params(&start, AT)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().unwrap())
}

/// Types and data of the list of `setup_data`.
fn setup_data(bytes: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let mut found = Vec::new();
    let mut next = u64_at(bytes, at::SETUP_DATA);
    while next != 0 {
        let here = (next - AT.0) as usize;
        let length = u32_at(bytes, here + 12) as usize;
        let data = here + SETUP_DATA_HEAD;
        found.push((u32_at(bytes, here + 8), bytes[data..data + length].to_vec()));
        next = u64_at(bytes, here);
    }
    found
}

#[test]
fn the_kernel_finds_its_header_command_line_and_initrd() {
    let bytes = made(3, &Hardware::default());
    assert_eq!(bytes[0x202..0x206], *b"HdrS");
    assert_eq!(
        bytes[0x1ef], 0,
        "the sentinel says that the rest was cleared"
    );
    assert_eq!(bytes[at::TYPE_OF_LOADER], 0xff);
    assert_eq!(bytes[at::LOADFLAGS], LOADED_HIGH);
    assert_eq!(u32_at(&bytes, at::CODE32_START), 16 << 20);
    let cmdline = (u64::from(u32_at(&bytes, at::CMDLINE)) - AT.0) as usize;
    assert_eq!(bytes[cmdline..cmdline + 20], *b"panic=30 loglevel=4\0");
    assert_eq!(u32_at(&bytes, at::EXT_CMDLINE), 0);
    assert_eq!(u32_at(&bytes, at::RAMDISK_IMAGE), 0x1234_5000);
    assert_eq!(u32_at(&bytes, at::EXT_RAMDISK_IMAGE), 7);
    assert_eq!(u32_at(&bytes, at::RAMDISK_SIZE), 0x2000);
    assert_eq!(u32_at(&bytes, at::EXT_RAMDISK_SIZE), 1);
    assert_eq!(setup_data(&bytes), []);
}

#[test]
fn the_memory_map_is_a_table_of_e820() {
    let bytes = made(3, &Hardware::default());
    assert_eq!(bytes[at::E820_ENTRIES], 3);
    let entry = &bytes[at::E820_TABLE + E820_ENTRY..];
    assert_eq!(u64_at(entry, 0), 1 << 20);
    assert_eq!(u64_at(entry, 8), 1 << 20);
    assert_eq!(u32_at(entry, 16), 2);
}

#[test]
fn a_map_with_more_than_128_regions_goes_on_in_setup_data() {
    for (regions, beyond) in [(128, 0), (129, 1), (300, 172)] {
        let bytes = made(regions, &Hardware::default());
        assert_eq!(u64::from(bytes[at::E820_ENTRIES]), regions - beyond);
        let list = setup_data(&bytes);
        let expected: Vec<(u32, usize)> = (beyond > 0)
            .then_some((SETUP_E820_EXT, beyond as usize * E820_ENTRY))
            .into_iter()
            .collect();
        let found: Vec<(u32, usize)> = list.iter().map(|(k, d)| (*k, d.len())).collect();
        assert_eq!(found, expected);
        if let Some((_, data)) = list.first() {
            assert_eq!(u64_at(data, 0), 128 << 20);
        }
    }
}

#[test]
fn the_hardware_is_what_it_was() {
    let old: Vec<u8> = (0..SIZE).map(|i| (i % 251) as u8).collect();
    let hardware = Hardware {
        boot_params: Some(old.clone()),
        ..Hardware::default()
    };
    let bytes = made(3, &hardware);
    for range in COPIED {
        let range = range.start.max(4)..range.end;
        assert_eq!(bytes[range.clone()], old[range]);
    }
    assert_eq!(bytes[at::EXT_MEM_K..][..2], [0, 0]);
    // Nothing else is: hard disk tables, APM, what a loader wrote.
    assert_eq!(bytes[0x40..0x70], [0; 0x30]);
    assert_eq!(bytes[0x80..0xc0], [0; 0x40]);
    assert_eq!(bytes[efi::INFO], [0; 32]);
}

#[test]
fn without_the_old_page_the_screen_is_a_pcs() {
    let hardware = Hardware {
        rsdp: Some(PhysAddr(0x7fb7_e014)),
        ..Hardware::default()
    };
    let bytes = made(3, &hardware);
    assert_eq!((bytes[7], bytes[0xe], bytes[0xf]), (80, 25, 1));
    assert_eq!(u64_at(&bytes, at::ACPI_RSDP), 0x7fb7_e014);
}

#[test]
fn efis_runtime_services_are_handed_on() {
    let mut old = vec![0; SIZE];
    old[0x1c0..0x1c4].copy_from_slice(b"EL64");
    old[0x1c4..0x1c8].copy_from_slice(&0x7f9e_e018_u32.to_le_bytes());
    old[0x1c8..0x1cc].copy_from_slice(&48_u32.to_le_bytes());
    let region = RuntimeRegion {
        kind: 6,
        physical: 0x7f8e_d000,
        virtual_address: 0xffff_fffe_fe80_0000,
        pages: 256,
        attribute: 0x8000_0000_0000_000f,
    };
    let tables = [PhysAddr(0x7f9e_ef98), PhysAddr(1), PhysAddr(0x7f9e_de18)];
    let hardware = Hardware {
        efi: Efi::new(&old, tables, vec![region; 2]),
        boot_params: Some(old),
        rsdp: None,
    };
    let bytes = made(3, &hardware);
    let info = |at: usize| u32_at(&bytes, efi::INFO.start + at);
    assert_eq!(bytes[0x1c0..0x1c4], *b"EL64");
    assert_eq!(info(4), 0x7f9e_e018, "the system table is the firmware's");
    assert_eq!((info(8), info(12), info(20)), (40, 1, 80));
    let memory = (u64::from(info(16)) - AT.0) as usize;
    assert_eq!(u32_at(&bytes, memory), 6);
    assert_eq!(u64_at(&bytes, memory + 40 + 16), 0xffff_fffe_fe80_0000);
    let list = setup_data(&bytes);
    assert_eq!(list.len(), 1);
    assert_eq!((list[0].0, list[0].1.len()), (SETUP_EFI, 96));
    assert_eq!(u64_at(&list[0].1, 16), 0x7f9e_de18);
    // No runtime map, or a firmware of another kind: nothing is handed on.
    assert_eq!(Efi::new(&[0; SIZE], tables, vec![region]), None);
}
