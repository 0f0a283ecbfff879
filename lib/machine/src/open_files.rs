//! In which directories of the root filesystem running programs are writing.
//!
//! Nothing but /proc is looked at. A file's place is told by the path that its descriptor has and by
//! the mounts of the process that holds it: a container's `/var/lib/mysql` is elsewhere on the root,
//! and what is on another filesystem is not touched, not even by stat(2).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use formats::facts::OpenDirectory;
use storage::mounts::{self, Mount};

use crate::condition::{family, is_session};
use crate::held;
use crate::processes::Process;

/// Files that are remembered; a machine with more is told of these.
const MOST_FILES: usize = 100_000;
/// The most of a list of mappings that is read.
const LARGEST_MAPS: u64 = 4 << 20;

/// Directories with files that are open for writing, by path, on the root filesystem and on those mounted at
/// `systems`. The program's own family is left out.
pub fn read(processes: &[Process], own_mounts: &[Mount], systems: &[String]) -> Vec<OpenDirectory> {
    let places = std::iter::once("/").chain(systems.iter().map(String::as_str));
    let wiped: Vec<&Mount> = places
        .filter_map(|place| mounts::at(own_mounts, Path::new(place)))
        .collect();
    let own_namespace = fs::read_link("/proc/self/ns/mnt").ok();
    let family = family(std::process::id() as i32);
    let mut namespaces: BTreeMap<PathBuf, Vec<Mount>> = BTreeMap::new();
    let mut found = Found::default();
    for process in processes.iter().filter(|p| !p.kernel) {
        if family.contains(&process.pid) {
            continue;
        }
        let files = written_by(process.pid);
        if files.is_empty() {
            continue;
        }
        // Kernels before 3.8 do not tell namespaces: there the process is taken to be in this one.
        let namespace = fs::read_link(format!("/proc/{}/ns/mnt", process.pid)).ok();
        let theirs = match namespace.filter(|n| Some(n) != own_namespace.as_ref()) {
            None => own_mounts,
            Some(namespace) => namespaces.entry(namespace).or_insert_with(|| {
                let text = fs::read(format!("/proc/{}/mountinfo", process.pid));
                mounts::of_text(&text.unwrap_or_default())
            }),
        };
        let writer = Writer::of(process);
        for file in files {
            let place = on_wiped(theirs, &file, &wiped).or_else(|| {
                let upper = in_upper(theirs, &file)?;
                on_wiped(own_mounts, &upper, &wiped)
            });
            if let Some(place) = place {
                found.add(&place, &writer);
            }
        }
    }
    found.directories()
}

/// Who writes.
struct Writer {
    name: String,
    service: bool,
}

impl Writer {
    fn of(process: &Process) -> Writer {
        let groups = fs::read_to_string(format!("/proc/{}/cgroup", process.pid));
        let groups = groups.unwrap_or_default();
        Writer {
            name: unit(&groups).unwrap_or_else(|| process.name.clone()),
            service: !is_session(&groups),
        }
    }
}

/// The unit in control groups: `0::/system.slice/mariadb.service`.
fn unit(groups: &str) -> Option<String> {
    groups.lines().find_map(|line| {
        let path = line.splitn(3, ':').nth(2)?;
        let unit = path.split('/').rfind(|name| name.ends_with(".service"))?;
        Some(unit.to_owned())
    })
}

#[derive(Default)]
struct Found {
    directories: BTreeMap<PathBuf, Directory>,
    files: usize,
}

#[derive(Default)]
struct Directory {
    files: BTreeSet<Vec<u8>>,
    writers: BTreeSet<String>,
    service: bool,
}

impl Found {
    fn add(&mut self, file: &Path, writer: &Writer) {
        let (Some(above), Some(name)) = (file.parent(), file.file_name()) else {
            return;
        };
        if self.files >= MOST_FILES {
            return;
        }
        let directory = self.directories.entry(above.to_owned()).or_default();
        self.files += usize::from(directory.files.insert(name.as_bytes().to_vec()));
        directory.writers.insert(writer.name.clone());
        directory.service |= writer.service;
    }

    fn directories(self) -> Vec<OpenDirectory> {
        let told = |(path, found): (PathBuf, Directory)| OpenDirectory {
            path: path.display().to_string(),
            files: found.files.len() as u64,
            writers: found.writers.into_iter().collect(),
            service: found.service,
        };
        self.directories.into_iter().map(told).collect()
    }
}

/// Paths of files that a process can write to: by a descriptor, or by a mapping that it shares with
/// the file. A process that ends meanwhile writes no more.
fn written_by(pid: i32) -> Vec<PathBuf> {
    let mut files = BTreeSet::new();
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd"));
    for entry in descriptors.into_iter().flatten().flatten() {
        let Ok(path) = fs::read_link(entry.path()) else {
            continue;
        };
        if !is_file(path.as_os_str().as_bytes()) {
            continue;
        }
        let info = format!("/proc/{pid}/fdinfo/{}", entry.file_name().to_string_lossy());
        let writes = fs::read_to_string(info).is_ok_and(|t| held::opened_for_writing(&t));
        if writes {
            files.insert(path);
        }
    }
    let mut maps = Vec::new();
    if let Ok(file) = File::open(format!("/proc/{pid}/maps")) {
        // What was read so far counts.
        let _ = file.take(LARGEST_MAPS).read_to_end(&mut maps);
    }
    files.extend(mapped(&maps));
    files.into_iter().collect()
}

/// Whether what a descriptor leads to may be a file with a name: no socket, no pipe, none that was
/// removed.
fn is_file(path: &[u8]) -> bool {
    path.starts_with(b"/") && !path.ends_with(b" (deleted)") && !path.starts_with(b"/dev/")
}

/// Files in /proc/pid/maps that are mapped shared and may be written: `rw-s`, path in the sixth field.
fn mapped(maps: &[u8]) -> Vec<PathBuf> {
    let lines = maps.split(|&b| b == b'\n');
    lines
        .filter_map(|line| {
            let mut fields = line.splitn(6, |&b| b == b' ');
            let mode = fields.nth(1)?;
            let path = fields.nth(3)?.trim_ascii_start();
            let shared = mode.get(1) == Some(&b'w') && mode.get(3) == Some(&b's');
            (shared && is_file(path)).then(|| PathBuf::from(std::ffi::OsStr::from_bytes(path)))
        })
        .collect()
}

/// Where a path is in the tree of the filesystems that are wiped, if it is on one of them.
fn on_wiped(mounts: &[Mount], path: &Path, wiped: &[&Mount]) -> Option<PathBuf> {
    let mount = mounts::containing(mounts, path)?;
    let place = mount.root.join(path.strip_prefix(&mount.target).ok()?);
    // Of Btrfs the mounted subvolumes alone are wiped.
    let around = wiped
        .iter()
        .filter(|wiped| wiped.device == mount.device && place.starts_with(&wiped.root));
    let filesystem = around.max_by_key(|wiped| wiped.root.components().count())?;
    Some(
        filesystem
            .target
            .join(place.strip_prefix(&filesystem.root).ok()?),
    )
}

/// Where what is written to a path goes, if that is laid over other directories.
fn in_upper(mounts: &[Mount], path: &Path) -> Option<PathBuf> {
    let mount = mounts::containing(mounts, path)?;
    let below = path.strip_prefix(&mount.target).ok()?;
    Some(mount.upper.as_ref()?.join(below))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::process::{Child, Command, Stdio};

    use super::*;

    const MOUNTS: &[u8] = b"22 1 253:1 / / rw - ext4 /dev/vda1 rw\n\
        23 22 0:5 / /proc rw - proc proc rw\n\
        24 22 253:1 /data /srv/data rw - ext4 /dev/vda1 rw\n\
        25 22 0:50 / /tank rw - zfs tank rw\n\
        26 22 253:3 / /var/log rw - xfs /dev/vda3 rw\n\
        27 22 253:3 /shop /mnt/shop rw - xfs /dev/vda3 rw\n\
        28 22 253:4 / /home rw - ext4 /dev/vda4 rw\n";
    const CONTAINER: &[u8] = b"90 80 0:60 / / rw - overlay overlay rw,lowerdir=/l,upperdir=/var/lib/docker/u/diff,workdir=/w\n\
        91 90 253:1 /var/lib/docker/volumes/db/_data /var/lib/mysql rw - ext4 /dev/vda1 rw\n\
        92 90 0:61 / /dev rw - tmpfs tmpfs rw\n";

    #[test]
    fn a_path_is_told_by_where_it_is_on_what_is_wiped() {
        let (own, theirs) = (mounts::parse(MOUNTS), mounts::parse(CONTAINER));
        let wiped: Vec<&Mount> = own.iter().filter(|m| m.id == 22 || m.id == 26).collect();
        for (mounts, path, expected) in [
            (
                &own,
                "/var/lib/mysql/ibdata1",
                Some("/var/lib/mysql/ibdata1"),
            ),
            (&own, "/srv/data/x", Some("/data/x")),
            (&own, "/srv/database", Some("/srv/database")),
            (&own, "/tank/x", None),
            (&own, "/proc/sys/x", None),
            (&own, "/var/log/shop/x", Some("/var/log/shop/x")),
            (&own, "/mnt/shop/x", Some("/var/log/shop/x")),
            (&own, "/home/x", None),
            (
                &theirs,
                "/var/lib/mysql/x",
                Some("/var/lib/docker/volumes/db/_data/x"),
            ),
            (&theirs, "/var/log/x", None),
        ] {
            let found = on_wiped(mounts, Path::new(path), &wiped);
            assert_eq!(found.as_deref(), expected.map(Path::new), "{path}");
        }
        assert_eq!(
            in_upper(&theirs, Path::new("/var/log/x")).as_deref(),
            Some(Path::new("/var/lib/docker/u/diff/var/log/x"))
        );
        assert_eq!(in_upper(&theirs, Path::new("/dev/x")), None);
    }

    #[test]
    fn of_btrfs_the_mounted_subvolumes_alone_are_wiped() {
        let mounts = mounts::parse(
            b"22 1 253:3 /@/.snapshots/1/snapshot / rw - btrfs /dev/vda3 rw\n\
              23 22 253:3 /@/var /var rw - btrfs /dev/vda3 rw\n\
              24 22 253:3 /@/home /home rw - btrfs /dev/vda3 rw\n\
              25 22 253:3 / /mnt/top rw - btrfs /dev/vda3 rw\n",
        );
        let wiped: Vec<&Mount> = mounts.iter().filter(|m| m.id == 22 || m.id == 23).collect();
        for (path, expected) in [
            ("/srv/shop/x", Some("/srv/shop/x")),
            ("/var/lib/mysql/ibdata1", Some("/var/lib/mysql/ibdata1")),
            ("/home/x", None),
            ("/mnt/top/@/var/x", Some("/var/x")),
            ("/mnt/top/@/.snapshots/1/snapshot/etc/x", Some("/etc/x")),
            ("/mnt/top/@/.snapshots/2/snapshot/etc/x", None),
        ] {
            let found = on_wiped(&mounts, Path::new(path), &wiped);
            assert_eq!(found.as_deref(), expected.map(Path::new), "{path}");
        }
    }

    #[test]
    fn services_are_told_by_their_unit() {
        for (groups, expected) in [
            (
                "0::/system.slice/mariadb.service\n",
                Some("mariadb.service"),
            ),
            (
                "1:name=systemd:/system.slice/system-postgresql.slice/postgresql@15-main.service\n",
                Some("postgresql@15-main.service"),
            ),
            ("0::/user.slice/user-0.slice/session-3.scope\n", None),
            ("0::/system.slice/docker-0a1b.scope\n", None),
            ("", None),
        ] {
            assert_eq!(unit(groups).as_deref(), expected, "{groups}");
        }
    }

    #[test]
    fn mappings_count_where_they_reach_the_file() {
        let maps = b"7f00-7f01 rw-s 00000000 fd:01 42                         /var/lib/x/a b\n\
            7f01-7f02 rw-p 00000000 fd:01 43                         /var/lib/x/private\n\
            7f02-7f03 r--s 00000000 fd:01 44                         /var/lib/x/read\n\
            7f03-7f04 rw-s 00000000 00:01 45                         /dev/shm/x\n\
            7f04-7f05 rw-s 00000000 fd:01 46                         /var/lib/x/gone (deleted)\n\
            7f05-7f06 rw-s 00000000 00:00 0 \n";
        assert_eq!(mapped(maps), [PathBuf::from("/var/lib/x/a b")]);
    }

    /// A program that has a file open for writing, below a directory of this test's own.
    struct Holding(Child);

    impl Drop for Holding {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn hold(script: &str, directory: &Path) -> Holding {
        let mut shell = Command::new("sh");
        hold_by(shell.args(["-c", script, "sh"]).arg(directory))
    }

    /// A file that is mapped by a program, and open no more.
    const MAPS: &str = r#"
        open(my $file, "+>", "$ARGV[0]/mapped") or die;
        truncate($file, 4096);
        syscall(9, 0, 4096, 3, 1, fileno($file) + 0, 0) > 0 or die;
        close($file);
        syswrite(STDOUT, "ok");
        sleep(60);
    "#;

    fn hold_by(program: &mut Command) -> Holding {
        let mut child = program
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = [0; 2];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut said).unwrap();
        Holding(child)
    }

    #[test]
    fn a_real_program_with_an_open_file_is_found_and_this_family_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().canonicalize().unwrap();
        // The temporary directory need not be on the root: its own filesystem is taken for that.
        let device = fs::metadata(&path).unwrap().dev();
        let mut mounts = mounts::read().unwrap();
        let shown = mounts::containing(&mounts, &path).unwrap().clone();
        assert_eq!(rustix::fs::major(device), shown.device.0);
        let root = Mount {
            target: "/".into(),
            ..shown.clone()
        };
        let under_root = on_wiped(&mounts, &path, &[&root]).unwrap();
        for mount in &mut mounts {
            if mount.target == Path::new("/") {
                mount.device = shown.device;
            }
        }
        let _writing = hold("exec 9>\"$1\"/data; echo ok; exec sleep 60", &path);
        let _reading = hold(
            ": >\"$1\"/read; exec 9<\"$1\"/read; echo ok; exec sleep 60",
            &path,
        );
        // Mapped, and closed behind that: mmap(2) is number 9.
        let _mapping = hold_by(Command::new("perl").arg("-e").arg(MAPS).arg(&path));
        let _own = File::create(path.join("own")).unwrap();
        let found = read(&crate::processes::all().unwrap(), &mounts, &[]);
        let here: Vec<_> = found
            .iter()
            .filter(|d| Path::new(&d.path) == under_root)
            .collect();
        assert_eq!(here.len(), 1, "{found:?}");
        assert_eq!(here[0].files, 2);
        assert!(here[0].writers.len() == 2, "{here:?}");
    }
}
