use std::process::Command;

use formats::facts::{LogicalVolume, PhysicalVolume, Segment};

use super::*;

/// An ext4 of 3 GiB on a loop device, mounted; gone with the value.
struct Filesystem(tempfile::TempDir);

impl Filesystem {
    fn mount() -> Filesystem {
        assert!(
            rustix::process::geteuid().is_root(),
            "this test mounts a filesystem; run it as root: \
             sudo env PATH=\"$PATH\" cargo test -p reroot-launch on_disk"
        );
        let place = tempfile::tempdir_in("/var/tmp").unwrap();
        let image = place.path().join("disk");
        File::create(&image).unwrap().set_len(3 << 30).unwrap();
        let root = place.path().join("root");
        fs::create_dir(&root).unwrap();
        run(Command::new("mkfs.ext4").arg("-qF").arg(&image));
        run(Command::new("mount")
            .args(["-o", "loop"])
            .arg(&image)
            .arg(&root));
        Filesystem(place)
    }

    fn root(&self) -> PathBuf {
        self.0.path().join("root")
    }
}

impl Drop for Filesystem {
    fn drop(&mut self) {
        run(Command::new("umount").arg(self.root()));
    }
}

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
    let filesystem = Filesystem::mount();
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

#[test]
fn the_last_byte_counts() {
    let ends = place(2048, Some(10 << 11));
    assert_eq!(ends.against(8 << 20, 1 << 20), None);
    assert!(ends.against(8 << 20, (1 << 20) + 1).is_some());
    assert_eq!(place(2048, None).against(u64::MAX / 2, 1), None);
}
