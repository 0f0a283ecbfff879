//! The watchdog in PID 1's hands: while it gives signs of life, PID 1 runs and the current step is
//! within its deadline. If the kernel locks up, or PID 1 hangs, the machine is reset.
//!
//! That leads to something that boots. Before the commit point it is the old OS. Behind it, it is the
//! staged image, which takes the run up: the commit point is the switch of the master boot
//! record to it.

use std::time::{Duration, Instant};

use machine::watchdog::{self, Disarmed, Watchdog};

/// Seconds without a sign of life: more than the longest time that a healthy kernel keeps PID 1
/// waiting, and what most hardware can count to.
const TIMEOUT_S: i32 = 60;
/// For a reboot in order, which ends with the machine in other hands.
const REBOOT_S: i32 = 300;
/// How often it gives a sign of life.
const EVERY: Duration = Duration::from_secs(1);

/// Keeps the watchdog, if there is one.
pub struct Guard {
    watchdog: Option<Watchdog>,
    /// It refused to start, or could not be stopped: it is not tried again and again.
    given_up: bool,
    last: Instant,
}

impl Guard {
    /// Nothing is armed yet: its driver may not be loaded.
    pub fn new() -> Guard {
        Guard {
            watchdog: None,
            given_up: false,
            last: Instant::now(),
        }
    }

    /// Everything is in order: starts the watchdog once its driver is there, and gives a sign of life
    /// where it is due. To be called several times a second.
    pub fn all_is_well(&mut self) {
        if self.watchdog.is_none() && !self.given_up && watchdog::exists() {
            self.arm();
        }
        self.keep_alive();
    }

    /// A sign of life for one that could not be stopped, and nothing else.
    pub fn keep_alive(&mut self) {
        if self.last.elapsed() < EVERY {
            return;
        }
        self.last = Instant::now();
        if let Some(Err(e)) = self.watchdog.as_mut().map(Watchdog::pet) {
            log::warn!("watchdog: sign of life: {e}");
        }
    }

    /// Gives a reboot its time.
    pub fn allow_for_reboot(&mut self) {
        if let Some(watchdog) = &mut self.watchdog {
            if let Err(e) = watchdog.set_timeout(REBOOT_S).and_then(|()| watchdog.pet()) {
                log::warn!("watchdog: longer time for the reboot: {e}");
            }
        }
    }

    /// Stops the watchdog. One that cannot be stopped is kept, for signs of life.
    pub fn disarm(&mut self) {
        let Some(watchdog) = self.watchdog.take() else {
            return;
        };
        let name = watchdog.name.clone();
        match watchdog.disarm() {
            Ok(Disarmed::Stopped) => log::info!("watchdog: {name} is stopped"),
            Ok(Disarmed::GoesOn) => {
                log::warn!("watchdog: {name} cannot be stopped; it gets signs of life on");
                self.arm();
                self.given_up = true;
            }
            Err(e) => log::warn!("watchdog: stop {name}: {e}"),
        }
    }

    fn arm(&mut self) {
        match Watchdog::arm(TIMEOUT_S) {
            Ok(watchdog) => {
                log::info!(
                    "watchdog: {} resets the machine after {} s without a sign of life",
                    watchdog.name,
                    watchdog.timeout_s
                );
                self.watchdog = Some(watchdog);
            }
            Err(e) => {
                self.given_up = true;
                log::warn!("watchdog: start it: {e}; going on without");
            }
        }
    }
}
