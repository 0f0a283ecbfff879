//! Processes that no signal can end, and programs of somebody's session that are writing.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::Duration;

use crate::held;
use crate::patience::Patience;
use crate::processes::Process;

/// A process that waits for a disk is in the same state for a moment, and for seconds where the disk
/// is busy or spins up. One that hangs is so at each of many looks, and had no turn in between.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(250);

/// Processes in uninterruptible sleep through all of the time in which they were looked at, as
/// `name (pid)`. Takes ten seconds if there are any, longer on a busy machine, else no time.
pub fn stuck() -> Vec<String> {
    let mut stuck = uninterruptible();
    let mut patience = Patience::new(PATIENCE);
    while !stuck.is_empty() && !patience.is_over() {
        thread::sleep(PAUSE);
        let now = uninterruptible();
        stuck.retain(|pid, then| now.get(pid) == Some(then));
    }
    stuck
        .into_iter()
        .map(|(pid, found)| format!("{} ({pid})", found.name))
        .collect()
}

#[derive(Debug, PartialEq, Eq)]
struct Sleeper {
    name: String,
    /// Ticks of the processor that it has used.
    ticks: u64,
    /// Its turns on a processor, on kernels that count them.
    turns: String,
}

fn uninterruptible() -> BTreeMap<i32, Sleeper> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return BTreeMap::new();
    };
    entries
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read(entry.path().join("stat")).ok()?;
            let mut found = sleeper(&stat)?;
            found.turns = fs::read_to_string(entry.path().join("schedstat")).unwrap_or_default();
            Some((pid, found))
        })
        .collect()
}

/// `PF_KTHREAD`: threads of the kernel sleep like that as a matter of course.
const PF_KTHREAD: u64 = 0x0020_0000;

/// Reads /proc/pid/stat; `None` where the process is in another state, or the kernel's.
fn sleeper(stat: &[u8]) -> Option<Sleeper> {
    let open = stat.iter().position(|&b| b == b'(')?;
    let close = stat.iter().rposition(|&b| b == b')')?;
    let rest = std::str::from_utf8(stat.get(close + 1..)?).ok()?;
    let fields: Vec<_> = rest.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    (fields.first() == Some(&"D") && number(6)? & PF_KTHREAD == 0).then_some(())?;
    Some(Sleeper {
        name: String::from_utf8_lossy(stat.get(open + 1..close)?).into_owned(),
        ticks: number(11)? + number(12)?,
        turns: String::new(),
    })
}

/// Processes that no service stops and that have a file on the root open for writing: those of
/// people's sessions. Named with one such file. The launcher's own family is left out.
pub fn sessions(processes: &[Process], root: (u32, u32)) -> Vec<String> {
    let family = family(std::process::id() as i32);
    processes
        .iter()
        .filter(|p| !p.kernel && !family.contains(&p.pid))
        .filter(|p| {
            let groups = fs::read_to_string(format!("/proc/{}/cgroup", p.pid));
            groups.is_ok_and(|groups| is_session(&groups))
        })
        .filter_map(|p| {
            let path = held::by(p.pid, root).into_iter().next()?;
            Some(format!("{} ({}) writes {}", p.name, p.pid, path.display()))
        })
        .collect()
}

/// Whether control groups are those of somebody's session: `user.slice/user-0.slice/session-3.scope`.
pub(crate) fn is_session(groups: &str) -> bool {
    groups
        .lines()
        .any(|line| line.contains("/user.slice/") && line.contains(".scope"))
}

/// A process and those that it descends from.
pub(crate) fn family(pid: i32) -> Vec<i32> {
    let mut family = vec![pid];
    while let Some(parent) = family.last().and_then(|pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        status
            .lines()
            .find_map(|l| l.strip_prefix("PPid:")?.trim().parse::<i32>().ok())
    }) {
        if parent <= 1 || family.contains(&parent) {
            break;
        }
        family.push(parent);
    }
    family
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_processes_that_sleep_for_a_device_are_stuck() {
        let line = |state: &str, flags: u64| {
            format!("42 (touch) {state} 1 42 42 0 -1 {flags} 90 0 0 0 3 4 0 0 20 0 1 0 999 0 0")
        };
        let found = sleeper(line("D", 0x40_0000).as_bytes()).unwrap();
        assert_eq!((found.name.as_str(), found.ticks), ("touch", 7));
        assert_eq!(sleeper(line("S", 0x40_0000).as_bytes()), None);
        assert_eq!(
            sleeper(line("D", 0x20_0040).as_bytes()),
            None,
            "the kernel's"
        );
        assert_eq!(sleeper(b"42 (cut"), None);
    }

    #[test]
    fn sessions_are_told_by_their_control_group() {
        for (groups, expected) in [
            ("0::/user.slice/user-0.slice/session-3.scope\n", true),
            (
                "12:pids:/user.slice/user-0.slice/session-3.scope\n1:name=systemd:/user.slice/user-0.slice/session-3.scope\n",
                true,
            ),
            ("0::/system.slice/ssh.service\n", false),
            ("0::/user.slice/user-0.slice/user@0.service/init.scope\n", true),
            ("", false),
        ] {
            assert_eq!(is_session(groups), expected, "{groups}");
        }
    }

    #[test]
    fn this_process_descends_from_another() {
        let me = std::process::id() as i32;
        let family = family(me);
        assert_eq!(family[0], me);
    }
}
