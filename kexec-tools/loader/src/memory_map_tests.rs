//! Recorded maps, maps that contradict themselves, and that nothing does harm.

use proptest::prelude::*;

use super::*;

fn region(start: u64, end: u64, kind: Kind) -> Region {
    Region {
        span: Span::between(PhysAddr(start), PhysAddr(end)).unwrap(),
        kind,
    }
}

/// Of a server with 12 GiB and a crash kernel, Linux 5.10; the least of its lines.
const IOMEM: &str = "\
00000000-00000fff : Reserved
00001000-0009fbff : System RAM
0009fc00-0009ffff : Reserved
000a0000-000bffff : PCI Bus 0000:00
000f0000-000fffff : Reserved
  000f0000-000fffff : System ROM
00100000-bffdbfff : System RAM
  27000000-36ffffff : Crash kernel
  b2000000-b2e00e80 : Kernel code
bffdc000-bfffffff : Reserved
c0000000-febfffff : PCI Bus 0000:00
  fd000000-fdffffff : 0000:00:02.0
fec00000-fec003ff : IOAPIC 0
100000000-33fffffff : System RAM
";

#[test]
fn iomem_gives_ram_and_the_crash_kernel() {
    let iomem = iomem(IOMEM).unwrap();
    let ram: Vec<String> = iomem.map.ram().map(|s| s.to_string()).collect();
    assert_eq!(
        ram,
        [
            "0x1000-0x9fbff",
            "0x100000-0xbffdbfff",
            "0x100000000-0x33fffffff"
        ]
    );
    let crash: Vec<String> = iomem.crash_kernel.iter().map(Span::to_string).collect();
    assert_eq!(crash, ["0x27000000-0x36ffffff"]);
}

#[test]
fn addresses_that_are_hidden_are_no_map() {
    let hidden: Vec<String> = IOMEM
        .lines()
        .map(|line| {
            let (range, name) = line.split_once(" : ").unwrap();
            let indent = range.len() - range.trim_start().len();
            format!("{:indent$}00000000-00000000 : {name}", "")
        })
        .collect();
    let hidden = hidden.join("\n");
    assert_eq!(iomem(&hidden), Err(MemoryMapError::Hidden));
}

#[test]
fn texts_that_are_no_maps_are_refused() {
    assert_eq!(iomem(""), Err(MemoryMapError::NoRam));
    assert_eq!(
        iomem("00001000-00001fff : Reserved\n"),
        Err(MemoryMapError::NoRam)
    );
    for text in [
        "1000 : System RAM",
        "zz-1fff : System RAM",
        "2000-1fff : System RAM",
        "+1000-1fff : System RAM",
        "1000-11111111111111111 : System RAM",
        "-1fff : Reserved",
    ] {
        assert!(
            matches!(iomem(text), Err(MemoryMapError::Range(_))),
            "{text}"
        );
    }
}

#[test]
fn entries_of_the_firmwares_map_have_both_addresses_inside() {
    let entry = |start, end, kind| firmware_entry(start, end, kind).unwrap();
    assert_eq!(
        entry("0x100000\n", "0x1ffdffff\n", "System RAM\n"),
        Some(region(0x10_0000, 0x1ffe_0000, Kind::Ram))
    );
    assert_eq!(
        entry("0x0", "0xfff", "a kind of tomorrow"),
        Some(region(0, 0x1000, Kind::Reserved))
    );
    // To the very end of addresses.
    assert_eq!(
        entry("0xfffffffff0000000", "0xffffffffffffffff", "Reserved"),
        None
    );
    assert!(firmware_entry("0x0", "", "System RAM").is_err());
}

#[test]
fn where_regions_lie_over_each_other_ram_never_wins() {
    let map = MemoryMap::new(&[
        region(0x1000, 0x9000, Kind::Ram),
        region(0x3000, 0x4000, Kind::Reserved),
        region(0x3800, 0x5000, Kind::AcpiNvs),
        region(0x8000, 0xa000, Kind::Ram),
    ])
    .unwrap();
    assert_eq!(
        map.regions(),
        [
            region(0x1000, 0x3000, Kind::Ram),
            region(0x3000, 0x3800, Kind::Reserved),
            region(0x3800, 0x5000, Kind::AcpiNvs),
            region(0x5000, 0xa000, Kind::Ram),
        ]
    );
}

#[test]
fn a_map_that_goes_on_for_ever_is_refused() {
    let regions = vec![region(0, 0x1000, Kind::Ram); REGIONS_MOST + 1];
    assert!(matches!(
        MemoryMap::new(&regions),
        Err(MemoryMapError::TooLong(_))
    ));
}

fn any_region() -> impl Strategy<Value = Region> {
    let kind = prop_oneof![
        Just(Kind::Ram),
        Just(Kind::Reserved),
        Just(Kind::AcpiTables),
        Just(Kind::SoftReserved)
    ];
    (0..400_u64, 1..60_u64, kind).prop_map(|(start, size, kind)| region(start, start + size, kind))
}

proptest! {
    /// Byte by byte: a map says of each what the strongest region over it says.
    #[test]
    fn a_map_says_of_every_byte_what_its_strongest_region_says(
        regions in prop::collection::vec(any_region(), 1..12),
    ) {
        let Ok(map) = MemoryMap::new(&regions) else {
            return Ok(());
        };
        let at = |regions: &[Region], byte: u64| {
            let byte = region(byte, byte + 1, Kind::Ram).span;
            let over = regions.iter().filter(|r| r.span.holds(byte));
            over.map(|r| r.kind).max()
        };
        for byte in 0..470 {
            prop_assert_eq!(at(map.regions(), byte), at(&regions, byte));
        }
        for pair in map.regions().windows(2) {
            prop_assert!(pair[0].span.end() <= pair[1].span.start());
            prop_assert!(
                pair[0].span.end() < pair[1].span.start() || pair[0].kind != pair[1].kind
            );
        }
    }

    #[test]
    fn changed_texts_do_no_harm(
        changes in prop::collection::vec((0..IOMEM.len(), any::<u8>()), 1..20),
    ) {
        let mut bytes = IOMEM.as_bytes().to_vec();
        for (at, new) in changes {
            bytes[at] = new;
        }
        let _ = iomem(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_entry_does_no_harm(start in ".{0,24}", end in ".{0,24}", kind in ".{0,24}") {
        let _ = firmware_entry(&start, &end, &kind);
    }
}
