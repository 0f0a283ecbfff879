//! What makes a running machine's life hard, by its hardware: a disk that is slow, and the key by which its kernel
//! ends what it would end if memory were short.

use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};
use serde_json::json;

use crate::vm::Machine;

/// How the kernel begins to say what it has ended.
const ENDED: &str = "Out of memory: Killed process ";
/// How the kernel says how willingly.
const WILLINGLY: &str = "oom_score_adj:";
/// Between a break and the letter: the kernel takes one for five seconds.
const AFTER_BREAK: Duration = Duration::from_millis(300);
/// How long the kernel may take to choose.
const CHOICE: Duration = Duration::from_secs(10);

/// A process that the kernel has ended for want of memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Victim {
    /// Its name.
    pub name: String,
    /// Its `oom_score_adj`: from -1000, never, to 1000, before all others.
    pub willingly: i32,
}

impl Machine {
    /// Lets the root disk take and give so many bytes a second; as many as it can where it is 0.
    pub fn slow_disk(&mut self, bytes_a_second: u64) -> Result<()> {
        self.qmp()
            .execute(
                "block_set_io_throttle",
                &json!({
                    "device": "root", "bps": bytes_a_second, "bps_rd": 0, "bps_wr": 0,
                    "iops": 0, "iops_rd": 0, "iops_wr": 0,
                }),
            )
            .map(drop)
    }

    /// Has the kernel end the process that it would end if memory were short, and says which that was: a break
    /// and an `f` on the serial console (`admin-guide/sysrq`), which a kernel takes whose `kernel.sysrq` has 64
    /// in it. Whose turn it is only the kernel knows.
    pub fn end_one_as_if_memory_were_short(&mut self) -> Result<Victim> {
        let before = victims(&self.console()).len();
        self.qmp()
            .execute("chardev-send-break", &json!({"id": "console"}))?;
        std::thread::sleep(AFTER_BREAK);
        self.type_bytes(b"f")?;
        let deadline = Instant::now() + self.patience(CHOICE);
        while Instant::now() < deadline {
            if let Some(victim) = victims(&self.console()).into_iter().nth(before) {
                return Ok(victim);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        bail!("the kernel has ended nobody\n{}", self.console_tail())
    }
}

/// Those that a console tells of, in their order; of a line that is still being written nobody.
fn victims(console: &str) -> Vec<Victim> {
    let (whole, _) = console.rsplit_once('\n').unwrap_or_default();
    whole.lines().filter_map(|line| victim(line).ok()).collect()
}

fn victim(line: &str) -> Result<Victim> {
    let (_, said) = line.split_once(ENDED).context("no such line")?;
    let (_, said) = said.split_once(" (").context("a number")?;
    let (name, said) = said.split_once(") ").context("a name")?;
    let (_, willingly) = said.split_once(WILLINGLY).context("how willingly")?;
    Ok(Victim {
        name: name.to_owned(),
        willingly: willingly.trim().parse().context("a number")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_understood() {
        let line = "[   42.000000] Out of memory: Killed process 117 (sshd-session) total-vm:15784kB, \
                    anon-rss:1536kB, file-rss:6144kB, shmem-rss:0kB, UID:0 pgtables:72kB oom_score_adj:1000";
        let (whole, begun) = (format!("x\n{line}\n"), &line[..line.len() - 1]);
        let expected = Victim {
            name: "sshd-session".to_owned(),
            willingly: 1000,
        };
        assert_eq!(victims(&whole), [expected]);
        assert_eq!(victims(begun), []);
        assert_eq!(victims("sysrq: Manual OOM execution\n"), []);
    }
}
