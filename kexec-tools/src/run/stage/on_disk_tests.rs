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

impl Filesystem {
    /// A directory that lies high: ext4 takes this inode for it, as it would where the groups before are
    /// full of directories.
    fn high_directory(&self, inode: u64) -> PathBuf {
        let mounts = storage::mounts::read().unwrap();
        let mount = storage::mounts::at(&mounts, &self.root()).unwrap();
        let node = block::by_number(mount.device.0, mount.device.1).unwrap();
        let goal = format!("/sys/fs/ext4/{}/inode_goal", node.name);
        fs::write(&goal, inode.to_string()).unwrap();
        let directory = self.root().join("run");
        fs::create_dir(&directory).unwrap();
        fs::write(&goal, "0").unwrap();
        directory
    }
}

#[test]
fn files_lie_low_and_within_what_the_firmware_reads() {
    let filesystem = Filesystem::mount();
    let root = filesystem.root();
    // In the second half.
    let directory = filesystem.high_directory(20 * 8192 + 100);
    let write_by = |name: &str, low: &Path, reach| {
        let place = Place {
            low: low.to_owned(),
            reach,
        };
        write(&directory.join(name), &place)
    };
    let high = write_by("by-its-own", &directory, None).unwrap();
    assert!(high > 1 << 30, "{high}: there is nothing to gain here");
    let low = write_by("kernel", &root, None).unwrap();
    assert!(low < 512 << 20, "{low}");
    write_by("within", &root, Some(1 << 30)).unwrap();
    let error = write_by("beyond", &root, Some(1 << 20)).unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains("reads the first 1 MiB of it"), "{text}");
    let names = |directory: &Path| -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    };
    assert_eq!(names(&directory), ["by-its-own", "kernel", "within"]);
    assert_eq!(names(&root), ["lost+found", "run"]);
}
