//! Files of a filesystem that processes have open for writing.
//!
//! Nothing but /proc is looked at, and no file is asked: one below a mount that does not answer
//! would be waited for. The mount that a descriptor is on says which filesystem it is of.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use storage::mounts::{self, Mount};

use crate::processes::{self, Process};

/// A file that a process has open for writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Who.
    pub process: Process,
    /// What, as /proc names it.
    pub path: String,
}

/// Files on the filesystem `device` that any process has open for writing.
pub fn by_all(device: (u32, u32)) -> io::Result<Vec<Held>> {
    let mut held = Vec::new();
    for process in processes::all()? {
        let files = by(process.pid, device);
        held.extend(files.into_iter().map(|path| Held {
            process: process.clone(),
            path: path.display().to_string(),
        }));
    }
    Ok(held)
}

/// Those that one process has, as /proc names them: the name of one that was removed ends in
/// ` (deleted)`. A process that ends meanwhile has none.
pub fn by(pid: i32, device: (u32, u32)) -> Vec<PathBuf> {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return Vec::new();
    };
    let open: Vec<(PathBuf, String)> = descriptors
        .flatten()
        .filter_map(|entry| {
            let number = entry.file_name();
            let info = format!("/proc/{pid}/fdinfo/{}", number.to_string_lossy());
            let info = fs::read_to_string(info).ok()?;
            opened_for_writing(&info).then_some(())?;
            Some((fs::read_link(entry.path()).ok()?, info))
        })
        .collect();
    if open.is_empty() {
        return Vec::new();
    }
    // The process may see other mounts than this one. Those of Btrfs have a number of their own there, each of its
    // subvolumes another one.
    let mounts = fs::read(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
    let mounts = mounts::of_text(&mounts);
    open.into_iter()
        .filter(|(path, info)| device_of(path, info, &mounts) == Some(device))
        .map(|(path, _)| path)
        .collect()
}

/// The filesystem that a descriptor is of: by the mount that it is on, which fdinfo names since
/// Linux 3.15, else by its path. None where it has no path (a pipe), or its mount is gone.
fn device_of(path: &Path, fdinfo: &str, mounts: &[Mount]) -> Option<(u32, u32)> {
    if !path.is_absolute() {
        return None;
    }
    let id = fdinfo.lines().find_map(|l| l.strip_prefix("mnt_id:"));
    let mount = match id {
        Some(id) => {
            let id: u64 = id.trim().parse().ok()?;
            mounts.iter().find(|mount| mount.id == id)
        }
        None => mounts::containing(mounts, path),
    };
    Some(mount?.device)
}

/// The access mode is in the last two bits of `flags`, in octal.
pub(crate) fn opened_for_writing(fdinfo: &str) -> bool {
    fdinfo
        .lines()
        .find_map(|l| u64::from_str_radix(l.strip_prefix("flags:")?.trim(), 8).ok())
        .is_some_and(|flags| flags & 3 != 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::process::{Child, Command, Stdio};
    use std::sync::mpsc;
    use std::time::Duration;

    use fixtures::filesystem::Filesystem;
    use fixtures::program::run;

    use super::*;

    #[test]
    fn knows_files_opened_for_writing() {
        assert!(opened_for_writing("pos:\t0\nflags:\t0100001\n"));
        assert!(opened_for_writing("flags:\t02\n"));
        assert!(!opened_for_writing("flags:\t0100000\n"));
        assert!(!opened_for_writing(""));
    }

    #[test]
    fn a_descriptor_is_of_the_filesystem_of_its_mount() {
        let mounts = mounts::parse(
            b"22 1 253:1 / / rw - ext4 /dev/vda1 rw\n\
              23 22 0:50 / /mnt rw - nfs4 server:/x rw\n",
        );
        let root = Some((253, 1));
        for (path, fdinfo, expected) in [
            ("/srv/x", "mnt_id:\t22\n", root),
            ("/mnt/x", "mnt_id:\t23\n", Some((0, 50))),
            ("/mnt/x", "flags:\t02\n", Some((0, 50))),
            ("/srv/x (deleted)", "flags:\t02\n", root),
            // Its mount was taken away lazily: the path is what is left of it.
            ("/x", "mnt_id:\t40\n", None),
            ("pipe:[7]", "flags:\t01\nmnt_id:\t12\n", None),
        ] {
            assert_eq!(
                device_of(Path::new(path), fdinfo, &mounts),
                expected,
                "{path}"
            );
        }
    }

    fn device(path: &Path) -> (u32, u32) {
        let number = path.metadata().unwrap().dev();
        (rustix::fs::major(number), rustix::fs::minor(number))
    }

    #[test]
    fn finds_this_process_writing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let me = std::process::id() as i32;
        let is_ours = |h: &Held| h.process.pid == me && Path::new(&h.path) == file.path();
        assert!(by_all(device(file.path())).unwrap().iter().any(is_ours));
        assert!(by(me, device(file.path())).contains(&file.path().to_owned()));
        assert_eq!(by(me, (0, 0)), Vec::<PathBuf>::new());
    }

    /// Btrfs has a number of its own for each subvolume, and none of them is its device's.
    #[test]
    fn finds_this_process_writing_on_btrfs() {
        let filesystem = Filesystem::mount(&["mkfs.btrfs", "-q"], 128);
        let home = filesystem.root().join("home");
        run(
            "btrfs",
            &["-q", "subvolume", "create", home.to_str().unwrap()],
        );
        let all = mounts::read().unwrap();
        let mount = mounts::at(&all, &filesystem.root()).unwrap();
        let me = std::process::id() as i32;
        assert_eq!(by(me, mount.device), Vec::<PathBuf>::new());
        let files = [filesystem.root().join("file"), home.join("file")];
        let _open = files.each_ref().map(|file| fs::File::create(file).unwrap());
        let mut found = by(me, mount.device);
        found.sort();
        assert_eq!(found, files);
    }

    /// Programs that end with the test.
    struct Running(Vec<Child>);

    impl Drop for Running {
        fn drop(&mut self) {
            for child in &mut self.0 {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }

    /// A file served by FUSE, of a server that answers until the shell has opened it, has it under the
    /// number that it wants and has closed the first one (a flush), and then no more.
    const SERVER: &str = r#"
        use strict; $^F = 255;
        open(my $fuse, '+<', '/dev/fuse') or die "open /dev/fuse: $!";
        my $fd = fileno($fuse);
        system('mount', '-i', '-t', 'fuse', '-o',
            "fd=$fd,rootmode=100000,user_id=0,group_id=0", 'falls-silent', $ARGV[0]) == 0 or die;
        $| = 1; print "mounted\n";
        while (sysread($fuse, my $request, 200000)) {
            my ($length, $code, $unique) = unpack('LLQ', $request);
            my $body = '';
            if ($code == 26) { $body = pack('LLLLSSLLSSLx28', 7, 26, 0, 0, 0, 0, 4096, 1, 0, 0, 0); }
            elsif ($code == 14) { $body = pack('QLL', 1, 0, 0); }
            elsif ($code == 3) { $body = pack('QLLQQQQQQLLLLLLLLLL', 0, 0, 0,
                1, 0, 0, 0, 0, 0, 0, 0, 0, 0100600, 1, 0, 0, 0, 512, 0); }
            syswrite($fuse, pack('LlQ', 16 + length($body), 0, $unique) . $body);
            if ($code == 25) { sleep 600; }
        }
    "#;

    #[test]
    fn a_file_on_a_mount_that_has_fallen_silent_is_not_asked() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let mut server = Command::new("unshare")
            .args(["-m", "--propagation", "private", "perl", "-e", SERVER])
            .arg(&file)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = [0; 8];
        let mounted = io::Read::read_exact(server.stdout.as_mut().unwrap(), &mut said);
        let server_pid = server.id().to_string();
        let mut running = Running(vec![server]);
        mounted.expect("mount FUSE: needs root, perl and /dev/fuse (modprobe fuse)");
        let mut writer = Command::new("nsenter")
            .args(["-t", &server_pid, "-m", "sh", "-c"])
            .args(["exec 9<>\"$1\"; echo is open; exec sleep 600", "sh"])
            .arg(&file)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = [0; 8];
        let opened = io::Read::read_exact(writer.stdout.as_mut().unwrap(), &mut said);
        running.0.push(writer);
        opened.unwrap();
        let own = device(directory.path());
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || tell.send(by_all(own)));
        let found = told.recv_timeout(Duration::from_mins(1));
        drop(running);
        let found = found.expect("it asks the silent mount, and waits").unwrap();
        assert!(
            found.iter().all(|h| Path::new(&h.path) != file),
            "{found:?}"
        );
    }
}
