//! Whether mounts answer. A mount from a server that is gone stops everyone who asks it, beyond the
//! reach of signals; so a child asks, one for each mount, and is left behind if it has to be.
//!
//! That a child has no answer yet says nothing by itself: on a busy machine it may not have had its
//! turn. A mount is silent when the kernel has its child asleep in the question, without any progress,
//! for as long as an answer may take; and that is longer the busier the machine is, for the answer
//! may be another process's.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use storage::mounts::Mount;

use crate::patience::Patience;

/// How long a child may sleep in its question. A disk that has to spin up takes three to ten seconds;
/// a server that takes longer would hang the unmounting too.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// Where mounts are that may be probed, and may not answer: all but the kernel's own and memory. To
/// probe a mount of autofs, which counts as the kernel's, would be to mount.
pub(crate) fn to_probe(mounts: &[Mount]) -> Vec<PathBuf> {
    mounts
        .iter()
        .filter(|m| m.target != Path::new("/") && m.contents().is_missed())
        .map(|m| m.target.clone())
        .collect()
}

/// The child's part: asks one mount. Whoever calls this may never return.
pub fn probe(target: &Path) -> std::io::Result<()> {
    rustix::fs::statvfs(target)?;
    Ok(())
}

/// A child with the mount that it asks.
struct Asked {
    target: String,
    child: Child,
    watch: Watch,
}

/// Whether a process gets on.
struct Watch {
    progress: Option<Progress>,
    /// What is left of the time that it may sleep without progress.
    patience: Patience,
}

impl Watch {
    fn new(patience: Duration) -> Self {
        Self {
            progress: None,
            patience: Patience::new(patience),
        }
    }

    /// Looks at it once more. It is silent when it slept for as long as an answer may take.
    fn is_silent(&mut self, pid: u32) -> bool {
        self.is_silent_at(Progress::read(pid))
    }

    fn is_silent_at(&mut self, progress: Option<Progress>) -> bool {
        let sleeps = progress.as_ref().is_some_and(|p| p.asleep);
        if !sleeps || progress != self.progress {
            self.patience.renew();
        }
        self.progress = progress;
        self.patience.is_over()
    }
}

/// What came of a child that looks at something.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// It ended, and had written this.
    Said(Vec<u8>),
    /// It sleeps without progress, and is left behind.
    Silent,
}

/// Waits for what a child writes to its output, as long as it gets on.
pub fn ask(child: Command) -> std::io::Result<Answer> {
    ask_within(PATIENCE, child)
}

fn ask_within(patience: Duration, mut child: Command) -> std::io::Result<Answer> {
    let child = child.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = child.spawn()?;
    let output = child.stdout.take();
    let reader = thread::spawn(move || {
        let mut said = Vec::new();
        let read = output.map(|mut output| output.read_to_end(&mut said));
        read.transpose().map(|_| said)
    });
    let mut watch = Watch::new(patience);
    let mut pause = Duration::from_millis(1);
    while child.try_wait()?.is_none() {
        if watch.is_silent(child.id()) {
            // It ends when it gets its answer, or by this; neither it nor its reader is waited for.
            let _ = child.kill();
            return Ok(Answer::Silent);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(PAUSE);
    }
    let said = reader.join().unwrap_or_else(|_| Ok(Vec::new()))?;
    Ok(Answer::Said(said))
}

/// Those that do not answer. `child` makes the command that does [`probe`] for a mount. A mount that
/// answers with an error answers.
pub fn silent(targets: &[PathBuf], child: impl Fn(&Path) -> Command) -> Vec<String> {
    silent_within(PATIENCE, targets, child)
}

fn silent_within(
    patience: Duration,
    targets: &[PathBuf],
    child: impl Fn(&Path) -> Command,
) -> Vec<String> {
    let mut asked: Vec<Asked> = targets
        .iter()
        .filter_map(|target| {
            let child = child(target)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                // Without a child nothing is known of the mount; what unmounts it will say.
                .ok()?;
            Some(Asked {
                target: target.display().to_string(),
                child,
                watch: Watch::new(patience),
            })
        })
        .collect();
    let mut silent = Vec::new();
    loop {
        asked.retain_mut(|asked| matches!(asked.child.try_wait(), Ok(None)));
        // By the index, for those that are over leave.
        let mut at = 0;
        while at < asked.len() {
            let pid = asked[at].child.id();
            if asked[at].watch.is_silent(pid) {
                let mut over = asked.swap_remove(at);
                // It ends when its mount answers, or by this; it is not waited for.
                let _ = over.child.kill();
                silent.push(over.target);
            } else {
                at += 1;
            }
        }
        if asked.is_empty() {
            break;
        }
        thread::sleep(PAUSE);
    }
    silent.sort();
    silent
}

/// How far a process came, as the kernel counts it.
#[derive(Debug, PartialEq, Eq)]
struct Progress {
    /// It waits for something that is no processor.
    asleep: bool,
    /// Page faults and ticks of the processor.
    counted: Vec<u64>,
    /// Time on a processor, time in the queue for one, turns; on kernels that count them.
    turns: String,
}

impl Progress {
    fn read(pid: u32) -> Option<Self> {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        let turns = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
        Self::parse(&stat, turns)
    }

    fn parse(stat: &[u8], turns: String) -> Option<Self> {
        Some(Self {
            asleep: matches!(*behind_name(stat)?.first()?, "S" | "D"),
            counted: counted(stat)?,
            turns,
        })
    }
}

/// The fields of /proc/PID/stat from the third on. The name before them may hold any character.
fn behind_name(stat: &[u8]) -> Option<Vec<&str>> {
    let close = stat.iter().rposition(|&b| b == b')')?;
    let rest = std::str::from_utf8(stat.get(close + 1..)?).ok()?;
    Some(rest.split_whitespace().collect())
}

/// Page faults and ticks of the processor in /proc/PID/stat: minflt, majflt, utime and stime, fields
/// 10, 12, 14 and 15 of proc(5).
pub(crate) fn counted(stat: &[u8]) -> Option<Vec<u64>> {
    let fields = behind_name(stat)?;
    let counted = [7, 9, 11, 12].map(|at| fields.get(at)?.parse().ok());
    counted.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use storage::mounts;

    use super::*;
    use crate::patience::MOST;

    /// Long enough for what answers at once; what sleeps does so for however long is asked.
    const BRIEF: Duration = Duration::from_secs(2);

    #[test]
    fn devices_servers_and_fuse_are_probed_and_memory_is_not() {
        let mounts = mounts::parse(
            b"22 1 253:1 / / rw - ext4 /dev/vda1 rw\n\
              23 22 0:5 / /proc rw - proc proc rw\n\
              24 22 0:50 / /mnt rw - nfs4 server:/x rw\n\
              25 22 0:51 / /ssh rw - fuse.sshfs host: rw\n\
              26 22 0:52 / /auto rw - autofs systemd-1 rw\n\
              27 22 0:53 / /run rw - tmpfs tmpfs rw\n\
              28 22 7:0 / /vol rw - ext4 /dev/loop0 rw\n\
              29 22 0:54 / /sys/fs/fuse/connections rw - fusectl fusectl rw\n\
              30 22 0:55 / /tank rw - zfs tank rw\n",
        );
        let targets = to_probe(&mounts);
        assert_eq!(
            targets,
            ["/mnt", "/ssh", "/vol", "/tank"].map(PathBuf::from)
        );
    }

    #[test]
    fn what_answers_is_not_silent_and_what_sleeps_is() {
        let targets = [PathBuf::from("/quick"), PathBuf::from("/slow")];
        let started = Instant::now();
        let found = silent_within(BRIEF, &targets, |target| {
            let mut command = Command::new("sleep");
            command.arg(if target == Path::new("/slow") {
                "600"
            } else {
                "0"
            });
            command
        });
        assert_eq!(found, ["/slow"]);
        assert!(started.elapsed() < BRIEF * 2 * MOST as u32);
    }

    /// A real mount that hangs: FUSE, whose process never reads a request.
    #[test]
    fn a_mount_that_hangs_is_found_and_stops_nobody() {
        let script = "mkdir -p \"$1\" && exec 9<>/dev/fuse && \
            mount -i -t fuse -o fd=9,rootmode=40000,user_id=0,group_id=0 hangs \"$1\" && \
            echo mounted && exec sleep 600";
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
        let found = silent_within(BRIEF, std::slice::from_ref(&target), |target| {
            let mut command = Command::new("nsenter");
            command.args(["-t", &pid, "-m", "stat", "-f"]).arg(target);
            command
        });
        server.kill().unwrap();
        server.wait().unwrap();
        assert_eq!(found, [target.display().to_string()]);
        assert!(started.elapsed() < BRIEF * 2 * MOST as u32);
    }

    #[test]
    fn what_a_child_says_is_had_and_one_that_sleeps_is_left() {
        let shell = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            command
        };
        // More than a pipe holds.
        let Answer::Said(said) = ask(shell("seq 100000; exit 3")).unwrap() else {
            panic!("it is not silent");
        };
        assert!(said.ends_with(b"\n99999\n100000\n"));
        let started = Instant::now();
        let found = ask_within(BRIEF, shell("echo something; exec sleep 600")).unwrap();
        assert_eq!(found, Answer::Silent);
        assert!(started.elapsed() < BRIEF * 2 * MOST as u32);
    }

    #[test]
    fn who_waits_for_a_processor_is_not_asleep_and_a_turn_is_progress() {
        let stat =
            |state: &str| format!("42 (a) b) {state} 1 42 42 0 -1 0 90 0 2 0 3 4 0 0 20 0 1");
        let of = |state: &str, turns: &str| {
            Progress::parse(stat(state).as_bytes(), turns.to_owned()).unwrap()
        };
        for (state, asleep) in [("R", false), ("D", true), ("S", true), ("t", false)] {
            assert_eq!(of(state, "").asleep, asleep, "{state}");
        }
        assert_eq!(of("D", "").counted, [90, 2, 3, 4]);
        assert_eq!(of("D", "1 2 3"), of("D", "1 2 3"));
        assert_ne!(of("D", "1 2 3"), of("D", "1 9 4"));
        assert_eq!(Progress::parse(b"42 (cut", String::new()), None);
    }

    #[test]
    fn who_gets_on_or_waits_for_a_processor_is_never_silent() {
        let at = |asleep, turns: u32| Progress {
            asleep,
            counted: Vec::new(),
            turns: turns.to_string(),
        };
        let limit = Duration::from_millis(10);
        // Whether it sleeps, and whether it had a turn since the look before.
        for (asleep, gets_on, silent) in [
            (true, false, true),
            (true, true, false),
            (false, false, false),
        ] {
            let mut watch = Watch {
                progress: None,
                patience: Patience::new(limit),
            };
            let mut found = false;
            for look in 0..20 {
                found |= watch.is_silent_at(Some(at(asleep, if gets_on { look } else { 0 })));
                // However slowly the limit runs, some looks make up for it.
                thread::sleep(limit * 2);
            }
            assert_eq!(found, silent, "asleep {asleep}, gets on {gets_on}");
        }
    }

    /// Every child competes with eight programs that never rest, and has to start first.
    #[test]
    fn on_a_busy_machine_what_answers_is_not_silent() {
        let mut busy: Vec<Child> = (0..8)
            .map(|_| {
                let mut command = Command::new("timeout");
                command.args(["120", "sh", "-c", "while :; do :; done"]);
                command.spawn().unwrap()
            })
            .collect();
        let targets: Vec<PathBuf> = (0..12).map(|n| PathBuf::from(format!("/{n}"))).collect();
        let found = silent(&targets, |_| {
            // The lowest priority that there is, and a little to do.
            let mut command = Command::new("nice");
            command.args([
                "-n",
                "19",
                "sh",
                "-c",
                "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done",
            ]);
            command
        });
        for child in &mut busy {
            // `timeout` ends its loop when it is told to end.
            let pid = rustix::process::Pid::from_child(child);
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
            child.wait().unwrap();
        }
        assert_eq!(found, [""; 0]);
    }
}
