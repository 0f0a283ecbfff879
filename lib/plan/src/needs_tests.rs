use super::*;
use formats::payload::DirectorySize;

#[test]
fn space_counts_what_is_kept_and_what_is_staged() {
    let space = |there, needed| Space {
        bytes_needed: needed,
        bytes_there: there,
        inodes_needed: 10,
        inodes_there: 10,
    };
    assert_eq!(space(100, 100).lack("/"), None);
    assert!(space(99, 100).lack("/").is_some());
    let inodes = Space {
        inodes_there: 9,
        ..space(100, 100)
    };
    assert!(inodes.lack("/").is_some_and(|l| l.contains("inodes")));
    let apart = inodes.lack("/var").unwrap();
    assert!(apart.contains("the filesystem at /var"), "{apart}");
}

#[test]
fn each_filesystem_has_room_for_its_own_part() {
    let size = |path: &str, bytes, shared_bytes| DirectorySize {
        path: path.into(),
        bytes,
        inodes: bytes / 10,
        shared_bytes,
        shared_inodes: shared_bytes / 10,
    };
    let payload = Payload {
        entries: 100,
        inodes: 100,
        unpacked_bytes: 0,
        disk_bytes: 1000,
        directory_links: vec![],
        directories: vec![
            size("/usr", 600, 30),
            size("/var", 200, 0),
            size("/var/log", 50, 0),
            size("/var/log/audit", 20, 0),
        ],
        frames: vec![],
    };
    let of = |targets: &[&str]| -> Vec<u64> {
        let parts = parts(&payload, Some(RootType::Ext4), targets);
        assert!(parts.iter().all(|part| part.inodes == part.bytes / 10));
        parts.into_iter().map(|part| part.bytes).collect()
    };
    assert_eq!(of(&[]), [1000]);
    // Two names of one file, one here and one there, are two files.
    assert_eq!(of(&["/usr"]), [430, 630]);
    assert_eq!(of(&["/opt", "/var", "/var/log"]), [800, 0, 150, 50]);
    assert_eq!(of(&["/var/log"]), [950, 50]);
    assert_eq!(of(&["/var", "/var/log/audit"]), [800, 180, 20]);
    // Deeper than was counted: at most what is above it, which is counted there too.
    assert_eq!(of(&["/var/log/audit/old"]), [1000, 20]);
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
