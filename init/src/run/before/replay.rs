//! Putting an XFS root in order that a power cut has left, for a run that is taken up: its log is replayed
//! by the kernel when it is mounted, and by nothing else (`xfs_repair` refuses as long as there is
//! something in it). Here it is mounted for that alone, with the time that a large log takes.
//!
//! It refuses to throw a log away (`xfs_repair -L`): what is in it is what was written last, kept data's
//! names among it, and a person has to say so.

use std::path::Path;

use anyhow::{bail, Context, Result};
use rustix::io::Errno;
use rustix::mount::{mount, unmount, MountFlags, UnmountFlags};

use crate::ram::current_step;

/// How long the log may take: it has at most 2 GiB, in small pieces all over the disk.
const SECONDS: u64 = 3600;

/// Mounts the filesystem on a device that is not mounted at a directory, read-only, and unmounts it.
pub fn replay(device: &Path, directory: &Path) -> Result<()> {
    current_step::tell("repair", SECONDS);
    log::info!("XFS: replaying the log of {}", device.display());
    let flags = MountFlags::RDONLY | MountFlags::NOATIME;
    let device_name = device.display();
    match mount(device, directory, "xfs", flags, None) {
        Ok(()) => unmount(directory, UnmountFlags::empty())
            .with_context(|| format!("unmount {device_name} again")),
        // EFSCORRUPTED and EFSBADCRC of the kernel: what it read is not what it wrote.
        Err(e @ (Errno::UCLEAN | Errno::BADMSG)) => bail!(
            "the log of {device_name}, or what it leads to, is damaged ({e}), and the kernel does not mount it; \
             nothing was changed. Copy the whole partition to another disk first. Look with `xfs_repair -n \
             {device_name}`, mend with `xfs_repair {device_name}`; then `/init run`. Where that asks for the log \
             to be destroyed, what was written last is lost with it: only behind the copy"
        ),
        Err(e) => Err(e).with_context(|| format!("mount {device_name} to replay its log")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::FileExt;
    use std::path::PathBuf;
    use std::process::Command;

    use super::*;
    use fixtures::disk::Loop;
    use fixtures::program::run;

    /// An XFS as a power cut leaves it: what was written last is in its log alone. And a loop device of it.
    struct Cut {
        device: Loop,
        directory: tempfile::TempDir,
    }

    impl Cut {
        fn new() -> Cut {
            // The mounts go with the test's own thread.
            #[allow(deprecated)] // The flag shares nothing that Rust relies on.
            rustix::thread::unshare(rustix::thread::UnshareFlags::NEWNS)
                .expect("this test mounts a filesystem and needs root");
            run("mount", &["--make-rprivate", "/"]);
            let directory = tempfile::tempdir().unwrap();
            let at = |name: &str| directory.path().join(name).display().to_string();
            fs::create_dir(at("root")).unwrap();
            File::create(at("fs")).unwrap().set_len(320 << 20).unwrap();
            run("mkfs.xfs", &["-q", &at("fs")]);
            run("mount", &["-o", "loop", &at("fs"), &at("root")]);
            for number in 0..200 {
                fs::write(at(&format!("root/file-{number}")), "kept").unwrap();
            }
            let root = File::open(at("root")).unwrap();
            rustix::fs::syncfs(&root).unwrap();
            drop(root);
            // Its bytes as they are now, with the log not empty.
            run("cp", &[&at("fs"), &at("cut")]);
            run("umount", &[&at("root")]);
            let device = Loop::of(&directory.path().join("cut"));
            Cut { device, directory }
        }

        fn root(&self) -> PathBuf {
            self.directory.path().join("root")
        }

        /// What `xfs_repair` says of it without changing anything.
        fn is_clean(&self) -> bool {
            let output = Command::new("xfs_repair")
                .arg("-n")
                .arg(self.device.node())
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            // Of a log that is not empty.
            output.status.success() && !said.contains("ALERT")
        }
    }

    #[test]
    fn a_log_is_replayed_and_everything_is_there() {
        let cut = Cut::new();
        assert!(!cut.is_clean(), "there is nothing in the log");
        replay(cut.device.node(), &cut.root()).unwrap();
        assert!(cut.is_clean());
        run(
            "mount",
            &[
                cut.device.node().to_str().unwrap(),
                cut.root().to_str().unwrap(),
            ],
        );
        assert_eq!(fs::read_dir(cut.root()).unwrap().count(), 200);
        run("umount", &[cut.root().to_str().unwrap()]);
    }

    #[test]
    fn a_damaged_filesystem_is_left_for_a_person() {
        let cut = Cut::new();
        let device = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(cut.device.node())
            .unwrap();
        let mut superblock = vec![0; 512];
        device.read_exact_at(&mut superblock, 0).unwrap();
        // Its checksum is not that of its bytes any more.
        superblock[130] ^= 0x40;
        device.write_all_at(&superblock, 0).unwrap();
        device.sync_all().unwrap();
        let error = replay(cut.device.node(), &cut.root())
            .unwrap_err()
            .to_string();
        assert!(error.contains("only behind the copy"), "{error}");
        assert_eq!(fs::read_dir(cut.root()).unwrap().count(), 0);
    }
}
