//! Processes, as /proc shows them.

use std::fs;
use std::io;

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Its name, from `comm`.
    pub name: String,
    /// It is a thread of the kernel: it has no memory of its own and cannot be stopped.
    pub kernel: bool,
    /// Its controlling terminal as stat has it, see proc(5); 0 where it has none.
    pub terminal: u32,
}

/// Every process at this moment.
pub fn all() -> io::Result<Vec<Process>> {
    let mut processes = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|n| n.parse().ok()) else {
            continue;
        };
        // A process that ends while it is being looked at is no process.
        let Ok(stat) = fs::read(format!("/proc/{pid}/stat")) else {
            continue;
        };
        processes.extend(parse_stat(pid, &stat));
    }
    Ok(processes)
}

/// The first number of people's accounts; services have those below (Debian's, Red Hat's since 2014,
/// systemd's).
const FIRST_PERSON: u32 = 1000;
/// The last: behind it are `nobody` and the numbers that systemd gives services for a while.
const LAST_PERSON: u32 = 60_000;

/// Whether a process belongs to a person and not to root or a service. What such a process calls
/// itself proves nothing.
#[must_use]
pub fn is_a_persons(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/status"))
        .ok()
        .and_then(|status| real_user(&status))
        .is_some_and(|uid| (FIRST_PERSON..=LAST_PERSON).contains(&uid))
}

/// The number of the user who started it, in /proc/pid/status: real, effective, saved, filesystem.
fn real_user(status: &str) -> Option<u32> {
    let numbers = status.lines().find_map(|l| l.strip_prefix("Uid:"))?;
    numbers.split_whitespace().next()?.parse().ok()
}

/// `PF_KTHREAD` in the flags of /proc/pid/stat.
const PF_KTHREAD: u64 = 0x0020_0000;

/// A process by /proc/pid/stat. The name stands in parentheses and may
/// itself hold any character, so the last one counts.
fn parse_stat(pid: i32, stat: &[u8]) -> Option<Process> {
    let open = stat.iter().position(|&b| b == b'(')?;
    let close = stat.iter().rposition(|&b| b == b')')?;
    let name = String::from_utf8_lossy(stat.get(open + 1..close)?).into_owned();
    let rest = std::str::from_utf8(stat.get(close + 1..)?).ok()?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    // A zombie has nothing open and cannot be killed again.
    if state == "Z" || state == "X" {
        return None;
    }
    // The kernel prints it as a signed number.
    let terminal: i32 = fields.nth(3)?.parse().ok()?;
    let flags: u64 = fields.nth(1)?.parse().ok()?;
    Some(Process {
        pid,
        name,
        kernel: flags & PF_KTHREAD != 0,
        terminal: terminal.cast_unsigned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_stat_lines_with_odd_names() {
        for (line, expected) in [
            (
                "1 (systemd) S 0 1 1 0 -1 4194560 1",
                Some(("systemd", false, 0)),
            ),
            (
                "2 (kthreadd) S 0 0 0 0 -1 2129984 0",
                Some(("kthreadd", true, 0)),
            ),
            (
                "9 (a) (b) c) R 0 1 1 1089 -1 0 1",
                Some(("a) (b) c", false, 1089)),
            ),
            ("9 (gone) Z 0 1 1 0 -1 0 1", None),
            ("9 (cut", None),
        ] {
            let found = parse_stat(9, line.as_bytes());
            let found = found
                .as_ref()
                .map(|p| (p.name.as_str(), p.kernel, p.terminal));
            assert_eq!(found, expected, "{line}");
        }
    }

    #[test]
    fn a_persons_process_is_known_by_its_number() {
        let mut child = std::process::Command::new("sleep");
        let mut child = std::os::unix::process::CommandExt::uid(&mut child, 1234)
            .arg("60")
            .spawn()
            .expect("start as another user: needs root");
        let (theirs, ours) = (child.id() as i32, std::process::id() as i32);
        let found = (is_a_persons(theirs), is_a_persons(ours));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(found, (true, false));
        assert_eq!(real_user("Name:\tx\nUid:\t1001\t0\t0\t0\n"), Some(1001));
    }
}
