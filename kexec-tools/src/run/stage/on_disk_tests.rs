use std::process::Command;

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

fn write(path: &Path, place: &Place) -> Result<u64> {
    write_in_one_run(path, LENGTH, place, &|out| {
        Ok(out.write_all(&vec![7; LENGTH as usize])?)
    })?;
    Ok(extents::place(&File::open(path)?)?)
}

/// ext4 spreads top-level directories over the disk; the run's is one of them.
#[test]
fn files_lie_low_and_within_what_the_firmware_reads() {
    let filesystem = Filesystem::mount();
    let root = filesystem.root();
    let directories: Vec<_> = (0..12)
        .map(|n| {
            let directory = root.join(format!("d{n}"));
            fs::create_dir(&directory).unwrap();
            directory
        })
        .collect();
    let place_in = |low: &Path, reach| Place {
        low: low.to_owned(),
        reach,
    };
    // What a file in its own directory gets, and what it gets by the root directory.
    let own =
        |directory: &PathBuf| write(&directory.join("own"), &place_in(directory, None)).unwrap();
    let highest = directories.iter().map(own).max().unwrap();
    let target = directories[3].join("kernel");
    let low = write(&target, &place_in(&root, None)).unwrap();
    assert!(low < 512 << 20, "{low}");
    assert!(
        highest > 1 << 30,
        "{highest}: there is nothing to gain here"
    );
    // Within reach it is placed, out of it refused with the reason, and nothing stays behind.
    let again = directories[4].join("kernel");
    write(&again, &place_in(&root, Some(1 << 30))).unwrap();
    let error = write(
        &directories[5].join("kernel"),
        &place_in(&root, Some(1 << 20)),
    )
    .unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains("reads the first 1 MiB of it"), "{text}");
    for directory in [&root, &directories[5]] {
        let left: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.contains(ATTEMPT) || name == BEGUN)
            .collect();
        assert_eq!(left, [""; 0]);
    }
}
