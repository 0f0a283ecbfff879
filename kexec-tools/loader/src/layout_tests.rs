//! Layouts on machines of all sizes: what is laid out is RAM, apart, and where the kernel wants it.

use proptest::prelude::*;

use super::super::bzimage::SETUP_HEADER;
use super::super::memory_map::{Kind, Region};
use super::super::recorded::{head, Recorded, KERNELS};
use super::*;

const MIB: u64 = 1 << 20;

fn parsed(recorded: &Recorded) -> Kernel {
    Kernel::parse(&head(recorded), recorded.length).unwrap()
}

/// RAM in these ranges of MiB, and a PC's first MiB.
fn machine(ram: &[(u64, u64)]) -> Machine {
    let region = |start: u64, end: u64, kind| Region {
        span: Span::between(PhysAddr(start), PhysAddr(end)).unwrap(),
        kind,
    };
    let mut regions = vec![
        region(0, 0x9_fc00, Kind::Ram),
        region(0xf_0000, 0x10_0000, Kind::Reserved),
    ];
    let ram = ram.iter();
    regions.extend(ram.map(|(start, end)| region(start * MIB, end * MIB, Kind::Ram)));
    Machine {
        map: MemoryMap::new(&regions).unwrap(),
        used: None,
        avoid: Vec::new(),
        five_levels: false,
        hardware: Hardware::default(),
    }
}

/// The properties of every layout.
fn assert_sane(layout: &Layout, kernel: &Kernel, machine: &Machine, initrd: &[ByteSize]) {
    assert!(layout.segments.len() <= SEGMENTS_MOST);
    let mut taken: Vec<Span> = Vec::new();
    let mut parts = Vec::new();
    for segment in &layout.segments {
        let memory = segment.memory;
        assert_eq!(memory.whole_pages(), Some(memory), "{memory}");
        assert!(memory.start() >= LOWEST && memory.end() <= HIGHEST);
        assert!(machine.map.ram().any(|ram| ram.holds(memory)), "{memory}");
        assert!(machine
            .avoid
            .iter()
            .all(|a| a.intersection(memory).is_none()));
        let reserved = match &segment.source {
            Source::Kernel(_) => {
                if let Place::Relocatable {
                    alignment,
                    preferred,
                } = kernel.place
                {
                    assert_eq!(memory.start().0 % alignment, 0);
                    assert!(memory.start() >= preferred);
                }
                // The running kernel's page tables are kept out of what is a segment, and of nothing
                // else: the kernel must not write beside it before it has its own.
                assert!(memory.size() >= kernel.init_size);
                memory
            }
            Source::Initrd(part) => {
                parts.push((*part, memory));
                assert!(memory.size().0 >= initrd[*part].0);
                assert!(memory.end().0 - 1 <= kernel.initrd_addr_max.0);
                memory
            }
            Source::Made(bytes) => {
                assert_eq!(bytes.len() as u64, memory.size().0);
                assert!(memory.holds(Span::at(layout.entry, ByteSize(PAGE)).unwrap()));
                memory
            }
        };
        assert!(taken.iter().all(|t| t.intersection(reserved).is_none()));
        taken.push(reserved);
    }
    // Without a gap, and in order.
    for pair in parts.windows(2) {
        assert!(pair[0].0 < pair[1].0);
        assert_eq!(pair[0].1.end(), pair[1].1.start());
    }
}

#[test]
fn machines_of_all_sizes_are_laid_out() {
    let sizes = [7 * MIB + 1, 4096, 90 * MIB + 77, 124].map(ByteSize);
    for recorded in KERNELS {
        let kernel = parsed(recorded);
        for ram in [
            &[(1, 256)][..],
            &[(1, 512)],
            &[(1, 3072), (4096, 5120)],
            &[(1, 2), (200, 500)],
            &[(1, 120), (128, 1500), (1501, 3000)],
        ] {
            let machine = machine(ram);
            let layout = layout(&kernel, &sizes, b"panic=30", &machine).unwrap();
            assert_sane(&layout, &kernel, &machine, &sizes);
            assert_eq!(layout.segments.len(), 6);
        }
    }
}

#[test]
fn a_kernel_that_is_not_relocatable_lies_at_its_address_or_nowhere() {
    let mut bytes = head(&KERNELS[0]);
    bytes[0x234] = 0;
    let kernel = Kernel::parse(&bytes, KERNELS[0].length).unwrap();
    let there = layout(&kernel, &[], b"", &machine(&[(1, 256)])).unwrap();
    assert_eq!(there.segments[0].memory.start(), PhysAddr(16 * MIB));
    for ram in [(20, 512), (1, 70)] {
        assert!(matches!(
            layout(&kernel, &[], b"", &machine(&[(1, 15), ram])),
            Err(LayoutError::NoRoom {
                what: "the kernel",
                ..
            }),
        ));
    }
}

#[test]
fn a_crash_kernel_and_memory_that_is_not_used_are_left_alone() {
    let kernel = parsed(&KERNELS[0]);
    let mut machine = machine(&[(1, 512)]);
    machine.avoid = vec![Span::between(PhysAddr(20 * MIB), PhysAddr(160 * MIB)).unwrap()];
    machine.used = Some(vec![
        Span::between(PhysAddr(MIB), PhysAddr(300 * MIB)).unwrap()
    ]);
    let sizes = [ByteSize(30 * MIB)];
    let layout = layout(&kernel, &sizes, b"", &machine).unwrap();
    assert_sane(&layout, &kernel, &machine, &sizes);
    assert_eq!(layout.segments[0].memory.start(), PhysAddr(160 * MIB));
    assert_eq!(layout.segments[1].memory.end(), PhysAddr(300 * MIB));
}

#[test]
fn what_does_not_fit_is_refused_with_its_size() {
    let kernel = parsed(&KERNELS[0]);
    let small = machine(&[(1, 128)]);
    let error = layout(&kernel, &[ByteSize(100 * MIB)], b"", &small).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no free memory in one piece for the initrd: it takes 100 MiB in 0x100000-0x7fffffff, \
         the largest piece has 53 MiB"
    );
    for (length, fits) in [(2047, true), (2048, false)] {
        let cmdline = vec![b'x'; length];
        assert_eq!(layout(&kernel, &[], &cmdline, &small).is_ok(), fits);
    }
    assert_eq!(layout(&kernel, &[], b"a\0b", &small), Err(LayoutError::Nul));
    let many = [ByteSize(1); 15];
    assert_eq!(
        layout(&kernel, &many, b"", &small),
        Err(LayoutError::Parts(15))
    );
    let endless = [ByteSize(u64::MAX - 5000), ByteSize(5000)];
    for sizes in [&endless[..], &[ByteSize(u64::MAX)]] {
        assert_eq!(
            layout(&kernel, sizes, b"", &small),
            Err(LayoutError::Overflow("the initrd"))
        );
    }
}

/// Where the trampoline of a layout without an initrd jumps to, if it leaves 64-bit mode first.
fn entered_in_32_bits(layout: &Layout) -> Option<u32> {
    let Source::Made(bytes) = &layout.segments[1].source else {
        panic!("the parameters come behind the kernel");
    };
    let at = (layout.entry.0 - layout.segments[1].memory.start().0) as usize;
    let page = &bytes[at..];
    let paging_off = [0x0f, 0x22, 0xc0];
    let leaves = page[..0x60].windows(3).any(|code| code == paging_off);
    leaves.then(|| u32::from_le_bytes(*page[0x52..].first_chunk().unwrap()))
}

#[test]
fn the_64_bit_entry_is_taken_where_it_is_there_and_takes_the_page_tables() {
    for (protocol, machine_has_five, kernel_takes_five, leaves) in [
        (15, false, true, false),
        (15, true, true, false),
        (15, true, false, true),
        (11, false, false, true),
    ] {
        let mut bytes = head(&KERNELS[0]);
        bytes[0x206] = protocol;
        let mut kernel = Kernel::parse(&bytes, KERNELS[0].length).unwrap();
        kernel.five_levels = kernel_takes_five;
        let mut machine = machine(&[(1, 256)]);
        machine.five_levels = machine_has_five;
        let layout = layout(&kernel, &[], b"", &machine).unwrap();
        let entered = leaves.then_some(layout.segments[0].memory.start().0 as u32);
        assert_eq!(entered_in_32_bits(&layout), entered);
    }
}

#[test]
fn parts_without_bytes_are_no_segments() {
    let kernel = parsed(&KERNELS[0]);
    let machine = machine(&[(1, 256)]);
    let layout = layout(&kernel, &[ByteSize(0), ByteSize(5)], b"", &machine).unwrap();
    assert_eq!(layout.segments.len(), 3);
    assert_eq!(layout.segments[1].source, Source::Initrd(1));
}

fn any_ram() -> impl Strategy<Value = Vec<(u64, u64)>> {
    prop::collection::vec((0..300_u64, 1..900_u64), 1..6).prop_map(|pieces| {
        let mut at = 1;
        let piece = |(gap, size): (u64, u64)| {
            let start = at + gap;
            at = start + size;
            (start, at)
        };
        pieces.into_iter().map(piece).collect()
    })
}

proptest! {
    #[test]
    fn every_layout_is_sane(
        ram in any_ram(),
        avoid in prop::option::of((0..1000_u64, 1..300_u64)),
        sizes in prop::collection::vec((0..200 * MIB).prop_map(ByteSize), 0..5),
        changes in prop::collection::vec((0..0x80_usize, any::<u8>()), 0..4),
    ) {
        let mut bytes = head(&KERNELS[0]);
        for (at, new) in changes {
            bytes[SETUP_HEADER + at] = new;
        }
        let mut machine = machine(&ram);
        machine.avoid = avoid
            .and_then(|(at, size)| Span::at(PhysAddr(at * MIB), ByteSize(size * MIB)))
            .into_iter()
            .collect();
        if let Ok(kernel) = Kernel::parse(&bytes, KERNELS[0].length) {
            if let Ok(layout) = layout(&kernel, &sizes, b"panic=30", &machine) {
                assert_sane(&layout, &kernel, &machine, &sizes);
            }
        }
    }
}
