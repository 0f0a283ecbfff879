//! Any text as `/proc/iomem`, and its lines as entries of the firmware's map.
#![no_main]

use libfuzzer_sys::fuzz_target;
use kexec_loader::memory_map::{firmware_entry, iomem, MemoryMap};

fn assert_sane(map: &MemoryMap) {
    for pair in map.regions().windows(2) {
        assert!(pair[0].span.end() <= pair[1].span.start());
        assert!(pair[0].span.end() < pair[1].span.start() || pair[0].kind != pair[1].kind);
    }
    assert!(map.ram().next().is_some());
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    if let Ok(iomem) = iomem(&text) {
        assert_sane(&iomem.map);
    }
    let mut regions = Vec::new();
    for line in text.lines() {
        let mut fields = line.splitn(3, ' ');
        let mut field = || fields.next().unwrap_or_default();
        if let Ok(region) = firmware_entry(field(), field(), field()) {
            regions.extend(region);
        }
    }
    if let Ok(map) = MemoryMap::new(&regions) {
        assert_sane(&map);
    }
});
