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

#[test]
fn files_lie_within_what_the_firmware_reads_or_are_refused() {
    let filesystem = Filesystem::mount();
    let directory = filesystem.root().join("run");
    fs::create_dir(&directory).unwrap();
    let write_by = |name: &str, reach| write(&directory.join(name), &Place { reach });
    let free = write_by("free", None).unwrap();
    let within = write_by("within", Some(2 << 30)).unwrap();
    assert!(within + LENGTH <= 2 << 30 && free != within);
    // GRUB reads no sector behind the last that the BIOS counts.
    let error = write_by("beyond", Some(1 << 20)).unwrap_err();
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
    let place = Place {
        reach: Some(10 << 20),
    };
    assert_eq!(place.out_of_reach(9 << 20, 1 << 20), None);
    assert!(place.out_of_reach(9 << 20, (1 << 20) + 1).is_some());
    assert_eq!(Place { reach: None }.out_of_reach(u64::MAX / 2, 1), None);
}
