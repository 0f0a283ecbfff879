//! A watchdog: hardware, or the kernel's `softdog`, that resets the machine unless it gets a sign
//! of life in time. Follows the kernel's `watchdog-api.rst`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;

/// The device of whichever watchdog came first.
const DEVICE: &str = "/dev/watchdog";
/// The numbered one, whose name sysfs has.
const SYSFS: &str = "/sys/class/watchdog/watchdog0";

/// A watchdog that runs. Dropping it without [`Watchdog::disarm`] leaves it running: a process
/// that ends by accident is what it is for.
#[derive(Debug)]
pub struct Watchdog {
    device: File,
    /// What it calls itself.
    pub name: String,
    /// Seconds without a sign of life until it resets the machine.
    pub timeout_s: i32,
}

/// Whether there is one.
pub fn exists() -> bool {
    Path::new(DEVICE).exists()
}

impl Watchdog {
    /// Opens it, which starts it, and sets its time.
    pub fn arm(seconds: i32) -> io::Result<Watchdog> {
        let device = OpenOptions::new().write(true).open(DEVICE)?;
        // Some have one time only, which they do not tell: signs of life come often enough for it.
        let timeout_s = syscalls::watchdog::set_timeout(device.as_fd(), seconds).unwrap_or(seconds);
        let name = fs::read_to_string(Path::new(SYSFS).join("identity"));
        let mut watchdog = Watchdog {
            device,
            name: name.map_or_else(|_| DEVICE.to_owned(), |n| n.trim().to_owned()),
            timeout_s,
        };
        watchdog.pet()?;
        Ok(watchdog)
    }

    /// Sets another time.
    pub fn set_timeout(&mut self, seconds: i32) -> io::Result<()> {
        self.timeout_s = syscalls::watchdog::set_timeout(self.device.as_fd(), seconds)?;
        Ok(())
    }

    /// Gives a sign of life.
    pub fn pet(&mut self) -> io::Result<()> {
        // Old drivers know the write alone. What is written must not be the letter that disarms.
        syscalls::watchdog::keep_alive(self.device.as_fd())
            .or_else(|_| self.device.write_all(b"\0"))
    }

    /// Stops it. One that was built never to stop goes on (`nowayout`); whether it does is told
    /// where the driver tells it.
    pub fn disarm(mut self) -> io::Result<Disarmed> {
        // The magic close: this letter last, then the end of the file.
        self.device.write_all(b"V")?;
        drop(self);
        let state = fs::read_to_string(Path::new(SYSFS).join("state"));
        Ok(match state.as_deref().map(str::trim) {
            Ok("active") => Disarmed::GoesOn,
            _ => Disarmed::Stopped,
        })
    }
}

/// What became of a watchdog that was to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disarmed {
    /// It has stopped, as far as its driver tells.
    Stopped,
    /// It goes on: it must be opened again and kept from resetting the machine.
    GoesOn,
}
