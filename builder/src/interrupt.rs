//! Ctrl-C and friends: a build that is told to stop ends as a failed one does, leaving nothing.
//!
//! The signals are taken by a thread and only set a flag. Whoever works for long asks for it; the
//! error then runs up through the same ways as every other, past everything that cleans up.

use std::io;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{kill, SigSet, Signal};
use nix::unistd::Pid;

/// What a terminal, a logout and `kill` send.
const SIGNALS: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// How long a child may take to clean up behind itself.
const GRACE: Duration = Duration::from_secs(10);

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Begins to listen. To be called before any other thread is started: they all have to have the
/// signals blocked. Children do not inherit that; the standard library unblocks for them.
pub fn listen() -> Result<()> {
    let signals: SigSet = SIGNALS.into_iter().collect();
    signals
        .thread_block()
        .context("block the signals that end a program")?;
    thread::spawn(move || {
        while signals.wait().is_ok() {
            REQUESTED.store(true, Ordering::Relaxed);
        }
    });
    Ok(())
}

/// Fails if the program was told to stop.
pub fn check() -> io::Result<()> {
    if REQUESTED.load(Ordering::Relaxed) {
        return Err(io::Error::other("interrupted"));
    }
    Ok(())
}

/// Asks a child to end, and ends it if it does not.
pub fn stop(child: &mut Child) {
    // It may be gone already: a terminal tells it at the same time as us.
    let _ = kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM);
    let mut waited = Duration::ZERO;
    while waited < GRACE && matches!(child.try_wait(), Ok(None)) {
        thread::sleep(Duration::from_millis(100));
        waited += Duration::from_millis(100);
    }
    let _ = child.kill();
    let _ = child.wait();
}
