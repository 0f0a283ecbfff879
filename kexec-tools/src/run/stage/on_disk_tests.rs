use std::process::Command;

use fixtures::filesystem::Filesystem;
use formats::facts::{LogicalVolume, PhysicalVolume, Segment};

use super::*;

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

const LENGTH: u64 = 8 << 20;

/// Of a filesystem that begins at this sector of a disk of which so many sectors are read.
fn place(start: u64, reach: Option<u64>) -> Place {
    let root = fixtures::plan::plan().root;
    Place {
        root: RootIdentity { start, ..root },
        reach: vec![reach],
    }
}

/// A filesystem knows nothing of the seams of the volume that it is on.
#[test]
fn what_lies_over_the_seam_of_a_logical_volume_is_no_run() {
    let mut place = place(0, Some(10 << 11));
    let part = |sectors, start| Segment {
        sectors,
        volume: 0,
        start,
    };
    place.root.logical = Some(LogicalVolume {
        name: "vg-root".into(),
        uuid: "LVM-x".into(),
        segments: vec![part(2048, 8192), part(2048, 2048)],
        volumes: vec![PhysicalVolume {
            uuid: "p".into(),
            partition: 3,
            start: 4096,
            sectors: 16384,
            guid: None,
        }],
        sequence: None,
    });
    assert_eq!(place.against(0, 1 << 20), None);
    assert_eq!(place.against(1 << 20, 1 << 20), None);
    let why = place.against(1 << 19, 1 << 20).unwrap();
    assert!(why.contains("another begins elsewhere"), "{why}");
    // The first part is the one that lies further back.
    place.reach = vec![Some(4096 + 8192)];
    assert!(place.against(0, 512).unwrap().contains("reads the first"));
    assert_eq!(place.against(1 << 20, 512), None);
}

fn write(path: &Path, place: &Place) -> Result<u64> {
    write_in_one_run(path, LENGTH, place, &|out| {
        Ok(out.write_all(&vec![7; LENGTH as usize])?)
    })?;
    Ok(extents::place(&File::open(path)?)?)
}

#[test]
fn files_lie_within_what_the_firmware_reads_or_are_refused() {
    let filesystem = Filesystem::mount(&["mkfs.ext4", "-qF"], 3 << 10);
    let directory = filesystem.root().join("run");
    fs::create_dir(&directory).unwrap();
    let write_by = |name: &str, reach| write(&directory.join(name), &place(0, reach));
    let free = write_by("free", None).unwrap();
    let within = write_by("within", Some(2 << 21)).unwrap();
    assert!(within + LENGTH <= 2 << 30 && free != within);
    // GRUB reads no sector behind the last that the BIOS counts.
    let error = write_by("beyond", Some(1 << 11)).unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains("reads the first 1 MiB of it"), "{text}");
    // Free space would not help.
    assert!(text.contains("reboot the old OS and run `go`"), "{text}");
    let entries = fs::read_dir(&directory).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    assert_eq!(
        names,
        ["free", "within"],
        "nothing stays of what was refused"
    );
}

/// XFS in four parts of 1 GiB each.
#[test]
fn xfs_is_asked_for_each_of_its_parts_until_one_is_low_enough() {
    const PART: u64 = 1 << 30;
    let filesystem = Filesystem::mount(&["mkfs.xfs", "-qf", "-d", "agcount=4"], 4 << 10);
    let unlimited = place(0, None);
    // A run's directory comes to lie in any of them.
    let mut directories = (0..4).map(|n| filesystem.root().join(format!("run{n}")));
    let directory = directories.find(|directory| {
        fs::create_dir(directory).unwrap();
        write(&directory.join("free"), &unlimited).unwrap() >= PART
    });
    let directory = directory.expect("a directory behind the first part");
    let reach = Some(PART / block::SECTOR);
    let low = write(&directory.join("low"), &place(0, reach)).unwrap();
    assert!(low + LENGTH <= PART, "{low}");
    let left = fs::read_dir(&directory).unwrap().count();
    assert_eq!(left, 2, "nothing stays of the attempts");
}

/// Btrfs tells its own addresses, packs what is written, and gives away what a file has to its copies.
#[test]
fn a_file_on_btrfs_lies_plain_where_it_is_said_to_lie() {
    let filesystem = Filesystem::mount(&["mkfs.btrfs", "-q"], 2 << 10);
    let root = filesystem.root();
    run(Command::new("mount")
        .args(["-o", "remount,compress-force=zstd"])
        .arg(&root));
    let packed = root.join("packed");
    fs::write(&packed, vec![7; LENGTH as usize]).unwrap();
    let packed = File::open(packed).unwrap();
    packed.sync_all().unwrap();
    let why = extents::place(&packed).unwrap_err().to_string();
    assert!(why.contains("have flags"), "{why}");

    let path = root.join("kernel");
    let placed = write(&path, &place(0, None)).unwrap();
    let disk = File::open(filesystem.image()).unwrap();
    let mut there = vec![0; LENGTH as usize];
    std::os::unix::fs::FileExt::read_exact_at(&disk, &mut there, placed).unwrap();
    assert!(there.iter().all(|&byte| byte == 7));

    let btrfs = |arguments: &[&str]| {
        let mut command = Command::new("btrfs");
        run(command.arg("-q").args(arguments).current_dir(&root));
    };
    btrfs(&["subvolume", "snapshot", ".", "copy"]);
    assert_eq!(extents::place(&File::open(&path).unwrap()).unwrap(), placed);
    // Somebody puts things together elsewhere.
    btrfs(&["balance", "start", "--full-balance", "."]);
    let moved = extents::place(&File::open(&path).unwrap()).unwrap();
    assert_ne!(moved, placed);
    std::os::unix::fs::FileExt::read_exact_at(&disk, &mut there, moved).unwrap();
    assert!(there.iter().all(|&byte| byte == 7));
}

/// A directory's flags are its new files' too, and none of them may be packed and written in its place at once.
#[test]
fn a_file_in_a_directory_of_btrfs_that_is_packed_lies_plain() {
    let filesystem = Filesystem::mount(&["mkfs.btrfs", "-q"], 512);
    for flag in ["+c", "+m"] {
        let directory = filesystem.root().join(flag);
        fs::create_dir(&directory).unwrap();
        run(Command::new("chattr").arg(flag).arg(&directory));
        let path = directory.join("kernel");
        let placed = write(&path, &place(0, None)).unwrap();
        let mut there = vec![0; LENGTH as usize];
        let disk = File::open(filesystem.image()).unwrap();
        std::os::unix::fs::FileExt::read_exact_at(&disk, &mut there, placed).unwrap();
        assert!(there.iter().all(|&byte| byte == 7), "{flag}");
    }
}

/// What is told as the way out where no place is low enough. Since Linux 6.17 ext4 remembers several places, by the
/// number of a file's inode, of which no more than one for four groups of 128 MiB each.
#[test]
fn ext4_looks_for_room_from_its_beginning_once_it_is_mounted_anew() {
    let filesystem = Filesystem::mount(&["mkfs.ext4", "-qF"], 3 << 10);
    let root = filesystem.root();
    let low = place(0, Some(256 << 11));
    let large = (0..6).map(|n| root.join(format!("large{n}")));
    let large: Vec<PathBuf> = large.collect();
    for path in &large {
        let file = File::create(path).unwrap();
        fallocate(&file, FallocateFlags::empty(), 0, 400 << 20).unwrap();
    }
    for path in &large {
        fs::remove_file(path).unwrap();
    }
    rustix::fs::sync();
    write(&root.join("kernel"), &low).unwrap_err();
    filesystem.unmount();
    filesystem.mount_again("loop");
    write(&root.join("kernel"), &low).unwrap();
}

#[test]
fn the_last_byte_counts() {
    let ends = place(2048, Some(10 << 11));
    assert_eq!(ends.against(8 << 20, 1 << 20), None);
    assert!(ends.against(8 << 20, (1 << 20) + 1).is_some());
    assert_eq!(place(2048, None).against(u64::MAX / 2, 1), None);
}
