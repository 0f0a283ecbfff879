//! Progress in percent on the consoles, a line for each tenth, and the sign of life that keeps a step
//! from being called hanging.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::ram::{current_step, percent};

/// Counts units and tells the log about every tenth of the expected total.
pub struct Progress {
    what: &'static str,
    total: u64,
    done: AtomicU64,
    told: AtomicU64,
    percent: AtomicU64,
}

impl Progress {
    /// Starts at nothing of `total` units. The total may be an estimate.
    pub fn new(what: &'static str, total: u64) -> Progress {
        Progress {
            what,
            total: total.max(1),
            done: AtomicU64::new(0),
            told: AtomicU64::new(0),
            percent: AtomicU64::new(0),
        }
    }

    /// More units are done.
    pub fn add(&self, units: u64) {
        current_step::progressed();
        let done = self.done.fetch_add(units, Ordering::Relaxed) + units;
        let hundredth = (done * 100 / self.total).min(99);
        if self.percent.fetch_max(hundredth, Ordering::Relaxed) < hundredth {
            percent::tell(self.what, hundredth);
        }
        // 100 % is said by the line that ends the step.
        let tenth = (done * 10 / self.total).min(9);
        if self.told.fetch_max(tenth, Ordering::Relaxed) < tenth {
            log::info!("{} {}%", self.what, tenth * 10);
        }
    }
}
