//! Waiting on a machine that may be busy: a limit of time that runs slower the more programs want
//! the processor, so that what only was not its turn yet is not called broken.
//!
//! A limit is what something takes on a machine of its own, with room. It is spent at the pace that
//! an eighth of the time means an eighth of it where eight programs want one processor. It never
//! runs slower than by [`MOST`]: a wait has an end on every machine, and the step that it belongs to
//! has a deadline that no pressure moves.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// The slowest that a limit runs.
pub const MOST: f64 = 12.0;

/// A limit that is being spent.
#[derive(Debug)]
pub struct Patience {
    limit: Duration,
    spent: Duration,
    last: Instant,
}

impl Patience {
    /// A limit, as on a machine of its own; it runs from now on.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self {
            limit,
            spent: Duration::ZERO,
            last: Instant::now(),
        }
    }

    /// Whether it is over. Has to be asked now and then, for the pressure is that of the moment.
    pub fn is_over(&mut self) -> bool {
        let now = Instant::now();
        self.spend(now - self.last, pressure());
        self.last = now;
        self.spent > self.limit
    }

    /// From the beginning: there was progress.
    pub(crate) fn renew(&mut self) {
        *self = Self::new(self.limit);
    }

    fn spend(&mut self, time: Duration, pressure: f64) {
        self.spent += time.div_f64(pressure.clamp(1.0, MOST));
    }
}

/// A limit as it is now, for calls that take one and cannot be asked meanwhile.
#[must_use]
pub fn stretched(limit: Duration) -> Duration {
    limit.mul_f64(pressure())
}

/// How many times longer everything takes now than on a machine with room: 1 and more.
#[must_use]
pub fn pressure() -> f64 {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let processors = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    // Pressure files came with Linux 4.20, and not every kernel has them.
    let stalls =
        ["cpu", "io", "memory"].map(|what| stall(&read(&format!("/proc/pressure/{what}"))));
    let longest = stalls.into_iter().flatten().fold(1.0, f64::max);
    running(&read("/proc/loadavg"), processors)
        .unwrap_or(1.0)
        .max(longest)
        .clamp(1.0, MOST)
}

/// Programs that want a processor now, for each one. The averages before it count programs that wait
/// for a server that is gone, too, and those are what is being looked for.
fn running(loadavg: &str, processors: usize) -> Option<f64> {
    let (running, _) = loadavg.split_whitespace().nth(3)?.split_once('/')?;
    // The one that asks is one of them.
    let others = running.parse::<f64>().ok()?;
    Some(others / processors as f64)
}

/// From the share of time in which somebody waited, how many times longer that makes it.
fn stall(pressure: &str) -> Option<f64> {
    let some = pressure.lines().find_map(|l| l.strip_prefix("some "))?;
    let share = some
        .split_whitespace()
        .find_map(|w| w.strip_prefix("avg10="))?;
    let share = share.parse::<f64>().ok()? / 100.0;
    Some(1.0 / (1.0 - share.clamp(0.0, 0.95)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_runs_as_slowly_as_the_machine_does() {
        for (pressure, seconds) in [(0.0, 5), (1.0, 5), (4.0, 20), (1000.0, 60)] {
            let mut patience = Patience::new(Duration::from_secs(5));
            patience.spend(Duration::from_secs(seconds), pressure);
            assert!(patience.spent <= patience.limit, "{pressure}");
            patience.spend(Duration::from_secs(1), pressure);
            assert!(patience.spent > patience.limit, "{pressure}");
        }
        let mut patience = Patience::new(Duration::ZERO);
        std::thread::sleep(Duration::from_millis(2));
        assert!(patience.is_over());
    }

    #[test]
    fn pressure_is_read_from_what_the_kernel_has() {
        for (text, processors, expected) in [
            ("12.31 9.02 4.11 9/612 4242", 2, Some(4.5)),
            ("200.00 200.00 200.00 1/812 4242", 4, Some(0.25)),
            ("", 1, None),
        ] {
            assert_eq!(running(text, processors), expected, "{text}");
        }
        let text = "some avg10=75.00 avg60=1.00 avg300=0.10 total=1\nfull avg10=0.00 avg60=0.00";
        assert_eq!(stall(text), Some(4.0));
        assert_eq!(stall("some avg10=100.00 total=1"), Some(1.0 / (1.0 - 0.95)));
        assert_eq!(stall(""), None);
        assert!((1.0..=MOST).contains(&pressure()));
    }
}
