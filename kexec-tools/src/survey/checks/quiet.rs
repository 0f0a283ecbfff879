//! Whether the machine is at rest: nobody is in the middle of something, nothing hangs.

use super::check::Force::{Allowed, NotNeeded};
use super::check::Moment::Stop;
use super::check::{joined, Check};

/// In the order in which a person would ask.
pub(super) const CHECKS: &[Check] = &[
    Check {
        code: "packages",
        question: "Is no package manager in the middle of something?",
        reads: "locks and states of dpkg, rpm and others; /proc",
        force: Allowed,
        again: &[Stop],
        remedy: "let it end, or mend it (`dpkg --configure -a`); force it if its state does not matter any more",
        against: |c| {
            joined(&c.facts.condition.packages)
        },
    },
    Check {
        code: "processes",
        question: "Can every process be ended?",
        reads: "/proc/*/stat, again and again for ten seconds, longer on a busy machine",
        force: Allowed,
        again: &[Stop],
        remedy: "find what it waits for (`cat /proc/PID/stack`); a reboot of the old OS may be needed first",
        against: |c| {
            let stuck = &c.facts.condition.stuck;
            (!stuck.is_empty()).then(|| format!("waiting beyond the reach of signals: {}", stuck.join(", ")))
        },
    },
    Check {
        code: "sessions",
        question: "Is nobody writing in a session?",
        reads: "/proc/*/fd, /proc/*/cgroup",
        force: NotNeeded,
        again: &[],
        remedy: "let it end first: what no service stops is ended by signals",
        against: |c| {
            joined(&c.facts.condition.sessions)
        },
    },
];
