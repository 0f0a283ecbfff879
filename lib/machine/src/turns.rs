//! Whether a thread of this process gets on, as the kernel counts it: a thread that hangs in a call
//! has no turn on a processor, uses no time there and reads no page.
//!
//! So a step that is one long copy shows progress wherever it is, in a read, in `fsync`, which wakes
//! for page after page, or in a call of the kernel's that copies for minutes.

use std::fs;

/// What the kernel has counted of a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turns {
    /// Page faults and ticks of the processor.
    counted: Vec<u64>,
    /// How often it was taken off a processor, of its own will or not.
    switches: Vec<u64>,
}

/// The number of the calling thread, to look at it from another.
#[must_use]
pub fn this_thread() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}

impl Turns {
    /// Of a thread of this process; nothing where it has ended.
    #[must_use]
    pub fn of(thread: i32) -> Option<Self> {
        let read = |name: &str| fs::read(format!("/proc/self/task/{thread}/{name}"));
        Self::parse(&read("stat").ok()?, &read("status").ok()?)
    }

    fn parse(stat: &[u8], status: &[u8]) -> Option<Self> {
        let status = String::from_utf8_lossy(status);
        let switches = ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"]
            .iter()
            .filter_map(|name| status.lines().find_map(|l| l.strip_prefix(name)))
            .filter_map(|value| value.trim().parse().ok())
            .collect();
        Some(Self {
            counted: crate::answers::counted(stat)?,
            switches,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_thread_that_waits_in_one_call_makes_no_turns_and_one_that_works_does() {
        let (tell, told) = mpsc::channel();
        let (go_on, wait) = mpsc::channel::<()>();
        let waiting = {
            let tell = tell.clone();
            thread::spawn(move || {
                tell.send(this_thread()).unwrap();
                wait.recv()
            })
        };
        let waits = told.recv().unwrap();
        let (end, ended) = mpsc::channel::<()>();
        let working = thread::spawn(move || {
            tell.send(this_thread()).unwrap();
            while ended.try_recv().is_err() {
                thread::sleep(Duration::from_millis(1));
            }
        });
        let works = told.recv().unwrap();
        // It has come to its wait.
        thread::sleep(Duration::from_millis(500));
        let before = (Turns::of(waits), Turns::of(works));
        thread::sleep(Duration::from_secs(1));
        let after = (Turns::of(waits), Turns::of(works));
        go_on.send(()).unwrap();
        end.send(()).unwrap();
        waiting.join().unwrap().unwrap();
        working.join().unwrap();
        assert!(before.0.is_some() && before.1.is_some());
        assert_eq!(before.0, after.0);
        assert_ne!(before.1, after.1);
    }

    #[test]
    fn switches_are_read_from_the_status() {
        let stat = b"42 (a) b) D 1 42 42 0 -1 0 90 0 2 0 3 4 0 0 20 0 1";
        let status = b"Name:\tx\nvoluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t9\n";
        let found = Turns::parse(stat, status).unwrap();
        assert_eq!(found.counted, [90, 2, 3, 4]);
        assert_eq!(found.switches, [7, 9]);
        assert_eq!(Turns::parse(b"42 (cut", status), None);
    }
}
