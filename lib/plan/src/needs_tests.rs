use super::*;

#[test]
fn space_counts_what_is_kept_and_what_is_staged() {
    let space = |there, needed| Space {
        bytes_needed: needed,
        bytes_there: there,
        inodes_needed: 10,
        inodes_there: 10,
    };
    assert_eq!(space(100, 100).lack(), None);
    assert!(space(99, 100).lack().is_some());
    let inodes = Space {
        inodes_there: 9,
        ..space(100, 100)
    };
    assert!(inodes.lack().is_some_and(|l| l.contains("inodes")));
}

#[test]
fn memory_is_enough_only_for_both_peaks() {
    let peak = MemoryPeak {
        load: 100,
        ram: 200,
    };
    for (total, available, expected) in [(200, 100, true), (199, 100, false), (200, 99, false)] {
        assert_eq!(memory_suffices(peak, Memory { total, available }), expected);
    }
}
