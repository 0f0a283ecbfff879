//! How long nobody answered: a connection to the machine's ssh every two seconds, with the time of
//! each answer: more often, and an emulated processor would do nothing else.
//!
//! Only a banner counts as an answer. Each attempt has a thread of its own, so that one which
//! hangs while the machine is down does not hide the moment at which it is back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{ensure, Context, Result};

use crate::ssh::Ssh;

const INTERVAL: Duration = Duration::from_secs(2);
const LIMIT: Duration = Duration::from_secs(2);

/// An answer of whoever listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// When the banner had arrived.
    pub at: Instant,
    /// The banner.
    pub banner: String,
}

/// The longest time without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// The last answer before.
    pub last: Heard,
    /// The first answer after.
    pub first: Heard,
}

impl Silence {
    /// How long it was.
    pub fn length(&self) -> Duration {
        self.first.at.saturating_duration_since(self.last.at)
    }
}

/// A prober at work until it is dropped.
#[derive(Debug)]
pub struct Prober {
    heard: Arc<Mutex<Vec<Heard>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Prober {
    /// Begins to probe the ssh behind `port` of 127.0.0.1.
    pub fn start(port: u16) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (all, end) = (Arc::clone(&heard), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                let all = Arc::clone(&all);
                std::thread::spawn(move || {
                    if let Some(banner) = Ssh::banner(port, LIMIT) {
                        let answer = Heard {
                            at: Instant::now(),
                            banner,
                        };
                        all.lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .push(answer);
                    }
                });
                std::thread::sleep(INTERVAL);
            }
        });
        Self {
            heard,
            stop,
            thread: Some(thread),
        }
    }

    /// All answers so far, by time.
    pub fn heard(&self) -> Vec<Heard> {
        let mut heard = self
            .heard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        heard.sort_by_key(|answer| answer.at);
        heard
    }

    /// The longest silence, of a machine that is known to be back: one that has just booted may let
    /// the next questions pass, so an answer from now on is waited for, up to `limit`.
    pub fn silence_until_back(&self, limit: Duration) -> Result<Silence> {
        let back = Instant::now();
        while self.heard().last().is_none_or(|heard| heard.at < back) {
            ensure!(back.elapsed() < limit, "nobody answers any more");
            std::thread::sleep(INTERVAL);
        }
        longest_silence(&self.heard()).context("nobody answered twice")
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It only sleeps and starts threads; a panic in it has been printed.
            let _ = thread.join();
        }
    }
}

fn longest_silence(heard: &[Heard]) -> Option<Silence> {
    heard
        .windows(2)
        .map(|pair| Silence {
            last: pair[0].clone(),
            first: pair[1].clone(),
        })
        .max_by_key(Silence::length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_longest_gap() {
        let start = Instant::now();
        let heard: Vec<Heard> = [0, 500, 1000, 61_000, 61_500]
            .into_iter()
            .map(|at| Heard {
                at: start + Duration::from_millis(at),
                banner: at.to_string(),
            })
            .collect();
        let silence = longest_silence(&heard).unwrap();
        assert_eq!(silence.length(), Duration::from_mins(1));
        assert_eq!(
            (silence.last.banner.as_str(), silence.first.banner.as_str()),
            ("1000", "61000")
        );
        assert_eq!(longest_silence(&heard[..1]), None);
    }
}
