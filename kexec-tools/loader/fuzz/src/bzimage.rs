//! Any bytes as the head of a kernel's file: refused, or laid out within memory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use kexec_loader::address::{ByteSize, PhysAddr, Span};
use kexec_loader::boot_params::Hardware;
use kexec_loader::bzimage::Kernel;
use kexec_loader::layout::{layout, Machine};
use kexec_loader::memory_map::{Kind, MemoryMap, Region};

fuzz_target!(|data: &[u8]| {
    let Some((length, head)) = data.split_first_chunk() else {
        return;
    };
    let Ok(kernel) = Kernel::parse(head, u64::from(u32::from_le_bytes(*length))) else {
        return;
    };
    let ram = Span::between(PhysAddr(1 << 20), PhysAddr(3 << 30)).unwrap();
    let machine = Machine {
        map: MemoryMap::new(&[Region {
            span: ram,
            kind: Kind::Ram,
        }])
        .unwrap(),
        used: None,
        avoid: Vec::new(),
        five_levels: data.len() % 2 == 0,
        hardware: Hardware::default(),
    };
    let Ok(layout) = layout(&kernel, &[ByteSize(1 << 20)], b"quiet", &machine) else {
        return;
    };
    let mut taken: Vec<Span> = Vec::new();
    for segment in &layout.segments {
        assert!(ram.holds(segment.memory));
        assert!(taken.iter().all(|t| t.intersection(segment.memory).is_none()));
        taken.push(segment.memory);
    }
});
