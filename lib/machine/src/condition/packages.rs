//! Whether a package manager is in the middle of something: its locks, its processes, and what it
//! leaves when it is stopped half-way.

use std::fs;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::process::{Flock, FlockType};

use crate::processes::{self, Process};
use formats::counted::counted;

/// Files that a package manager locks by fcntl(2) while it works, and whose they are.
const LOCKS: [(&str, &str); 7] = [
    ("var/lib/dpkg/lock-frontend", "apt"),
    ("var/lib/dpkg/lock", "dpkg"),
    ("var/lib/apt/lists/lock", "apt"),
    ("var/cache/apt/archives/lock", "apt"),
    ("var/lib/rpm/.rpm.lock", "rpm"),
    ("usr/lib/sysimage/rpm/.rpm.lock", "rpm"),
    ("var/lib/dnf/rpmdb_lock.pid", "dnf"),
];

/// Files that are there while a package manager works.
const MARKS: [(&str, &str); 3] = [
    ("var/lib/pacman/db.lck", "pacman"),
    ("run/yum.pid", "yum"),
    ("run/zypp.pid", "zypper"),
];

/// Processes that are a package manager at work, by name.
const WORKERS: [&str; 9] = [
    "dpkg", "apt-get", "apt", "aptitude", "rpm", "yum", "dnf", "zypper", "pacman",
];

/// Every sign, in words; none where all is at rest.
pub fn signs(root: &Path, processes: &[Process]) -> Vec<String> {
    let mut signs = Vec::new();
    for (file, whose) in LOCKS {
        if let Some(pid) = locked_by(&root.join(file)) {
            let name = processes.iter().find(|p| p.pid == pid);
            let name = name.map_or("a process", |p| p.name.as_str());
            signs.push(format!("{name} ({pid}) holds the lock of {whose}, /{file}"));
        }
    }
    for (file, whose) in MARKS {
        let held = fs::read_to_string(root.join(file)).is_ok_and(|text| {
            // A mark with a number is that of a process, which may be long gone.
            text.trim()
                .parse::<i32>()
                .map_or(true, |pid| processes.iter().any(|p| p.pid == pid))
        });
        if held {
            signs.push(format!("{whose} is at work: /{file} is there"));
        }
    }
    let workers = processes
        .iter()
        .filter(|p| WORKERS.contains(&p.name.as_str()))
        // Whoever likes may call a program of theirs so; only root's changes packages.
        .filter(|p| !processes::is_a_persons(p.pid));
    for process in workers {
        let said = format!("{} ({})", process.name, process.pid);
        if !signs.iter().any(|s| s.starts_with(&said)) {
            signs.push(format!("{said} runs"));
        }
    }
    let updates = fs::read_dir(root.join("var/lib/dpkg/updates"));
    let left = updates.into_iter().flatten().flatten();
    let left = left.filter(|e| {
        e.file_name()
            .to_str()
            .is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
    });
    let left = left.count();
    if left > 0 {
        signs.push(format!(
            "dpkg was interrupted: {} in /var/lib/dpkg/updates",
            counted(left as u64, "file", "files")
        ));
    }
    let half = half_done(&fs::read(root.join("var/lib/dpkg/status")).unwrap_or_default());
    if !half.is_empty() {
        signs.push(format!(
            "packages that are half installed: {}",
            half.join(", ")
        ));
    }
    signs
}

/// The process that has locked a file by fcntl(2); none where nobody has, or the file cannot be
/// opened. The lock is only asked about, not taken.
fn locked_by(path: &Path) -> Option<i32> {
    // To ask about a lock for writing needs no right to write on Linux.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    let held = rustix::process::fcntl_getlk(&file, &Flock::from(FlockType::WriteLock)).ok()??;
    held.pid.map(|pid| pid.as_raw_nonzero().get())
}

/// States of dpkg in which a package neither is there nor is not.
const HALF: [&str; 3] = ["half-installed", "unpacked", "half-configured"];

/// Names of the packages in such a state, by dpkg's status file.
fn half_done(status: &[u8]) -> Vec<String> {
    let mut name = String::new();
    let mut found = Vec::new();
    for line in status.split(|&b| b == b'\n') {
        if let Some(rest) = line.strip_prefix(b"Package: ") {
            name = String::from_utf8_lossy(rest).into_owned();
        } else if let Some(rest) = line.strip_prefix(b"Status: ") {
            let state = rest.rsplit(|&b| b == b' ').next().unwrap_or_default();
            if HALF.iter().any(|half| half.as_bytes() == state) {
                found.push(format!("{name} ({})", String::from_utf8_lossy(state)));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn process(pid: i32, name: &str) -> Process {
        Process {
            pid,
            name: name.into(),
            kernel: false,
            terminal: 0,
        }
    }

    #[test]
    fn packages_in_between_are_named() {
        let status = b"Package: bash\nStatus: install ok installed\n\n\
            Package: libc6\nEssential: yes\nStatus: install ok half-configured\n\n\
            Package: gone\nStatus: deinstall ok config-files\n\n\
            Package: shop\nStatus: install reinstreq half-installed\n\n\
            Package: late\nStatus: install ok triggers-pending\n";
        assert_eq!(
            half_done(status),
            ["libc6 (half-configured)", "shop (half-installed)"]
        );
    }

    #[test]
    fn a_tree_at_rest_has_no_signs() {
        let tree = tempfile::tempdir().unwrap();
        assert_eq!(signs(tree.path(), &[process(9, "sshd")]), [""; 0]);
        fs::create_dir_all(tree.path().join("var/lib/dpkg")).unwrap();
        fs::write(tree.path().join("var/lib/dpkg/lock"), "").unwrap();
        fs::create_dir_all(tree.path().join("run")).unwrap();
        fs::write(tree.path().join("run/yum.pid"), "77\n").unwrap();
        assert_eq!(signs(tree.path(), &[process(9, "sshd")]), [""; 0]);
        assert_eq!(signs(tree.path(), &[process(77, "yum-builddep")]).len(), 1);
    }

    #[test]
    fn a_held_lock_is_seen_and_its_holder_named() {
        let tree = tempfile::tempdir().unwrap();
        let lock = tree.path().join("var/lib/dpkg/lock");
        fs::create_dir_all(lock.parent().unwrap()).unwrap();
        fs::write(&lock, "").unwrap();
        fs::create_dir_all(tree.path().join("var/lib/dpkg/updates")).unwrap();
        fs::write(tree.path().join("var/lib/dpkg/updates/0003"), "x").unwrap();
        // A process of its own holds it as dpkg does: locks are per process.
        let mut holder = Command::new("perl")
            .args(["-e", "use Fcntl; open(F, '+<', $ARGV[0]); my $l = pack('s s l! l! i', F_WRLCK, 0, 0, 0, 0); fcntl(F, F_SETLK, $l) or die; print \"held\\n\"; $|=1; sleep 60"])
            .arg(&lock)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = holder.id() as i32;
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while locked_by(&lock).is_none() && std::time::Instant::now() < deadline {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let found = signs(tree.path(), &[process(pid, "dpkg")]);
        holder.kill().unwrap();
        holder.wait().unwrap();
        assert_eq!(
            found,
            [
                format!("dpkg ({pid}) holds the lock of dpkg, /var/lib/dpkg/lock"),
                "dpkg was interrupted: 1 file in /var/lib/dpkg/updates".to_owned()
            ]
        );
        assert_eq!(locked_by(&lock), None, "the lock goes with its holder");
    }
}
