//! Whether mounts answer. A mount from a server that is gone stops everyone who asks it, beyond the
//! reach of signals; so a child asks, one for each mount, and is left behind if it has to be.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::mounts::Mount;

/// How long a mount gets to answer, all of them together.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

/// Where mounts are that may be probed, and may not answer. Mounts of autofs are left alone: to probe
/// is to mount.
pub fn to_probe(mounts: &[Mount]) -> Vec<PathBuf> {
    mounts
        .iter()
        .filter(|m| m.target != Path::new("/") && m.fstype != "autofs")
        .filter(|m| m.device.0 != 0 || asks_a_process(&m.fstype))
        .map(|m| m.target.clone())
        .collect()
}

/// Filesystems without a device whose answers come from a server or from another process.
fn asks_a_process(fstype: &str) -> bool {
    const SERVED: [&str; 8] = ["nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "afs", "lustre"];
    SERVED.contains(&fstype) || fstype.starts_with("fuse")
}

/// The child's part: probes one mount. Whoever calls this may never return.
pub fn probe(target: &Path) -> std::io::Result<()> {
    rustix::fs::statvfs(target)?;
    Ok(())
}

/// Those that do not answer in time. `child` makes the command that does [`probe`] for a mount. A
/// mount that answers with an error answers.
pub fn silent(targets: &[PathBuf], child: impl Fn(&Path) -> Command) -> Vec<String> {
    let deadline = Instant::now() + PATIENCE;
    let mut probed: Vec<(String, Child)> = targets
        .iter()
        .filter_map(|target| {
            let child = child(target)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                // Without a child nothing is known of the mount; what unmounts it will say.
                .ok()?;
            Some((target.display().to_string(), child))
        })
        .collect();
    loop {
        probed.retain_mut(|(_, child)| matches!(child.try_wait(), Ok(None)));
        if probed.is_empty() || Instant::now() > deadline {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    probed
        .into_iter()
        .map(|(target, mut child)| {
            // It ends when its mount answers, or by this; it is not waited for.
            let _ = child.kill();
            target
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mounts;

    #[test]
    fn devices_servers_and_fuse_are_probed_and_memory_is_not() {
        let mounts = mounts::parse(
            b"22 1 253:1 / / rw - ext4 /dev/vda1 rw\n\
              23 22 0:5 / /proc rw - proc proc rw\n\
              24 22 0:50 / /mnt rw - nfs4 server:/x rw\n\
              25 22 0:51 / /ssh rw - fuse.sshfs host: rw\n\
              26 22 0:52 / /auto rw - autofs systemd-1 rw\n\
              27 22 0:53 / /run rw - tmpfs tmpfs rw\n\
              28 22 7:0 / /vol rw - ext4 /dev/loop0 rw\n",
        );
        let targets = to_probe(&mounts);
        assert_eq!(targets, ["/mnt", "/ssh", "/vol"].map(PathBuf::from));
    }

    #[test]
    fn what_answers_is_not_silent_and_what_sleeps_is() {
        let targets = [PathBuf::from("/quick"), PathBuf::from("/slow")];
        let started = Instant::now();
        let found = silent(&targets, |target| {
            let mut command = Command::new("sleep");
            command.arg(if target == Path::new("/slow") {
                "60"
            } else {
                "0"
            });
            command
        });
        assert_eq!(found, ["/slow"]);
        assert!(started.elapsed() < PATIENCE * 2);
    }

    /// A real mount that hangs: FUSE, whose process never reads a request.
    #[test]
    fn a_mount_that_hangs_is_found_and_stops_nobody() {
        let script = "mkdir -p \"$1\" && exec 9<>/dev/fuse && \
            mount -i -t fuse -o fd=9,rootmode=40000,user_id=0,group_id=0 hangs \"$1\" && \
            echo mounted && exec sleep 60";
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("hangs");
        let mut server = Command::new("unshare")
            .args(["-m", "--propagation", "shared", "sh", "-c", script, "sh"])
            .arg(&target)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = [0; 7];
        let mounted = std::io::Read::read_exact(server.stdout.as_mut().unwrap(), &mut said);
        mounted.expect("mount FUSE: needs root and /dev/fuse (modprobe fuse)");
        let pid = server.id().to_string();
        let started = Instant::now();
        // The child asks in the namespace in which the mount is.
        let found = silent(std::slice::from_ref(&target), |target| {
            let mut command = Command::new("nsenter");
            command.args(["-t", &pid, "-m", "stat", "-f"]).arg(target);
            command
        });
        server.kill().unwrap();
        server.wait().unwrap();
        assert_eq!(found, [target.display().to_string()]);
        assert!(started.elapsed() < PATIENCE * 2);
    }
}
