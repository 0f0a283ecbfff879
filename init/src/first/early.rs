//! The mounts, links and directories that everything else needs, from tables.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::io::Errno;

use crate::ram::kernel_filesystems;
use crate::ram::state::STATE;
use crate::root::target::TARGET;

/// Links that programs expect in /dev.
const LINKS: [(&str, &str); 4] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
];

/// Mounts the kernel's filesystems and makes the directories of the RAM environment. Every
/// failure is told, none stops the rest: with half of it a rescue shell is still of use.
pub fn prepare() -> Vec<String> {
    let mut failures = Vec::new();
    let mut note = |what: String, result: std::io::Result<()>| {
        if let Err(e) = result {
            failures.push(format!("{what}: {e}"));
        }
    };
    for filesystem in &kernel_filesystems::ALL {
        let (fstype, target) = (filesystem.fstype, filesystem.target);
        note(format!("make {target}"), fs::create_dir_all(target));
        let result = match filesystem.mount_at(Path::new(target)) {
            // The kernel mounts devtmpfs by itself if it was built to.
            Err(Errno::BUSY) => Ok(()),
            other => other.map_err(Into::into),
        };
        note(format!("mount {fstype} at {target}"), result);
    }
    for (link, target) in LINKS {
        if fs::symlink_metadata(link).is_err() {
            note(format!("link {link}"), symlink(target, link));
        }
    }
    for dir in [TARGET, STATE] {
        note(format!("make {dir}"), fs::create_dir_all(dir));
    }
    failures
}
